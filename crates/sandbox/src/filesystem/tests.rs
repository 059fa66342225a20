//! Files in the hands of a real guest that does exactly what it is told, with a real kernel below.
//!
//! Each test runs twice: once with `openat2` and once as on a system that has none, where paths are walked.
//!
//! Long because every operation has a pair: with its grant and without.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use super::FileHost;
use crate::{CallError, CallReport, Control, Invocation, Limit, Prepared, Sandbox, SandboxConfig};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use wassette_policy::{Authority, Decision, Limits, ParseOptions, Policy};
use wassette_wit::{Tool, Value, World as WitWorld, tools};

/// The guest on one kind of kernel.
struct Guest {
    sandbox: Sandbox,
    prepared: Arc<Prepared>,
    tool: Arc<Tool>,
}

impl Guest {
    fn new(walks: bool) -> Self {
        let wasm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/built/files.wasm");
        let wasm = fs::read(wasm).expect("the guest");
        let mut sandbox = Sandbox::new(&SandboxConfig::DEFAULT).expect("a sandbox");
        if walks {
            let shared = Arc::get_mut(&mut sandbox.shared).expect("nobody else has it");
            shared.files = Arc::new(FileHost::walking());
        }
        let world = WitWorld::read(&wasm).expect("a world");
        let mut tools = tools("files", &world).expect("tools").into_iter();
        Self {
            prepared: Arc::new(sandbox.prepare(&wasm).expect("code")),
            tool: Arc::new(tools.next().expect("a tool")),
            sandbox,
        }
    }

    fn both() -> [&'static Self; 2] {
        static KERNEL: OnceLock<Guest> = OnceLock::new();
        static WALKER: OnceLock<Guest> = OnceLock::new();
        [
            KERNEL.get_or_init(|| Self::new(false)),
            WALKER.get_or_init(|| Self::new(true)),
        ]
    }

    async fn run(&self, control: Arc<Control>, steps: &str) -> CallReport {
        let invocation = Invocation {
            function: Arc::new(self.tool.function()),
            client: None,
            arguments: vec![Value::String(steps.to_owned())],
            control,
        };
        Arc::clone(&self.prepared).call(invocation).await
    }
}

/// A folder, and what a guest may do there.
struct World {
    guest: &'static Guest,
    folder: tempfile::TempDir,
    /// The folder's path.
    at: String,
    authority: Arc<Authority>,
    limits: Limits,
}

impl World {
    fn each() -> impl Iterator<Item = Self> {
        Guest::both().into_iter().map(|guest| {
            let folder = tempfile::tempdir().expect("a folder");
            let at = folder.path().canonicalize().expect("a path");
            let limits = Limits::DEFAULT;
            Self {
                guest,
                folder,
                at: at.to_str().expect("text").to_owned(),
                authority: Arc::new(Authority::nothing(limits.clone())),
                limits,
            }
        })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(path, text).expect("the file");
        self
    }

    fn dir(&self, name: &str) -> &Self {
        fs::create_dir_all(self.path(name)).expect("the folder");
        self
    }

    fn link(&self, text: &str, name: &str) -> &Self {
        symlink(text.replace("{at}", &self.at), self.path(name)).expect("the link");
        self
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file")
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Storage rules, one a line: `allow` or `deny`, and the rule in YAML's flow form. `{at}` is the folder.
    fn granted(mut self, rules: &str) -> Self {
        let authority = self.authority(rules);
        self.authority = authority;
        self
    }

    fn authority(&self, rules: &str) -> Arc<Authority> {
        let of = |effect: &str| {
            let rules = rules.lines().filter_map(|line| line.trim().strip_prefix(effect));
            let rules: Vec<String> = rules.map(|rule| format!("      - {}\n", rule.trim())).collect();
            if rules.is_empty() {
                return String::new();
            }
            format!("    {effect}:\n{}", rules.concat())
        };
        let text = format!(
            "version: \"1.0\"\npermissions:\n  storage:\n{}{}",
            of("allow"),
            of("deny")
        );
        let text = text.replace("{at}", &self.at);
        let policy =
            Policy::parse(&text, &ParseOptions::default()).unwrap_or_else(|error| panic!("{error}: {text}"));
        Arc::new(Authority::new(Arc::new(policy), None, &self.limits))
    }

    async fn report(&self, steps: &str) -> CallReport {
        let control = Control::new(Arc::clone(&self.authority), Arc::default());
        self.guest.run(control, &steps.replace("{at}", &self.at)).await
    }

    /// Runs steps and compares their answers: `step => answer`, one a line. Returns what was decided.
    #[track_caller]
    fn expect(&self, table: &str) -> impl Future<Output = Vec<Decision>> {
        let caller = std::panic::Location::caller();
        let lines = table.lines().map(str::trim_start).filter(|line| !line.is_empty());
        let (steps, answers): (Vec<&str>, Vec<&str>) = lines
            .map(|line| line.split_once(" => ").expect("an arrow"))
            .unzip();
        let (steps, answers) = (steps.join("\n"), answers.join("\n").replace("{at}", &self.at));
        async move {
            let report = self.report(&steps).await;
            let Ok(Some(Value::String(got))) = &report.result else {
                panic!("{caller}: {:?}", report.result);
            };
            let walks = std::ptr::eq(self.guest, Guest::both()[1]);
            assert_eq!(*got, answers, "{caller}, walks: {walks}, {:#?}", report.accesses);
            report.accesses
        }
    }

    fn access(&self, text: &str) -> String {
        text.replace("{at}", &self.at)
    }

    #[track_caller]
    fn denied(&self, decisions: &[Decision], text: &str) {
        let text = self.access(text);
        let is_denied = decisions.iter().any(|d| d.access == text && !d.allowed);
        assert!(is_denied, "{text}: {decisions:#?}");
    }

    #[track_caller]
    fn allowed(&self, decisions: &[Decision], text: &str) {
        let text = self.access(text);
        let is_allowed = decisions.iter().any(|d| d.access == text && d.allowed);
        assert!(is_allowed, "{text}: {decisions:#?}");
    }
}

const READ: &str = r#"allow {uri: "fs://{at}", access: [read]}"#;
const WRITE: &str = r#"allow {uri: "fs://{at}", access: [read, write]}"#;

#[tokio::test]
async fn a_granted_file_is_read_in_every_way_there_is() {
    for world in World::each() {
        let world = world.granted(READ);
        world.file("sub/a.txt", "hello");
        let decisions = world
            .expect(
                "pre d {at} => ok
                 open f d sub/a.txt r => ok
                 read f 100 0 => ok 5 hello
                 read f 2 3 => ok 2 lo
                 read f 2 5 => ok 0  end
                 read f 0 0 => ok 0 
                 cat f => ok 5 hello
                 grab d sub/a.txt => ok 5 hello
                 grab d ./sub/.//a.txt => ok 5 hello
                 stat f => ok file 5
                 stat-at d sub follow => ok folder 4096
                 type f => ok file
                 advise f => ok
                 flags f => ok DescriptorFlags(READ)
                 same f f => ok true",
            )
            .await;
        world.allowed(&decisions, "read `{at}/sub/a.txt`");
    }
}

#[tokio::test]
async fn without_a_grant_nothing_is_there() {
    for world in World::each() {
        world.file("a.txt", "secret");
        let steps = "pre d / => ok
             stat d => error access
             list d => error access
             grab d etc/passwd => error access
             stat-at d etc/passwd follow => error access
             hash-at d etc/passwd => error access
             readlink d etc/mtab => error access
             open f d x rwc => error access
             mkdir d x => error access
             symlink d a x => error access
             unlink d x => error access
             rmdir d x => error access
             rename d x d y => error access
             link d x nofollow d y => error access
             times-at d x follow now now => error access
             preopens => ok /";
        let decisions = world.expect(steps).await;
        assert!(decisions.iter().all(|d| !d.allowed), "{decisions:#?}");
        for access in [
            "inspect `/`",
            "list `/`",
            "read `/etc/passwd`",
            "inspect `/etc/passwd`",
            "create `/x`",
            "remove `/x`",
            "rename `/x`",
            "write `/x`",
        ] {
            world.denied(&decisions, access);
        }
    }
}

#[tokio::test]
async fn what_was_granted_for_reading_is_not_changed() {
    for world in World::each() {
        let world = world.granted(READ);
        world.file("a.txt", "hello").dir("sub");
        let steps = "pre d {at} => ok
             open f d a.txt rw => error access
             open f d a.txt rt => error access
             open f d a.txt rc => error access
             open f d new rwc => error access
             open f d a.txt r => ok
             write f 0 x => error bad-descriptor
             stream f 0 x => error bad-descriptor
             append f x => error bad-descriptor
             set-size f 0 => error bad-descriptor
             times f now now => error access
             times-at d a.txt follow now now => error access
             mkdir d x => error access
             rmdir d sub => error access
             unlink d a.txt => error access
             rename d a.txt d b.txt => error access
             link d a.txt nofollow d b.txt => error access
             symlink d a.txt b.txt => error access
             sync f => ok";
        let decisions = world.expect(steps).await;
        assert_eq!(world.text("a.txt"), "hello");
        assert_eq!(fs::read_dir(world.folder.path()).expect("a folder").count(), 2);
        world.denied(&decisions, "write `{at}/a.txt`");
        world.denied(&decisions, "create `{at}/new`");
        world.denied(&decisions, "rename `{at}/a.txt`");
    }
}

#[tokio::test]
async fn what_was_granted_for_writing_is_changed_in_every_way_there_is() {
    for world in World::each() {
        let world = world.granted(WRITE);
        let steps = "pre d {at} => ok
             open f d new.txt rwc => ok
             write f 0 hello => ok 5
             stream f 5 -there => ok
             append f ! => ok
             cat f => ok 12 hello-there!
             set-size f 5 => ok
             sync f => ok
             sync-data f => ok
             stat f => ok file 5
             times f keep 1000 => ok
             modified f => ok 1000
             times-at d new.txt follow now 2000 => ok
             modified f => ok 2000
             open x d new.txt rwcx => error exist
             open g d new.txt wt => ok
             stat f => ok file 0
             read g 1 0 => error bad-descriptor
             mkdir d sub => ok
             mkdir d sub => error exist
             mkdir d sub/deep/ => ok
             rename d new.txt d sub/moved.txt => ok
             link d sub/moved.txt nofollow d sub/two.txt => ok
             symlink d moved.txt sub/link => ok
             readlink d sub/link => ok moved.txt
             open s d sub rd => ok
             list s => ok deep:folder,link:link,moved.txt:file,two.txt:file
             open w s two.txt w => ok
             write w 0 both => ok 4
             grab s link => ok 4 both
             same w f => ok true
             unlink s two.txt => ok
             unlink s link => ok
             unlink s deep => error is-directory
             rmdir s moved.txt => error not-directory
             rmdir d sub => error not-empty
             rmdir d sub/deep => ok
             unlink d sub/moved.txt => ok
             rmdir d sub => ok
             list d => ok";
        let decisions = world.expect(steps).await;
        assert!(decisions.iter().all(|d| d.allowed), "{decisions:#?}");
        world.allowed(&decisions, "create `{at}/new.txt`");
        world.allowed(&decisions, "remove `{at}/sub`");
        world.allowed(&decisions, "rename `{at}/sub/moved.txt`");
    }
}

#[tokio::test]
async fn new_files_and_folders_run_nothing_and_obey_the_mask() {
    for world in World::each() {
        let world = world.granted(WRITE);
        world
            .expect("pre d {at} => ok\nopen f d f wc => ok\nmkdir d sub => ok")
            .await;
        let mode = |name| {
            fs::metadata(world.path(name))
                .expect("it is there")
                .permissions()
                .mode()
        };
        assert_eq!(mode("f") & 0o7111, 0, "neither set-uid nor executable");
        assert_eq!(mode("sub") & 0o7000, 0);
    }
}

#[tokio::test]
async fn a_path_leads_nowhere_out_of_its_folder() {
    for world in World::each() {
        let world = world.granted(READ);
        world.file("sub/a.txt", "a").file("b.txt", "b");
        let steps = "pre r / => ok
             pre d {at} => ok
             open s d sub rd => ok
             grab s ../b.txt => error not-permitted
             grab s ./../sub/a.txt => error not-permitted
             grab s .. => error not-permitted
             grab s /etc/passwd => error not-permitted
             grab s {at}/b.txt => error not-permitted
             grab s '' => error no-entry
             grab s a\\0b => error invalid
             grab d sub/../b.txt => ok 1 b
             grab d sub/../../x => error not-permitted
             grab d nothing/../b.txt => error no-entry
             grab d b.txt/../b.txt => error not-directory
             grab r ../etc/passwd => error not-permitted
             grab r etc/../etc/passwd => error access
             grab d b.txt/ => error not-directory
             grab d b.txt/. => error not-directory
             stat-at d sub/ follow => ok folder 4096
             stat-at s . follow => ok folder 4096";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "reach `{at}/sub/../b.txt`");
        world.denied(&decisions, "reach `/etc/passwd`");
        world.denied(&decisions, "reach `/../etc/passwd`");
        world.denied(&decisions, "read `/etc/passwd`");
    }
}

#[tokio::test]
async fn a_link_leads_only_where_the_grant_does() {
    for world in World::each() {
        world
            .file("out/secret", "s")
            .file("in/a.txt", "a")
            .file("in/deep/b.txt", "b");
        world
            .link("a.txt", "in/good")
            .link("deep", "in/folder")
            .link("../a.txt", "in/deep/up")
            .link("folder/../a.txt", "in/around")
            .link("../out/secret", "in/leads-out")
            .link("{at}/out/secret", "in/absolute")
            .link("{at}/in/a.txt", "in/absolute-inside")
            .link("loop-2", "in/loop-1")
            .link("loop-1", "in/loop-2")
            .link("../../out", "in/deep/leads-out")
            .link("nothing", "in/dangling")
            .link("good", "in/twice");
        let world = world.granted(r#"allow {uri: "fs://{at}/in", access: [read]}"#);
        let steps = "pre d {at}/in => ok
             grab d good => ok 1 a
             grab d twice => ok 1 a
             grab d folder/b.txt => ok 1 b
             grab d folder/up => ok 1 a
             grab d around => ok 1 a
             grab d folder/../a.txt => ok 1 a
             grab d leads-out => error access
             grab d absolute => error access
             grab d absolute-inside => error access
             grab d loop-1 => error loop
             grab d deep/leads-out/secret => error access
             grab d folder/leads-out/secret => error access
             grab d dangling => error no-entry
             open f d good rn => error loop
             stat-at d good nofollow => ok link 5
             stat-at d good follow => ok file 1
             stat-at d good/ follow => error not-directory
             stat-at d folder/ nofollow => ok folder 4096
             stat-at d leads-out nofollow => ok link 13
             stat-at d leads-out follow => error access
             readlink d good => ok a.txt
             readlink d leads-out => error access
             readlink d absolute => error access
             readlink d a.txt => error invalid
             open s d deep rd => ok
             grab s up => error access";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "read `{at}/in/leads-out`");
        world.denied(&decisions, "read `{at}/in/absolute`");
        assert!(
            decisions
                .iter()
                .all(|d| !d.access.contains(&world.access("{at}/out/")) || !d.allowed),
            "{decisions:#?}"
        );
    }
}

#[tokio::test]
async fn a_denied_file_is_denied_through_every_link() {
    for world in World::each() {
        world.file("private/key", "k").file("public/a.txt", "a");
        world
            .link("../private", "public/folder")
            .link("../private/key", "public/key")
            .link("private/key", "key")
            .link("private/../public/a.txt", "around");
        let world = world.granted(&format!("{WRITE}\ndeny {{uri: \"fs://{{at}}/private\"}}"));
        let steps = "pre d {at} => ok
             grab d public/a.txt => ok 1 a
             grab d private/key => error access
             grab d key => error access
             grab d public/key => error access
             grab d public/folder/key => error access
             stat-at d key follow => error access
             open f d key wt => error access
             open f d public/folder/new wc => error access
             grab d public/../private/key => error access
             grab d around => error access
             link d key follow d stolen => error access
             list d => ok around:link,key:link,public:folder";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "read `{at}/private/key`");
        world.denied(&decisions, "write `{at}/private/key`");
        world.denied(&decisions, "create `{at}/private/new`");
        world.denied(&decisions, "inspect `{at}/private`");
        assert_eq!(world.text("private/key"), "k");
    }
}

#[tokio::test]
async fn nothing_is_moved_out_of_a_denied_folder_with_its_parents() {
    for world in World::each() {
        world.file("a/private/key", "k").file("b/x", "x").dir("c/sub");
        let world = world.granted(&format!("{WRITE}\ndeny {{uri: \"fs://{{at}}/a/private\"}}"));
        let steps = "pre d {at} => ok
             rename d a d moved => error access
             rename d a/private d moved => error access
             rename d b d a => error access
             rename d b d a/private => error access
             link d a/private/key nofollow d key => error access
             rename d b d c/sub/b => ok
             grab d c/sub/b/x => ok 1 x";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "rename `{at}/a`");
        assert!(world.has("a/private/key"));
    }
}

#[tokio::test]
async fn a_grant_of_one_file_is_of_that_file() {
    for world in World::each() {
        world.file("conf/settings", "s").file("conf/other", "o");
        let world = world.granted(
            r#"allow {uri: "fs://{at}/conf/settings", access: [read, write]}
               allow {uri: "fs://{at}/conf/new", access: [read, write]}"#,
        );
        let decisions = world
            .expect(
                "pre d / => ok
                 preopens => ok /
                 grab d {at}/conf/settings => error not-permitted
                 list d => ok tmp:folder",
            )
            .await;
        world.denied(&decisions, "reach `{at}/conf/settings`");
        let below = world.at.trim_start_matches('/').to_owned();
        let steps = format!(
            "pre d / => ok
             grab d {below}/conf/settings => ok 1 s
             grab d {below}/conf/other => error access
             grab d {below}/conf/settings/x => error not-directory
             open c d {below}/conf rd => ok
             list c => ok settings:file
             open f c settings rw => ok
             write f 0 changed => ok 7
             open n c new rwc => ok
             write n 0 new => ok 3
             list c => ok new:file,settings:file
             open o c other rwc => error access
             mkdir c sub => error access
             rename c settings c other => error access
             unlink c new => error access"
        );
        let decisions = world.expect(&steps).await;
        world.denied(&decisions, "read `{at}/conf/other`");
        world.denied(&decisions, "remove `{at}/conf/new`");
        assert_eq!(world.text("conf/settings"), "changed");
        assert!(world.has("conf/new"));
    }
}

#[tokio::test]
async fn a_pattern_is_of_what_matches_it() {
    for world in World::each() {
        world
            .file("log/a.log", "a")
            .file("log/b.txt", "b")
            .file("log/sub/c.log", "c");
        let world = world.granted(r#"allow {uri: "fs://{at}/log/*.log", access: [read]}"#);
        let steps = "pre d {at}/log => ok
             grab d a.log => ok 1 a
             grab d b.txt => error access
             grab d sub/c.log => error access
             list d => error access
             grab d x.log => error no-entry";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "list `{at}/log`");
        world.denied(&decisions, "read `{at}/log/sub/c.log`");
    }
}

#[tokio::test]
async fn a_guest_sees_a_grant_where_the_grant_says() {
    for world in World::each() {
        world
            .file("data/a.txt", "a")
            .file("data/out/hidden", "h")
            .file("other/b.txt", "b");
        let world = world.granted(
            r#"allow {uri: "fs://{at}/data", access: [read], guest: "/data"}
               allow {uri: "fs://{at}/other", access: [read, write], guest: "/data/out"}"#,
        );
        let steps = "preopens => ok /data,/data/out,/
             pre r / => ok
             pre d /data => ok
             list r => ok data:folder
             list d => ok a.txt:file,out:folder
             grab r data/a.txt => ok 1 a
             grab d out/b.txt => ok 1 b
             grab d out/hidden => error no-entry
             grab d out/../a.txt => ok 1 a
             open f d new wc => error access
             open f d out/new wc => ok
             rename d out d moved => error access
             rmdir d out => error access
             flags d => ok DescriptorFlags(READ)";
        let decisions = world.expect(steps).await;
        world.allowed(&decisions, "create `/data/out/new`");
        world.denied(&decisions, "create `/data/new`");
        assert!(world.has("other/new"));
        assert!(
            decisions.iter().all(|d| !d.access.contains(&world.at)),
            "the guest's names: {decisions:#?}"
        );
    }
}

#[tokio::test]
async fn a_grant_inside_a_grant_stays_where_it_is() {
    for world in World::each() {
        world.file("data/sub/out/a", "a");
        let world = world.granted(
            r#"allow {uri: "fs://{at}/data", access: [read, write]}
               allow {uri: "fs://{at}/data/sub/out", access: [read, write]}"#,
        );
        let steps = "pre d {at}/data => ok
             rename d sub d moved => error access
             rename d sub/out d moved => error access
             rmdir d sub/out => error access
             unlink d sub/out/a => ok
             rmdir d sub/out => error access";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "rename `{at}/data/sub`");
        world.denied(&decisions, "remove `{at}/data/sub/out`");
        assert!(world.has("data/sub/out"));
    }
}

#[tokio::test]
async fn only_files_and_folders_are_opened() {
    for world in World::each() {
        let fifo = world.path("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        let _socket = std::os::unix::net::UnixListener::bind(world.path("socket")).expect("a socket");
        // Needs privileges; where there are none, there is nothing to try.
        let device = world.path("null");
        let has_device = mknodat(
            CWD,
            &device,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            0x103,
        )
        .is_ok();
        world.link("fifo", "link");
        let world = world.granted(WRITE);
        let steps = "pre d {at} => ok
             open f d fifo r => error access
             open f d fifo w => error access
             open f d fifo rwct => error access
             open f d link r => error access
             open f d socket rw => error access
             stat-at d fifo follow => ok fifo 0
             stat-at d socket follow => ok socket 0
             link d fifo nofollow d other => error access";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "create `{at}/fifo`");
        world.denied(&decisions, "read `{at}/fifo`");
        if has_device {
            world
                .expect("pre d {at} => ok\nopen f d null r => error access\nopen f d null w => error access")
                .await;
        }
        assert_eq!(world.guest.sandbox.lingering(), 0);
    }
}

#[tokio::test]
async fn the_insides_of_the_kernel_are_never_files() {
    for world in World::each() {
        for folder in ["/proc", "/sys"] {
            // What the host does not let an operator grant is refused here too.
            let text = format!(
                "version: \"1.0\"\npermissions:\n  storage:\n    allow:\n      - {{uri: \"fs://{folder}/sub\", access: [read, write]}}\n"
            );
            let Ok(policy) = Policy::parse(&text, &ParseOptions::default()) else {
                continue;
            };
            let authority = Authority::new(Arc::new(policy), None, &Limits::DEFAULT);
            let control = Control::new(Arc::new(authority), Arc::default());
            let below = folder.trim_start_matches('/');
            let steps = format!("pre d /\ngrab d {below}/sub/x\nopen f d {below}/sub rwc");
            let report = world.guest.run(control, &steps).await;
            let Ok(Some(Value::String(got))) = report.result else {
                panic!("{:?}", report.result);
            };
            assert!(!got.lines().skip(1).any(|line| line.starts_with("ok")), "{got}");
        }
        let text = "version: \"1.0\"\npermissions:\n  storage:\n    allow:\n      - {uri: \"fs:///proc/self\", access: [read]}\n";
        let Ok(policy) = Policy::parse(text, &ParseOptions::default()) else {
            continue;
        };
        let authority = Authority::new(Arc::new(policy), None, &Limits::DEFAULT);
        let control = Control::new(Arc::new(authority), Arc::default());
        let report = world
            .guest
            .run(control, "pre d /\ngrab d proc/self/environ\npreopens")
            .await;
        assert_eq!(
            report.result.expect("an answer"),
            Some(Value::String("ok\nerror access\nok /".to_owned()))
        );
    }
}

#[tokio::test]
async fn hard_links_are_made_only_where_both_ends_are_granted() {
    for world in World::each() {
        world.file("ro/a", "a").dir("rw").file("rw/b", "b");
        let world = world.granted(
            r#"allow {uri: "fs://{at}/ro", access: [read]}
               allow {uri: "fs://{at}/rw", access: [read, write]}"#,
        );
        let steps = "pre o {at}/ro => ok
             pre w {at}/rw => ok
             link o a nofollow w a => error access
             link w b nofollow o b => error access
             rename o a w a => error access
             rename w b o b => error access
             link w b nofollow w c => ok
             link w nothing nofollow w d => error no-entry";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "rename `{at}/ro/a`");
        world.denied(&decisions, "rename `{at}/ro/b`");
        assert_eq!(fs::metadata(world.path("rw/b")).expect("it").nlink(), 2);
        assert_eq!(fs::metadata(world.path("ro/a")).expect("it").nlink(), 1);
    }
}

#[tokio::test]
async fn links_that_a_guest_makes_stay_in_the_grant_whoever_follows_them() {
    for world in World::each() {
        world.dir("in/sub/deep");
        let world = world.granted(r#"allow {uri: "fs://{at}/in", access: [read, write]}"#);
        let steps = "pre d {at}/in => ok
             symlink d ../x a => error access
             symlink d /etc/passwd a => error access
             symlink d {at}/in/x a => error access
             symlink d ../x sub/a => ok
             symlink d ../../x sub/b => error access
             symlink d ../../x sub/deep/b => ok
             symlink d y/../../x sub/c => error access
             symlink d '' sub/c => error access
             symlink d a\\0b sub/c => error invalid
             symlink d x sub/c/ => error no-entry
             symlink d x sub/a => error exist";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "create `{at}/in/a`");
        assert!(!world.has("in/a") && world.has("in/sub/a"));
    }
}

#[tokio::test]
async fn no_link_is_left_where_it_misleads_others() {
    for world in World::each() {
        let world = world.granted(r#"allow {uri: "fs://{at}/state.txt", access: [read, write]}"#);
        world
            .file("state.txt", "mine")
            .file("secret.txt", "theirs")
            .dir("sub");
        let below = world.at.trim_start_matches('/').to_owned();
        let steps = format!(
            "pre d / => ok
             unlink d {below}/state.txt => error access
             symlink d secret.txt {below}/state.txt => error access
             symlink d sub/x {below}/state.txt => error access
             symlink d . {below}/state.txt => error access
             symlink d state.txt {below}/state.txt => error access
             open f d {below}/state.txt rwc => ok"
        );
        let decisions = world.expect(&steps).await;
        world.denied(&decisions, "remove `{at}/state.txt`");
        world.denied(&decisions, "create `{at}/state.txt`");
        // Nor when somebody else has removed it.
        fs::remove_file(world.path("state.txt")).expect("the file");
        world.expect(&steps).await;
        assert!(world.path("state.txt").symlink_metadata().expect("it").is_file());

        let world = world.granted(
            r#"allow {uri: "fs://{at}/*.txt", access: [read, write]}
               allow {uri: "fs://{at}/sub", access: [read, write]}
               deny {uri: "fs://{at}/sub/hidden", access: [read]}
               deny {uri: "fs://{at}/sub/kept", access: [write]}"#,
        );
        let steps = "pre d {at} => ok
             symlink d key.pem a.txt => error access
             symlink d . a.txt => error access
             symlink d b.txt a.txt => ok
             pre s {at}/sub => ok
             symlink s hidden a => error access
             symlink s kept a => error access
             symlink s ./kept/x a => error access
             mkdir s deep => ok
             symlink s ../kept deep/a => error access
             symlink s ../other deep/a => ok
             symlink s .. deep/b => ok
             rename s deep/a s deep/c => ok
             rename s deep/c s c => error access
             symlink s hidden deep/d => ok
             rename s deep/d s d => error access";
        let decisions = world.expect(steps).await;
        for access in [
            "create `{at}/a.txt`",
            "create `{at}/sub/a`",
            "create `{at}/sub/deep/a`",
            "rename `{at}/sub/deep/c`",
            "rename `{at}/sub/deep/d`",
        ] {
            world.denied(&decisions, access);
        }
        assert!(!world.has("sub/c") && !world.has("sub/d"));
        assert!(!world.has("sub/a") && world.has("a.txt") && world.has("sub/deep/c"));
    }
}

#[tokio::test]
async fn a_link_is_about_this_machine_where_the_guest_sees_it_otherwise() {
    for world in World::each() {
        world.dir("data/out").dir("other").dir("p").dir("sub/deep");
        let world = world.granted(
            r#"allow {uri: "fs://{at}/data", access: [read, write]}
               allow {uri: "fs://{at}/other", access: [read, write], guest: "{at}/data/out"}
               allow {uri: "fs://{at}/p", access: [read, write], guest: "/w"}
               allow {uri: "fs://{at}/p/state.txt", access: [read, write]}
               allow {uri: "fs://{at}/sub", access: [read, write]}
               allow {uri: "fs://{at}/sub/deep", access: [read, write]}"#,
        );
        let steps = "pre d {at}/data => ok
             symlink d out/x a => error access
             symlink d out a => error access
             pre w /w => ok
             symlink w other state.txt => error access
             open f w state.txt wc => ok
             unlink w state.txt => error access
             symlink w state.txt a => ok
             pre s {at}/sub => ok
             symlink s deep/x a => ok
             rmdir s deep => error access";
        let decisions = world.expect(steps).await;
        world.denied(&decisions, "create `{at}/data/a`");
        world.denied(&decisions, "create `/w/state.txt`");
        world.denied(&decisions, "remove `/w/state.txt`");
        world.denied(&decisions, "remove `{at}/sub/deep`");
        assert!(
            !world.has("data/a")
                && world
                    .path("p/state.txt")
                    .symlink_metadata()
                    .expect("it")
                    .is_file()
        );
    }
}

fn limited(mut world: World, rules: &str, limits: Limits) -> World {
    world.limits = limits;
    world.granted(rules)
}

#[track_caller]
fn ended_by(report: &CallReport, limit: Limit) {
    let Err(CallError::Limit { limit: reached }) = &report.result else {
        panic!("{:?}", report.result);
    };
    assert_eq!(*reached, limit);
}

#[tokio::test]
async fn reading_is_counted_and_bounded() {
    for world in World::each() {
        world.file("a", &"x".repeat(600));
        let limits = Limits {
            file_read_bytes: 1000,
            ..Limits::DEFAULT
        };
        let world = limited(world, READ, limits);
        let read = format!(
            "pre d {{at}} => ok\nopen f d a r => ok\nread f 500 0 => ok 500 {}",
            "x".repeat(200)
        );
        world.expect(&read).await;
        for step in [
            "loop 2 grab d a",
            "loop 10 stat d\nopen f d a r\nloop 3 read f 600 0",
        ] {
            let report = world.report(&format!("pre d {{at}}\n{step}")).await;
            ended_by(&report, Limit::FileRead { bytes_max: 1000 });
        }
    }
}

#[tokio::test]
async fn writing_is_counted_and_bounded_and_so_is_what_is_left_out() {
    for world in World::each() {
        let limits = Limits {
            file_write_bytes: 1000,
            ..Limits::DEFAULT
        };
        let world = limited(world, WRITE, limits);
        let steps = "pre d {at} => ok
             open f d a rwc => ok
             fill f 0 400 => ok 400
             fill f 0 400 => ok 400
             set-size f 500 => ok
             set-size f 0 => ok
             fill f 99 1 => ok 1";
        world.expect(steps).await;
        for step in [
            "loop 3 fill f 0 400",
            "set-size f 1001",
            "fill f 1000 1",
            "loop 600 append f xx",
            "loop 600 stream f 0 xx",
        ] {
            let report = world
                .report(&format!("pre d {{at}}\nopen f d b rwct\n{step}"))
                .await;
            ended_by(&report, Limit::FileWrite { bytes_max: 1000 });
            assert!(fs::metadata(world.path("b")).expect("it").len() <= 1000, "{step}");
        }
    }
}

#[tokio::test]
async fn making_files_is_counted_and_bounded() {
    for world in World::each() {
        let limits = Limits {
            files: 4,
            ..Limits::DEFAULT
        };
        let world = limited(world, WRITE, limits);
        let steps = "pre d {at} => ok
             open f d a wc => ok
             mkdir d b => ok
             link d a nofollow d c => ok
             symlink d a e => ok
             loop 5 open f d a wc => ok 5*ok";
        world.expect(steps).await;
        let report = world
            .report("pre d {at}\nopen f d 1 wc\nmkdir d 2\nmkdir d 3\nmkdir d 4\nmkdir d 5")
            .await;
        ended_by(&report, Limit::Files { max: 4 });
        assert!(world.has("4") && !world.has("5"));
    }
}

/// Not to find a folder is something else than not to be granted it.
#[tokio::test]
async fn a_component_whose_folders_cannot_be_opened_is_ended_and_told_why() {
    for world in World::each() {
        let world = world.granted(READ);
        world.file("a", "hello");
        let pace = Arc::new(crate::Pace::default());
        // So much as no component may have.
        pace.open().store(usize::MAX, Relaxed);
        let surroundings = Arc::default();
        let control = Control::paced(Arc::clone(&world.authority), surroundings, Arc::clone(&pace));
        let steps = "pre d {at}\ngrab d a".replace("{at}", &world.at);
        ended_by(&world.guest.run(control, &steps).await, Limit::FilesBusy);
        pace.open().store(0, Relaxed);
        world.expect("pre d {at} => ok\ngrab d a => ok 5 hello").await;
    }
}

#[tokio::test]
async fn a_large_folder_is_listed_in_parts() {
    for world in World::each() {
        world.dir("many");
        for n in 0..3000 {
            fs::write(world.path(&format!("many/{n}")), "").expect("a file");
        }
        let world = world.granted(READ);
        world
            .expect("pre d {at} => ok\nopen m d many rd => ok\ncount m => ok 3000\ncount m => ok 3000")
            .await;
    }
}

#[tokio::test]
async fn a_name_that_is_no_text_is_an_error_and_the_rest_is_listed() {
    use std::os::unix::ffi::OsStrExt as _;
    for world in World::each() {
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe");
        fs::write(world.folder.path().join(name), "").expect("a file");
        let world = world.granted(READ);
        world
            .expect("pre d {at} => ok\nlist d => error illegal-byte-sequence")
            .await;
    }
}

#[tokio::test]
async fn a_revoke_holds_for_what_is_open_already() {
    for world in World::each() {
        world.file("a", "a").file("b", "b");
        let world = world.granted(READ);
        let control = Control::new(Arc::clone(&world.authority), Arc::default());
        let steps = world.access("pre d {at}\nopen f d a r\nloop 100000000 read f 1 0");
        let running = world.guest.run(Arc::clone(&control), &steps);
        let narrow = world.authority(r#"allow {uri: "fs://{at}/b", access: [read]}"#);
        let revoke = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            control.replace(narrow);
        };
        let (report, ()) = futures::join!(running, revoke);
        let Err(CallError::Revoked { access }) = &report.result else {
            panic!("{:?}", report.result);
        };
        assert_eq!(*access, world.access("read `{at}/a`"));
    }
}

/// Runs a guest while another thread changes things as fast as it can.
async fn raced(world: &World, steps: &str, mut change: impl FnMut() + Send) -> CallReport {
    /// Stops the other thread however this one ends.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                change();
            }
        });
        // This is within a task of the runtime, whose budget nobody renews while we wait: constrained, a wait that is woken
        // often enough would never end.
        futures::executor::block_on(tokio::task::unconstrained(world.report(steps)))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanging_a_folder_for_a_link_leads_nowhere() {
    for world in World::each() {
        world
            .file("out/secret", "SECRET")
            .file("in/real/secret", "public")
            .file("in/private/secret", "SECRET");
        let (at, rules) = (
            world.at.clone(),
            r#"allow {uri: "fs://{at}/in", access: [read, write]}
             deny {uri: "fs://{at}/in/private"}"#,
        );
        let world = world.granted(rules);
        let mut round = 0_u64;
        let change = || {
            let here = format!("{at}/in/here");
            let _gone = fs::remove_file(&here);
            round += 1;
            match round % 4 {
                0 => drop(
                    fs::rename(format!("{at}/in/real"), &here)
                        .and_then(|()| fs::rename(&here, format!("{at}/in/real"))),
                ),
                1 => drop(symlink("../out", &here)),
                2 => drop(symlink("private", &here)),
                _ => drop(symlink("real", &here)),
            }
        };
        let steps = "pre d {at}/in\nloop 10000 grab d here/secret\nloop 300 open f d here/new wc";
        let report = raced(&world, steps, change).await;
        let Ok(Some(Value::String(got))) = report.result else {
            panic!("{:?}", report.result);
        };
        assert!(!got.contains("SECRET"), "{got}");
        assert!(!world.has("out/new") && !world.has("in/private/new"), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanging_a_file_for_a_pipe_or_a_link_blocks_nothing() {
    for world in World::each() {
        world.file("out/secret", "SECRET").file("in/real", "public");
        let at = world.at.clone();
        let world = world.granted(r#"allow {uri: "fs://{at}/in", access: [read, write]}"#);
        let mut round = 0_u64;
        let change = || {
            let here = format!("{at}/in/here");
            let _gone = fs::remove_file(&here);
            round += 1;
            match round % 3 {
                0 => drop(fs::hard_link(format!("{at}/in/real"), &here)),
                1 => drop(symlink("../out/secret", &here)),
                _ => drop(mknodat(CWD, &here, FileType::Fifo, Mode::from_raw_mode(0o600), 0)),
            }
        };
        let report = raced(
            &world,
            "pre d {at}/in\nloop 10000 grab d here\nloop 1000 open f d here w",
            change,
        )
        .await;
        let Ok(Some(Value::String(got))) = report.result else {
            panic!("{:?}", report.result);
        };
        assert!(!got.contains("SECRET"), "{got}");
        assert_eq!(world.guest.sandbox.lingering(), 0);
    }
}
