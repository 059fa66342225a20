//! What `request-permission` asks for, from its arguments.

use rmcp::model::JsonObject;
use serde_json::Value as Json;
use wassette_host::{
    ComponentId, Effect, EnvironmentRule, Grant, GrantKind, Grantable, LimitKey, LimitSettings, NetworkRule,
    RuleError, SecretRule, SecretSpec, StorageRule, StorageSpec, peer,
};

use super::{id, only, text};

/// The permission types that can be asked for: what can be granted by name, and more memory or time.
pub(super) const TYPES: [&str; 6] = [
    GrantKind::Storage.name(),
    GrantKind::Network.name(),
    GrantKind::EnvironmentVariable.name(),
    GrantKind::Secret.name(),
    "memory",
    "cpu",
];

/// Something that a component is to be allowed.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) id: ComponentId,
    pub(crate) grant: Grantable,
    /// What for, as the model says.
    pub(crate) reason: String,
}

impl Wanted {
    /// Reads the arguments. What is wrong is said as the model can mend it.
    pub(crate) fn read(arguments: &JsonObject) -> Result<Self, String> {
        only(
            arguments,
            &[
                "component_id",
                "permission_type",
                "value",
                "access",
                "host",
                "reason",
            ],
        )?;
        let reason = match arguments.get("reason") {
            None | Some(Json::Null) => "",
            Some(_) => text(arguments, "reason")?,
        };
        Ok(Self {
            id: id(arguments, "component_id")?,
            grant: grant(arguments)?,
            reason: reason.to_owned(),
        })
    }
}

fn grant(arguments: &JsonObject) -> Result<Grantable, String> {
    let value = text(arguments, "value")?;
    let word = text(arguments, "permission_type")?;
    expect_none(arguments, word, ("access", "storage"))?;
    expect_none(arguments, word, ("host", "secret"))?;
    let wrong = |error: RuleError| format!("invalid arguments: {error}; {}", error.hint());
    let rule = match word {
        "storage" => {
            let spec = StorageSpec {
                uri: value.to_owned(),
                access: Some(access(arguments)?),
                ..StorageSpec::default()
            };
            StorageRule::new(Effect::Allow, &spec, None).map(Grant::Storage)
        }
        // Reads harmless, and is every host there is.
        "network" if value.ends_with("/0") => {
            return Err("invalid arguments: `/value`: ask for the host that is needed".to_owned());
        }
        "network" => NetworkRule::new(Effect::Allow, &peer(value)).map(Grant::Network),
        "environment-variable" => EnvironmentRule::new(value, None).map(Grant::Environment),
        "secret" => {
            let spec = SecretSpec {
                name: value.to_owned(),
                host: text(arguments, "host")?.to_owned(),
                header: "authorization".to_owned(),
                format: Some("Bearer {secret}".to_owned()),
            };
            SecretRule::new(&spec).map(Grant::Secret)
        }
        "memory" => return limit(LimitKey::Memory, value),
        "cpu" => return limit(LimitKey::Cpu, value),
        _ => {
            return Err(format!(
                "invalid arguments: `/permission_type`: expected one of {}",
                TYPES.join(", ")
            ));
        }
    };
    rule.map(Grantable::from).map_err(wrong)
}

/// Refuses an argument that belongs to another permission type: it would mean nothing.
fn expect_none(arguments: &JsonObject, word: &str, (name, of): (&str, &str)) -> Result<(), String> {
    if word != of && arguments.get(name).is_some_and(|value| !value.is_null()) {
        return Err(format!("invalid arguments: `/{name}`: only for `{of}`"));
    }
    Ok(())
}

/// Reading, unless more is said.
fn access(arguments: &JsonObject) -> Result<Vec<String>, String> {
    match arguments.get("access") {
        None | Some(Json::Null) => Ok(vec!["read".to_owned()]),
        Some(Json::Array(words)) => {
            let words: Option<Vec<_>> = words
                .iter()
                .map(|word| word.as_str().map(str::to_owned))
                .collect();
            words.ok_or_else(|| "invalid arguments: `/access`: expected texts".to_owned())
        }
        Some(_) => Err("invalid arguments: `/access`: expected an array of `read` and `write`".to_owned()),
    }
}

fn limit(key: LimitKey, value: &str) -> Result<Grantable, String> {
    let mut settings = LimitSettings::new();
    match settings.set(key, value) {
        Ok(()) => Ok(Grantable::Limits(settings)),
        Err(error) => Err(format!("invalid arguments: `/value`: {error}; {}", error.hint())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(arguments: &Json, expected: Result<&str, &str>) {
        let mut object = arguments.as_object().expect("an object").clone();
        object.insert("component_id".to_owned(), json!("a"));
        match (Wanted::read(&object), expected) {
            (Ok(wanted), Ok(rule)) => assert_eq!(wanted.grant.to_string(), rule),
            (Err(text), Err(part)) => assert!(text.contains(part), "{text}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn each_type_is_one_rule() {
        let of = |word: &str, value: &str| json!({"permission_type": word, "value": value});
        check(
            &of("network", "api.example.com"),
            Ok(r#"network allow host "api.example.com""#),
        );
        check(
            &of("network", "10.0.0.0/8"),
            Ok(r#"network allow cidr "10.0.0.0/8""#),
        );
        check(&of("environment-variable", "TZ"), Ok(r#"environment allow "TZ""#));
        check(&of("memory", "64Mi"), Ok("limit memory 64Mi"));
        check(&of("cpu", "2s"), Ok("limit cpu 2s"));
        let storage = of("storage", "fs:///data");
        check(&storage, Ok(r#"storage allow "fs:///data" access read"#));
        let mut both = storage;
        both["access"] = json!(["read", "write"]);
        check(&both, Ok(r#"storage allow "fs:///data" access read,write"#));
        let mut secret = of("secret", "TOKEN");
        check(&secret, Err("`/host`"));
        secret["host"] = json!("api.example.com");
        let rule = r#"secret "TOKEN" host "api.example.com" header "authorization""#;
        check(&secret, Ok(rule));
    }

    #[test]
    fn what_would_mean_nothing_is_refused() {
        for (arguments, part) in [
            (
                json!({"permission_type": "network", "value": "a.example", "access": ["read"]}),
                "`/access`: only for",
            ),
            (
                json!({"permission_type": "network", "value": "a.example", "host": "x"}),
                "`/host`: only for",
            ),
            (
                json!({"permission_type": "network", "value": "0.0.0.0/0"}),
                "the host that is needed",
            ),
            (
                json!({"permission_type": "everything", "value": "*"}),
                "expected one of storage, network",
            ),
            (json!({"permission_type": "storage", "value": "/data"}), "fs://"),
            (
                json!({"permission_type": "storage", "value": "fs:///a", "access": "read"}),
                "an array",
            ),
            (
                json!({"permission_type": "storage", "value": "fs:///a", "access": [1]}),
                "expected texts",
            ),
            (
                json!({"permission_type": "environment-variable", "value": "A=b"}),
                "invalid arguments",
            ),
            (json!({"permission_type": "memory", "value": "much"}), "`/value`"),
            (
                json!({"permission_type": "network", "value": "a.example", "why": "x"}),
                "`/why`",
            ),
            (
                json!({"permission_type": "network", "value": "a.example", "reason": 1}),
                "`/reason`",
            ),
        ] {
            check(&arguments, Err(part));
        }
    }
}
