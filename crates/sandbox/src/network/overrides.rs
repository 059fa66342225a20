//! Headers by which a request asks to be taken for another one.
//!
//! Frameworks and proxies read another method or another path from a header, if they are asked to. A rule that names
//! methods or paths means those that the server acts on, and not what the first line of a request says.

use crate::gate::Gate;
use http::HeaderMap;
use wasmtime_wasi_http::Error as HttpError;
use wassette_policy::{Access, Authority, Effect, Host, HttpTarget, NetworkRule, Peer};

/// Names of such headers, in lower case and with hyphens.
const OVERRIDES: [&str; 5] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

const LACKS: &str = "no header that names another method or path than its own: a rule about this host names \
    methods or paths";

/// Refuses a request that names another one, where a rule could be circumvented by it.
pub(super) fn check(gate: &Gate, target: &HttpTarget, headers: &HeaderMap) -> Result<(), HttpError> {
    if !headers.keys().any(|name| is_override(name.as_str())) || !is_narrow(&gate.authority(), target) {
        return Ok(());
    }
    gate.refuse(&Access::Http(target), LACKS);
    Err(HttpError::HttpRequestDenied)
}

/// Servers that pass headers on as variables (CGI, WSGI) make one name of hyphens and underscores.
fn is_override(name: &str) -> bool {
    OVERRIDES.contains(&name.replace('_', "-").as_str())
}

/// Whether a rule about this host, of whatever layer and list, names methods or paths. More than those that decided
/// the request: what another one would have been decided by is not known.
fn is_narrow(authority: &Authority, target: &HttpTarget) -> bool {
    let layers = [Some(authority.granted()), authority.ceiling()];
    let rules = layers.into_iter().flatten().flat_map(|layer| {
        let allowing = layer.network(Effect::Allow);
        allowing.chain(layer.network(Effect::Deny))
    });
    rules.into_iter().any(|rule| {
        let spec = rule.spec();
        (spec.methods.is_some() || spec.paths.is_some()) && may_be_about(rule, target.host())
    })
}

/// A name may lead to any range.
fn may_be_about(rule: &NetworkRule, host: &Host) -> bool {
    match (rule.peer(), host) {
        (Peer::Host(pattern), host) => pattern.matches(host),
        (Peer::Range(range), Host::Address(address)) => range.contains(address),
        (Peer::Range(_), Host::Name(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Control;
    use std::sync::Arc;
    use wassette_policy::{Limits, ParseOptions, Policy};

    fn gate(allow: &str, deny: &str, ceiling: Option<&str>) -> Gate {
        let policy = |allow: &str, deny: &str| {
            let text =
                format!("version: \"1.0\"\npermissions: {{network: {{allow: [{allow}], deny: [{deny}]}}}}\n");
            Arc::new(Policy::parse(&text, &ParseOptions::default()).expect("a policy"))
        };
        let ceiling = ceiling.map(|ceiling| policy(ceiling, ""));
        let authority = Authority::new(policy(allow, deny), ceiling, &Limits::DEFAULT);
        Gate::new(Control::nothing(authority))
    }

    fn is_sent(gate: &Gate, header: &str) -> bool {
        let target = HttpTarget::parse("POST", "https://a.example/items/7").expect("a target");
        let name: http::HeaderName = header.parse().expect("a name");
        let headers = [(name, http::HeaderValue::from_static("DELETE"))];
        let is_sent = check(gate, &target, &headers.into_iter().collect()).is_ok();
        let (decisions, _) = gate.take();
        assert_eq!(
            decisions.iter().any(|decision| !decision.allowed),
            !is_sent,
            "each refusal is recorded"
        );
        is_sent
    }

    #[test]
    fn a_request_says_once_what_it_is_where_a_rule_names_methods_or_paths() {
        let plain = "{host: a.example}";
        for (allow, deny, ceiling) in [
            ("{host: a.example, methods: [POST]}", "", None),
            ("{host: a.example, paths: [\"/items/**\"]}", "", None),
            ("{host: \"https://a.example/items/\"}", "", None),
            ("{host: \"*.example\", methods: [POST]}", "", None),
            (plain, "{host: a.example, methods: [DELETE]}", None),
            (plain, "{host: a.example, paths: [\"/admin/**\"]}", None),
            (plain, "", Some("{host: a.example, methods: [POST]}")),
        ] {
            let gate = gate(allow, deny, ceiling);
            for header in OVERRIDES {
                assert!(!is_sent(&gate, header), "{allow} {deny} {ceiling:?} {header}");
            }
            assert!(!is_sent(&gate, "X_HTTP-Method_Override"));
            assert!(is_sent(&gate, "x-forwarded-for"));
        }
    }

    #[test]
    fn a_whole_host_may_be_asked_for_in_any_way() {
        for (allow, deny) in [
            ("{host: a.example}", ""),
            ("{host: a.example}, {host: b.example, methods: [GET]}", ""),
            ("{host: a.example}", "{host: b.example, paths: [\"/x\"]}"),
        ] {
            let gate = gate(allow, deny, Some("{host: a.example}, {host: b.example}"));
            for header in OVERRIDES {
                assert!(is_sent(&gate, header), "{allow} {deny} {header}");
            }
        }
    }
}
