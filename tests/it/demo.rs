//! The first command of the README.

use crate::support::Home;

#[test]
fn the_demo_shows_the_main_job_and_leaves_nothing_behind() {
    let home = Home::new();
    let ran = home.run(&["demo"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for text in [
        "time_now(",
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "denied: read `/etc/passwd`; it lacks a storage grant for `fs:///etc/passwd` with read",
        "denied: GET `https://example.com/`; it lacks a network grant",
        "denied: read environment variables; it lacks",
        "\"buy milk\"",
        "diary.txt`; it lacks a storage grant",
        "link.txt`; it lacks a way within what was granted",
        "denied: create `",
        "cpu limit of 1s reached",
        "stack limit reached",
        "refused more than its limit of 128 MiB",
        "it forged a protocol message, which was kept apart",
        "0f6203d23a9978df793873fe25ffe6147e957c1c259a2a3de123197fe53071d0",
        "claude mcp add wassette --",
        "codex mcp add wassette --",
        "code --add-mcp",
        "gemini mcp add wassette",
    ] {
        assert!(ran.stdout.contains(text), "`{text}` is not in:\n{}", ran.stdout);
    }
    assert!(!home.store().exists(), "the demo uses a store of its own");
}
