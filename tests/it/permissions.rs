//! Grants, from the command line to a running server: each with and without, and every way to ask for what must not be.
//!
//! Long because every kind of grant is here twice, with and without.

use crate::support::{Client, Home, Ran, guest};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A home with the needy guest loaded, and a folder to be granted.
fn needy() -> (Home, PathBuf) {
    let home = Home::new();
    home.load(&guest("needy"));
    let folder = home.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.txt"), "secret-free").unwrap();
    (home, folder.canonicalize().unwrap())
}

fn uri(path: &Path) -> String {
    format!("fs://{}", path.display())
}

impl Home {
    /// Runs a command that must fail, and checks its code and what it says.
    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32, text: &str) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (code, ""),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(text), "{arguments:?}: {}", ran.stderr);
        ran
    }

    fn grant(&self, arguments: &[&str]) -> Json {
        self.json(&[&["permission", "grant"], arguments].concat())
    }

    fn revoke(&self, arguments: &[&str]) -> Json {
        self.json(&[&["permission", "revoke"], arguments].concat())
    }

    fn rules(&self, id: &str) -> Json {
        self.json(&["policy", "get", id])["rules"].clone()
    }

    fn explain(&self, id: &str, access: &str) -> Json {
        self.json(&["policy", "explain", id, access])
    }

    fn policy_file(&self, name: &str, permissions: &str) -> String {
        let text = format!("version: \"1.0\"\npermissions: {permissions}\n");
        self.file(name, text.as_bytes()).to_str().unwrap().to_owned()
    }
}

#[test]
fn a_granted_folder_is_allowed_and_nothing_beside_it() {
    let (home, folder) = needy();
    let answer = home.grant(&["storage", "needy", &uri(&folder), "--access", "read"]);
    assert_eq!(answer["status"], "permission granted successfully");
    assert_eq!(answer["component_id"], "needy");
    assert_eq!(answer["permission_type"], "storage");
    assert_eq!(
        answer["details"],
        json!({"uri": uri(&folder), "access": ["read"]})
    );
    let rule = format!("storage allow \"{}\" access read", uri(&folder));
    assert_eq!(home.rules("needy"), json!([rule]));

    let inside = home.explain("needy", &format!("read {}/a.txt", folder.display()));
    assert_eq!(
        (&inside["allowed"], &inside["layer"], &inside["rule"]),
        (&json!(true), &json!("granted"), &json!(rule))
    );
    let written = home.explain("needy", &format!("write {}/a.txt", folder.display()));
    assert_eq!(
        (&written["allowed"], &written["rule"]),
        (&json!(false), &Json::Null)
    );
    assert_eq!(home.explain("needy", "read /etc/passwd")["allowed"], false);

    let answer = home.revoke(&["storage", "needy", &uri(&folder)]);
    assert_eq!(answer["status"], "permission revoked successfully");
    assert_eq!(answer["uri"], uri(&folder));
    assert_eq!(home.rules("needy"), json!([]));
    assert_eq!(
        home.explain("needy", &format!("read {}/a.txt", folder.display()))["allowed"],
        false
    );
}

#[test]
fn a_guest_reads_and_writes_what_it_was_granted() {
    let (home, folder) = needy();
    let link = home.path().canonicalize().unwrap().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let invoke =
        |tool: &str, arguments: Json| home.run(&["tool", "invoke", tool, "--args", &arguments.to_string()]);
    let read = |path: &Path| invoke("needy_read-file", json!({ "path": path }));
    let write = |path: &Path| invoke("needy_write-file", json!({ "path": path, "text": "new" }));
    assert_eq!(read(&folder.join("a.txt")).code, 5);
    home.grant(&["storage", "needy", &uri(&link), "--access", "read"]);
    let seen = read(&link.join("a.txt"));
    assert!(
        seen.stdout.contains("secret-free"),
        "{} {}",
        seen.stdout,
        seen.stderr
    );
    assert_eq!(write(&link.join("b.txt")).code, 5);
    assert!(!folder.join("b.txt").exists());
    home.grant(&["storage", "needy", &uri(&folder), "--access", "read,write"]);
    let written = write(&folder.join("b.txt"));
    assert_eq!(written.code, 0, "{}", written.stderr);
    assert_eq!(std::fs::read_to_string(folder.join("b.txt")).unwrap(), "new");
    home.revoke(&["storage", "needy", &uri(&folder), "--access", "write"]);
    assert_eq!(write(&folder.join("c.txt")).code, 5);
    assert!(read(&folder.join("a.txt")).stdout.contains("secret-free"));
    home.json(&["permission", "reset", "needy"]);
    assert_eq!(read(&folder.join("a.txt")).code, 5);
    assert_eq!(read(&link.join("a.txt")).code, 5);
}

#[test]
fn what_must_never_be_granted_is_refused_with_the_reason() {
    let (home, folder) = needy();
    let root = home.path().canonicalize().unwrap();
    std::fs::create_dir(root.join(".ssh")).unwrap();
    std::os::unix::fs::symlink("/proc", root.join("trap")).unwrap();
    let grant = |uri: &str, code, text: &str| {
        home.refused(
            &["permission", "grant", "storage", "needy", uri, "--access", "read"],
            code,
            text,
        );
    };
    grant("fs:///", 2, "the root cannot be granted");
    grant("fs:///srv/../etc", 2, "contains `..`");
    grant("fs://relative", 2, "is relative");
    grant("/srv", 2, "is not an `fs://` URI");
    grant("fs:///no/such/folder", 4, "there is no file or folder");
    grant("fs:///proc/self", 3, "which belongs to the system");
    grant("fs:///dev/null", 3, "which belongs to the system");
    grant(&uri(&root.join("trap")), 3, "which belongs to the system");
    grant(&uri(&home.store()), 3, "where Wassette keeps its own files");
    grant(&uri(&home.store().join("audit.jsonl")), 3, "lies in");
    grant(&uri(&root), 3, "holds");
    grant(&uri(&root.join(".ssh")), 3, "where keys, credentials");
    assert_eq!(home.rules("needy"), json!([]));
    // The same is refused when it comes as a document.
    let file = home.policy_file(
        "root.yaml",
        "{storage: {allow: [{uri: \"fs:///proc/**\", access: [read]}]}}",
    );
    home.refused(
        &["policy", "attach", "needy", &file],
        3,
        "which belongs to the system",
    );
    home.refused(
        &["permission", "grant", "network", "needy", "*"],
        2,
        "would allow every host",
    );
    home.refused(
        &["permission", "grant", "environment-variable", "needy", "A*"],
        2,
        "one by one",
    );
    home.refused(&["permission", "grant", "memory", "needy", "0"], 2, "zero");
    home.refused(
        &["permission", "grant", "network", "nobody", "a.example.com"],
        4,
        "unknown component `nobody`",
    );
    assert!(folder.exists());
}

#[test]
fn a_link_is_granted_as_what_it_leads_to_and_seen_where_it_was_written() {
    let (home, folder) = needy();
    let link = home.path().canonicalize().unwrap().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let answer = home.grant(&["storage", "needy", &uri(&link), "--access", "read"]);
    let rule = format!(
        "storage allow \"{}\" access read guest \"{}\"",
        uri(&folder),
        link.display()
    );
    assert_eq!(answer["rules"], json!([rule]));
    assert_eq!(
        home.explain("needy", &format!("read {}/a.txt", link.display()))["allowed"],
        true
    );
    // What is denied through a link is denied where it leads.
    let denied = format!(
        "{{storage: {{allow: [{{uri: \"{0}\", access: [read]}}], deny: [{{uri: \"{1}/a.txt\"}}]}}}}",
        uri(&folder),
        uri(&link)
    );
    let file = home.policy_file("denied.yaml", &denied);
    home.json(&["policy", "attach", "needy", &file]);
    assert_eq!(
        home.explain("needy", &format!("read {}/a.txt", folder.display()))["allowed"],
        false
    );
    assert_eq!(
        home.explain("needy", &format!("read {}/b.txt", folder.display()))["allowed"],
        true
    );
    home.grant(&["storage", "needy", &uri(&link), "--access", "read"]);
    home.revoke(&["storage", "needy", &uri(&link)]);
    assert_eq!(
        home.explain("needy", &format!("read {}/b.txt", link.display()))["allowed"],
        false
    );
}

#[test]
fn the_words_of_a_grant_take_it_back_when_its_link_is_gone_or_leads_elsewhere() {
    let (home, folder) = needy();
    let root = home.path().canonicalize().unwrap();
    let (link, other) = (root.join("link"), root.join("other"));
    std::fs::create_dir(&other).unwrap();
    let rule = format!(
        "storage allow \"{}\" access read guest \"{}\"",
        uri(&folder),
        link.display()
    );
    let granted = |takes: &dyn Fn(&str)| {
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        home.grant(&["storage", "needy", &uri(&link), "--access", "read"]);
        std::fs::remove_file(&link).unwrap();
        takes(&uri(&link));
        let read = json!({ "path": link.join("a.txt") }).to_string();
        let ran = home.run(&["tool", "invoke", "needy_read-file", "--args", &read]);
        assert!(
            ran.code == 5 && !ran.stdout.contains("secret-free"),
            "{}",
            ran.stdout
        );
        assert_eq!(home.rules("needy"), json!([]));
    };
    let by_operator = |uri: &str| {
        let revoked = home.revoke(&["storage", "needy", uri]);
        assert_eq!(revoked["rules"], json!([rule]));
    };
    granted(&by_operator);
    granted(&|uri| {
        std::os::unix::fs::symlink(&other, &link).unwrap();
        by_operator(uri);
        std::fs::remove_file(&link).unwrap();
    });
    granted(&|uri| {
        let arguments = json!({"component_id": "needy", "permission_type": "storage", "value": uri});
        let mut client = Client::initialized(&home, &[]);
        let answer = client.call("revoke-permission", arguments)["result"]["structuredContent"].clone();
        assert_eq!(answer["status"], "permission revoked successfully", "{answer}");
    });
}

#[test]
fn what_a_component_sees_elsewhere_is_taken_back_by_the_place_where_it_sees_it() {
    let (home, folder) = needy();
    std::fs::create_dir(folder.join("private")).unwrap();
    std::os::unix::fs::symlink(folder.join("private"), folder.join("way")).unwrap();
    let at = ["--access", "read", "--guest", "/data"];
    home.grant(&[&["storage", "needy", &uri(&folder)], &at[..]].concat());
    let allowed = |path: &str| home.explain("needy", &format!("read {path}"))["allowed"].clone();
    let denied = format!("storage deny \"{}/private\"", uri(&folder));
    // Also through a link: what is decided about are the paths after links.
    for place in ["fs:///data/private", "fs:///data/way"] {
        let revoked = home.revoke(&["storage", "needy", place]);
        assert!(
            revoked["rules"].as_array().unwrap().contains(&json!(denied)),
            "{revoked}"
        );
        let both = (allowed("/data/a.txt"), allowed("/data/private/x"));
        assert_eq!(both, (json!(true), json!(false)));
        home.json(&["permission", "reset", "needy"]);
        home.grant(&[&["storage", "needy", &uri(&folder)], &at[..]].concat());
    }
    let revoked = home.revoke(&["storage", "needy", "fs:///data"]);
    let rule = format!("storage allow \"{}\" access read guest \"/data\"", uri(&folder));
    assert_eq!(revoked["rules"], json!([rule]));
    assert_eq!(home.rules("needy"), json!([]));
    let again = home.revoke(&["storage", "needy", "fs:///data"]);
    assert_eq!(again["status"], "there was nothing to take back");
}

#[test]
fn a_granted_variable_reaches_the_guest_and_no_other_does() {
    let (home, _) = needy();
    let read = |name: &str, extra: &[&str]| {
        let arguments = json!({ "name": name }).to_string();
        let mut command =
            home.command(&[&["tool", "invoke", "needy_read-env", "--args", &arguments], extra].concat());
        command
            .env("GREETING", "hello")
            .env("PASSWORD", "hunter2")
            .stdin(Stdio::null());
        Ran::of(command.output().unwrap())
    };
    assert_eq!(read("GREETING", &[]).code, 5);
    home.grant(&["environment-variable", "needy", "GREETING"]);
    home.grant(&["environment-variable", "needy", "MODE=strict"]);
    for (name, extra, value) in [
        ("GREETING", &[][..], "hello"),
        ("MODE", &[], "strict"),
        ("GREETING", &["--env", "GREETING=typed"], "typed"),
    ] {
        let ran = read(name, extra);
        assert!(
            ran.stdout.contains(value),
            "{name}: {} {}",
            ran.stdout,
            ran.stderr
        );
    }
    let other = read("PASSWORD", &[]);
    assert!(!other.stdout.contains("hunter2"), "{}", other.stdout);
    home.revoke(&["environment-variable", "needy", "GREETING"]);
    assert!(!read("GREETING", &[]).stdout.contains("hello"));
}

#[test]
fn a_running_server_hands_out_what_another_process_grants_until_it_is_revoked() {
    let (home, _) = needy();
    let mut command = home.command(&["run"]);
    command.env("GREETING", "hello");
    let mut client = Client::shaken(command);
    let mut read = || client.call("needy_read-env", json!({ "name": "GREETING" }))["result"].clone();
    assert!(!read().to_string().contains("hello"));
    home.grant(&["environment-variable", "needy", "GREETING"]);
    let granted = read();
    assert!(granted.to_string().contains("hello"), "{granted}");
    home.json(&["permission", "reset", "needy"]);
    assert!(!read().to_string().contains("hello"));
}

#[test]
fn a_running_server_sees_what_another_process_grants_and_revokes() {
    let (home, _) = needy();
    let mut client = Client::initialized(&home, &[]);
    let mut reaches_out = || {
        let tools = client.request("tools/list", json!({}))["result"]["tools"].clone();
        let tools = tools.as_array().unwrap().iter();
        let now = tools.clone().find(|tool| tool["name"] == "needy_now").unwrap();
        now["annotations"]["openWorldHint"].clone()
    };
    assert_eq!(reaches_out(), false);
    home.grant(&["network", "needy", "api.example.com"]);
    assert_eq!(reaches_out(), true);
    home.json(&["permission", "reset", "needy"]);
    assert_eq!(reaches_out(), false);
}

#[test]
fn limits_are_granted_within_bounds_and_left_to_the_default_again() {
    let (home, _) = needy();
    home.grant(&["memory", "needy", "512Mi"]);
    home.grant(&["cpu", "needy", "2s"]);
    home.grant(&["cpu", "needy", "500m"]);
    let answer = home.json(&["policy", "get", "needy"]);
    assert_eq!(
        answer["policy"]["permissions"]["resources"]["limits"]["memory"],
        "512Mi"
    );
    assert_eq!(answer["rules"].as_array().unwrap().len(), 3, "{answer}");
    home.revoke(&["memory", "needy"]);
    home.revoke(&["cpu", "needy"]);
    assert_eq!(home.rules("needy"), json!([]));
    home.refused(
        &["permission", "grant", "memory", "needy", "9999Ti"],
        2,
        "more than",
    );
}

#[test]
fn one_address_is_a_range_where_sockets_are_meant() {
    let (home, _) = needy();
    for (address, range) in [
        ("10.0.0.5", "10.0.0.5/32"),
        ("fd00::5", "fd00::5/128"),
        ("[fd00::5]", "fd00::5/128"),
    ] {
        let sockets = ["network", "needy", address, "--protocol", "tcp", "--port", "5432"];
        let rule = json!([format!("network allow cidr \"{range}\" ports 5432 protocols tcp")]);
        for taken in [&sockets[..], &sockets[..3]] {
            assert_eq!(home.grant(&sockets)["rules"], rule);
            assert_eq!(home.revoke(taken)["rules"], rule, "{taken:?}");
            assert_eq!(home.rules("needy"), json!([]));
        }
    }
}

#[test]
fn hints_at_the_command_line_name_its_options() {
    let (home, _) = needy();
    let hint = |arguments: &[&str], code: i32, hint: &str| {
        let ran = home.refused(arguments, code, "hint: ");
        assert!(ran.stderr.contains(hint), "{arguments:?}: {}", ran.stderr);
    };
    let network =
        |host, more: &[&'static str]| [&["permission", "grant", "network", "needy", host], more].concat();
    hint(&network("a.example.com/v1", &[]), 2, "put the path into `--path`");
    let sockets = "raw sockets need an address or a range of addresses, `--port` and `--protocol`";
    hint(&network("a.example.com", &["--protocol", "tcp"]), 2, sockets);
    hint(&network("10.0.0.5", &["--protocol", "tcp"]), 2, sockets);
    let relative = [
        "permission",
        "grant",
        "storage",
        "needy",
        "fs://data",
        "--access",
        "read",
    ];
    let base = "the folder that it is relative to with `--base`";
    hint(&relative, 2, base);
    let file = home.policy_file(
        "relative.yaml",
        "{storage: {allow: [{uri: \"fs://data\", access: [read]}]}}",
    );
    hint(&["policy", "check", &file], 1, base);
    home.grant(&["environment-variable", "needy", "A=1"]);
    hint(
        &["permission", "grant", "environment-variable", "needy", "A=2"],
        1,
        "take the other back first: `wassette permission revoke environment-variable needy A`",
    );
}

#[test]
fn what_cannot_be_attached_is_said_with_its_line() {
    let (home, folder) = needy();
    let store = home.store().canonicalize().unwrap();
    let permissions = |storage: &str| {
        format!(
            "\n  storage:\n    allow:\n      - {{uri: \"{}\", access: [read]}}\n      - {{uri: \"{storage}\", access: [read]}}\n  \
             resources: {{limits: {{memory: 1Gi}}}}",
            uri(&folder)
        )
    };
    let own = home.policy_file("own.yaml", &permissions(&uri(&store)));
    for command in [&["policy", "check"][..], &["policy", "attach", "needy"]] {
        let arguments = [command, &[own.as_str()]].concat();
        let place = format!("error: {own}:6:9: `{}` ", store.display());
        home.refused(&arguments, 3, &place);
    }
    let missing = home.policy_file("missing.yaml", &permissions("fs:///no/such"));
    let place = format!("error: {missing}:6:9: there is no file or folder `/no/such`");
    home.refused(&["policy", "attach", "needy", &missing], 4, &place);
    for (above, place) in [
        ("{resources: {limits: {memory: 1Mi}}}", ":7:32: "),
        ("{network: {allow: [{host: \"*.example.com\"}]}}", ":5:9: "),
    ] {
        let ceiling = home.policy_file("ceiling.yaml", above);
        let text = home.policy_file("text.yaml", &permissions(&uri(&folder)));
        let expected = format!("error: {text}{place}the operator's ceiling does not allow it: ");
        home.refused(&["--ceiling", &ceiling, "policy", "check", &text], 3, &expected);
        let manifest = home.file(
            "site.yaml",
            b"version: 1\ncomponents: [{uri: \"starter:time\", policy: text.yaml}]\n",
        );
        let arguments = [
            "--ceiling",
            &ceiling,
            "manifest",
            "apply",
            manifest.to_str().unwrap(),
        ];
        let expected = expected.replacen("error: ", "error: time: ", 1);
        home.refused(&arguments, 1, &expected);
    }
}

#[test]
fn the_ceiling_binds_the_operator_too_and_names_its_rule() {
    let (home, _) = needy();
    let ceiling = home.policy_file(
        "ceiling.yaml",
        "{network: {allow: [{host: \"*.example.com\"}], deny: [{host: evil.example.com}]}}",
    );
    let within = |arguments: &[&str]| home.run(&[&["--ceiling", &ceiling], arguments].concat());
    let refused = within(&["permission", "grant", "network", "needy", "example.org"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("the operator's ceiling does not allow it"),
        "{}",
        refused.stderr
    );
    let refused = within(&["permission", "grant", "network", "needy", "evil.example.com"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("network deny host \"evil.example.com\""),
        "{}",
        refused.stderr
    );
    assert_eq!(
        within(&["permission", "grant", "network", "needy", "api.example.com"]).code,
        0
    );
    // Granted without the ceiling; with it the component is unavailable, and can still be narrowed.
    home.grant(&["network", "needy", "example.org"]);
    let listed: Json = serde_json::from_str(&within(&["component", "list"]).stdout).unwrap();
    assert_eq!(listed["components"][0]["state"], "unavailable");
    let reason = listed["components"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("not within the operator's ceiling") && reason.contains("example.org"),
        "{reason}"
    );
    let shown = within(&["component", "show", "needy", "-o", "table"]).stdout;
    assert!(shown.contains("tools: none while it is unavailable"), "{shown}");
    assert_eq!(
        within(&["permission", "revoke", "network", "needy", "example.org"]).code,
        0
    );
    let listed: Json = serde_json::from_str(&within(&["component", "list"]).stdout).unwrap();
    assert_eq!(listed["components"][0]["state"], "ready");
    let explained = within(&["policy", "explain", "needy", "GET https://api.example.com/"]);
    assert!(
        explained.stdout.contains("\"allowed\": true") && explained.stdout.contains("\"in_force\": true"),
        "{}",
        explained.stdout
    );
}

#[test]
fn rules_that_are_not_in_force_are_shown_as_that() {
    let (home, _) = needy();
    let ceiling = home.policy_file("ceiling.yaml", "{network: {allow: [{host: \"*.example.com\"}]}}");
    let within = |arguments: &[&str]| home.run(&[&["--ceiling", &ceiling], arguments].concat());
    home.grant(&["network", "needy", "api.example.com"]);
    home.grant(&["network", "needy", "example.org"]);
    let json = |arguments: &[&str]| -> Json { serde_json::from_str(&within(arguments).stdout).unwrap() };
    let explained = json(&["policy", "explain", "needy", "GET https://api.example.com/"]);
    assert_eq!(
        (&explained["allowed"], &explained["in_force"], &explained["rule"]),
        (&json!(false), &json!(false), &Json::Null)
    );
    let text = explained["text"].as_str().unwrap();
    assert!(
        text.contains("not within the operator's ceiling") && text.contains("its rules alone say: allowed: "),
        "{text}"
    );
    assert_eq!(json(&["policy", "get", "needy"])["in_force"], false);
    let text = within(&["policy", "get", "needy", "-o", "yaml"]).stdout;
    assert!(
        text.starts_with("# nothing of it is in force: its policy"),
        "{text}"
    );
    let text = home.file("not-in-force.yaml", text.as_bytes());
    home.json(&["policy", "check", text.to_str().unwrap()]);
    assert_eq!(home.json(&["policy", "get", "needy"])["in_force"], true);
}

#[test]
fn a_ceiling_that_changes_or_breaks_while_serving_counts_at_once() {
    let (home, _) = needy();
    let ceiling = home.path().join("ceiling.yaml");
    let write = |text: &str| std::fs::write(&ceiling, text).unwrap();
    write("version: \"1.0\"\n");
    let mut client = Client::initialized(&home, &["--ceiling", ceiling.to_str().unwrap()]);
    let mut now = || client.call("needy_now", json!({})).to_string();
    assert!(now().contains("structuredContent"));
    write("version: \"1.0\"\npermissions: {netwrk: {}}\n");
    let broken = now();
    assert!(
        broken.contains("unavailable: the operator's ceiling cannot be used\""),
        "{broken}"
    );
    assert!(
        !broken.contains(home.path().to_str().unwrap()),
        "no path of this machine: {broken}"
    );
    write("version: \"1.0\"\n# mended\n");
    assert!(now().contains("structuredContent"));
    write("version: \"1.0\"\nsources: [\"starter:*\"]\n");
    assert!(now().contains("does not allow components from where it came from"));
    std::fs::remove_file(&ceiling).unwrap();
    assert!(now().contains("ceiling cannot be used"));
    write("version: \"1.0\"\n");
    assert!(now().contains("structuredContent"));
}

#[test]
fn the_ceiling_says_from_where_components_are_loaded() {
    let home = Home::new();
    let path = home.wat("add");
    let ceiling = home.file("ceiling.yaml", b"version: \"1.0\"\nsources: [\"starter:*\"]\n");
    let ceiling = ceiling.to_str().unwrap();
    home.refused(
        &["--ceiling", ceiling, "component", "load", path.to_str().unwrap()],
        3,
        "no pattern of its `sources` matches",
    );
    home.json(&["--ceiling", ceiling, "component", "load", "starter:time"]);
}

#[test]
fn a_policy_file_is_checked_line_by_line() {
    let (home, _) = needy();
    let file = home.file(
        "bad.yaml",
        b"version: \"1.0\"\npermissions:\n  network:\n    alow:\n      - host: x.example.com\n",
    );
    let path = file.to_str().unwrap();
    let ran = home.refused(&["policy", "check", path], 1, &format!("error: {path}:4:5: "));
    assert!(
        ran.stderr.contains("hint: ") && ran.stderr.contains("`allow`"),
        "{}",
        ran.stderr
    );
    home.refused(&["policy", "attach", "needy", path], 1, &format!("{path}:4:5: "));
    home.refused(&["policy", "check", "missing.yaml"], 4, "cannot read");
    let large = home.file("large.yaml", &vec![b'#'; 10 << 20]);
    home.refused(&["policy", "check", large.to_str().unwrap()], 1, "more than");
    let binary = home.file("binary.yaml", b"version: \"1.0\"\n# \xff\n");
    home.refused(&["policy", "check", binary.to_str().unwrap()], 1, "not UTF-8");
    let relative = home.policy_file(
        "relative.yaml",
        "{storage: {allow: [{uri: \"fs://data/**\", access: [read]}]}}",
    );
    home.refused(&["policy", "check", &relative], 1, "relative.yaml:2:");
    let checked = home.json(&["policy", "check", &relative, "--base", "."]);
    assert_eq!(checked["status"], "policy is valid");
    let attached = home.json(&["policy", "attach", "needy", &relative, "--base", "."]);
    assert_eq!(attached["status"], "policy attached successfully");
}

#[test]
fn what_is_taken_back_is_what_was_there() {
    let (home, _) = needy();
    home.grant(&["memory", "needy", "1536Mi"]);
    let revoked = home.json(&["permission", "revoke", "memory", "needy"]);
    assert_eq!(revoked["rules"], json!(["limit memory 1536Mi"]));
    let again = home.json(&["permission", "revoke", "memory", "needy"]);
    assert_eq!(
        (&again["rules"], &again["status"]),
        (&json!([]), &json!("there was nothing to take back"))
    );
    let folder = home.path().canonicalize().unwrap().join("data");
    home.grant(&["storage", "needy", &uri(&folder), "--access", "read"]);
    let revoked = home.revoke(&["storage", "needy", &uri(&folder.join("part"))]);
    let denied = format!("storage deny \"{}/part\"", uri(&folder));
    assert_eq!(revoked["rules"], json!([denied]));
    let revoked = home.revoke(&["storage", "needy", &uri(&folder)]);
    let granted = format!("storage allow \"{}\" access read", uri(&folder));
    assert_eq!(revoked["rules"], json!([granted]));
    let unset = home.json(&["permission", "revoke", "secret", "needy", "token"]);
    assert_eq!(unset["status"], "there was nothing to take back");
    home.refused(
        &["permission", "revoke", "secret", "nobody", "token"],
        4,
        "nobody",
    );
}

#[test]
fn a_policy_that_could_not_be_attached_fails_its_check() {
    let home = Home::new();
    let folder = home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let check = |path: &str| {
        let rules = format!("{{storage: {{allow: [{{uri: \"fs://{path}\", access: [read]}}]}}}}");
        let file = home.policy_file("checked.yaml", &rules);
        home.run(&["policy", "check", &file, "-o", "json"])
    };
    let checked = |path: &str| -> Json { serde_json::from_str(&check(path).stdout).unwrap() };
    assert_eq!(checked(folder.to_str().unwrap())["missing"], json!([]));
    let missing = folder.join("not/there");
    let missing = missing.to_str().unwrap();
    assert_eq!(checked(missing)["missing"], json!([missing]));
    for kept in ["/proc/self", "/sys", "/run"] {
        let ran = check(kept);
        assert_eq!(ran.code, 3, "{kept}: {}", ran.stderr);
    }
}

#[test]
fn a_ceiling_is_checked_before_it_is_put_up() {
    let (home, _) = needy();
    home.grant(&["network", "needy", "api.example.com"]);
    let text = "version: \"1.0\"\npermissions: {network: {allow: [{host: api.example.org}]}}\nsources: [\"file:///**\"]\n";
    let file = home.file("ceiling.yaml", text.as_bytes());
    let file = file.to_str().unwrap();
    let checked = home.json(&["policy", "check", file, "--as-ceiling"]);
    assert_eq!(checked["status"], "ceiling is valid");
    assert_eq!(
        checked["rules"],
        json!(["network allow host \"api.example.org\""])
    );
    let why = checked["unavailable"]["needy"].as_str().unwrap();
    assert!(why.contains("api.example.com"), "{why}");
    let wrong = home.file("wrong.yaml", b"version: \"1.0\"\nsource: []\n");
    let wrong = wrong.to_str().unwrap();
    let at = format!("{wrong}:2:1: `source` is not a key of a ceiling");
    let ran = home.refused(&["policy", "check", wrong, "--as-ceiling"], 1, &at);
    assert!(
        ran.stderr.contains("\nhint: ") && !ran.stderr.contains('('),
        "{}",
        ran.stderr
    );
}

/// It matches nothing below the folder, so that nobody would look at the signatures that are required.
#[test]
fn a_ceiling_with_a_pattern_that_names_a_folder_is_refused() {
    let home = Home::new();
    let folder = home.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let is_refused = |pattern: &str, key: &str| {
        let text = format!("version: \"1.0\"\n{}\n", key.replace("PATTERN", pattern));
        let file = home.file("folder.yaml", text.as_bytes());
        let ran = home.run(&["policy", "check", file.to_str().unwrap(), "--as-ceiling"]);
        let hint = format!("\nhint: write `{pattern}/*`");
        assert_eq!(ran.stderr.contains(&hint), ran.code == 1, "{}", ran.stderr);
        ran.code == 1
    };
    let check = |pattern: &str| {
        let signers = "signers: [{identity: \"https://github.com/o/*\", issuer: \"https://i.example.com\"}]";
        let required = format!("signatures: [{{source: \"PATTERN\", {signers}}}]");
        let both = ["sources: [\"PATTERN\"]", &required].map(|key| is_refused(pattern, key));
        assert_eq!(both[0], both[1], "{pattern}");
        both[0]
    };
    let folder = format!("file://{}", folder.canonicalize().unwrap().display());
    assert!(check(&folder));
    for pattern in [
        format!("{folder}/**"),
        format!("{folder}/*"),
        format!("{folder}/a.wasm"),
    ] {
        assert!(!check(&pattern), "{pattern}");
    }
    let wasm = home.wat("add");
    let ceiling = home.file(
        "in-force.yaml",
        format!("version: \"1.0\"\nsources: [\"{folder}\", \"file:///**\"]\n").as_bytes(),
    );
    home.refused(
        &[
            "--ceiling",
            ceiling.to_str().unwrap(),
            "component",
            "load",
            wasm.to_str().unwrap(),
        ],
        1,
        "names a folder",
    );
}

#[test]
fn secrets_that_cannot_be_read_take_no_variables_with_them() {
    let (home, _) = needy();
    home.grant(&["environment-variable", "needy", "GRANTED"]);
    home.grant(&["secret", "needy", "token", "--host", "api.example.com"]);
    set_secret(&home, "needy", "token", b"hunter2\n");
    let folder = home.path().join(".config/wassette/secrets");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let kept: Vec<_> = files.filter(|path| path.ends_with("of-needy")).collect();
    std::fs::write(&kept[0], "damaged").unwrap();
    let call = [
        "tool",
        "invoke",
        "needy_read-env",
        "--env",
        "GRANTED=yes",
        "--args",
        r#"{"name": "GRANTED"}"#,
    ];
    let ran = home.run(&call);
    assert!(
        ran.code == 0 && ran.stdout.contains("yes"),
        "{} {}",
        ran.stdout,
        ran.stderr
    );
    assert!(ran.stderr.contains("secrets cannot be read"), "{}", ran.stderr);
}

#[test]
fn what_a_secret_lacks_is_explained() {
    let (home, _) = needy();
    let explain = |access: &str| {
        let explained = home.json(&["policy", "explain", "needy", access]);
        (
            explained["allowed"] == true,
            explained["text"].as_str().unwrap().to_owned(),
        )
    };
    home.grant(&["secret", "needy", "token", "--host", "api.example.com"]);
    let (allowed, text) = explain("secret token https://api.example.com/x");
    assert!(
        !allowed && text.contains("GET `https://api.example.com/x`"),
        "{text}"
    );
    home.grant(&["network", "needy", "api.example.com", "--method", "POST"]);
    let (allowed, text) = explain("POST https://api.example.com/x");
    let unset = "the secret `token` belongs on it and is not set; `wassette secret set needy token`";
    assert!(!allowed && text.contains(unset), "{text}");
    let denied = home.json(&["policy", "explain", "needy", "POST https://api.example.com/x"]);
    assert_eq!(denied["rule"], Json::Null);
    set_secret(&home, "needy", "token", b"hunter2\n");
    for access in [
        "POST https://api.example.com/x",
        "secret token POST https://api.example.com/x",
    ] {
        let (allowed, text) = explain(access);
        assert!(allowed, "{access}: {text}");
    }
    assert!(!explain("secret token https://api.example.com/x").0);
}

#[test]
fn a_secret_that_nothing_carries_is_told_until_a_request_does() {
    let (home, _) = needy();
    let rule = r#"secret "token" host "api.example.com" header "authorization""#;
    let granted = home.json(&[
        "permission",
        "grant",
        "secret",
        "needy",
        "token",
        "--host",
        "api.example.com",
    ]);
    assert_eq!(granted["unused"], json!([rule]));
    // The secret is for https.
    let plain = home.json(&[
        "permission",
        "grant",
        "network",
        "needy",
        "http://api.example.com",
    ]);
    assert_eq!(plain["unused"], json!([rule]));
    let used = home.json(&["permission", "grant", "network", "needy", "api.example.com"]);
    assert_eq!(used["unused"], Json::Null);

    let lines = r#"{secrets: {allow: [{name: token, host: a.example.com, header: X-Key}]}}"#;
    let file = home.policy_file("secret.yaml", lines);
    for command in [
        vec!["policy", "check", &file],
        vec!["policy", "attach", "needy", &file],
    ] {
        assert_eq!(
            home.json(&command)["unused"][0],
            r#"secret "token" host "a.example.com" header "x-key""#
        );
    }
    let shown = home.run(&["policy", "check", &file, "-o", "table"]).stdout;
    assert!(
        shown.contains("nothing carries `secret \"token\" host"),
        "{shown}"
    );
}

#[test]
fn policies_are_shown_compared_and_read_again() {
    let (home, _) = needy();
    home.grant(&[
        "network",
        "needy",
        "api.example.com",
        "--method",
        "GET",
        "--path",
        "/v1/**",
    ]);
    home.grant(&["secret", "needy", "token", "--host", "api.example.com"]);
    let text = home.run(&["policy", "get", "needy", "-o", "yaml"]).stdout;
    let file = home.file("again.yaml", text.as_bytes());
    let same = home.json(&["policy", "diff", "needy", file.to_str().unwrap()]);
    assert_eq!(
        (&same["relation"], &same["added"], &same["removed"]),
        (&json!("equal"), &json!([]), &json!([]))
    );
    let json = home.json(&["policy", "get", "needy"])["policy"].to_string();
    let as_json = home.file("again.json", json.as_bytes());
    assert_eq!(
        home.json(&["policy", "diff", "needy", as_json.to_str().unwrap()])["relation"],
        "equal"
    );
    let wider = home.policy_file("wider.yaml", "{network: {allow: [{host: api.example.com}]}}");
    let diff = home.json(&["policy", "diff", "needy", &wider]);
    assert_eq!(diff["relation"], "neither", "{diff}");
    let shown = home.json(&["component", "show", "needy"]);
    assert_eq!(shown["rules"], home.rules("needy"));
}

#[test]
fn hidden_functions_are_no_tools() {
    let (home, _) = needy();
    let file = home.policy_file("hidden.yaml", "{tools: {deny: [\"read-*\"]}}");
    home.json(&["policy", "attach", "needy", &file]);
    let tools = home.run(&["tool", "list"]).stdout;
    assert!(
        !tools.contains("needy_read-") && tools.contains("needy_now"),
        "{tools}"
    );
    home.refused(&["tool", "invoke", "needy_read-stdin"], 4, "unknown tool");
    // A pattern that hides nothing is a mistake, mostly.
    let file = home.policy_file("mistaken.yaml", "{tools: {deny: [\"read-*\", \"reed-*\", now2]}}");
    let attached = home.json(&["policy", "attach", "needy", &file]);
    assert_eq!(attached["unmatched"], json!(["now2", "reed-*"]));
    let said = home
        .run(&["policy", "attach", "needy", &file, "-o", "table"])
        .stdout;
    let warning = "warning: `tools.deny` hides nothing with `reed-*`";
    assert!(
        said.contains(warning) && !said.contains("with `read-*`"),
        "{said}"
    );
    // They come back with the policy, not with a new load.
    home.load(&guest("needy"));
    assert!(!home.run(&["tool", "list"]).stdout.contains("needy_read-"));
    home.json(&["permission", "reset", "needy"]);
    assert!(home.run(&["tool", "list"]).stdout.contains("needy_read-stdin"));
    let ceiling = home.policy_file("ceiling.yaml", "{tools: {deny: [\"write-*\"]}}");
    let below = home.run(&["--ceiling", &ceiling, "tool", "list"]).stdout;
    assert!(
        !below.contains("needy_write-") && below.contains("needy_read-stdin"),
        "{below}"
    );
}

#[test]
fn grants_and_secrets_stay_with_an_origin_and_go_with_it() {
    let home = Home::new();
    let path = home.wat("add");
    home.load(&path);
    home.grant(&["network", "add", "api.example.com"]);
    set_secret(&home, "add", "token", b"hunter2\n");
    // New bytes from the same place: everything stays.
    std::fs::copy(home.wat("divide"), &path).unwrap();
    home.load(&path);
    assert_eq!(home.rules("add").as_array().unwrap().len(), 1);
    assert_eq!(secrets(&home, "add"), json!([{"key": "token"}]));
    // The same id from elsewhere starts from nothing.
    let other = home.wat("greet");
    home.json(&[
        "component",
        "load",
        other.to_str().unwrap(),
        "--name",
        "add",
        "--replace",
    ]);
    assert_eq!((home.rules("add"), secrets(&home, "add")), (json!([]), json!([])));
    home.grant(&["network", "add", "api.example.com"]);
    set_secret(&home, "add", "token", b"hunter2\n");
    home.json(&["component", "unload", "add"]);
    home.json(&["component", "load", other.to_str().unwrap(), "--name", "add"]);
    assert_eq!((home.rules("add"), secrets(&home, "add")), (json!([]), json!([])));
}

#[track_caller]
fn set_secret(home: &Home, id: &str, name: &str, input: &[u8]) {
    let ran = secret_set(home, id, name, input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

fn secret_set(home: &Home, id: &str, name: &str, input: &[u8]) -> Ran {
    use std::io::Write;
    let mut command = home.command(&["secret", "set", id, name]);
    command
        .env("WASSETTE_SECRETS_BACKEND", "file")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses the name may end without reading.
    let _written = child.stdin.take().unwrap().write_all(input);
    Ran::of(child.wait_with_output().unwrap())
}

fn secrets(home: &Home, id: &str) -> Json {
    home.json(&["secret", "list", id])["secrets"].clone()
}

#[test]
fn secrets_are_kept_listed_by_name_and_forgotten() {
    let home = Home::new();
    home.load(&home.wat("add"));
    set_secret(&home, "add", "token", b"hunter2\n");
    assert_eq!(secrets(&home, "add"), json!([{"key": "token"}]));
    for (input, reason) in [
        (&b"two\nlines\n"[..], "line break"),
        (b"a\0b", "control"),
        (b"\n", "empty"),
        (b"", "empty"),
        (b"\xff", "cannot read the value"),
    ] {
        let ran = secret_set(&home, "add", "other", input);
        assert_eq!(ran.code, 1, "{input:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{input:?}: {}", ran.stderr);
    }
    assert_eq!(secret_set(&home, "add", "../x", b"v").code, 2);
    assert_eq!(secret_set(&home, "nobody", "token", b"v").code, 4);
    let typed = home.run(&["secret", "set", "add", "typed=hunter3"]);
    assert_eq!(typed.code, 0, "{}", typed.stderr);
    assert!(
        typed.stderr.contains("warning: ") && !typed.stderr.contains("hunter3"),
        "{}",
        typed.stderr
    );
    assert_eq!(secrets(&home, "add"), json!([{"key": "token"}, {"key": "typed"}]));
    let gone = home.json(&["secret", "delete", "add", "token", "never"]);
    assert_eq!(gone["deleted"], json!(["token"]));
    home.refused(
        &["secret", "delete", "add", "never"],
        4,
        "`add` has no such secret",
    );
    assert_eq!(secrets(&home, "add"), json!([{"key": "typed"}]));
    // Neither the folder nor the audit file shows a value.
    let folder = home.path().join(".config/wassette/secrets");
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(
            !bytes.windows(6).any(|window| window == b"hunter"),
            "{:?}",
            entry.path()
        );
    }
    let audit = Json::from(home.audit()).to_string();
    assert!(
        audit.contains("secret.set") && !audit.contains("hunter"),
        "{audit}"
    );
}

#[test]
fn a_name_of_a_secret_that_means_nothing_is_told() {
    let home = Home::new();
    home.load(&home.wat("add"));
    set_secret(&home, "add", "token", b"hunter2\n");
    let gone = home.json(&["secret", "delete", "add", "token", "never"]);
    assert_eq!(
        (&gone["deleted"], &gone["missing"]),
        (&json!(["token"]), &json!(["never"]))
    );
    set_secret(&home, "add", "token", b"hunter2\n");
    let gone = home.run(&["secret", "delete", "add", "token", "never", "-o", "table"]);
    assert!(
        gone.code == 0 && gone.stdout.contains("not there: never"),
        "{}",
        gone.stdout
    );
    home.refused(
        &["secret", "set", "add", "a=1", "b=2", "a=3"],
        2,
        "`a` is named twice",
    );
    assert_eq!(secrets(&home, "add"), json!([]));
}

/// A server on loopback that answers every request with the request itself.
fn echo_server() -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<_> = lines
                .by_ref()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let body = head.join("\n");
            let mut stream = stream;
            let _client_may_be_gone = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn one_path_of_one_host_is_reached_when_it_is_granted() {
    let (home, _) = needy();
    let server = echo_server();
    let get = |path: &str| {
        let arguments = json!({ "url": format!("{server}{path}") }).to_string();
        home.run(&["tool", "invoke", "needy_get-url", "--args", &arguments])
    };
    assert_eq!(get("/docs/a").code, 5);
    home.grant(&["network", "needy", &format!("{server}/docs/")]);
    let reached = get("/docs/a");
    assert_eq!(reached.code, 0, "{}", reached.stderr);
    let beside = get("/other");
    assert_eq!(beside.code, 5);
    assert!(beside.stderr.contains("denied: GET"), "{}", beside.stderr);
    home.revoke(&["network", "needy", &format!("{server}/docs/")]);
    assert_eq!(get("/docs/a").code, 5);
}

#[test]
fn a_secret_reaches_its_host_and_never_the_component() {
    let home = Home::new();
    home.json(&["component", "load", "starter:fetch"]);
    let server = echo_server();
    let get = || {
        let arguments = json!({ "url": format!("{server}/x"), "form": "raw" }).to_string();
        home.run(&["tool", "invoke", "fetch_get", "--args", &arguments])
    };
    home.grant(&["network", "fetch", &server]);
    let plain = get();
    assert!(
        plain.code == 0 && !plain.stdout.contains("x-key"),
        "{} {}",
        plain.stdout,
        plain.stderr
    );
    home.grant(&["secret", "fetch", "token", "--host", &server, "--header", "X-Key"]);
    // Granted and not set: the request is not sent without it.
    assert_eq!(get().code, 5);
    set_secret(&home, "fetch", "token", b"hunter2-of-forty-two\n");
    let with = get();
    assert!(
        with.stdout.contains("x-key: ********************"),
        "{} {}",
        with.stdout,
        with.stderr
    );
    assert!(!with.stdout.contains("hunter2") && !with.stderr.contains("hunter2"));
    home.revoke(&["secret", "fetch", "token"]);
    assert!(!get().stdout.contains("x-key"));
}

#[test]
fn an_agent_sees_and_narrows_and_never_grants() {
    let (home, _) = needy();
    home.grant(&["network", "needy", "api.example.com"]);
    home.grant(&["network", "needy", "api.example.com", "--port", "8443"]);
    home.grant(&["environment-variable", "needy", "LANG"]);
    home.grant(&["memory", "needy", "32Mi"]);
    let mut client = Client::initialized(&home, &[]);
    let tools = client.tools();
    assert!(
        tools
            .iter()
            .all(|name| !name.contains("grant") && !name.contains("attach")),
        "{tools:?}"
    );
    let policy =
        client.call("get-policy", json!({"component_id": "needy"}))["result"]["structuredContent"].clone();
    assert_eq!(policy["status"], "policy found");
    assert_eq!(policy["rules"], home.rules("needy"));
    let mut revoke = |kind: &str, value: &str| {
        let arguments = json!({"component_id": "needy", "permission_type": kind, "value": value});
        client.call("revoke-permission", arguments)["result"].clone()
    };
    let answer = revoke("network", "api.example.com");
    assert_eq!(
        answer["structuredContent"]["status"], "permission revoked successfully",
        "{answer}"
    );
    assert_eq!(
        home.rules("needy"),
        json!(["environment allow \"LANG\"", "limit memory 32Mi"])
    );
    // What goes first is what was granted, and not what the name means alone.
    home.grant(&["network", "needy", "http://localhost:18080"]);
    let answer = revoke("network", "localhost");
    assert_eq!(
        answer["structuredContent"]["message"], "it counts from now on, also for calls that run",
        "{answer}"
    );
    assert!(!home.rules("needy").to_string().contains("localhost"));
    assert_eq!(revoke("memory", "32Mi")["isError"], true);
    assert_eq!(revoke("storage", "/x")["isError"], true);
    let answer = client.call("reset-permission", json!({"component_id": "needy"}));
    assert_eq!(
        answer["result"]["structuredContent"]["status"],
        "permissions reset successfully"
    );
    // A limit narrows, so it stays.
    assert_eq!(home.rules("needy"), json!(["limit memory 32Mi"]));
    let ends: Vec<_> = home
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "command.begin")
        .collect();
    let last = ends.last().unwrap();
    assert_eq!(
        (&last["command"], &last["subject"]),
        (&json!("reset"), &json!("needy"))
    );
}

/// Written out, it is longer than what was read, and than what is read at the next start.
#[test]
fn a_policy_that_could_not_be_read_again_is_not_attached() {
    let (home, _) = needy();
    let hosts: Vec<_> = (0..30_000)
        .map(|n| format!("{{host: h{n:05}.example.com}}"))
        .collect();
    let policy = home.policy_file(
        "policy.yaml",
        &format!("{{network: {{allow: [{}]}}}}", hosts.join(", ")),
    );
    home.refused(&["policy", "check", &policy], 1, "when all of it is written out");
    home.refused(
        &["policy", "attach", "needy", &policy],
        1,
        "when all of it is written out",
    );
    assert_eq!(home.rules("needy"), json!([]));
}

/// The first example of the documents: everything of a folder but one thing below it.
#[test]
fn a_folder_with_something_denied_below_it_is_listed_without_it() {
    let (home, folder) = needy();
    std::fs::create_dir(folder.join("private")).unwrap();
    let folder = folder.display();
    let permissions = format!(
        "{{storage: {{allow: [{{uri: \"fs://{folder}/**\", access: [read]}}], deny: [{{uri: \"fs://{folder}/private/**\"}}]}}}}"
    );
    let policy = home.policy_file("policy.yaml", &permissions);
    home.json(&["policy", "attach", "needy", &policy]);
    let mut client = Client::initialized(&home, &[]);
    let mut call = |tool: &str, path: &str| client.call(tool, json!({ "path": path }))["result"].clone();
    let listed = call("needy_list-dir", &folder.to_string());
    assert_eq!(listed["isError"], false, "{listed}");
    let text = listed["structuredContent"].to_string();
    assert!(text.contains("a.txt") && !text.contains("private"), "{text}");
    let denied = call("needy_list-dir", &format!("{folder}/private"));
    assert_eq!(denied["isError"], true, "{denied}");
}

#[test]
fn an_agent_cannot_exchange_the_bytes_of_what_was_granted_something() {
    let home = Home::new();
    let path = home.wat("add");
    home.load(&path);
    home.grant(&["environment-variable", "add", "LANG"]);
    let mut client = Client::initialized(&home, &[]);
    let mut load = || client.call("load-component", json!({ "path": "./add.wasm" }))["result"].clone();
    assert_eq!(load()["isError"], false, "the same bytes");
    let divide = std::fs::read(home.wat("divide")).unwrap();
    std::fs::write(&path, divide).unwrap();
    let refused = load();
    assert_eq!(refused["isError"], true);
    let text = refused["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("exchange the bytes of a component that has grants"),
        "{text}"
    );
    home.json(&["permission", "reset", "add"]);
    assert_eq!(load()["isError"], false);
}

#[test]
fn every_change_is_in_the_audit_file_with_its_rule() {
    let (home, folder) = needy();
    home.grant(&["storage", "needy", &uri(&folder), "--access", "read"]);
    home.refused(
        &[
            "permission",
            "grant",
            "storage",
            "needy",
            "fs:///proc",
            "--access",
            "read",
        ],
        3,
        "system",
    );
    let audit = home.audit();
    let rule = json!([format!("storage allow \"{}\" access read", uri(&folder))]);
    let of = |event: &str| {
        let lines = audit.iter().filter(|line| line["event"] == event);
        lines.cloned().collect::<Vec<_>>()
    };
    let (begins, ends) = (of("command.begin"), of("command.end"));
    let [_, granted, refused] = begins.as_slice() else {
        panic!("{begins:?}")
    };
    assert_eq!(
        (&granted["command"], &granted["subject"], &granted["rules"]),
        (&json!("grant"), &json!("needy"), &rule)
    );
    assert_eq!(
        refused["rules"],
        json!(["storage allow \"fs:///proc\" access read"])
    );
    let outcomes: Vec<_> = ends.iter().map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes, ["ok", "ok", "denied"]);
    assert_eq!(ends[1]["rules"], rule);
}

#[test]
fn grants_of_many_processes_at_once_are_all_there() {
    let (home, _) = needy();
    let start = |n: usize| {
        let host = format!("host{n}.example.com");
        let mut command = home.command(&["permission", "grant", "network", "needy", &host]);
        command
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..6).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(home.rules("needy").as_array().unwrap().len(), 6);
}

#[test]
fn a_component_does_not_turn_its_one_file_into_the_folder_around_it() {
    let home = Home::new();
    home.load(&guest("files"));
    let folder = home.path().join("r");
    std::fs::create_dir(&folder).unwrap();
    for name in ["state.txt", "secret.txt"] {
        std::fs::write(folder.join(name), name).unwrap();
    }
    let file = folder.join("state.txt");
    let document = format!(
        "version: \"1.0\"\npermissions:\n  storage:\n    allow: [{{uri: \"fs://{}\", access: [read, write]}}]\n",
        file.display()
    );
    let policy = home.file("p.yaml", document.as_bytes());
    let attach = || home.json(&["policy", "attach", "files", policy.to_str().unwrap()]);
    let run = |steps: &str| {
        let below = folder.to_str().unwrap().trim_start_matches('/');
        let arguments = json!({ "steps": steps.replace("{r}", below) }).to_string();
        home.json(&["tool", "invoke", "files_run", "--args", &arguments])["result"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    attach();
    let tried =
        run("pre d /\nunlink d {r}/state.txt\nsymlink d . {r}/state.txt\nsymlink d secret.txt {r}/state.txt");
    assert_eq!(tried, "ok\nerror access\nerror access\nerror access");
    std::fs::write(&file, "again").unwrap();
    attach();
    let tried = run("pre d /\ngrab d {r}/state.txt\ngrab d {r}/secret.txt");
    assert!(
        tried.contains("again") && tried.contains("error access"),
        "{tried}"
    );
}

#[test]
fn the_audit_file_says_what_was_taken_and_why_not() {
    let (home, _) = needy();
    let commands = || {
        let lines = home.audit().into_iter();
        let lines = lines.filter(|line| {
            line["event"]
                .as_str()
                .is_some_and(|event| event.starts_with("command"))
        });
        lines.collect::<Vec<_>>()
    };
    let last = || commands().pop().unwrap();
    home.grant(&["memory", "needy", "128Mi"]);
    let revoked = home.revoke(&["memory", "needy"]);
    assert_eq!(revoked["message"], "taken back from needy, from its next call on");
    let [.., begun, ended] = &*commands() else {
        panic!()
    };
    assert_eq!(begun["rules"], json!(["limit memory"]));
    assert_eq!(ended["rules"], json!(["limit memory 128Mi"]));

    home.grant(&["network", "needy", "a.example.com"]);
    home.grant(&["environment-variable", "needy", "LANG"]);
    let reset = home.json(&["permission", "reset", "needy"]);
    let gone = json!([
        "network allow host \"a.example.com\"",
        "environment allow \"LANG\""
    ]);
    assert_eq!((&last()["rules"], &reset["rules"]), (&gone, &gone));

    let ceiling = home.policy_file("ceiling.yaml", "{network: {allow: [{host: \"*.example.com\"}]}}");
    let refused = home.run(&[
        "--ceiling",
        &ceiling,
        "permission",
        "grant",
        "network",
        "needy",
        "b.example.org",
    ]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    let reason = last()["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.contains("b.example.org") && reason.contains("ceiling"),
        "{reason}"
    );

    // A component that is unavailable has no tools, and whoever calls one all the same is seen.
    home.grant(&["network", "needy", "b.example.org"]);
    let called = home.run(&[
        "--ceiling",
        &ceiling,
        "tool",
        "invoke",
        "needy_get-url",
        "--args",
        "{\"url\": \"x\"}",
    ]);
    assert_ne!(called.code, 0);
    let audit = home.audit();
    let [.., begun, ended] = &*audit else { panic!() };
    assert_eq!(
        (&begun["event"], &begun["tool"]),
        (&json!("call.begin"), &json!("needy_get-url"))
    );
    assert_eq!(
        (&ended["event"], &ended["outcome"]),
        (&json!("call.end"), &json!("unavailable"))
    );
    assert!(
        ended["reason"].as_str().unwrap().contains("b.example.org"),
        "{ended}"
    );
}

#[test]
fn a_store_has_secrets_of_its_own() {
    let home = Home::new();
    home.json(&["component", "load", "starter:fetch"]);
    set_secret(&home, "fetch", "token", b"hunter2");
    let other = home.path().join("other");
    let there =
        |arguments: &[&str]| home.json(&[&["--component-dir", other.to_str().unwrap()], arguments].concat());
    there(&["component", "load", "starter:fetch"]);
    assert_eq!(there(&["secret", "list", "fetch"])["secrets"], json!([]));
    there(&["component", "unload", "fetch"]);
    assert_eq!(
        home.json(&["secret", "list", "fetch"])["secrets"],
        json!([{ "key": "token" }])
    );
    let folders = std::fs::read_dir(home.path().join(".config/wassette")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.to_string_lossy().contains("secrets")) {
        let uri = format!("fs://{}", folder.display());
        let refused = home.run(&[
            "permission",
            "grant",
            "storage",
            "fetch",
            &uri,
            "--access",
            "read",
        ]);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
    }
}

#[test]
fn a_part_of_what_was_granted_is_taken_back_whatever_it_was_granted_for() {
    let (home, _) = needy();
    home.grant(&[
        "network",
        "needy",
        "10.0.0.0/8",
        "--port",
        "5432",
        "--protocol",
        "tcp",
    ]);
    home.grant(&["network", "needy", "http://a.example.com:8080"]);
    let allows = |access: &str| {
        home.json(&["policy", "explain", "needy", access])["allowed"]
            .as_bool()
            .unwrap()
    };
    assert!(allows("connect tcp 10.0.0.5:5432") && allows("DELETE http://a.example.com:8080/x"));
    let taken = home.revoke(&["network", "needy", "10.0.0.0/16"]);
    let denied = "network deny cidr \"10.0.0.0/16\" ports 5432 protocols tcp";
    assert_eq!(taken["rules"], json!([denied]));
    assert!(!allows("connect tcp 10.0.0.5:5432") && allows("connect tcp 10.1.0.5:5432"));
    home.revoke(&["network", "needy", "a.example.com:8080", "--method", "DELETE"]);
    assert!(!allows("DELETE http://a.example.com:8080/x") && allows("GET http://a.example.com:8080/x"));
    // The words of a grant give it back.
    home.grant(&[
        "network",
        "needy",
        "http://a.example.com:8080",
        "--method",
        "DELETE",
    ]);
    home.grant(&[
        "network",
        "needy",
        "10.0.0.0/16",
        "--port",
        "5432",
        "--protocol",
        "tcp",
    ]);
    assert!(allows("DELETE http://a.example.com:8080/x") && allows("connect tcp 10.0.0.5:5432"));
    home.revoke(&["network", "needy", "10.0.0.0/16"]);
    // A host that may have an address in a range is not what was named.
    for other in [
        "10.0.0.9",
        "192.0.2.0/24",
        "93.184.0.0/16",
        "128.0.0.0/2",
        "b.example.com",
        "a.example.com:9090",
    ] {
        let nothing = home.revoke(&["network", "needy", other]);
        assert_eq!(nothing["status"], "there was nothing to take back", "{other}");
    }
}
