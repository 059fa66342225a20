//! Attacks on files: out of the folder, around a deny rule, past read-only, and floods.

use super::cage::{Cage, OUTSIDE, Outcome};
use super::zoo;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use wassette_policy::AccessKind::File;

impl Cage {
    fn file(&mut self, below: &str, text: &str) -> &mut Self {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(&mut self, below: &str, target: impl AsRef<Path>) -> &mut Self {
        symlink(target, self.path(below)).unwrap();
        self
    }

    /// Grants the folder as `/cage` with these rights, `read` or `read, write`.
    fn grant(&mut self, access: &str) -> &mut Self {
        let rule = format!(
            "{{uri: \"{}\", access: [{access}], guest: \"/cage\"}}",
            self.uri("cage")
        );
        self.storage(&rule, "")
    }

    fn uri(&self, below: &str) -> String {
        format!("fs://{}", self.path(below).display())
    }

    fn storage(&mut self, allow: &str, deny: &str) -> &mut Self {
        self.permissions(&format!("  storage: {{allow: [{allow}], deny: [{deny}]}}\n"))
    }
}

/// All attempts were refused, and the report says that files were.
#[track_caller]
fn held(cage: &mut Cage, outcome: &Outcome, least: usize) {
    let told = outcome.held(least);
    outcome.denied(File);
    cage.say(told);
}

#[track_caller]
fn ended(cage: &mut Cage, outcome: &Outcome, reason: &str) {
    let told = outcome.ended(reason);
    cage.say(told);
}

/// A folder for reading with a denied one in it, and links to that.
fn with_private(cage: &mut Cage) {
    cage.file("cage/private/secret.txt", OUTSIDE)
        .file("cage/holder/private/secret.txt", OUTSIDE);
    let rule = format!(
        "{{uri: \"{}\", access: [read, write], guest: \"/cage\"}}",
        cage.uri("cage")
    );
    let denied = format!(
        "{{uri: \"{}\"}}, {{uri: \"{}\"}}",
        cage.uri("cage/private"),
        cage.uri("cage/holder/private")
    );
    cage.storage(&rule, &denied);
    cage.link("cage/by-folder", "private")
        .link("cage/by-file", "private/secret.txt")
        .link("cage/sub/by-parent", "../private");
}

zoo! {
    path_parent "F1" "`..` in every place of a path" => |cage| {
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 180);
    };
    path_absolute "F1 F4" "absolute paths, and paths from the root" => |cage| {
        let outside = cage.path("outside.txt").display().to_string();
        let outcome = cage.grant("read, write").input(outside).attack();
        held(cage, &outcome, 110);
        outcome.lists("/etc/passwd");
    };
    path_slashes "F1" "slashes and dots at the end, in the middle, and twice" => |cage| {
        cage.link("cage/out", "../outside").link("cage/file-out", "../outside.txt");
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 40);
    };
    path_nul "F1 F2" "NUL in a path" => |cage| {
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 90);
    };
    path_overlong "F1" "paths of up to a million bytes and 5,000 parts" => |cage| {
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 100);
    };
    path_odd_names "F1 F8" "backslashes, escapes, look-alikes, drives, streams, `~`" => |cage| {
        let outcome = cage.grant("read").attack();
        let told = outcome.held(120);
        cage.say(told);
    };
    link_plant "F1 F11" "plants a link that leads out, and follows it" => |cage| {
        let outside = cage.path("outside.txt").display().to_string();
        let outcome = cage.grant("read, write").input(outside).attack();
        held(cage, &outcome, 80);
    };
    link_chain "F1" "links to links, and loops" => |cage| {
        cage.link("cage/good1", "good2").link("cage/good2", "sub/good3").link("cage/sub/good3", "../inside.txt")
            .link("cage/chain1", "chain2").link("cage/chain2", "sub/chain3").link("cage/sub/chain3", "../../outside")
            .link("cage/loop1", "loop2").link("cage/loop2", "loop1").link("cage/self", "self")
            .link("cage/up", "..").link("cage/sub/up2", "../..");
        for index in 0..60 {
            cage.link(&format!("cage/long{index}"), format!("long{}", index + 1));
        }
        let outcome = cage.grant("read").attack();
        let told = outcome.held(30);
        cage.say(told);
    };
    link_absolute "F1" "links with absolute targets" => |cage| {
        let (file, folder) = (cage.path("outside.txt"), cage.path("outside"));
        cage.link("cage/to-outside", file).link("cage/to-root", "/").link("cage/to-folder", folder)
            .link("cage/to-passwd", "/etc/passwd");
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 30);
    };
    link_dangling "F1" "creates a file outside through a dangling link" => |cage| {
        let absolute = cage.path("made-absolute.txt");
        cage.link("cage/dangling", "../made.txt").link("cage/dangling-absolute", absolute)
            .link("cage/dangling-folder", "../outside");
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 5);
    };
    link_to_denied "F1" "reaches a denied folder through a link in an allowed one" => |cage| {
        with_private(cage);
        let outcome = cage.attack();
        held(cage, &outcome, 55);
        assert_eq!(fs::read_to_string(cage.path("cage/private/secret.txt")).unwrap(), OUTSIDE);
    };
    rename_around_deny "F1 F5" "renames a denied folder to where it is not denied" => |cage| {
        with_private(cage);
        let outcome = cage.attack();
        held(cage, &outcome, 11);
        for kept in ["cage/private/secret.txt", "cage/holder/private/secret.txt"] {
            assert_eq!(fs::read_to_string(cage.path(kept)).unwrap(), OUTSIDE);
        }
    };
    link_around_deny "F5" "gives a denied file a second name" => |cage| {
        with_private(cage);
        let outcome = cage.attack();
        held(cage, &outcome, 9);
    };
    link_readonly_to_writable "F5" "links and renames from read-only to writable" => |cage| {
        cage.file("readonly/kept.txt", "kept").file("readonly/folder/x.txt", "kept");
        let rules = format!(
            "{{uri: \"{}\", access: [read, write], guest: \"/cage\"}}, {{uri: \"{}\", access: [read], guest: \"/readonly\"}}",
            cage.uri("cage"), cage.uri("readonly")
        );
        let outcome = cage.storage(&rules, "").attack();
        held(cage, &outcome, 9);
    };
    truncate_readonly "F1" "truncates a read-only file while opening it" => |cage| {
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 19);
        assert_eq!(fs::read_to_string(cage.path("cage/inside.txt")).unwrap(), "inside");
    };
    create_readonly "F1" "makes files, folders and links in a read-only folder" => |cage| {
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 50);
        assert_eq!(fs::read_dir(cage.path("cage")).unwrap().count(), 3);
    };
    metadata_readonly "F1" "sets the times of read-only files" => |cage| {
        let before = fs::metadata(cage.path("cage/inside.txt")).unwrap().modified().unwrap();
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 16);
        assert_eq!(fs::metadata(cage.path("cage/inside.txt")).unwrap().modified().unwrap(), before);
    };
    times_impossible "E6" "sets times that do not exist" => |cage| {
        let outcome = cage.grant("read, write").attack();
        outcome.held(1);
        cage.say(format!("{} of 5 refused, no panic", outcome.saw("times").iter().filter(|text| **text == "refused").count()));
    };
    remove_readonly "F1" "removes what is read-only" => |cage| {
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 9);
        assert_eq!(fs::read_dir(cage.path("cage")).unwrap().count(), 3);
    };
    #[cfg(target_os = "linux")]
    proc_environ "F3 E9" "reads the server's environment and descriptors through /proc" => |cage| {
        cage.link("cage/environ", "/proc/self/environ").link("cage/proc", "/proc").link("cage/fd", "/proc/self/fd")
            .link("cage/exe", "/proc/self/exe");
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 60);
    };
    #[cfg(target_os = "linux")]
    proc_mem "F3" "writes the server's memory through /proc" => |cage| {
        cage.link("cage/mem", "/proc/self/mem").link("cage/proc", "/proc");
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 35);
    };
    #[cfg(target_os = "linux")]
    device "F7" "opens devices that never end" => |cage| {
        cage.link("cage/zero", "/dev/zero").link("cage/dev", "/dev").link("cage/tty", "/dev/tty");
        let made = Command::new("mknod").arg(cage.path("cage/node")).args(["c", "1", "5"]).stderr(Stdio::null()).status();
        let is_made = made.is_ok_and(|status| status.success());
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 30);
        cage.say(if is_made { "with a device in the folder" } else { "by links only: no device can be made here" });
    };
    #[cfg(target_os = "linux")]
    granted_proc "F3" "was granted /proc and /sys by mistake" => |cage| {
        // The command line refuses to grant these. The policy language does not know what is mounted where, so that
        // the last word is the sandbox's, at use. Only looked at: see `spoil` of the guests.
        let rules = ["proc", "sys"].map(|name| format!("{{uri: \"fs:///{name}\", access: [read], guest: \"/{name}\"}}"));
        cage.storage(&rules.join(", "), "");
        for path in ["proc/self/environ", "proc/self/mem", "proc/self/maps", "proc/1/environ", "proc/version", "sys/kernel", "sys/power/state"] {
            cage.input(path);
        }
        let outcome = cage.attack();
        held(cage, &outcome, 35);
    };
    fifo_read "F7" "opens a pipe nobody writes to" => |cage| {
        pipe(cage);
        let outcome = cage.grant("read").attack();
        held(cage, &outcome, 8);
    };
    fifo_write "F7" "opens a pipe nobody reads from" => |cage| {
        pipe(cage);
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 16);
    };
    socket_file "F7" "opens another server's socket" => |cage| {
        let _listener = std::os::unix::net::UnixListener::bind(cage.path("cage/socket")).unwrap();
        let outcome = cage.grant("read, write").attack();
        held(cage, &outcome, 2);
    };
    #[cfg(target_os = "linux")]
    submount "F6" "enters a file system mounted in the folder" => |cage| {
        let place = cage.path("cage/mount");
        fs::create_dir(&place).unwrap();
        let mount = |arguments: &[&str]| {
            let status = Command::new("mount").args(arguments).arg(&place).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        let is_mounted = mount(&["-t", "tmpfs", "none"]);
        if !is_mounted {
            cage.say("not tried: nothing can be mounted here");
            return;
        }
        fs::write(place.join("hidden.txt"), "hidden").unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cage.grant("read, write").attack()));
        let _unmounted = Command::new("umount").arg(&place).status();
        let outcome = outcome.unwrap();
        held(cage, &outcome, 40);
    };
    race "F1" "opens files while another process exchanges folders and links" => |cage| {
        cage.file("cage/real/secret.txt", "inside").file("cage/real/victim.txt", "inside").file("cage/file.txt", "inside");
        cage.file("outside/secret.txt", OUTSIDE);
        let mut swapper = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "zoo::files::swapper", "--nocapture"])
            .env("ZOO_SWAP", cage.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Until it swaps.
        while !cage.path("cage/swaps").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cage.grant("read, write").input(1500).attack()));
        assert!(swapper.try_wait().unwrap().is_none(), "the other process ended before the race");
        swapper.kill().unwrap();
        swapper.wait().unwrap();
        let outcome = outcome.unwrap();
        outcome.held(1);
        assert!(outcome.number("inside") > 0, "{:?}", outcome.result);
        let swaps = 100 * fs::metadata(cage.path("cage/swaps")).unwrap().len();
        cage.say(format!("{} rounds against {swaps} exchanges, nothing outside read or changed", outcome.number("tries")));
    };
    own_store "F4" "reaches the server's store, secrets and audit file" => |cage| {
        cage.file("outside/store/state.db", OUTSIDE).file("outside/store/audit.jsonl", OUTSIDE)
            .file("outside/store/keys/compiled", OUTSIDE).file("outside/store/blobs/sha256/x", OUTSIDE);
        cage.link("cage/store", "../outside/store");
        let store = cage.path("outside/store").display().to_string();
        let outcome = cage.grant("read, write").input(store).attack();
        held(cage, &outcome, 100);
    };
    sparse_giant "F9" "a file of a terabyte that costs nothing" => |cage| {
        let outcome = cage.grant("read, write").limits("file-write: \"1Mi\"").attack();
        ended(cage, &outcome, "limit of 1 MiB written to files");
        let bytes = fs::metadata(cage.path("cage/giant")).map_or(0, |metadata| metadata.len());
        assert!(bytes <= 1 << 20, "{bytes}");
    };
    inode_flood "F9" "files without end" => |cage| {
        let outcome = cage.grant("read, write").limits("files: 50").attack();
        ended(cage, &outcome, "limit of 50 files made");
        assert_eq!(fs::read_dir(cage.path("cage")).unwrap().count(), 53);
    };
    folder_flood "F9" "folders and links without end" => |cage| {
        let outcome = cage.grant("read, write").limits("files: 50").attack();
        ended(cage, &outcome, "limit of 50 files made");
        assert_eq!(fs::read_dir(cage.path("cage")).unwrap().count(), 53);
    };
    write_flood "F9" "writes without end" => |cage| {
        let outcome = cage.grant("read, write").limits("file-write: \"4Mi\"").attack();
        ended(cage, &outcome, "limit of 4 MiB written to files");
    };
    read_flood "F9" "reads without end" => |cage| {
        fs::write(cage.path("cage/large"), vec![b'x'; 1 << 20]).unwrap();
        let outcome = cage.grant("read").limits("file-read: \"16Mi\"").attack();
        ended(cage, &outcome, "limit of 16 MiB read from files");
    };
    huge_directory "F10" "lists 10,000 names 64 times at once" => |cage| {
        fs::create_dir(cage.path("cage/many")).unwrap();
        for index in 0..10_000 {
            fs::write(cage.path(&format!("cage/many/{index:0>100}")), "").unwrap();
        }
        let outcome = cage.grant("read").limits("time: \"30s\"").attack();
        outcome.held(0);
        assert_eq!(outcome.number("listings"), 16);
        assert_eq!(outcome.number("names"), 160_000);
        cage.say(format!("{} listings, {} names, within its limits", outcome.number("listings"), outcome.number("names")));
    };
    descriptor_flood "E3" "opens files without end" => |cage| {
        let outcome = cage.grant("read").attack();
        ended(cage, &outcome, "limit of 256 files open at a time reached");
    };
    stream_flood "E3" "opens streams without end" => |cage| {
        let outcome = cage.grant("read").attack();
        ended(cage, &outcome, "limit of 4096 live");
    };
    file_grant "F13" "reaches the neighbors of a file that was granted alone" => |cage| {
        cage.file("cage/other.txt", OUTSIDE).file("cage/inside.txt.bak", OUTSIDE);
        let rule = format!("{{uri: \"{}\", access: [read], guest: \"/cage/inside.txt\"}}", cage.uri("cage/inside.txt"));
        let outcome = cage.storage(&rule, "").attack();
        held(cage, &outcome, 60);
    };
    glob_escape "F2" "reaches what only looks like the glob that was granted" => |cage| {
        cage.file("cage/one.log", "log").file("cage/one.log.txt", OUTSIDE).file("cage/sub/inner.log", OUTSIDE);
        cage.link("cage/link.log", "inside.txt");
        let rule = format!("{{uri: \"{}/*.log\", access: [read], guest: \"/cage\"}}", cage.uri("cage"));
        let outcome = cage.storage(&rule, "").attack();
        held(cage, &outcome, 50);
    };
    advice_overflow "E6" "offsets and lengths at the edge of their types" => |cage| {
        let outcome = cage.grant("read").attack();
        let told = outcome.held(10);
        cage.say(told);
    };
    host_call_bytes "E3" "hands the host 48 MiB in one call" => |cage| {
        let outcome = cage.grant("read, write").attack();
        ended(cage, &outcome, "limit of 16 MiB in one host call");
    };
}

fn pipe(cage: &mut Cage) {
    let made = Command::new("mkfifo")
        .arg(cage.path("cage/pipe"))
        .status()
        .unwrap();
    assert!(made.success());
}

/// The other process of the race: exchanges a folder and a file for links that lead out, as fast as it can.
///
/// No test of its own: it does nothing unless the race has started it.
#[test]
fn swapper() {
    let Some(home) = std::env::var_os("ZOO_SWAP").map(std::path::PathBuf::from) else {
        return;
    };
    let path = |name: &str| home.join("cage").join(name);
    symlink("../outside", path("to-folder")).unwrap();
    symlink("../outside.txt", path("to-file")).unwrap();
    fs::rename(path("real"), path("door")).unwrap();
    for swaps in 0_u64.. {
        // In every state there is something: the folder, or the link that leads out.
        for (from, to) in [
            ("door", "real"),
            ("to-folder", "door"),
            ("door", "to-folder"),
            ("real", "door"),
        ] {
            fs::rename(path(from), path(to)).unwrap();
        }
        for (from, to) in [
            ("file.txt", "kept.txt"),
            ("to-file", "file.txt"),
            ("file.txt", "to-file"),
            ("kept.txt", "file.txt"),
        ] {
            // The attack may have made a new file meanwhile.
            drop(fs::rename(path(from), path(to)));
        }
        if swaps % 100 == 0 {
            // One byte for each hundred: its length can be read at any time.
            let file = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path("swaps"));
            file.unwrap().write_all(b".").unwrap();
        }
    }
}
