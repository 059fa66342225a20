//! One network rule and one storage rule against one request and one path, with other programs' readings as oracle.
//!
//! The input is lines: host or range, method, URL, storage URI, path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use url::Url;
use wassette_policy::{
    AbsolutePath, Access, Authority, Effect, FileOperation, HttpTarget, Limits, NetworkRule, NetworkSpec,
    Policy, Rules, StorageRule, StorageSpec,
};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (peer, method, address) = (line(), line(), line());
    network(peer, method, address);
    storage(line(), line());
});

fn authority(rules: Rules) -> Option<Authority> {
    let policy = Policy::new(rules).ok()?;
    Some(Authority::new(Arc::new(policy), None, &Limits::DEFAULT))
}

fn network(peer: &str, method: &str, address: &str) {
    let target = HttpTarget::parse(method, address);
    if let Ok(target) = &target {
        same_as_url(target, address);
        let again = HttpTarget::parse(target.method(), &target.to_string());
        assert_eq!(
            again.as_ref(),
            Ok(target),
            "a target means the same when it is read again"
        );
    }
    for is_range in [false, true] {
        let spec = NetworkSpec {
            host: (!is_range).then(|| peer.to_owned()),
            cidr: is_range.then(|| peer.to_owned()),
            ..NetworkSpec::default()
        };
        let Ok(allow) = NetworkRule::new(Effect::Allow, &spec) else {
            continue;
        };
        let printed = NetworkRule::new(Effect::Allow, &allow.spec());
        assert_eq!(printed.as_ref().map(|rule| rule.spec()), Ok(allow.spec()));
        let Ok(target) = &target else { continue };
        let mut rules = Rules {
            network: vec![allow.clone()],
            ..Rules::default()
        };
        let Some(granted) = authority(rules.clone()) else {
            continue;
        };
        let is_allowed = granted.authorize(&Access::Http(target)).is_ok();
        if let Some(host) = &allow.spec().host {
            let url = Url::parse(address).expect("`same_as_url` has read it");
            let name = url
                .host_str()
                .unwrap_or_default()
                .trim_end_matches('.')
                .to_owned();
            let is_host = host.strip_prefix('*').map_or(name == *host, |suffix| {
                name.len() > suffix.len() && name.ends_with(suffix)
            });
            // An address that embeds another is judged as both; `url` knows only one of them.
            assert!(
                !is_allowed || is_host || host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('['),
                "{host} allows {address}"
            );
            let spec = allow.spec();
            if spec.ports.is_none() && spec.schemes.is_none() {
                assert!(!is_allowed || (url.scheme(), url.port_or_known_default()) == ("https", Some(443)));
            }
        }
        let Ok(deny) = NetworkRule::new(Effect::Deny, &spec) else {
            continue;
        };
        rules.network.push(deny);
        if let Some(denied) = authority(rules) {
            let is_denied = denied.authorize(&Access::Http(target)).is_err();
            assert!(is_denied, "{peer} is denied, and {address} is not");
        }
    }
}

/// Whoever else reads the URL must come to the same host, port and path.
fn same_as_url(target: &HttpTarget, address: &str) {
    let url = Url::parse(address).unwrap_or_else(|error| panic!("{address} is no URL to others: {error}"));
    assert_eq!(url.scheme(), target.scheme().as_str());
    assert_eq!(url.port_or_known_default(), Some(target.port()), "{address}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    if let url::Host::Domain(name) = url.host().expect("http has a host") {
        assert_eq!(name.trim_end_matches('.'), target.host().to_string(), "{address}");
    }
    assert_eq!(decoded(url.path()), decoded(target.path()), "{address}");
}

fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let rest = bytes.clone().take(2).collect::<Vec<_>>();
        let code = std::str::from_utf8(&rest).ok().filter(|hex| hex.len() == 2);
        match code
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(|_| byte == b'%')
        {
            Some(code) => {
                decoded.push(code);
                bytes.nth(1);
            }
            None => decoded.push(byte),
        }
    }
    decoded
}

fn storage(uri: &str, path: &str) {
    let spec = StorageSpec {
        uri: uri.to_owned(),
        access: Some(vec!["read".to_owned()]),
        ..StorageSpec::default()
    };
    let Ok(allow) = StorageRule::new(Effect::Allow, &spec, None) else {
        return;
    };
    let printed = StorageRule::new(Effect::Allow, &allow.spec(), None);
    assert_eq!(printed.map(|rule| rule.spec()), Ok(allow.spec()));
    let Ok(path) = path.parse::<AbsolutePath>() else {
        return;
    };
    let Some(granted) = authority(Rules {
        storage: vec![allow.clone()],
        ..Rules::default()
    }) else {
        return;
    };
    let may = |operation| {
        granted
            .authorize(&Access::File {
                path: &path,
                operation,
            })
            .is_ok()
    };
    assert!(!may(FileOperation::Write) && !may(FileOperation::Create) && !may(FileOperation::Remove));
    assert_eq!(
        may(FileOperation::Read),
        is_within(&allow.spec().uri, &path),
        "{uri} and {path}"
    );
}

/// The rule of the documentation, said once more in the simplest way.
fn is_within(uri: &str, path: &AbsolutePath) -> bool {
    let pattern = uri.trim_start_matches("fs://");
    let is_deep = pattern.ends_with("/**") || !pattern.contains('*');
    let globs: Vec<&str> = pattern.trim_end_matches("/**").split('/').skip(1).collect();
    let segments: Vec<&str> = path.segments().collect();
    let is_match = globs
        .iter()
        .zip(&segments)
        .all(|(glob, segment)| match glob.split_once('*') {
            None => glob == segment,
            Some((before, after)) => {
                segment.len() >= before.len() + after.len()
                    && segment.starts_with(before)
                    && segment.ends_with(after)
            }
        });
    is_match && (segments.len() == globs.len() || (is_deep && segments.len() > globs.len()))
}
