//! What limits a call has, from what a policy sets, the ceiling and the defaults.

use super::{below, policy};
use crate::{LimitKey, LimitSettings, Limits, Rate};
use std::time::Duration;

/// For each limit: less and more than the default, how more is printed, and the field.
type Row = (&'static str, [&'static str; 3], fn(&Limits) -> String);

const ROWS: [Row; 15] = [
    ("memory", ["1Mi", "512Mi", "512Mi"], |of| {
        of.memory_bytes.to_string()
    }),
    ("tables", ["10", "200k", "200000"], |of| {
        of.table_elements.to_string()
    }),
    ("cpu", ["2s", "2min", "120s"], |of| of.cpu.as_millis().to_string()),
    ("time", ["500ms", "2m", "120s"], |of| {
        of.time.as_millis().to_string()
    }),
    ("output", ["64Ki", "2Mi", "2Mi"], |of| of.output_bytes.to_string()),
    ("stdio", ["1", "2Mi", "2Mi"], |of| of.stdio_bytes.to_string()),
    ("requests", ["1", "2k", "2000"], |of| of.requests.to_string()),
    ("egress", ["1k", "1Gi", "1Gi"], |of| of.egress_bytes.to_string()),
    ("ingress", ["1k", "1Gi", "1Gi"], |of| of.ingress_bytes.to_string()),
    ("file-read", ["1k", "2Gi", "2Gi"], |of| {
        of.file_read_bytes.to_string()
    }),
    ("file-write", ["1k", "1Gi", "1Gi"], |of| {
        of.file_write_bytes.to_string()
    }),
    ("files", ["1", "1M", "1000000"], |of| of.files.to_string()),
    ("concurrency", ["1", "200", "200"], |of| {
        of.concurrency.to_string()
    }),
    ("cpu", ["500m", "2", "2000m"], |of| {
        format!("{:?}", of.cpu_share_millicores)
    }),
    ("rate", ["1/s", "2/s", "2/s"], |of| format!("{:?}", of.rate)),
];

fn set(key: &str, text: &str) -> String {
    format!("limit {key} {text}")
}

#[test]
fn each_limit_is_the_smaller_of_what_is_set_and_the_ceiling() {
    let field =
        |own: &[&str], ceiling: &[&str], field: fn(&Limits) -> String| field(below(own, ceiling).limits());
    for (key, [less, more, _], of) in ROWS {
        let (less, more) = (set(key, less), set(key, more));
        let (less, more) = ([less.as_str()], [more.as_str()]);
        let [low, high, default] = [field(&less, &[], of), field(&more, &[], of), field(&[], &[], of)];
        assert!(
            low != high && low != default && high != default,
            "{key}: {low} {high} {default}"
        );
        assert_eq!(field(&less, &more, of), low, "{key}");
        assert_eq!(field(&more, &less, of), low, "{key}");
        assert_eq!(field(&[], &less, of), low, "{key}");
        // What has no default is as large as the ceiling lets it be.
        let is_unbounded = default == "None";
        assert_eq!(
            field(&[], &more, of),
            if is_unbounded { high } else { default },
            "{key}"
        );
    }
}

#[test]
fn each_limit_is_printed_and_compared() {
    for (name, [less, more, printed], _) in ROWS {
        let (low, high) = (policy(&[&set(name, less)]), policy(&[&set(name, more)]));
        let key = high.limits().keys().next().unwrap();
        assert_eq!(key.name(), name);
        assert_eq!(high.limits().text(key).as_deref(), Some(printed));
        assert!(high.limits().is_set(key) && !high.limits().is_empty());
        assert_eq!(policy(&[&set(name, printed)]), high);
        let exceeding =
            |own: &LimitSettings, ceiling: &LimitSettings| own.exceeding(ceiling).collect::<Vec<_>>();
        assert_eq!(exceeding(high.limits(), low.limits()), [key]);
        assert_eq!(exceeding(low.limits(), high.limits()), []);
        assert_eq!(exceeding(high.limits(), high.limits()), []);
        assert_eq!(exceeding(high.limits(), &LimitSettings::new()), []);
        for joined in [low.join(&high), high.join(&low), high.join(&policy(&[]))] {
            assert_eq!(joined.unwrap().limits(), high.limits());
        }
        // A policy without it has the default, or as much as anybody wants.
        for (wider, narrower) in [(&high, &low), (&high, &policy(&[])), (&policy(&[]), &low)] {
            let is_unbounded = matches!(key, LimitKey::CpuShare | LimitKey::Rate);
            if !is_unbounded || !wider.limits().is_empty() && !narrower.limits().is_empty() {
                assert_eq!(narrower.diff(wider).relation, crate::Relation::Wider, "{name}");
                assert_eq!(wider.diff(narrower).relation, crate::Relation::Narrower, "{name}");
            }
        }
    }
    assert!(LimitSettings::new().is_empty());
}

#[test]
fn a_rate_below_another_accepts_no_more_than_either() {
    let rate = |own: &str, ceiling: &str| {
        let authority = below(&[&set("rate", own)], &[&set("rate", ceiling)]);
        let Rate { calls, per } = authority.limits().rate.unwrap();
        (calls, per)
    };
    let seconds = Duration::from_secs;
    assert_eq!(rate("60/min", "1/s"), (1, seconds(1)));
    assert_eq!(rate("1/s", "60/min"), (1, seconds(1)));
    assert_eq!(rate("30/min", "1/s"), (1, seconds(2)));
    assert_eq!(rate("1/s", "30/min"), (1, seconds(2)));
    assert_eq!(rate("2/s", "60/min"), (2, seconds(2)));
    assert_eq!(rate("100/hour", "30/min"), (30, seconds(1_080)));
    // A third of an hour over a number that does not divide it.
    assert_eq!(
        rate("7/hour", "2/s"),
        (2, Duration::from_nanos(1_028_571_428_572))
    );
}

#[test]
fn amounts_that_no_policy_can_ask_for_are_refused() {
    let refused = |key: LimitKey, text: &str, message: &str, hint: Option<&str>| {
        let error = LimitSettings::new().set(key, text).unwrap_err();
        let told = (error.to_string(), error.hint());
        assert_eq!(told, (message.to_owned(), hint.unwrap_or(error.hint())));
    };
    let zero = Some("a limit of zero would end every call; to forbid something, do not grant it");
    let beyond = Some("no policy can ask for more than that");
    refused(LimitKey::Memory, "0", "`memory` cannot be zero", zero);
    refused(LimitKey::Rate, "0/s", "`rate` cannot be zero", zero);
    refused(
        LimitKey::Memory,
        "65535",
        "`65535` is less than 64Ki",
        Some("a plain number means bytes; for mebibytes write `Mi`"),
    );
    for (key, text, most) in [
        (LimitKey::Memory, "5Gi", "4Gi"),
        (LimitKey::Tables, "200001", "200000"),
        (LimitKey::Files, "10000001", "10000000"),
        (LimitKey::Cpu, "1800001ms", "1800s"),
        (LimitKey::Time, "1800001ms", "1800s"),
        (LimitKey::CpuShare, "1024001m", "1024000m"),
        (LimitKey::Output, "16777217", "16Mi"),
        (LimitKey::Stdio, "4194305", "4Mi"),
        (LimitKey::Requests, "1000001", "1000000"),
        (LimitKey::Egress, "1025Gi", "1Ti"),
        (LimitKey::Ingress, "1025Gi", "1Ti"),
        (LimitKey::FileRead, "1025Gi", "1Ti"),
        (LimitKey::FileWrite, "1025Gi", "1Ti"),
        (LimitKey::Concurrency, "257", "256"),
        (LimitKey::Rate, "1000001/s", "1000000/s"),
    ] {
        refused(key, text, &format!("`{text}` is more than {most}"), beyond);
        LimitSettings::new().set(key, most).unwrap();
    }
    LimitSettings::new().set(LimitKey::Memory, "64Ki").unwrap();
    LimitSettings::new().set(LimitKey::Rate, "1/hour").unwrap();
    refused(
        LimitKey::Cpu,
        "2s 3s",
        "`2s 3s` says the same thing twice",
        Some("write time, a share, or one of each: `2s 500m`"),
    );
}

#[test]
fn amounts_are_exact_or_refused() {
    let amount = |key: LimitKey, text: &str| {
        let mut settings = LimitSettings::new();
        settings
            .set(key, text)
            .map(|()| settings.text(key).unwrap())
            .map_err(|error| error.to_string())
    };
    for (key, text, printed) in [
        (LimitKey::Memory, "0.5Gi", "512Mi"),
        (LimitKey::Memory, "65537", "65537"),
        (LimitKey::Memory, "100k", "100000"),
        (LimitKey::Memory, "1M", "1000000"),
        (LimitKey::Memory, "1G", "1000000000"),
        (LimitKey::Egress, "1T", "976562500Ki"),
        (LimitKey::Egress, "0.5Ti", "512Gi"),
        (LimitKey::Memory, "1.50Mi", "1536Ki"),
        (LimitKey::Memory, "65536.0", "64Ki"),
        (LimitKey::Time, "0.5s", "500ms"),
        (LimitKey::Time, "0.25m", "15s"),
        (LimitKey::Time, "0.1h", "360s"),
        (LimitKey::Time, "1min", "60s"),
        (LimitKey::Cpu, "0.5min", "30s"),
        (LimitKey::CpuShare, "0.5", "500m"),
        (LimitKey::Requests, "1.5k", "1500"),
        (LimitKey::Requests, "0.000001M", "1"),
        (LimitKey::Rate, "1/second", "1/s"),
        (LimitKey::Rate, "1/sec", "1/s"),
        (LimitKey::Rate, "1 / minute", "1/min"),
        (LimitKey::Rate, "1/h", "1/hour"),
    ] {
        assert_eq!(amount(key, text).as_deref(), Ok(printed), "{text}");
    }
    for (key, text, message) in [
        (
            LimitKey::Memory,
            "0.3Ki",
            "`0.3Ki` is not a whole number of bytes",
        ),
        (LimitKey::Memory, "512m", "`512m` means thousandths of a byte"),
        (LimitKey::Memory, "1mb", "`mb` is not a unit of bytes"),
        (LimitKey::Memory, "", "`` is not an amount"),
        (LimitKey::Memory, ".5Gi", "`.5Gi` is not an amount"),
        (LimitKey::Memory, "5.Gi", "`5.Gi` is not an amount"),
        (LimitKey::Memory, "1.2.3Gi", "`1.2.3Gi` is not an amount"),
        (LimitKey::Memory, "-1", "`-1` is not an amount"),
        (LimitKey::Memory, "00", "`00` begins with a zero"),
        (
            LimitKey::Memory,
            "1000000000000000",
            "`1000000000000000` is too large",
        ),
        // As many digits as are taken, of things that come in parts.
        (
            LimitKey::Egress,
            "999999999999999.5",
            "`999999999999999.5` is not a whole number of bytes",
        ),
        (
            LimitKey::Egress,
            "999999999999999Ti",
            "`999999999999999Ti` is too large",
        ),
        (
            LimitKey::Memory,
            "1.0000000001Gi",
            "`1.0000000001Gi` has too many digits",
        ),
        (
            LimitKey::Memory,
            "1.000000001Gi",
            "`1.000000001Gi` is not a whole number of bytes",
        ),
        (LimitKey::Requests, "1Ki", "`Ki` is not a unit of a plain number"),
        (LimitKey::Requests, "1.5", "`1.5` is not a whole number of things"),
        (LimitKey::Time, "5", "`5` has no unit of time"),
        (LimitKey::Time, "5d", "`d` is not a unit of time"),
        (LimitKey::Cpu, "5d", "`d` is not a unit of processor time"),
        (LimitKey::Rate, "5", "`5` does not say in how long"),
        (LimitKey::Rate, "5/day", "`day` is not a span of a rate"),
        (LimitKey::Rate, "5000M/s", "`5000M/s` is too large"),
    ] {
        assert_eq!(amount(key, text), Err(message.to_owned()));
    }
}

#[test]
fn the_two_limits_under_one_key_are_told_apart_when_they_change() {
    let changed = policy(&[]).diff(&policy(&["limit cpu 2s", "limit cpu 500m", "limit memory 1Mi"]));
    let words: Vec<_> = changed.limits.iter().map(crate::LimitChange::words).collect();
    assert_eq!(words, ["memory", "cpu time", "cpu share"]);
}

#[test]
fn a_limit_has_one_name() {
    for key in LimitKey::ALL {
        let of_name = LimitKey::from_name(key.name()).unwrap();
        let expected = if key == LimitKey::CpuShare {
            LimitKey::Cpu
        } else {
            key
        };
        assert_eq!(of_name, expected);
    }
    assert_eq!(LimitKey::from_name("cpus"), None);
}

#[test]
fn a_crossing_may_hand_over_sixteen_mebibytes() {
    assert_eq!(Limits::DEFAULT.host_call_bytes, 16 << 20);
}

#[test]
fn a_limit_that_is_cleared_is_the_default_again() {
    let mut settings = LimitSettings::default();
    settings.set(LimitKey::Memory, "1Mi").unwrap();
    assert!(!settings.is_empty());
    settings.clear(LimitKey::Cpu);
    assert!(!settings.is_empty());
    settings.clear(LimitKey::Memory);
    assert!(settings.is_empty());
}
