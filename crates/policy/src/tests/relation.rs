//! Which policy is within which, and what the first access is that says otherwise.

use super::policy;
use crate::{AccessText, Excess, Policy, PolicyDiff, Relation};

#[track_caller]
fn within(own: &[&str], ceiling: &[&str]) {
    assert_eq!(policy(own).within(&policy(ceiling)), Ok(()));
}

/// Checks the rule at fault and the rule that denies; the example is checked to be one by the decision.
#[track_caller]
fn exceeds(own: &[&str], ceiling: &[&str], rule: &str, denied: Option<&str>) -> AccessText {
    let (own, ceiling) = (policy(own), policy(ceiling));
    let Err(Excess::Access {
        rule: found,
        example,
        denied: by,
    }) = own.within(&ceiling)
    else {
        panic!("{:?}", own.within(&ceiling));
    };
    assert_eq!(&*found, rule);
    assert_eq!(by.as_deref(), denied);
    *example
}

#[test]
fn nothing_is_within_everything() {
    within(&[], &[]);
    within(&[], &["fs allow read /a"]);
    within(&["fs deny /a", "net deny host=*"], &[]);
}

#[test]
fn a_rule_is_within_a_wider_one() {
    within(&["fs allow read /a/b"], &["fs allow read /a"]);
    within(&["fs allow read /a/b"], &["fs allow write /a"]);
    within(&["fs allow read /a/*.log"], &["fs allow read /a"]);
    within(&["fs allow read /a/x*.log"], &["fs allow read /a/*.log"]);
    within(&["fs allow write /a/*/c/**"], &["fs allow write /a"]);
    within(&["fs allow read /a guest=/x"], &["fs allow read /a"]);
    within(
        &["net allow host=a.example.com"],
        &["net allow host=*.example.com"],
    );
    within(
        &["net allow host=*.a.example.com"],
        &["net allow host=*.example.com"],
    );
    within(
        &["net allow host=https://a.example.com/v1"],
        &["net allow host=a.example.com"],
    );
    within(&["net allow host=10.0.0.5"], &["net allow cidr=10.0.0.0/8"]);
    within(&["net allow cidr=10.1.0.0/16"], &["net allow cidr=10.0.0.0/8"]);
    within(
        &["net allow cidr=10.1.0.0/16 ports=80 protocols=tcp"],
        &["net allow cidr=10.0.0.0/8 ports=1-1024 protocols=tcp,udp"],
    );
    within(&["env A=1", "env B"], &["env A", "env B"]);
    within(
        &["secret t a.example.com x-key"],
        &["secret t *.example.com x-key", "secret t a.example.com x-other"],
    );
}

#[test]
fn several_rules_together_cover_one() {
    within(
        &["fs allow read /a/*"],
        &["fs allow read /a/x*", "fs allow read /a/*", "fs allow read /a/q"],
    );
    within(
        &["net allow cidr=10.0.0.0/8"],
        &["net allow cidr=10.0.0.0/9", "net allow cidr=10.128.0.0/9"],
    );
    within(
        &["net allow host=a.example.com ports=80-90 methods=GET,POST"],
        &[
            "net allow host=a.example.com ports=80-85 methods=GET",
            "net allow host=*.example.com ports=86-100",
            "net allow host=a.example.com ports=1-85 methods=POST",
        ],
    );
    exceeds(
        &["net allow cidr=10.0.0.0/8"],
        &[
            "net allow cidr=10.0.0.0/9",
            "net allow cidr=10.128.0.0/10",
            "net allow cidr=10.192.0.0/11",
        ],
        "network allow cidr \"10.0.0.0/8\"",
        None,
    );
    exceeds(
        &["net allow host=a.example.com ports=80-90"],
        &[
            "net allow host=a.example.com ports=80-85",
            "net allow host=a.example.com ports=87-90",
        ],
        "network allow host \"a.example.com\" ports 80-90",
        None,
    );
}

#[test]
fn a_gap_is_found_wherever_it_is() {
    let wide = "storage allow \"fs:///a\" access read";
    let example = exceeds(&["fs allow read /a"], &["fs allow read /a/b"], wide, None);
    assert_eq!(example.to_string(), "read /a");
    exceeds(&["fs allow read /a"], &["fs allow read /a/*"], wide, None);
    exceeds(
        &["fs allow read /a"],
        &["fs allow read /a", "fs deny /a/b/*/c*d/e"],
        wide,
        Some("storage deny \"fs:///a/b/*/c*d/e\""),
    );
    exceeds(
        &["fs allow write /a"],
        &["fs allow read /a", "fs allow write /a/b"],
        "storage allow \"fs:///a\" access read,write",
        None,
    );
    exceeds(
        &["fs allow read /a submounts"],
        &["fs allow read /a"],
        "storage allow \"fs:///a\" access read submounts",
        None,
    );
    within(
        &["fs allow read /a submounts"],
        &["fs allow read / submounts".replace("/ ", "/a ").as_str()],
    );
    exceeds(
        &["fs allow read /a/*x"],
        &["fs allow read /a/x*"],
        "storage allow \"fs:///a/*x\" access read",
        None,
    );
    // Beginning and end may overlap: `aba` has both.
    exceeds(
        &["fs allow read /a/ab*"],
        &["fs allow read /a/ab*", "fs deny /a/*ba"],
        "storage allow \"fs:///a/ab*\" access read",
        Some("storage deny \"fs:///a/*ba\""),
    );
    // The policy leaves out `ab…ba` where they do not overlap; `aba` is what is left.
    let example = exceeds(
        &["fs allow read /r/ab*", "fs deny /r/abc*", "fs deny /r/abb*"],
        &["fs allow read /r/ab*", "fs deny /r/aba"],
        "storage allow \"fs:///r/ab*\" access read",
        Some("storage deny \"fs:///r/aba\""),
    );
    assert_eq!(example.to_string(), "read /r/aba");
}

#[test]
fn hosts_ports_methods_and_paths_are_each_compared() {
    let rule = "network allow host \"a.example.com\"";
    let own = ["net allow host=a.example.com"];
    exceeds(&own, &[], rule, None);
    exceeds(&own, &["net allow host=*.a.example.com"], rule, None);
    exceeds(
        &own,
        &["net allow host=a.example.com methods=GET,POST"],
        rule,
        None,
    );
    exceeds(
        &own,
        &[
            "net allow host=a.example.com paths=/**,/a",
            "net deny host=a.example.com paths=/a/b*",
        ],
        rule,
        Some("network deny host \"a.example.com\" paths /a/b*"),
    );
    exceeds(
        &own,
        &[
            "net allow host=a.example.com",
            "net deny host=a.example.com methods=DELETE",
        ],
        rule,
        Some("network deny host \"a.example.com\" methods DELETE"),
    );
    within(
        &own,
        &[
            "net allow host=a.example.com",
            "net deny host=a.example.com schemes=http",
        ],
    );
    exceeds(
        &["net allow host=*.example.com"],
        &["net allow host=*.example.com", "net deny host=*.b.example.com"],
        "network allow host \"*.example.com\"",
        Some("network deny host \"*.b.example.com\""),
    );
    within(
        &["net allow host=*.example.com", "net deny host=*.b.example.com"],
        &["net allow host=*.example.com", "net deny host=*.c.b.example.com"],
    );
    exceeds(
        &["net allow host=a.example.com schemes=http,https"],
        &["net allow host=a.example.com"],
        "network allow host \"a.example.com\" schemes http,https",
        None,
    );
}

#[test]
fn what_a_name_may_lead_to_is_compared() {
    let own = [
        "net allow host=a.example.com",
        "net allow cidr=10.0.0.0/8 methods=GET",
    ];
    let example = exceeds(
        &own,
        &[
            "net allow host=a.example.com",
            "net allow cidr=10.0.0.0/8 methods=GET",
            "net deny cidr=93.184.0.0/16",
        ],
        "network allow host \"a.example.com\"",
        Some("network deny cidr \"93.184.0.0/16\""),
    );
    assert_eq!(
        example.to_string(),
        "dial 93.184.0.0 for GET https://a.example.com/"
    );
    within(
        &own,
        &["net allow host=*.example.com", "net allow cidr=10.0.0.0/7"],
    );
    // Without the range, the ceiling has the same requests but not the same addresses.
    exceeds(
        &["net allow host=a.example.com", "net allow host=10.0.0.5"],
        &[
            "net allow host=a.example.com",
            "net allow cidr=10.0.0.5/32 ports=8443",
            "net allow host=10.0.0.5 paths=/x",
        ],
        "network allow host \"10.0.0.5\"",
        None,
    );
    // An address that a rule names as a host is named for its usual port alone.
    let example = exceeds(
        &[
            "net allow host=a.example.com ports=8443",
            "net allow cidr=10.0.0.5/32",
        ],
        &[
            "net allow host=a.example.com ports=8443",
            "net allow host=10.0.0.5",
        ],
        "network allow host \"a.example.com\" ports 8443",
        None,
    );
    assert_eq!(
        example.to_string(),
        "dial 10.0.0.5 for GET https://a.example.com:8443/"
    );
    // A range that no name of the policy can lead to makes no difference.
    within(
        &["net allow host=a.example.com"],
        &["net allow host=a.example.com", "net deny cidr=169.254.0.0/16"],
    );
    within(
        &["net allow host=a.example.com", "net deny cidr=93.0.0.0/8"],
        &["net allow host=a.example.com", "net deny cidr=93.184.0.0/16"],
    );
    let example = exceeds(
        &["net allow host=localhost"],
        &["net allow host=localhost", "net deny cidr=127.0.0.0/9"],
        "network allow host \"localhost\"",
        Some("network deny cidr \"127.0.0.0/9\""),
    );
    assert_eq!(example.to_string(), "dial 127.0.0.0 for GET https://localhost/");
}

#[test]
fn sockets_are_compared() {
    let rule = "network allow cidr \"10.0.0.0/8\" ports 53 protocols udp";
    let own = ["net allow cidr=10.0.0.0/8 ports=53 protocols=udp"];
    within(&own, &["net allow cidr=10.0.0.0/8 ports=1-100 protocols=tcp,udp"]);
    exceeds(&own, &[], rule, None);
    exceeds(&own, &["net allow cidr=10.0.0.0/8"], rule, None);
    exceeds(
        &own,
        &["net allow cidr=10.0.0.0/8 ports=53 protocols=tcp"],
        rule,
        None,
    );
    exceeds(
        &own,
        &["net allow cidr=10.0.0.0/9 ports=53 protocols=udp"],
        rule,
        None,
    );
    exceeds(
        &own,
        &[
            "net allow cidr=10.0.0.0/8 ports=53 protocols=udp",
            "net deny host=10.9.9.9",
        ],
        rule,
        Some("network deny host \"10.9.9.9\""),
    );
    // What an IPv6 address holds counts.
    exceeds(
        &["net allow cidr=64:ff9b::/96 ports=53 protocols=udp"],
        &[
            "net allow cidr=64:ff9b::/96 ports=53 protocols=udp",
            "net deny cidr=8.8.8.0/24",
        ],
        "network allow cidr \"64:ff9b::/96\" ports 53 protocols udp",
        Some("network deny cidr \"8.8.8.0/24\""),
    );
    exceeds(
        &[
            "net allow cidr=2001::/32 ports=53 protocols=udp",
            "net allow cidr=10.0.0.0/8 ports=53 protocols=udp",
        ],
        &[
            "net allow cidr=2001::/32 ports=53 protocols=udp",
            "net allow cidr=10.0.0.0/8 ports=53 protocols=udp",
            "net deny cidr=8.8.8.0/24",
        ],
        "network allow cidr \"2001::/32\" ports 53 protocols udp",
        Some("network deny cidr \"8.8.8.0/24\""),
    );
    exceeds(
        &["net allow cidr=2600::/16 ports=53 protocols=udp"],
        &[
            "net allow cidr=2600::/16 ports=53 protocols=udp",
            "net deny cidr=8.8.8.0/24",
        ],
        "network allow cidr \"2600::/16\" ports 53 protocols udp",
        Some("network deny cidr \"8.8.8.0/24\""),
    );
}

#[test]
fn a_rule_about_a_part_of_what_holds_an_address_is_compared() {
    // 2606:4700::5efe:808:808 holds 8.8.8.8. The first and last address of the range hold none of the internet.
    let own = "net allow host=a.example.com";
    let isatap = "net deny cidr=2606:4700::5efe:0:0/96";
    let example = exceeds(
        &[own],
        &[own, isatap],
        "network allow host \"a.example.com\"",
        Some("network deny cidr \"2606:4700::5efe:0:0/96\""),
    );
    assert!(
        example.to_string().starts_with("dial 2606:4700::5efe:"),
        "{example}"
    );
    within(&[own, isatap], &[own, isatap]);
    let own = "net allow cidr=2606:4700::5efe:0:0/96 ports=53 protocols=udp";
    exceeds(
        &[own],
        &[own, "net deny cidr=8.8.8.0/24"],
        "network allow cidr \"2606:4700::5efe:0:0/96\" ports 53 protocols udp",
        Some("network deny cidr \"8.8.8.0/24\""),
    );
    // One address of 1.0.0.0/30 is denied by what holds it, and its neighbor by itself; two are left.
    let own = "net allow cidr=64:ff9b::/96 ports=53 protocols=udp";
    let example = exceeds(
        &[own, "net deny host=64:ff9b::100:0", "net deny host=1.0.0.1"],
        &[own, "net deny cidr=1.0.0.0/30"],
        "network allow cidr \"64:ff9b::/96\" ports 53 protocols udp",
        Some("network deny cidr \"1.0.0.0/30\""),
    );
    assert_eq!(example.to_string(), "connect udp [64:ff9b::100:2]:53");
}

#[test]
fn each_form_of_an_address_that_holds_another_is_compared() {
    const DENIED: &str = "net deny cidr=8.8.8.0/24";
    let beyond = |own: &[&str], deny: &str| {
        let rule = own[0].strip_prefix("net allow cidr=").expect("a range");
        let (cidr, rest) = rule.split_once(' ').expect("ports");
        let rule = format!("network allow cidr \"{cidr}\" {}", rest.replace('=', " "));
        let deny_rule = deny.strip_prefix("net deny cidr=").expect("a range");
        let deny_rule = format!("network deny cidr \"{deny_rule}\"");
        exceeds(own, &[own[0], deny], &rule, Some(&deny_rule)).to_string()
    };
    // ISATAP has two forms.
    let own = "net allow cidr=2606:4700::/64 ports=53 protocols=udp";
    let first = "net deny cidr=2606:4700::5efe:0:0/96";
    let second = "net deny cidr=2606:4700::200:5efe:0:0/96";
    assert!(beyond(&[own, first], DENIED).starts_with("connect udp [2606:4700::200:5efe:808:8"));
    assert!(beyond(&[own, second], DENIED).starts_with("connect udp [2606:4700::5efe:808:8"));
    within(&[own, first, second], &[own, first, second, DENIED]);
    // In the first and the last of four /64s nothing is left of it.
    let own = "net allow cidr=2606:4700::/62 ports=53 protocols=udp";
    let last = "net deny cidr=2606:4700:0:3::5efe:0:0/96";
    let last_second = "net deny cidr=2606:4700:0:3:200:5efe::/96";
    let example = beyond(&[own, first, second, last, last_second], DENIED);
    assert!(example.starts_with("connect udp [2606:4700:0:1:"), "{example}");
    // One of 1.0.0.0/30 is left, which is neither an end of a range nor beside one.
    let own = "net allow cidr=2606:4700::/80 ports=53 protocols=udp";
    let part = "net deny cidr=2606:4700::5efe:100:0/127";
    let example = beyond(&[own, part, "net deny host=1.0.0.2"], "net deny cidr=1.0.0.0/30");
    assert!(example.ends_with(":5efe:100:3]:53"), "{example}");
    // A client of one server of Teredo.
    let own = "net allow cidr=2001:0:808:808::/64 ports=53 protocols=udp";
    let example = beyond(&[own], "net deny cidr=1.1.1.0/24");
    assert!(example.starts_with("connect udp [2001:0:808:808:"), "{example}");
}

#[test]
fn an_address_that_is_looked_up_is_compared() {
    let own = ["net allow host=10.0.0.5", "net deny host=10.0.0.5 ports=443"];
    let example = exceeds(&own, &[], "network allow host \"10.0.0.5\"", None);
    assert_eq!(example.to_string(), "lookup 10.0.0.5");
    within(&own, &["net allow cidr=10.0.0.0/8"]);
    relation(
        &["net allow host=10.0.0.5"],
        &["net allow cidr=10.0.0.5"],
        Relation::Narrower,
    );
}

#[test]
fn a_name_below_a_wildcard_is_a_new_one() {
    exceeds(
        &["net allow host=*.example.com"],
        &[
            "net allow host=any.example.com",
            "net allow host=anyx.example.com",
            "net allow host=*.anyxx.example.com",
        ],
        "network allow host \"*.example.com\"",
        None,
    );
}

#[test]
fn what_is_longer_than_any_path_is_not_compared() {
    let [own, deny] = ["b", "c"].map(|letter| letter.repeat(2050));
    let (own, deny) = (format!("fs allow read /a/{own}*"), format!("fs deny /a/*{deny}"));
    within(&[&own], &["fs allow read /a", &deny]);
    within(&[&own], &[&own, &deny]);
}

#[test]
fn a_class_of_paths_is_stood_for_by_its_shortest() {
    // A path that has beginning and end one after the other would be too long; where they overlap, it is not.
    let half = "b".repeat(1500);
    let own = format!("fs allow read /a/{half}{half}*");
    let deny = format!("fs deny /a/*{half}~~");
    exceeds(
        &[&own],
        &["fs allow read /a", &deny],
        &format!("storage allow \"fs:///a/{half}{half}*\" access read"),
        Some(&format!("storage deny \"fs:///a/*{half}~~\"")),
    );
}

#[test]
fn variables_and_secrets_are_compared() {
    exceeds(&["env A"], &[], "environment allow \"A\"", None);
    exceeds(&["env A"], &["env A=1"], "environment allow \"A\"", None);
    exceeds(
        &["env A=2"],
        &["env A=1"],
        "environment allow \"A\" with a value",
        None,
    );
    let secret = "secret \"t\" host \"*.example.com\" header \"x-key\"";
    let own = ["secret t *.example.com x-key {secret}"];
    exceeds(&own, &["secret t a.example.com x-key"], secret, None);
    exceeds(&own, &["secret t *.example.com x-other"], secret, None);
    exceeds(&own, &["secret t *.example.com x-key no{secret}"], secret, None);
    exceeds(&own, &["secret u *.example.com x-key"], secret, None);
    exceeds(
        &["secret t 10.0.0.1 x-key"],
        &["secret t 10.0.0.2 x-key"],
        "secret \"t\" host \"10.0.0.1\" header \"x-key\"",
        None,
    );
}

#[test]
fn each_way_a_secret_is_sent_is_compared() {
    // The ceiling has the secret at this URL, but not in this header.
    let own = ["secret s *.t.example x-b", "secret s a.t.example x-a"];
    let rule = "secret \"s\" host \"*.t.example\" header \"x-b\"";
    let example = exceeds(&own, &["secret s a.t.example x-a"], rule, None);
    assert_eq!(example.to_string(), "secret s https://a.t.example/");
    within(&own, &["secret s *.t.example x-a", "secret s *.t.example x-b"]);
}

#[test]
fn a_limit_above_the_ceiling_is_an_excess_and_one_left_out_is_not() {
    let limit = |own: &[&str], ceiling: &[&str]| {
        policy(own)
            .within(&policy(ceiling))
            .map_err(|excess| excess.to_string())
    };
    assert_eq!(limit(&[], &["limit memory 1Mi"]), Ok(()));
    assert_eq!(limit(&["limit memory 1Mi"], &[]), Ok(()));
    assert_eq!(limit(&["limit memory 1Mi"], &["limit memory 1Mi"]), Ok(()));
    assert_eq!(
        limit(&["limit memory 2Mi"], &["limit memory 1Mi"]),
        Err("the limit `memory` of 2Mi is more than 1Mi".to_owned())
    );
    // Slower, but thirty at once.
    assert_eq!(
        limit(&["limit rate 30/min"], &["limit rate 1/s"]),
        Err("the limit `rate` of 30/min is more than 1/s".to_owned())
    );
    assert_eq!(
        limit(&["limit rate 2/s"], &["limit rate 60/min"]),
        Err("the limit `rate` of 2/s is more than 60/min".to_owned())
    );
    assert_eq!(limit(&["limit rate 1/s"], &["limit rate 60/min"]), Ok(()));
    assert_eq!(limit(&["limit rate 60/min"], &["limit rate 60/min"]), Ok(()));
    // Tools that the ceiling hides stay hidden, whether or not a policy repeats it.
    assert_eq!(limit(&[], &["tool delete-*"]), Ok(()));
}

#[test]
fn an_excess_says_what_goes_too_far() {
    let text = |own: &[&str], ceiling: &[&str]| policy(own).within(&policy(ceiling)).unwrap_err().to_string();
    assert_eq!(
        text(&["fs allow read /a"], &["fs allow read /a", "fs deny /a/b"]),
        "`storage allow \"fs:///a\" access read` goes too far: `read /a/b` is not allowed, by `storage deny \"fs:///a/b\"`"
    );
    assert_eq!(
        text(&["env A"], &[]),
        "`environment allow \"A\"` goes too far: `env A` is not allowed"
    );
}

/// A ceiling with this many patterns that each overlap the others has more classes than can be tried.
fn too_much() -> Policy {
    let lines: Vec<String> = (0..1100)
        .map(|number| format!("fs deny /a/b{number}*e{number}/x"))
        .chain(["fs allow read /a".to_owned()])
        .collect();
    policy(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn too_many_cases_are_a_no() {
    let large = too_much();
    let own = policy(&["fs allow read /a/c*/x"]);
    assert_eq!(own.within(&large), Err(Excess::TooManyCases));
    // What does not come near them is compared all the same.
    assert_eq!(
        policy(&["net allow host=a.example.com"]).within(&policy(&["net allow host=a.example.com"])),
        Ok(())
    );
}

#[test]
fn large_policies_are_compared_in_reasonable_time() {
    let lines: Vec<String> = (0..1_000)
        .flat_map(|number| {
            [
                format!("net allow host=h{number}.example.com paths=/p{number}/**"),
                format!("fs allow read /srv/d{number}"),
                format!(
                    "net allow cidr=10.{}.{}.0/24 ports=53 protocols=udp",
                    number / 256,
                    number % 256
                ),
            ]
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let large = policy(&lines);
    assert_eq!(
        large.within(&policy(&[
            "net allow host=*.example.com",
            "net allow cidr=10.0.0.0/8 ports=53 protocols=udp",
            "fs allow read /srv"
        ])),
        Ok(())
    );
    assert_eq!(large.within(&large), Ok(()));
}

#[track_caller]
fn relation(before: &[&str], after: &[&str], relation: Relation) {
    assert_eq!(policy(before).diff(&policy(after)).relation, relation);
    let opposite = match relation {
        Relation::Narrower => Relation::Wider,
        Relation::Wider => Relation::Narrower,
        Relation::Equal | Relation::Neither => relation,
    };
    assert_eq!(policy(after).diff(&policy(before)).relation, opposite);
}

#[test]
fn a_change_is_narrower_wider_equal_or_neither() {
    relation(&[], &[], Relation::Equal);
    relation(&[], &["fs allow read /a"], Relation::Wider);
    relation(
        &["fs allow read /a"],
        &["fs allow read /a", "fs allow read /a/b"],
        Relation::Equal,
    );
    relation(
        &["fs allow read /a"],
        &["fs allow read /a", "fs deny /a/b"],
        Relation::Narrower,
    );
    relation(&["fs allow read /a"], &["fs allow read /b"], Relation::Neither);
    relation(&["env A=1"], &["env A=2"], Relation::Neither);
    relation(&["env A"], &["env A=2"], Relation::Neither);
    relation(
        &["net allow host=a.example.com"],
        &["net allow host=*.example.com"],
        Relation::Neither,
    );
    relation(
        &["net allow host=a.example.com"],
        &["net allow host=*.example.com", "net allow host=a.example.com"],
        Relation::Wider,
    );
    relation(&[], &["tool delete-*"], Relation::Narrower);
    relation(&["tool delete-all"], &["tool delete-*"], Relation::Narrower);
    relation(&["tool *-x", "tool a-*"], &["tool a-x"], Relation::Wider);
    relation(&["tool a*"], &["tool *a"], Relation::Neither);
    relation(&["limit memory 1Mi"], &["limit memory 2Mi"], Relation::Wider);
    relation(&[], &["limit memory 64Mi"], Relation::Narrower);
    relation(&[], &["limit memory 512Mi"], Relation::Wider);
    relation(&[], &["limit rate 60/min"], Relation::Narrower);
    relation(&["limit rate 60/min"], &["limit rate 1/s"], Relation::Narrower);
    relation(&["limit rate 30/min"], &["limit rate 1/s"], Relation::Neither);
    relation(&[], &["limit cpu 500m"], Relation::Narrower);
    relation(&[], &["limit cpu 60s"], Relation::Wider);
    relation(&[], &["limit time 2m"], Relation::Wider);
    relation(
        &["limit memory 1Mi"],
        &["limit requests 1", "limit memory 2Mi"],
        Relation::Neither,
    );
}

#[test]
fn a_change_lists_rules_and_limits() {
    let before = policy(&["fs allow read /a", "env A=1", "limit memory 1Mi", "limit time 5s"]);
    let after = policy(&[
        "fs allow read /a",
        "env A=2",
        "tool x",
        "secret t a.example.com x-key s={secret}",
        "limit memory 2Mi",
        "limit time 5s",
    ]);
    let PolicyDiff {
        added,
        removed,
        limits,
        relation,
    } = before.diff(&after);
    assert_eq!(
        added,
        [
            "environment allow \"A\" with a value \"2\"",
            "secret \"t\" host \"a.example.com\" header \"x-key\" format \"s={secret}\"",
            "tools deny \"x\"",
        ]
    );
    assert_eq!(removed, ["environment allow \"A\" with a value \"1\""]);
    assert_eq!(
        limits,
        [crate::LimitChange {
            key: crate::LimitKey::Memory,
            before: Some("1Mi".to_owned()),
            after: Some("2Mi".to_owned()),
        }]
    );
    assert_eq!(relation, Relation::Neither);
}

/// Where rules divide the addresses that hold IPv4 addresses, one IPv4 address of each class is not enough: that one may be
/// held by an address of another division.
#[test]
fn each_division_of_what_holds_addresses_is_asked_about() {
    exceeds(
        &[
            "net allow cidr=2002:800::/24",
            "net deny cidr=8.0.0.0/16",
            "net deny cidr=8.255.0.0/16",
        ],
        &["net allow cidr=2002:800::/24", "net deny cidr=0.0.0.0/4"],
        "network allow cidr \"2002:800::/24\"",
        Some("network deny cidr \"0.0.0.0/4\""),
    );
    exceeds(
        &[
            "net allow cidr=64:ff9b::/96",
            "net deny host=64:ff9b::808:808",
            "net deny cidr=8.8.8.9/32",
        ],
        &["net allow cidr=64:ff9b::/96", "net deny cidr=8.8.8.8/29"],
        "network allow cidr \"64:ff9b::/96\"",
        Some("network deny cidr \"8.8.8.8/29\""),
    );
    // ISATAP, in both of its forms.
    exceeds(
        &[
            "net allow cidr=2400:cb00::/64",
            "net deny cidr=2400:cb00::5efe:808:808/128",
            "net deny cidr=2400:cb00::200:5efe:808:808/128",
            "net deny cidr=8.8.8.9/32",
        ],
        &["net allow cidr=2400:cb00::/64", "net deny cidr=8.8.8.8/29"],
        "network allow cidr \"2400:cb00::/64\"",
        Some("network deny cidr \"8.8.8.8/29\""),
    );
}

/// Whether nobody can say what a policy and itself have to do with each other.
fn is_too_much(rules: &[String]) -> bool {
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let policy = policy(&rules);
    match policy.within(&policy) {
        Ok(()) => false,
        Err(Excess::TooManyCases) => true,
        Err(excess) => panic!("{excess}"),
    }
}

#[test]
fn what_takes_too_much_is_not_compared() {
    let rules = |count: usize, rule: &dyn Fn(usize) -> String| (0..count).map(rule).collect::<Vec<_>>();
    let address = |n: usize| format!("net allow cidr=11.{}.{}.1", n >> 8, n & 255);

    // Each request is looked at by each rule about its host.
    let request = |n: usize| format!("net allow host=a.example.com methods=M{n}");
    assert!(!is_too_much(&rules(300, &request)));
    assert!(is_too_much(&rules(3_000, &request)));

    // Each beginning overlaps with each end in many ways.
    let a = "a".repeat(100);
    let overlap = |n: usize| format!("fs allow read /srv/x{n}{a}*{a}{n}x");
    assert!(!is_too_much(&rules(10, &overlap)));
    assert!(is_too_much(&rules(300, &overlap)));

    // Each address can be held by an IPv6 address together with each other.
    let mut held = rules(1_500, &address);
    held.push("net allow cidr=64:ff9b::a00:0/120".to_owned());
    assert!(!is_too_much(&held));
    held.push("net allow cidr=2001::/16".to_owned());
    assert!(is_too_much(&held));

    // An address is looked up once for each length of a range.
    let length = |length: usize| format!("net allow cidr=2a00:{length}::/{length}");
    let few: Vec<_> = (33..49).map(length).chain(rules(50, &address)).collect();
    assert!(!is_too_much(&few));
    let many: Vec<_> = (33..65).map(length).chain(rules(150, &address)).collect();
    assert!(is_too_much(&many));
}

#[test]
fn many_plain_rules_are_compared() {
    let kinds: [fn(usize) -> String; 5] = [
        |n| format!("net allow host=h{n}.example.com"),
        |n| format!("net allow host=*.h{n}.example.com"),
        |n| format!("net allow cidr=11.{}.{}.1", n >> 8, n & 255),
        |n| format!("fs allow read /srv/a{n}"),
        |n| format!("fs allow read /srv/a{n}/*.log"),
    ];
    for rule in kinds {
        assert!(
            !is_too_much(&(0..5_000).map(rule).collect::<Vec<_>>()),
            "{}",
            rule(0)
        );
    }
}
