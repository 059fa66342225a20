//! `wassette client`: what it writes into the settings of other programs, and what it leaves alone.

use crate::support::{Home, Ran};
use serde_json::{Value as Json, json};
use std::os::unix::fs::PermissionsExt as _;

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_client_is_told_where_the_program_is() {
    let home = Home::new();
    let file = home.path().join(".codex/config.toml");
    let shown = home.json(&["client", "add", "codex", "--dry-run"]);
    assert_eq!((&shown["changed"], file.exists()), (&json!(false), false));
    // Nobody is at a terminal who could be asked.
    let ran = home.run(&["client", "add", "codex"]);
    assert!(ran.code == 2 && ran.stderr.contains("--yes"), "{ran:?}");
    assert!(
        ran.stderr.contains("+[mcp_servers.wassette]") && !file.exists(),
        "{ran:?}"
    );
    let added = home.json(&["client", "add", "codex", "--yes", "--", "--disable-builtin-tools"]);
    assert_eq!((&added["changed"], &added["backup"]), (&json!(true), &Json::Null));
    let text = std::fs::read_to_string(&file).unwrap();
    let program = env!("CARGO_BIN_EXE_wassette");
    assert_eq!(
        text,
        format!(
            "[mcp_servers.wassette]\ncommand = \"{program}\"\nargs = [\"run\", \"--disable-builtin-tools\"]\n"
        )
    );
    assert_eq!(mode(&file), 0o600);
    let again = home.json(&["client", "add", "codex", "--yes", "--", "--disable-builtin-tools"]);
    assert_eq!(again["changed"], json!(false));
    let listed = home.json(&["client", "list"]);
    let states: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["client"].as_str().unwrap(), one["state"].as_str().unwrap()))
        .collect();
    assert!(
        states.contains(&("codex", "added")) && states.contains(&("gemini", "no-file")),
        "{states:?}"
    );
    let removed = home.json(&["client", "remove", "codex", "--yes"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
    assert!(std::fs::read_to_string(removed["backup"].as_str().unwrap()).unwrap() == text);
}

#[test]
fn what_a_person_wrote_stays_and_is_kept() {
    let home = Home::new();
    let text = "{\n  // my theme\n  \"theme\": \"dark\"\n}\n";
    let kept = home.file("dotfiles.json", text.as_bytes());
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::create_dir(home.path().join(".gemini")).unwrap();
    let file = home.path().join(".gemini/settings.json");
    std::os::unix::fs::symlink(&kept, &file).unwrap();
    let added = home.json(&["client", "add", "gemini", "--yes"]);
    assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
    let now = std::fs::read_to_string(&file).unwrap();
    assert!(
        now.contains("// my theme") && now.contains("\"wassette\""),
        "{now}"
    );
    assert_eq!(mode(&kept), 0o644);
    let backup = added["backup"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(backup).unwrap(), text);
    // A second copy does not take the first one's place.
    home.json(&["client", "remove", "gemini", "--yes"]);
    assert_eq!(std::fs::read_to_string(backup).unwrap(), text);
    // What is not understood is not touched.
    std::fs::write(&kept, "{ \"mcpServers\": [").unwrap();
    let ran = home.run(&["client", "add", "gemini", "--yes"]);
    assert!(ran.code == 1 && ran.stderr.contains("is not changed"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "{ \"mcpServers\": [");
}

#[test]
fn a_link_to_a_file_that_is_not_there_yet_stays_a_link() {
    use std::os::unix::fs::symlink;
    let home = Home::new();
    std::fs::create_dir(home.path().join(".gemini")).unwrap();
    let link = home.path().join(".gemini/settings.json");
    symlink("../first.json", &link).unwrap();
    symlink("dotfiles/gemini.json", home.path().join("first.json")).unwrap();
    home.json(&["client", "add", "gemini", "--yes"]);
    let text = std::fs::read_to_string(home.path().join("dotfiles/gemini.json")).unwrap();
    assert!(text.contains("\"wassette\""), "{text}");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());

    // Links in a circle, and a folder that cannot be made.
    for (to, reason) in [
        ("first.json", "leads nowhere"),
        ("/proc/none/gemini.json", "cannot write"),
    ] {
        std::fs::remove_file(home.path().join("first.json")).unwrap();
        symlink(to, home.path().join("first.json")).unwrap();
        let ran = home.run(&["client", "add", "gemini", "--yes"]);
        assert!(ran.code == 1 && ran.stderr.contains(reason), "{ran:?}");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            std::fs::read_link(home.path().join("first.json")).unwrap(),
            std::path::Path::new(to)
        );
    }
}

#[test]
fn opencode_has_its_settings_where_xdg_says() {
    let home = Home::new();
    for (folder, file) in [("", ".config"), ("relative", ".config"), ("/xdg", "xdg")] {
        let folder = match folder.strip_prefix('/') {
            Some(name) => home.path().join(name),
            None => folder.into(),
        };
        let add = ["client", "add", "opencode", "--yes"];
        let added = Ran::of(
            home.command(&add)
                .env("XDG_CONFIG_HOME", folder)
                .output()
                .unwrap(),
        );
        let added: Json = serde_json::from_str(&added.stdout).unwrap();
        let file = home.path().join(file).join("opencode/opencode.json");
        assert_eq!(added["file"], json!(file));
        assert!(std::fs::read_to_string(file).unwrap().contains("wassette"));
    }
}

#[test]
fn the_change_is_shown_as_it_is_written_and_nothing_of_others() {
    let home = home_with_token();
    let text = "\u{feff}{\n  \"mcpServers\": {\n    \"x\": {\"env\": {\"KEY\": \"sk-1\"}}\n  }\n}\n";
    let file = home.file(".claude.json", text.as_bytes());
    let add = ["client", "add", "claude-code", "--yes", "--url", HERE];
    let ran = home.run(&add);
    let head = format!("{}, `mcpServers.wassette`:\n", file.display());
    let lines = r#"+    "wassette": {
+      "type": "http",
+      "url": "http://127.0.0.1:9001/mcp",
+      "headers": {
+        "Authorization": "Bearer wst_…"
+      }
+    }
"#;
    assert_eq!((ran.code, ran.stderr), (0, format!("{head}{lines}")));
    let with = std::fs::read_to_string(&file).unwrap();
    assert!(with.starts_with(text.split("\n  }").next().unwrap()), "{with}");

    // Another token alone.
    home.file(".config/wassette/http-token", b"wst_another-another-another\n");
    let ran = home.run(&add);
    assert_eq!(
        (ran.code, ran.stderr),
        (0, format!("{head}only what is not shown changes\n"))
    );

    // What a person put there stays, and only what changes is shown.
    let with = std::fs::read_to_string(&file).unwrap();
    home.file(
        ".claude.json",
        with.replace("\"type\"", "\"timeout\": 9,\n      \"type\"")
            .as_bytes(),
    );
    let ran = home.run(&[
        "client",
        "add",
        "claude-code",
        "--yes",
        "--url",
        "https://mcp.example.com/",
    ]);
    let lines = r#"-      "url": "http://127.0.0.1:9001/mcp",
-      "headers": {
-        "Authorization": "Bearer wst_…"
-      }
+      "url": "https://mcp.example.com/"
"#;
    assert_eq!((ran.code, ran.stderr), (0, format!("{head}{lines}")));
    let now = std::fs::read_to_string(&file).unwrap();
    assert!(now.contains("\"timeout\": 9") && !now.contains("wst_"), "{now}");
}

#[test]
fn what_is_there_twice_is_not_touched() {
    let home = Home::new();
    let text = "{\"mcpServers\": {},\n\"mcpServers\": {}}";
    let file = home.file(".claude.json", text.as_bytes());
    for command in ["add", "remove"] {
        let ran = home.run(&["client", command, "claude-code", "--yes"]);
        assert_eq!(ran.code, 1);
        assert!(
            ran.stderr
                .contains("`mcpServers` is there twice, in line 1 and in line 2"),
            "{ran:?}"
        );
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

/// A home with a token of `wassette serve` in it.
fn home_with_token() -> Home {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join(".config/wassette")).unwrap();
    home.file(
        ".config/wassette/http-token",
        b"wst_secret-secret-secret-secret\n",
    );
    home
}

/// Settings that others can read.
fn readable(home: &Home, name: &str, text: &str) -> std::path::PathBuf {
    let file = home.file(name, text.as_bytes());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    file
}

const HERE: &str = "http://127.0.0.1:9001/mcp";

#[test]
fn nobody_else_can_read_a_file_with_a_token_in_it() {
    let home = home_with_token();
    let file = readable(&home, ".claude.json", "{}\n");
    let added = home.json(&["client", "add", "claude-code", "--yes", "--url", HERE]);
    assert!(std::fs::read_to_string(&file).unwrap().contains("wst_secret"));
    assert_eq!((mode(&file), &added["closed"]), (0o600, &json!(true)));
    let removed = home.json(&["client", "remove", "claude-code", "--yes"]);
    let backup = std::path::PathBuf::from(removed["backup"].as_str().unwrap());
    assert!(std::fs::read_to_string(&backup).unwrap().contains("wst_secret"));
    assert_eq!((mode(&file), mode(&backup)), (0o600, 0o600));
    assert_eq!(removed["closed"], Json::Null, "it was closed already");

    // A token that was written by an earlier version, or by hand, in any form.
    let text =
        format!(r#"{{"mcpServers": {{"wassette": {{"url": "{HERE}", "headers": {{"X": "other-form"}}}}}}}}"#);
    let file = readable(&home, ".claude.json", &text);
    let removed = home.run(&["client", "remove", "claude-code", "--yes", "--output", "table"]);
    assert!(removed.stdout.contains("for you alone now"), "{removed:?}");
    let backup = home.path().join(".claude.json.bak.2");
    assert_eq!(std::fs::read_to_string(&backup).unwrap(), text);
    assert_eq!((mode(&file), mode(&backup)), (0o600, 0o600));
}

#[test]
fn files_without_a_token_stay_as_open_as_they_are() {
    let home = Home::new();
    let file = readable(&home, ".claude.json", "{}\n");
    let added = home.json(&["client", "add", "claude-code", "--yes"]);
    let backup = std::path::PathBuf::from(added["backup"].as_str().unwrap());
    assert_eq!((mode(&file), mode(&backup)), (0o644, 0o644));
    assert_eq!(added["closed"], Json::Null);
}

#[test]
fn a_token_that_is_missing_is_missed() {
    let home = Home::new();
    let add = |url: &str| home.run(&["client", "add", "claude-code", "--yes", "--url", url]);
    let ran = add(HERE);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("no token is entered") && ran.stderr.contains("wassette serve"),
        "{ran:?}"
    );
    // There is none of ours for others.
    let ran = add("https://mcp.example.com/mcp");
    assert!(!ran.stderr.contains("no token"), "{ran:?}");
    std::fs::create_dir_all(home.path().join(".config/wassette/http-token")).unwrap();
    let ran = add(HERE);
    assert!(ran.code == 1 && ran.stderr.contains("http-token"), "{ran:?}");
}

#[test]
fn a_token_goes_to_this_machine_only_and_is_not_shown() {
    let home = home_with_token();
    let add = |url: &str| {
        let ran = home.run(&["client", "add", "claude-code", "--yes", "--url", url]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            !ran.stderr.contains("wst_secret") && !ran.stdout.contains("wst_secret"),
            "{ran:?}"
        );
        let text = std::fs::read_to_string(home.path().join(".claude.json")).unwrap();
        serde_json::from_str::<Json>(&text).unwrap()["mcpServers"]["wassette"].clone()
    };
    assert_eq!(
        add(HERE),
        json!({
            "type": "http",
            "url": HERE,
            "headers": {"Authorization": "Bearer wst_secret-secret-secret-secret"},
        })
    );
    assert_eq!(mode(&home.path().join(".claude.json")), 0o600);
    let listed = home.run(&["client", "list"]);
    assert!(
        listed.stdout.contains("127.0.0.1:9001") && !listed.stdout.contains("wst_secret"),
        "{listed:?}"
    );
    for elsewhere in [
        "https://mcp.example.com/mcp",
        "http://localhost.example.com/mcp",
        "http://127.0.0.1@example.com/",
    ] {
        assert_eq!(add(elsewhere), json!({"type": "http", "url": elsewhere}));
    }
    assert_eq!(
        home.run(&[
            "client",
            "add",
            "claude-desktop",
            "--yes",
            "--url",
            "http://127.0.0.1/mcp"
        ])
        .code,
        2
    );
}
