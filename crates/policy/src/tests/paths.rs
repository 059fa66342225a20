//! Absolute paths and the patterns over their segments.

use crate::pattern::{Glob, Segments, Shown};
use crate::{AbsolutePath, PATH_BYTES_MAX, ParsePathError, PathPattern};

#[track_caller]
fn path(text: &str) -> AbsolutePath {
    text.parse().unwrap()
}

#[test]
fn a_path_has_one_form() {
    for (text, form) in [("/", "/"), ("//a/./b//", "/a/b"), ("/a/.../b", "/a/.../b")] {
        assert_eq!(path(text).as_str(), form);
        assert_eq!(path(text).to_string(), form);
    }
    let longest = format!("/{}", "a".repeat(PATH_BYTES_MAX - 1));
    assert_eq!(path(&format!("/./{longest}")).as_str(), longest);
    for (text, error) in [
        ("", ParsePathError::Relative),
        ("a", ParsePathError::Relative),
        ("/a/../b", ParsePathError::Parent),
        ("/a\0", ParsePathError::Nul),
        (&format!("{longest}a"), ParsePathError::TooLong),
    ] {
        assert_eq!(text.parse::<AbsolutePath>(), Err(error));
    }
}

#[test]
fn a_path_is_taken_apart() {
    for (text, parent, name, segments) in [
        ("/", None, None, &[][..]),
        ("/a", Some("/"), Some("a"), &["a"][..]),
        ("/a/b", Some("/a"), Some("b"), &["a", "b"][..]),
    ] {
        let path = path(text);
        assert_eq!(path.parent().as_ref().map(AbsolutePath::as_str), parent);
        assert_eq!(path.name(), name);
        assert_eq!(path.segments().collect::<Vec<_>>(), segments);
        assert_eq!(path.is_root(), parent.is_none());
    }
    for (whole, folder, below) in [
        ("/a/b", "/", Some("a/b")),
        ("/a/b", "/a", Some("b")),
        ("/a/b", "/a/b", Some("")),
        ("/a/b", "/a/b/c", None),
        ("/ab", "/a", None),
        ("/", "/", Some("")),
    ] {
        assert_eq!(path(whole).below(&path(folder)), below);
    }
    assert_eq!(path("/a").join("b/./c"), Ok(path("/a/b/c")));
    assert_eq!(path("/").join(""), Ok(path("/")));
    assert_eq!(path("/a").join("../b"), Err(ParsePathError::Parent));
}

fn segments(text: &str) -> Segments {
    let (text, is_deep) = text
        .strip_suffix("/**")
        .map_or((text, false), |text| (text, true));
    let globs = text.split('/').filter(|segment| !segment.is_empty());
    Segments::new(globs.map(|glob| Glob::parse(glob).unwrap()).collect(), is_deep)
}

#[test]
fn a_pattern_is_asked_in_four_ways() {
    // Matches, covers the tree, touches the tree, leads through.
    for (pattern, text, answers) in [
        ("/a/*/c", "/", [false, false, true, false]),
        ("/a/*/c", "/a", [false, false, true, true]),
        ("/a/*/c", "/a/x", [false, false, true, true]),
        ("/a/*/c", "/a/x/c", [true, false, true, false]),
        ("/a/*/c", "/a/x/c/d", [false, false, false, false]),
        ("/a/*/c", "/a/x/d", [false, false, false, false]),
        ("/a/*/c", "/b", [false, false, false, false]),
        ("/a/*/c/**", "/a/x/c", [true, true, true, false]),
        ("/a/*/c/**", "/a/x/c/d", [true, true, true, false]),
        ("/a/*/c/**", "/a/x", [false, false, true, true]),
        ("/a/b/c*", "/a", [false, false, true, false]),
        ("/a/b/c*", "/a/b", [false, false, true, true]),
        ("/**", "/", [true, true, true, false]),
        ("/**", "/a", [true, true, true, false]),
    ] {
        let (pattern, path) = (segments(pattern), path(text));
        let found = [
            pattern.matches(path.segments()),
            pattern.covers_tree(path.segments()),
            pattern.touches_tree(path.segments()),
            pattern.leads_through(path.segments()),
        ];
        assert_eq!(found, answers, "{pattern} {text}");
    }
    for (pattern, fixed, prefix) in [("/**", 0, "/"), ("/a/b*/c", 1, "/a"), ("/a/b/**", 2, "/a/b")] {
        let pattern = segments(pattern);
        assert_eq!((pattern.fixed(), pattern.prefix().as_str()), (fixed, prefix));
    }
    for text in ["/", "/a", "/a*/b", "/a/**", "/**"] {
        assert_eq!(segments(text).to_string(), text);
    }
}

#[test]
fn a_glob_has_one_star_whose_sides_do_not_overlap() {
    for (glob, text, is_match) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("*", "", true),
        ("ab*ba", "aba", false),
        ("ab*ba", "abba", true),
        ("ab*ba", "abcba", true),
        ("ab*ba", "abcb", false),
        ("ab*", "ba", false),
    ] {
        assert_eq!(
            Glob::parse(glob).unwrap().matches(text),
            is_match,
            "{glob} {text}"
        );
    }
    assert_eq!(Glob::parse("a*b*"), None);
}

#[test]
fn a_tree_is_a_path_and_what_is_below() {
    let tree = PathPattern::tree(&path("/a/b"));
    assert_eq!(tree, PathPattern::storage("fs:///a/b", None).unwrap());
    assert_eq!(tree.prefix(), path("/a/b"));
    for (text, is_match) in [("/a", false), ("/a/b", true), ("/a/b/c", true), ("/a/bc", false)] {
        assert_eq!(tree.matches(&path(text)), is_match);
    }
}

#[test]
fn what_is_shown_is_bounded_and_has_no_control_characters() {
    assert_eq!(Shown("a\nb").to_string(), "a\\nb");
    let (fits, cut) = ("é".repeat(100), "é".repeat(101));
    assert_eq!(Shown(&fits).to_string(), fits);
    assert_eq!(Shown(&cut).to_string(), format!("{fits}…"));
}
