//! The supply chain from the command line: versions that come, change, are verified, go back and are revoked.
//!
//! Long because each promise is here with what happens when it is broken.

use crate::registry::Registry;
use crate::support::{Client, Home, Ran, guest, root};
use serde_json::{Value as Json, json};
use std::path::Path;

/// A component that exports functions of these names, each of which gives a number.
fn numbers(functions: &[(&str, u32)]) -> Vec<u8> {
    let mut core = String::new();
    let mut lifted = String::new();
    for (name, number) in functions {
        core.push_str(&format!(
            "(func (export \"{name}\") (result i32) i32.const {number})\n"
        ));
        lifted.push_str(&format!(
            "(func (export \"{name}\") (result u32) (canon lift (core func $i \"{name}\")))\n"
        ));
    }
    let text = format!("(component (core module $m {core}) (core instance $i (instantiate $m)) {lifted})");
    wat::parse_str(text).unwrap()
}

const READ_HOSTNAME: &str = "version: \"1.0\"\npermissions:\n  storage:\n    allow:\n      - {uri: \"fs:///etc/hostname\", access: [read]}\n";

impl Home {
    /// Runs a command that must fail.
    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (code, ""),
            "{arguments:?}: {}",
            ran.stderr
        );
        ran
    }

    #[track_caller]
    fn number(&self, tool: &str) -> Json {
        self.json(&["tool", "invoke", tool])["result"].clone()
    }

    fn state(&self, id: &str) -> Json {
        let list = self.json(&["component", "list"]);
        let components = list["components"].as_array().unwrap();
        components
            .iter()
            .find(|component| component["id"] == id)
            .unwrap()
            .clone()
    }

    /// Writes a ceiling, and says so in the settings.
    fn ceiling(&self, text: &str) {
        let path = self.file("ceiling.yaml", format!("version: \"1.0\"\n{text}").as_bytes());
        self.settings(&format!("ceiling = {:?}\n", path.to_str().unwrap()));
    }

    fn settings(&self, text: &str) {
        let folder = self.path().join(".config/wassette");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), text).unwrap();
    }
}

fn push(home: &Home, registry: &Registry, (name, wasm): (&str, &[u8]), more: &[&str]) -> Json {
    let file = home.file("pushed.wasm", wasm);
    let reference = registry.reference(name);
    home.json(&[&["registry", "push", file.to_str().unwrap(), &reference], more].concat())
}

#[test]
fn a_component_comes_from_a_registry_and_asks_for_nothing_by_that() {
    let (home, registry) = (Home::new(), Registry::start());
    let needy = std::fs::read(guest("needy")).unwrap();
    let manifest = registry.component("org/needy:1.2", &needy, Some(READ_HOSTNAME));
    let loaded = home.json(&["component", "load", &registry.reference("org/needy:1.2")]);
    assert_eq!(
        (&loaded["id"], &loaded["manifest"], &loaded["change"]["kind"]),
        (&json!("needy"), &json!(manifest), &json!("new"))
    );
    let rule = "storage allow \"fs:///etc/hostname\" access read";
    assert_eq!(loaded["requested"], json!([rule]));
    assert_eq!(home.state("needy")["origin"], registry.reference("org/needy:1.2"));
    // What it asks for is not granted by loading it.
    let read = || {
        home.run(&[
            "tool",
            "invoke",
            "needy_read-file",
            "--args",
            r#"{"path": "/etc/hostname"}"#,
        ])
    };
    assert_eq!(read().code, 5);
    assert_eq!(home.json(&["policy", "get", "needy"])["rules"], json!([]));
    let approved = home.json(&["component", "approve", "needy", "--grant-requested"]);
    assert_eq!(approved["granted"], json!([rule]));
    assert_eq!(read().code, 0);
    // By its digest it is the same, and another source is another component.
    let pinned = registry.reference(&format!("org/needy@{manifest}"));
    assert_eq!(
        home.json(&["component", "load", &pinned])["digest"],
        loaded["digest"]
    );
    registry.component("evil/needy:1.2", &needy, None);
    let refused = home.fails(&["component", "load", &registry.reference("evil/needy:1.2")], 1);
    assert!(
        refused.stderr.contains("is already loaded from"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_tag_that_moved_is_not_followed_in_silence() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = registry.reference("org/n:1");
    registry.component("org/n:1", &numbers(&[("one", 1), ("two", 2)]), None);
    let first = home.json(&["component", "load", &reference]);
    assert_eq!(
        home.json(&["component", "load", &reference])["change"]["kind"],
        "unchanged"
    );
    assert_eq!(
        home.json(&["component", "update", "--check"])["components"][0]["state"],
        "current"
    );

    registry.component("org/n:1", &numbers(&[("one", 10), ("three", 3)]), None);
    let refused = home.fails(&["component", "load", &reference], 3);
    for part in [
        first["digest"].as_str().unwrap(),
        "added: n_three",
        "removed: n_two",
        "wassette component update",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!((home.number("n_one"), home.number("n_two")), (json!(1), json!(2)));
    assert_eq!(
        home.json(&["component", "update", "--check"])["components"][0]["state"],
        "newer"
    );
    let preview = home.json(&["component", "update", "n", "--check"]);
    assert_eq!(preview["difference"]["added"], json!(["n_three"]));
    assert_eq!(home.state("n")["digest"], first["digest"]);
    let replaced = home.json(&["component", "load", &reference, "--replace"]);
    assert_eq!(replaced["change"]["previous"], first["digest"]);
    assert_eq!(
        (home.number("n_one"), home.number("n_three")),
        (json!(10), json!(3))
    );
}

#[test]
fn an_update_that_wants_more_is_in_quarantine_until_it_is_approved() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.component("org/n:1", &numbers(&[("one", 1)]), None);
    home.json(&["component", "load", &registry.reference("org/n:1")]);
    home.json(&["permission", "grant", "network", "n", "api.example.com"]);
    let rules = home.json(&["policy", "get", "n"])["rules"].clone();

    registry.component(
        "org/n:2",
        &numbers(&[("one", 11), ("two", 2)]),
        Some(READ_HOSTNAME),
    );
    let to = registry.reference("org/n:2");
    let updated = home.json(&["component", "update", "n", "--to", &to]);
    assert_eq!(updated["quarantined"], true);
    assert_eq!(updated["tools"], json!(["n_one"]));
    // What was approved runs, with the old grants, in the new version; what is new does not.
    assert_eq!(home.state("n")["state"], "quarantined");
    assert_eq!(home.number("n_one"), 11);
    let withheld = home.fails(&["tool", "invoke", "n_two"], 3);
    assert!(
        withheld.stderr.contains("withheld until a person approves it"),
        "{}",
        withheld.stderr
    );
    assert_eq!(home.json(&["policy", "get", "n"])["rules"], rules);
    let show = home.json(&["component", "show", "n"]);
    assert_eq!(show["quarantine"]["added"], json!(["n_two"]));
    assert_eq!(
        show["quarantine"]["requests_added"][0],
        "storage allow \"fs:///etc/hostname\" access read"
    );
    assert_eq!(show["versions"][0]["origin"], registry.reference("org/n:1"));
    // The next version is compared with what was approved, not with what is in quarantine.
    registry.component("org/n:3", &numbers(&[("one", 12), ("two", 2)]), None);
    let updated = home.json(&["component", "update", "n", "--to", &registry.reference("org/n:3")]);
    assert_eq!(
        (&updated["quarantined"], &updated["tools"]),
        (&json!(true), &json!(["n_one"]))
    );

    let mut client = Client::initialized(&home, &[]);
    assert!(!client.tools().contains(&"n_two".to_owned()));
    let refused = client.call("n_two", json!({}));
    assert!(
        refused
            .to_string()
            .contains("withheld until a person approves it"),
        "{refused}"
    );
    let approved = home.json(&["component", "approve", "n"]);
    assert_eq!(approved["approved"]["added"], json!(["n_two"]));
    assert_eq!(approved["granted"], json!([]));
    client.notified("notifications/tools/list_changed");
    assert!(client.tools().contains(&"n_two".to_owned()));
    assert_eq!(home.number("n_two"), 2);
    assert_eq!(home.state("n")["state"], "ready");
}

#[test]
fn an_update_that_wants_less_goes_through_and_goes_back() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.component(
        "org/n:1",
        &numbers(&[("one", 1), ("two", 2)]),
        Some(READ_HOSTNAME),
    );
    let first = home.json(&["component", "load", &registry.reference("org/n:1")]);
    registry.component("org/n:1", &numbers(&[("one", 11)]), None);
    let all = home.json(&["component", "update"]);
    assert_eq!(all["components"][0]["state"], "updated");
    assert_eq!(all["components"][0]["difference"]["removed"], json!(["n_two"]));
    assert_eq!(home.number("n_one"), 11);
    let back = home.json(&["component", "rollback", "n"]);
    assert_eq!(back["digest"], first["digest"]);
    assert_eq!((home.number("n_one"), home.number("n_two")), (json!(1), json!(2)));
    let missing = format!("sha256:{}", "0".repeat(64));
    home.fails(&["component", "rollback", "n", "--to", &missing], 4);
    // A source that cannot be asked fails by itself.
    registry.forget("org/n", "1");
    let ran = home.run(&["component", "update"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("\"failed\""), "{}", ran.stdout);
    assert_eq!(home.number("n_one"), 1);
}

#[test]
fn what_must_be_signed_is_loaded_only_signed_by_whom_is_trusted() {
    let (home, registry) = (Home::new(), Registry::start());
    for name in ["ours", "theirs"] {
        home.json(&["registry", "keygen", &format!("{name}.key")]);
    }
    let public = std::fs::read_to_string(home.path().join("ours.key.pub")).unwrap();
    let indented: String = public.lines().map(|line| format!("          {line}\n")).collect();
    let source = registry.reference("org/*");
    home.ceiling(&format!(
        "signatures:\n  - source: {source:?}\n    signers:\n      - key: |\n{indented}"
    ));
    let wasm = numbers(&[("one", 1)]);
    let load = |tag: &str| home.run(&["component", "load", &registry.reference(&format!("org/n:{tag}"))]);

    push(&home, &registry, ("org/n:unsigned", &wasm), &[]);
    push(
        &home,
        &registry,
        ("org/n:theirs", &wasm),
        &["--sign", "theirs.key", "--description", "theirs"],
    );
    for tag in ["unsigned", "theirs"] {
        let refused = load(tag);
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (3, ""),
            "{tag}: {}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("does not accept the signatures"),
            "{}",
            refused.stderr
        );
        let verified = home.run(&[
            "component",
            "verify",
            &registry.reference(&format!("org/n:{tag}")),
        ]);
        assert_eq!(verified.code, 3, "{}", verified.stderr);
    }
    push(
        &home,
        &registry,
        ("org/n:1", &wasm),
        &["--sign", "ours.key", "--description", "ours"],
    );
    let loaded = load("1");
    assert_eq!(loaded.code, 0, "{}", loaded.stderr);
    let signer = home.json(&["component", "show", "n"])["signers"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let verified = home.json(&["component", "verify", "n"]);
    assert_eq!(
        (&verified["accepted"], &verified["rule"]),
        (&json!(true), &json!("require"))
    );
    assert_eq!(verified["signatures"][0]["signer"], signer);

    // A rule that comes later counts for what is there.
    home.ceiling(&format!(
        "signatures:\n  - source: {source:?}\n    signers: [{{identity: \"a\", issuer: \"https://b\"}}]\n"
    ));
    assert_eq!(home.state("n")["state"], "unavailable");
    home.fails(&["tool", "invoke", "n_one"], 1);
    // Without a rule nothing is asked; but a version that nobody signed is noticed.
    home.settings("");
    assert_eq!(home.number("n_one"), 1);
    push(&home, &registry, ("org/n:1", &numbers(&[("one", 2)])), &[]);
    let updated = home.json(&["component", "update", "n"]);
    assert_eq!(
        (&updated["quarantined"], &updated["tools"]),
        (&json!(true), &json!([]))
    );
    // All that a signer signed can be revoked, here and for good.
    home.json(&["component", "rollback", "n"]);
    assert_eq!(home.number("n_one"), 1);
    let revoked = home.json(&["component", "revoke", &signer, "--reason", "key was stolen"]);
    assert_eq!(revoked["components"], json!(["n"]));
    let failed = home.fails(&["tool", "invoke", "n_one"], 1);
    assert!(failed.stderr.contains("key was stolen"), "{}", failed.stderr);
}

#[test]
fn a_revoked_component_is_listed_and_ends_everywhere() {
    let (home, registry) = (Home::new(), Registry::start());
    let needy = std::fs::read(guest("hostile")).unwrap();
    registry.component("org/h:1", &needy, None);
    let reference = registry.reference("org/h:1");
    let loaded = home.json(&["component", "load", &reference]);
    let digest = loaded["digest"].as_str().unwrap().to_owned();
    let mut client = Client::initialized(&home, &[]);
    let running = client.send("tools/call", json!({"name": "h_spin", "arguments": {}}));
    std::thread::sleep(std::time::Duration::from_millis(300));
    home.json(&["component", "revoke", &digest, "--reason", "leaks tokens"]);
    let ended = client.answer(running);
    assert_eq!(ended["result"]["isError"], true, "{ended}");
    assert!(ended.to_string().contains("revoked"), "{ended}");
    let refused = client.call("h_spin", json!({}));
    assert!(refused.to_string().contains("leaks tokens"), "{refused}");
    assert!(client.tools().iter().all(|name| !name.starts_with("h_")));
    let state = home.state("h");
    assert_eq!(
        (&state["state"], &state["tools"]),
        (&json!("revoked"), &json!([]))
    );
    assert!(
        state["reason"].as_str().unwrap().ends_with("leaks tokens"),
        "{state}"
    );
    // Neither again nor under another name, nor from a file.
    let copy = home.file("copy.wasm", &needy);
    for arguments in [
        &["component", "load", &reference, "--replace"][..],
        &["component", "load", &reference, "--name", "other"],
        &["component", "load", copy.to_str().unwrap()],
    ] {
        let refused = home.fails(arguments, 3);
        assert!(refused.stderr.contains("leaks tokens"), "{}", refused.stderr);
    }
    home.json(&["component", "revoke", &digest, "--undo"]);
    assert_eq!(home.state("h")["state"], "ready");
    home.fails(&["component", "revoke", "nonsense"], 2);
    let revocations: Vec<_> = home
        .audit()
        .into_iter()
        .filter(|line| line["command"] == "revoke-versions" || line["command"] == "reinstate-versions")
        .map(|line| line["subject"].clone())
        .collect();
    assert_eq!(revocations, [json!(digest), json!(digest)]);
}

#[test]
fn a_lock_file_admits_what_it_says_and_nothing_else() {
    let (home, registry) = (Home::new(), Registry::start());
    let reference = registry.reference("org/n:1");
    registry.component("org/n:1", &numbers(&[("one", 1)]), None);
    let first = home.json(&["component", "load", &reference]);
    home.json(&["component", "lock"]);
    let lock = std::fs::read_to_string(home.path().join("wassette.lock")).unwrap();
    assert!(lock.contains(first["digest"].as_str().unwrap()), "{lock}");
    registry.component("org/n:1", &numbers(&[("one", 2)]), None);

    // Elsewhere the locked version is loaded, wherever the tag points by now.
    let other = Home::new();
    other.file("wassette.lock", lock.as_bytes());
    let loaded = other.json(&["component", "load", &reference, "--locked"]);
    assert_eq!(
        (&loaded["digest"], &loaded["manifest"]),
        (&first["digest"], &first["manifest"])
    );
    assert_eq!(other.number("n_one"), 1);
    let refused = other.fails(
        &["component", "load", &registry.reference("org/n:2"), "--locked"],
        3,
    );
    assert!(
        refused.stderr.contains("is not in the lock file"),
        "{}",
        refused.stderr
    );
    for (what, from, to) in [
        ("manifest", "manifest = \"sha256:", "manifest = \"sha256:0"),
        ("contract", "contract = \"sha256:", "contract = \"sha256:0"),
        ("digest", "digest = \"sha256:", "digest = \"sha256:0"),
    ] {
        let at = lock.find(from).unwrap() + from.len();
        // One digit more, and one less at the end.
        let changed = format!(
            "{}{to}{}{}",
            &lock[..at - from.len()],
            &lock[at..at + 63],
            &lock[at + 64..]
        );
        let third = Home::new();
        third.file("wassette.lock", changed.as_bytes());
        let ran = third.run(&["component", "load", &reference, "--locked"]);
        assert_ne!(ran.code, 0, "{what}");
        assert_eq!(third.json(&["component", "list"])["total"], 0, "{what}");
    }
    let broken = Home::new();
    broken.file("wassette.lock", b"version = 2\n");
    broken.fails(&["component", "load", &reference, "--locked"], 1);
}

#[test]
fn a_manifest_is_planned_applied_checked_and_pruned() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.component("org/n:1", &numbers(&[("one", 1)]), None);
    let reference = registry.reference("org/n:1");
    let manifest = |text: &str| home.file("site.yaml", text.as_bytes());
    let text = format!(
        "version: 1\ncomponents:\n  - uri: {reference}\n    name: numbers\n    permissions:\n      network: {{allow: [{{host: \
         api.example.com}}]}}\n      resources: {{memory_bytes: 1048576, cpu_time_ms: 500}}\n    retry_policy: {{attempts: 2, \
         backoff: {{type: linear, increment_ms: 1}}}}\n  - uri: starter:time\n    id: clock\n"
    );
    manifest(&text);
    let words = |answer: &Json| -> Vec<Json> {
        let components = answer["components"].as_array().unwrap();
        components
            .iter()
            .map(|planned| planned["action"].clone())
            .collect()
    };
    home.json(&["component", "load", "starter:text"]);
    let plan = home.json(&["manifest", "plan", "site.yaml", "--prune"]);
    assert_eq!(words(&plan), ["load", "load", "unload"]);
    let check = home.run(&["manifest", "check", "site.yaml"]);
    assert_eq!(check.code, 1);
    assert_eq!(
        home.json(&["component", "list"])["total"],
        1,
        "planning and checking change nothing"
    );
    home.json(&["manifest", "apply", "site.yaml", "--prune"]);
    assert_eq!(home.number("n_one"), 1);
    let rules = home.json(&["policy", "get", "n"])["rules"].to_string();
    for part in ["api.example.com", "1Mi", "500ms"] {
        assert!(rules.contains(part), "{part}: {rules}");
    }
    let ids: Vec<_> = home.json(&["component", "list"])["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["id"].clone())
        .collect();
    assert_eq!(ids, ["clock", "n"]);
    assert_eq!(home.run(&["manifest", "check", "site.yaml", "--prune"]).code, 0);
    assert_eq!(home.run(&["manifest", "check", "site.yaml", "--locked"]).code, 0);
    // Drift of grants shows, and is mended.
    home.json(&["permission", "reset", "n"]);
    assert_eq!(
        words(&home.json(&["manifest", "plan", "site.yaml"])),
        ["attach", "keep"]
    );
    home.json(&["manifest", "apply", "site.yaml"]);
    // A digest is compared.
    let wrong = format!(
        "version: 1\ncomponents:\n  - uri: {reference}\n    digest: sha256:{}\n",
        "0".repeat(64)
    );
    manifest(&wrong);
    let ran = home.run(&["manifest", "apply", "site.yaml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("was asked for"), "{}", ran.stderr);
    assert_eq!(home.number("n_one"), 1);
}

#[test]
fn a_manifest_that_is_not_understood_changes_nothing_and_says_where() {
    let home = Home::new();
    for (text, reason) in [
        (
            "version: 2\ncomponents: [{uri: \"starter:time\"}]\n",
            "`version` is 2, not 1",
        ),
        ("version: 1\ncomponents: []\n", "`components` has 1 to"),
        (
            "version: 1\ncomponents: [{uri: \"starter:time\", permision: {}}]\n",
            "site.yaml:2:",
        ),
        (
            "version: 1\ncomponents: [{uri: \"gopher://x\"}]\n",
            "components[0].uri",
        ),
        (
            "version: 1\ncomponents: [{uri: \"starter:time\", digest: \"sha256:0\"}]\n",
            "components[0].digest",
        ),
        (
            "version: 1\ncomponents: [{uri: \"starter:time\"}, {uri: \"starter:time\"}]\n",
            "which an entry above is already",
        ),
        (
            "version: 1\ncomponents: [{uri: \"starter:time\", permissions: {network: {alow: []}}}]\n",
            "components[0].permissions",
        ),
        (
            "version: 1\ncomponents: [{uri: \"starter:time\", permissions: {environment: {allow: [{key: A, value_from: B}]}}}]\n",
            "components[0].permissions",
        ),
        (
            "version: 1\ncomponents: [{uri: \"starter:time\", policy: missing.yaml}]\n",
            "components[0].policy",
        ),
        (
            "version: 1\ncomponents: [{uri: \"starter:time\", retry_policy: {attempts: 1000}}]\n",
            "components[0].retry_policy.attempts",
        ),
    ] {
        home.file("site.yaml", text.as_bytes());
        let failed = home.fails(&["manifest", "apply", "site.yaml"], 1);
        assert!(failed.stderr.contains(reason), "{reason}: {}", failed.stderr);
    }
    assert_eq!(home.json(&["component", "list"])["total"], 0);
}

#[test]
fn a_model_loads_no_address_of_this_machine_and_nothing_it_may_not() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.component("org/n:1", &numbers(&[("one", 1)]), None);
    let reference = registry.reference("org/n:1");
    let port = registry.host().rsplit_once(':').unwrap().1.to_owned();
    let mut client = Client::initialized(&home, &[]);
    for path in [
        reference.clone(),
        format!("oci://localhost:{port}/org/n:1"),
        format!("https://127.0.0.1:{port}/n.wasm"),
        format!("https://[::1]:{port}/n.wasm"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "oci://10.0.0.1/org/n:1".to_owned(),
    ] {
        let answer = client.call("load-component", json!({"path": path}));
        assert_eq!(answer["result"]["isError"], true, "{path}: {answer}");
    }
    assert_eq!(
        registry.asked(),
        Vec::<String>::new(),
        "nothing was asked for the model"
    );
    drop(client);
    home.settings("agent_sources = [\"oci://r.example/*\"]\n");
    let mut client = Client::initialized(&home, &[]);
    let answer = client.call("load-component", json!({"path": "oci://other.example/org/n:1"}));
    assert!(
        answer
            .to_string()
            .contains("an agent may not load a component from there"),
        "{answer}"
    );
    // The operator may, also what is on this machine.
    home.json(&["component", "load", &reference]);
}

#[test]
fn a_private_registry_wants_its_password_and_gets_it() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.component("org/n:1", &numbers(&[("one", 1)]), None);
    registry.lock("me", "pass word");
    let reference = registry.reference("org/n:1");
    let refused = home.fails(&["component", "load", &reference], 3);
    assert!(
        refused.stderr.contains("wassette registry login"),
        "{}",
        refused.stderr
    );
    let login = |password: &str| {
        use std::io::Write as _;
        let mut child = home
            .command(&[
                "registry",
                "login",
                registry.host(),
                "--username",
                "me",
                "--password-stdin",
            ])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(password.as_bytes())
            .unwrap();
        Ran::of(child.wait_with_output().unwrap())
    };
    assert_eq!(login("wrong").code, 3, "a login that does not work is not kept");
    home.fails(&["component", "load", &reference], 3);
    let done = login("pass word\n");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!format!("{}{}", done.stdout, done.stderr).contains("pass word"));
    home.json(&["component", "load", &reference]);
    home.json(&["registry", "logout", registry.host()]);
    home.fails(&["component", "load", &registry.reference("org/n:2")], 3);
    let logins = home.path().join(".config/wassette/registry-logins.json");
    assert_eq!(mode(&logins), 0o600);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_feed_revokes_only_what_whom_it_must_be_signed_by_says_and_never_goes_back() {
    let (home, registry) = (Home::new(), Registry::start());
    home.json(&["registry", "keygen", "feed.key"]);
    let public = std::fs::read_to_string(home.path().join("feed.key.pub")).unwrap();
    let indented: String = public.lines().map(|line| format!("          {line}\n")).collect();
    let feed = registry.reference("org/feed:latest");
    let rule = format!(
        "version: \"1.0\"\nsignatures:\n  - source: {feed:?}\n    signers:\n      - key: |\n{indented}"
    );
    let ceiling = home.file("ceiling.yaml", rule.as_bytes());
    let settings = |grace: &str| {
        home.settings(&format!(
            "ceiling = {ceiling:?}\nrevocation_feeds = [{feed:?}]\nrevocation_grace = \"{grace}\"\n"
        ));
    };
    registry.component("org/n:1", &numbers(&[("one", 1)]), None);
    let loaded = home.json(&["component", "load", &registry.reference("org/n:1")]);
    let digest = loaded["digest"].as_str().unwrap();
    let publish = |sequence: u64, revoked: Json, sign: bool| {
        let document = json!({"version": 1, "sequence": sequence, "revoked": revoked}).to_string();
        let file = home.file("feed.json", document.as_bytes());
        let mut arguments = vec![
            "registry",
            "push",
            file.to_str().unwrap(),
            &feed,
            "--kind",
            "feed",
        ];
        if sign {
            arguments.extend(["--sign", "feed.key"]);
        }
        home.json(&arguments);
    };
    let sync = || home.json(&["registry", "sync"])["feeds"][0].clone();
    settings("7d");
    // Before it was ever read, nobody can say what is revoked.
    assert_eq!(home.state("n")["state"], "unavailable");
    publish(1, json!([]), false);
    assert!(
        sync()["reason"]
            .as_str()
            .unwrap()
            .contains("does not accept the signatures")
    );
    publish(1, json!([]), true);
    assert_eq!(sync()["sequence"], 1);
    assert_eq!(home.number("n_one"), 1);
    publish(2, json!([{"subject": digest, "reason": "bad"}]), true);
    assert_eq!(sync()["revoked"], 1);
    let failed = home.fails(&["tool", "invoke", "n_one"], 1);
    assert!(failed.stderr.contains("bad"), "{}", failed.stderr);
    // An older feed, signed as it is, is not taken.
    publish(1, json!([]), true);
    assert!(sync()["reason"].is_string());
    assert_eq!(home.state("n")["state"], "revoked");
    publish(3, json!([]), true);
    assert_eq!(sync()["sequence"], 3);
    assert_eq!(home.number("n_one"), 1);
    // Out of reach it keeps its state for its grace.
    registry.forget("org/feed", "latest");
    assert!(sync()["reason"].is_string());
    assert_eq!(home.number("n_one"), 1);
    settings("0d");
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(home.state("n")["state"], "unavailable");
    // Without a rule that requires a signature it is not even asked.
    home.settings(&format!("revocation_feeds = [{feed:?}]\n"));
    registry.asked();
    assert!(
        sync()["reason"]
            .as_str()
            .unwrap()
            .contains("anybody could have written it")
    );
    assert_eq!(registry.asked(), Vec::<String>::new());
}

#[test]
fn catalogues_are_searched_and_a_broken_one_hides_no_other() {
    let (home, registry) = (Home::new(), Registry::start());
    let catalogue = registry.reference("org/catalogue:1");
    let document = json!({"components": [
        {"name": "numbers", "description": "Counts things", "uri": registry.reference("org/n:1")},
    ]});
    let file = home.file("catalogue.json", document.to_string().as_bytes());
    home.json(&[
        "registry",
        "push",
        file.to_str().unwrap(),
        &catalogue,
        "--kind",
        "catalogue",
    ]);
    home.settings(&format!(
        "catalogues = [\"starters\", {catalogue:?}, \"{}\"]\n",
        registry.reference("org/none:1")
    ));
    let found = home.json(&["registry", "search", "counts"]);
    assert_eq!(found["components"][0]["name"], "numbers");
    assert_eq!(found["failed"].as_array().unwrap().len(), 1);
    let all = home.json(&["registry", "search"]);
    assert_eq!(all["components"].as_array().unwrap().len(), 5);
    assert_eq!(home.json(&["registry", "get", "time"])["uri"], "starter:time");
    home.fails(&["registry", "get", "nothing"], 4);
    let mut client = Client::initialized(&home, &[]);
    let answer = client.call("search-components", json!({"query": "time"}));
    assert_eq!(
        answer["result"]["structuredContent"]["components"][0]["uri"], "starter:time",
        "{answer}"
    );
}

#[test]
fn what_is_pushed_is_what_is_loaded() {
    let (home, registry) = (Home::new(), Registry::start());
    let wit = root().join("tests/guests/wit/kitchen.wit");
    let request = home.file("asks.yaml", READ_HOSTNAME.as_bytes());
    let wasm = std::fs::read(guest("kitchen")).unwrap();
    let pushed = push(
        &home,
        &registry,
        ("org/kitchen:1", &wasm),
        &[
            "--policy",
            request.to_str().unwrap(),
            "--wit",
            wit.to_str().unwrap(),
            "--license",
            "Apache-2.0",
        ],
    );
    let loaded = home.json(&["component", "load", &registry.reference("org/kitchen:1")]);
    assert_eq!(
        (&loaded["manifest"], &loaded["digest"]),
        (&pushed["manifest"], &pushed["digest"])
    );
    assert_eq!(loaded["requested"].as_array().unwrap().len(), 1);
    // What is no component, or asks for what no policy can say, is not published.
    let not = home.file("not.wasm", b"no component");
    let reference = registry.reference("org/not:1");
    home.fails(&["registry", "push", not.to_str().unwrap(), &reference], 1);
    let bad = home.file(
        "bad.yaml",
        b"version: \"1.0\"\npermissions: {network: {alow: []}}\n",
    );
    let good = home.file("good.wasm", &numbers(&[("one", 1)]));
    let refused = home.fails(
        &[
            "registry",
            "push",
            good.to_str().unwrap(),
            &reference,
            "--policy",
            bad.to_str().unwrap(),
        ],
        1,
    );
    assert!(refused.stderr.contains("bad.yaml:2:"), "{}", refused.stderr);
}

#[test]
fn a_store_is_copied_checked_and_put_back_with_its_versions_and_revocations() {
    let (home, registry) = (Home::new(), Registry::start());
    registry.component("org/n:1", &numbers(&[("one", 1), ("two", 2)]), None);
    home.json(&["component", "load", &registry.reference("org/n:1")]);
    registry.component("org/n:1", &numbers(&[("one", 11)]), None);
    home.json(&["component", "update", "n"]);
    let bad = format!("sha256:{}", "a".repeat(64));
    home.json(&["component", "revoke", &bad]);
    let copied = home.json(&["store", "backup", "copy"]);
    assert_eq!((&copied["components"], &copied["blobs"]), (&json!(1), &json!(2)));
    home.fails(&["store", "backup", "copy"], 1);
    home.fails(&["store", "restore", "copy"], 1);

    let other = Home::new();
    let copy = home.path().join("copy");
    other.json(&["store", "restore", copy.to_str().unwrap()]);
    assert_eq!(other.number("n_one"), 11);
    other.json(&["component", "rollback", "n"]);
    assert_eq!(other.number("n_two"), 2);
    assert_eq!(other.json(&["store", "check"])["missing"], json!([]));
    let digest = other.state("n")["digest"]
        .as_str()
        .unwrap()
        .replace("sha256:", "");
    let blob = other.store().join("blobs/sha256").join(digest);
    std::fs::remove_file(blob).unwrap();
    let checked = other.run(&["store", "check"]);
    assert_eq!(checked.code, 1);
    assert!(
        checked.stdout.contains("\"missing\": [\n    \"sha256:"),
        "{}",
        checked.stdout
    );
}
