//! A cage: a folder that is granted, things beside it that are not, and an attack let loose in it.

use super::slowdown;
use super::web::{Canary, Web};
use crate::support::root;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wassette_policy::{AccessKind, Authority, Decision, Limits, ParseOptions, Policy};
use wassette_sandbox::{
    Control, GuestOutput, Invocation, NetworkConfig, PrepareError, Prepared, Resolver, Sandbox,
    SandboxConfig, Surroundings, Usage,
};
use wassette_wit::{Tool, World, encode, tools};

/// What ends every attack that does not end by itself; the policies of the table may set it lower.
const TIME: &str = "8s";

/// Beyond its time, a call may take as long as this to give up everything. Generous: tests run beside each other.
const GRACE: Duration = Duration::from_secs(12);

/// The text of every file beside the cage.
pub(crate) const OUTSIDE: &str = "outside, and nobody's business";

/// A cage for one attack.
pub(crate) struct Cage {
    pub(crate) attack: &'static str,
    home: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    names: Vec<(String, Vec<IpAddr>)>,
    surroundings: Surroundings,
    policy: String,
    limits: String,
    input: Vec<String>,
    /// What to say in the table of results.
    pub(crate) told: Vec<String>,
    /// The attack, to be made again beside honest calls.
    again: Option<(Sandbox, Arc<Prepared>, slowdown::Invoke)>,
}

/// What came of a call.
pub(crate) struct Outcome {
    attack: &'static str,
    /// The journal of the attack, or why there is none.
    pub(crate) result: Result<String, String>,
    pub(crate) accesses: Vec<Decision>,
    pub(crate) unlisted: u64,
    pub(crate) usage: Usage,
    pub(crate) output: GuestOutput,
}

/// A component that is ready to be called.
pub(crate) struct Ready {
    prepared: Arc<Prepared>,
    tools: Vec<Tool>,
}

impl Cage {
    pub(crate) fn new(attack: &'static str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let cage = Self {
            attack,
            home,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            names: Vec::new(),
            surroundings: Surroundings::default(),
            policy: String::new(),
            limits: String::new(),
            input: Vec::new(),
            told: Vec::new(),
            again: None,
        };
        for folder in ["cage/sub", "cage/empty", "outside"] {
            fs::create_dir_all(cage.path(folder)).unwrap();
        }
        for (name, text) in [
            ("cage/inside.txt", "inside"),
            ("cage/sub/inner.txt", "inner"),
            ("outside.txt", OUTSIDE),
            ("outside/outside.txt", OUTSIDE),
            ("outside/victim.txt", OUTSIDE),
        ] {
            fs::write(cage.path(name), text).unwrap();
        }
        cage
    }

    /// A path below the folder that holds everything; `cage/…` is what is granted.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.home.path().canonicalize().unwrap().join(below)
    }

    pub(crate) fn network(&mut self, allow: &str) -> &mut Self {
        self.policy += &format!("  network: {{allow: [{allow}]}}\n");
        self
    }

    /// Takes back the rules of this sort.
    pub(crate) fn clear(&mut self, sort: &str) {
        let head = format!("  {sort}: ");
        self.policy = self
            .policy
            .lines()
            .filter(|line| !line.starts_with(&head))
            .map(|line| format!("{line}\n"))
            .collect();
    }

    /// Makes one list of rules of this sort that were granted one after the other.
    pub(crate) fn merge(&mut self, sort: &str) {
        let head = format!("  {sort}: {{allow: [");
        let rules: Vec<_> = self
            .policy
            .lines()
            .filter_map(|line| line.strip_prefix(&head)?.strip_suffix("]}"))
            .map(str::to_owned)
            .collect();
        self.clear(sort);
        self.policy += &format!("{head}{}]}}\n", rules.join(", "));
    }

    /// Any other lines below `permissions`.
    pub(crate) fn permissions(&mut self, lines: &str) -> &mut Self {
        self.policy += lines;
        self
    }

    /// Limits as in a policy, without `time`: `memory: "64Mi"`.
    pub(crate) fn limits(&mut self, limits: &str) -> &mut Self {
        self.limits = limits.to_owned();
        self
    }

    pub(crate) fn input(&mut self, word: impl ToString) -> &mut Self {
        self.input.push(word.to_string());
        self
    }

    /// What the lying resolver says; a name that is listed twice is answered in turn.
    pub(crate) fn name(&mut self, name: &str, addresses: &[&str]) -> &mut Self {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.names.push((name.to_owned(), addresses));
        self
    }

    pub(crate) fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.surroundings
            .variables
            .insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn secret(&mut self, name: &str, value: &str) -> &mut Self {
        self.surroundings.secrets.insert(name.to_owned(), value.into());
        self
    }

    /// Grants a server as `granted.example`, with more keys of the rule if there are any, and tells the attack.
    pub(crate) fn web(&mut self, more: &str) -> Web {
        let web = Web::start();
        let port = web.port();
        self.name("granted.example", &["127.0.0.1"]);
        self.network(&format!(
            "{{host: \"granted.example:{port}\", schemes: [http]{more}}}, {}",
            loopback(port)
        ));
        self.input(format!("granted.example:{port}"));
        web
    }

    /// A server that must not be reached; tells the attack where it is.
    pub(crate) fn canary(&mut self) -> Canary {
        let canary = Canary::start();
        self.input(format!("127.0.0.1:{}", canary.port()));
        canary
    }

    pub(crate) fn say(&mut self, what: impl ToString) {
        self.told.push(what.to_string());
    }

    /// The policy, as a document.
    pub(crate) fn document(&self) -> String {
        let time = if self.limits.contains("time:") {
            String::new()
        } else {
            format!("time: \"{TIME}\", ")
        };
        format!(
            "version: \"1.0\"\npermissions:\n{}  resources: {{limits: {{{time}{}}}}}\n",
            self.policy, self.limits
        )
    }

    /// Whether the policy language takes what was granted.
    pub(crate) fn parsed(&self) -> Result<Policy, String> {
        let options = ParseOptions::default();
        Policy::parse(&self.document(), &options).map_err(|error| error.to_string())
    }

    fn authority(&self) -> Arc<Authority> {
        let policy = self
            .parsed()
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.attack, self.document()));
        Arc::new(Authority::new(Arc::new(policy), None, &Limits::DEFAULT))
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        let config = SandboxConfig {
            network: NetworkConfig {
                resolver: Resolver::Table(self.names.clone()),
                extra_roots: Vec::new(),
            },
            ..SandboxConfig::DEFAULT
        };
        Sandbox::new(&config).unwrap()
    }

    /// Calls the attack with what was prepared, and an honest component afterwards.
    #[track_caller]
    pub(crate) fn attack(&mut self) -> Outcome {
        let wasm = fs::read(component(self.attack)).unwrap();
        self.attack_with(&wasm, "run", None)
    }

    /// As [`Cage::attack`], for a component that is written as text in `tests/components`.
    #[track_caller]
    pub(crate) fn attack_wat(&mut self, file: &str, function: &str, arguments: &Json) -> Outcome {
        let path = root().join("tests/components").join(file).with_extension("wat");
        self.attack_with(&wat::parse_file(path).unwrap(), function, Some(arguments))
    }

    /// Calls a function of a component with these arguments, by default with the input.
    #[track_caller]
    pub(crate) fn attack_with(&mut self, wasm: &[u8], function: &str, arguments: Option<&Json>) -> Outcome {
        let sandbox = self.sandbox();
        let before = self.outside();
        let ready = Ready::new(&sandbox, wasm).unwrap();
        let time = self.authority().limits().time;
        let started = Instant::now();
        let outcome = self.call(&ready, function, arguments);
        let elapsed = started.elapsed();
        assert!(elapsed < time + GRACE, "{} took {elapsed:?}", self.attack);
        assert_eq!(
            self.outside(),
            before,
            "{} changed something outside",
            self.attack
        );
        outcome.tells_nothing_of(&self.home.path().display().to_string(), &self.input.join(" "));
        self.honest(&sandbox);
        let invoke = self.invoke(&ready, function, arguments);
        self.again = Some((sandbox, ready.prepared, invoke));
        outcome
    }

    /// How many times as long honest calls take beside the attack, where that is wanted. Only after everything else
    /// about the attack was looked at: it is made again and again.
    pub(crate) fn slowdown(&self) -> Option<f64> {
        let (sandbox, prepared, invoke) = self.again.as_ref()?;
        let measured = slowdown::measure(sandbox, prepared, invoke, rounds()?);
        self.runtime.block_on(measured)
    }

    fn invoke(&self, ready: &Ready, function: &str, arguments: Option<&Json>) -> slowdown::Invoke {
        let tool = ready
            .tools
            .iter()
            .find(|tool| tool.path.function == function)
            .unwrap();
        let input = json!({ "input": self.input.join(" ") });
        slowdown::Invoke {
            arguments: tool.decode_arguments(arguments.unwrap_or(&input)).unwrap(),
            tool: Arc::new(tool.clone()),
            authority: self.authority(),
            surroundings: Arc::new(self.surroundings.clone()),
        }
    }

    fn call(&self, ready: &Ready, function: &str, arguments: Option<&Json>) -> Outcome {
        let invoke = self.invoke(ready, function, arguments);
        let tool = Arc::clone(&invoke.tool);
        let report = self
            .runtime
            .block_on(Arc::clone(&ready.prepared).call(invoke.invocation()));
        let text = |value| match (tool.result.as_ref(), value) {
            (Some(ty), Some(value)) => {
                let json = encode(ty, &value);
                json.as_str().map_or_else(|| json.to_string(), str::to_owned)
            }
            _ => String::new(),
        };
        Outcome {
            attack: self.attack,
            result: report.result.map(text).map_err(|error| error.to_string()),
            accesses: report.accesses,
            unlisted: report.accesses_unlisted,
            usage: report.usage,
            output: report.output,
        }
    }

    /// An honest component still gets its answer, in the same sandbox.
    #[track_caller]
    fn honest(&self, sandbox: &Sandbox) {
        let wasm = wat::parse_file(root().join("tests/components/add.wat")).unwrap();
        let ready = Ready::new(sandbox, &wasm).unwrap();
        let tool = Arc::new(ready.tools[0].clone());
        let invocation = Invocation {
            arguments: tool.decode_arguments(&json!({ "a": 1, "b": 2 })).unwrap(),
            function: Arc::new(tool.function()),
            control: Control::nothing(Authority::nothing(Limits::DEFAULT)),
            client: None,
        };
        let report = self
            .runtime
            .block_on(Arc::clone(&ready.prepared).call(invocation));
        let value = report.result.unwrap().unwrap();
        assert_eq!(
            encode(tool.result.as_ref().unwrap(), &value),
            json!(3),
            "after {}",
            self.attack
        );
    }

    /// Everything beside the cage, with contents and times.
    fn outside(&self) -> BTreeMap<PathBuf, (Option<Vec<u8>>, Option<SystemTime>)> {
        let mut found = BTreeMap::new();
        for top in ["outside", "outside.txt", "readonly"] {
            remember(&self.path(top), &mut found);
        }
        let names = fs::read_dir(self.home.path()).unwrap();
        for name in names {
            found.insert(name.unwrap().path(), (None, None));
        }
        found
    }
}

impl Ready {
    pub(crate) fn new(sandbox: &Sandbox, wasm: &[u8]) -> Result<Self, PrepareError> {
        Ok(Self {
            prepared: Arc::new(sandbox.prepare(wasm)?),
            tools: tools("attack", &World::read(wasm).unwrap()).unwrap(),
        })
    }
}

impl Outcome {
    /// The journal, of an attack that came to its end.
    #[track_caller]
    pub(crate) fn journal(&self) -> &str {
        match &self.result {
            Ok(text) => text,
            Err(error) => panic!("{} ended: {error}", self.attack),
        }
    }

    fn lines(&self, word: &str) -> impl Iterator<Item = &str> {
        let word = format!("{word} ");
        self.result
            .as_deref()
            .unwrap_or_default()
            .lines()
            .filter(move |line| line.starts_with(&word))
    }

    /// What was granted worked, nothing else did, and at least so many things were tried. Gives what to tell.
    #[track_caller]
    pub(crate) fn held(&self, least: usize) -> String {
        let journal = self.journal();
        for word in ["ESCAPED", "BROKEN"] {
            let found: Vec<_> = self.lines(word).collect();
            assert!(found.is_empty(), "{}: {found:#?}\n{journal}", self.attack);
        }
        let held = self.lines("held").count();
        assert!(
            held >= least,
            "{} tried {held} things only:\n{journal}",
            self.attack
        );
        format!("{held} attempts refused")
    }

    /// Ended by a limit, which is named like this.
    #[track_caller]
    pub(crate) fn ended(&self, reason: &str) -> String {
        match &self.result {
            Err(error) if error.starts_with(reason) => error.clone(),
            other => panic!("{} was not ended by {reason:?}: {other:?}", self.attack),
        }
    }

    /// What the attack saw under this name.
    #[track_caller]
    pub(crate) fn saw(&self, what: &str) -> Vec<&str> {
        let prefix = format!("saw {what} ");
        self.result
            .as_deref()
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect()
    }

    #[track_caller]
    pub(crate) fn number(&self, what: &str) -> u64 {
        match self.saw(what).as_slice() {
            [one] => one.trim().parse().unwrap(),
            other => panic!("{}: {what}: {other:?}", self.attack),
        }
    }

    /// The report lists a refusal of this kind.
    #[track_caller]
    pub(crate) fn denied(&self, kind: AccessKind) -> &Self {
        let is_listed = self
            .accesses
            .iter()
            .any(|access| access.kind == kind && !access.allowed);
        assert!(
            is_listed,
            "{}: no refusal of {kind:?} in {:#?}",
            self.attack, self.accesses
        );
        self
    }

    /// The report lists a refusal whose text holds this.
    #[track_caller]
    pub(crate) fn lists(&self, text: &str) -> &Self {
        let is_listed = self
            .accesses
            .iter()
            .any(|access| !access.allowed && (access.access.contains(text) || access.lacks.contains(text)));
        assert!(
            is_listed,
            "{}: no refusal with {text:?} in {:#?}",
            self.attack, self.accesses
        );
        self
    }

    /// No text that anybody gets to see holds this.
    #[track_caller]
    pub(crate) fn never(&self, text: &str) -> &Self {
        let all = format!("{:?} {:?} {:?}", self.result, self.accesses, self.output);
        assert!(!all.contains(text), "{}: {text:?} in {all}", self.attack);
        self
    }

    /// The guest was told no path of this machine that it was not given.
    #[track_caller]
    fn tells_nothing_of(&self, path: &str, input: &str) {
        let (Ok(text) | Err(text)) = &self.result;
        assert!(
            input.contains(path) || !text.contains(path),
            "{}: {text}",
            self.attack
        );
        assert!(!text.contains(OUTSIDE), "{}: {text}", self.attack);
    }
}

/// A rule under which a name may lead to this machine at this port.
pub(crate) fn loopback(port: u16) -> String {
    format!("{{cidr: \"127.0.0.1/32\", ports: [{port}]}}")
}

/// Where the component of an attack is: this run's own build where there is one, else the checked-in one.
pub(crate) fn component(attack: &str) -> PathBuf {
    let file = format!("{}.wasm", attack.replace('_', "-"));
    let own =
        std::env::var_os("WASSETTE_GUESTS").map(|folder| Path::new(&folder).join("attacks").join(&file));
    own.filter(|path| path.exists())
        .unwrap_or_else(|| root().join("tests/guests/hostile/built").join(&file))
}

/// How many rounds of honest calls are to be measured beside each attack, if any.
fn rounds() -> Option<usize> {
    std::env::var("WASSETTE_ZOO_SLOWDOWN").ok()?.parse().ok()
}

fn remember(path: &Path, found: &mut BTreeMap<PathBuf, (Option<Vec<u8>>, Option<SystemTime>)>) {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            remember(&entry.unwrap().path(), found);
        }
    }
    let text = metadata.is_file().then(|| fs::read(path).unwrap());
    found.insert(path.to_owned(), (text, metadata.modified().ok()));
}
