//! Makes rules of the parts of a document, and says at which part a rule fails.

use super::characters::shown;
use super::fields::{Map, SECTIONS};
use super::yaml::{Entry, Node, Position, Value};
use super::{ParseOptions, ParsePolicyError, from_rule};
use crate::error::{Field, ParseLimitError, RuleError};
use crate::grant::{
    Effect, EnvironmentRule, NetworkRule, NetworkSpec, SecretRule, SecretSpec, StorageRule, StorageSpec,
};
use crate::limits::{LimitKey, LimitSettings};
use crate::path::AbsolutePath;
use crate::pattern::{RuleText, ToolPattern};
use crate::rules::{PolicyError, RuleList, Rules};
use crate::source::SourcePattern;

/// Where a rule stands.
#[derive(Clone, Copy)]
enum Place<'n> {
    /// A map with a key for each part.
    Parts(Map<'n>),
    /// One text.
    Text(Position),
}

impl Place<'_> {
    fn at(&self) -> Position {
        match self {
            Self::Parts(map) => map.at,
            Self::Text(at) => *at,
        }
    }

    /// Points at the part of a rule that is at fault; at the rule when the part is missing.
    fn error(&self, error: &RuleError) -> ParsePolicyError {
        let at = match (self, key_of(error.field())) {
            (Self::Text(at), _) => *at,
            (Self::Parts(map), None) => map.at,
            (Self::Parts(map), Some(key)) => map.nearest(key, error.index()),
        };
        from_rule(error, at)
    }
}

/// Rules, and where they stand.
pub(super) struct Placed<'n> {
    pub(super) rules: Rules,
    options: &'n ParseOptions,
    storage: Vec<Place<'n>>,
    network: Vec<Place<'n>>,
    environment: Vec<Place<'n>>,
    secrets: Vec<Place<'n>>,
}

impl<'n> Placed<'n> {
    pub(super) fn new(options: &'n ParseOptions) -> Self {
        Self {
            rules: Rules::default(),
            options,
            storage: Vec::new(),
            network: Vec::new(),
            environment: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Where a rule stands.
    pub(super) fn rule(&self, text: &RuleText) -> Option<Position> {
        let Rules {
            storage,
            network,
            environment,
            secrets,
            ..
        } = &self.rules;
        let storage = storage.iter().map(StorageRule::text).zip(&self.storage);
        let network = network.iter().map(NetworkRule::text).zip(&self.network);
        let environment = environment.iter().map(EnvironmentRule::text);
        let secrets = secrets.iter().map(SecretRule::text).zip(&self.secrets);
        let mut all = storage
            .chain(network)
            .chain(environment.zip(&self.environment))
            .chain(secrets);
        all.find(|(known, _)| *known == text).map(|(_, place)| place.at())
    }

    /// Where the first rule stands that is about this path.
    pub(super) fn path(&self, path: &AbsolutePath) -> Option<Position> {
        let mut rules = self.rules.storage.iter().zip(&self.storage);
        let found = rules.find(|(rule, _)| rule.pattern().prefix() == *path);
        found.map(|(_, place)| place.at())
    }

    /// Points at the rule that contradicts an earlier one; at `otherwise` when it is none of these.
    pub(super) fn conflict(&self, error: &PolicyError, otherwise: Position) -> ParsePolicyError {
        let (list, index) = error.place();
        let place = match list {
            RuleList::Description => None,
            RuleList::Storage => self.storage.get(index),
            RuleList::Environment => self.environment.get(index),
            RuleList::Secrets => self.secrets.get(index),
        };
        place.unwrap_or(&Place::Text(otherwise)).error(error.error())
    }
}

/// Reads what stands below `permissions`.
pub(super) fn permissions<'n>(node: &'n Node, read: &mut Placed<'n>) -> Result<(), ParsePolicyError> {
    for Entry { key, value, .. } in Map::of(node, "`permissions`", &SECTIONS)?.entries() {
        if value.is_null() {
            continue;
        }
        match key.as_str() {
            "storage" => storage(value, read)?,
            "filesystem" => filesystem(value, read)?,
            "network" => network(value, read)?,
            "environment" => environment(value, read)?,
            "secrets" => secrets(value, read)?,
            "tools" => tools(value, &mut read.rules)?,
            _ => resources(value, &mut read.rules.limits)?,
        }
    }
    Ok(())
}

/// Reads `sources` of a ceiling.
pub(super) fn sources(node: &Node) -> Result<Vec<SourcePattern>, ParsePolicyError> {
    let items = node.items("sources")?.iter();
    items
        .map(|item| SourcePattern::new(item.text("sources")?).map_err(|error| from_rule(&error, item.at)))
        .collect()
}

/// The members of a list below a section; nothing when the key is missing or has no value.
fn members<'n>(map: &Map<'n>, key: &str) -> Result<&'n [Node], ParsePolicyError> {
    match map.get(key) {
        Some(node) if !node.is_null() => node.items(key),
        Some(_) | None => Ok(&[]),
    }
}

fn storage<'n>(node: &'n Node, read: &mut Placed<'n>) -> Result<(), ParsePolicyError> {
    let section = Map::of(node, "`storage`", &["allow", "deny"])?;
    for effect in [Effect::Allow, Effect::Deny] {
        for item in members(&section, effect.as_str())? {
            let map = Map::of(item, "a storage rule", &["uri", "access", "guest", "submounts"])?;
            let spec = StorageSpec {
                uri: map
                    .required("uri", "write for example `uri: \"fs:///srv/data\"`")?
                    .text("uri")?
                    .to_owned(),
                access: map.texts("access")?,
                guest: map.text("guest")?,
                submounts: map
                    .get("submounts")
                    .map(|node| node.truth("submounts"))
                    .transpose()?,
            };
            let rule = StorageRule::new(effect, &spec, read.options.base.as_ref());
            let place = Place::Parts(map);
            read.rules
                .storage
                .push(rule.map_err(|error| place.error(&error))?);
            read.storage.push(place);
        }
    }
    Ok(())
}

/// The short form: paths under `read` and `write`.
fn filesystem<'n>(node: &'n Node, read: &mut Placed<'n>) -> Result<(), ParsePolicyError> {
    let section = Map::of(node, "`filesystem`", &["read", "write"])?;
    for access in ["read", "write"] {
        for item in members(&section, access)? {
            let path_node = match &item.value {
                Value::Map(_) => Map::of(item, "a `filesystem` rule", &["path"])?
                    .required("path", "write for example `path: /srv/data`")?,
                Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::List(_) => item,
            };
            let path = path_node.text("path")?;
            if !path.starts_with('/') && read.options.base.is_none() && !path.contains("://") {
                return Err(path_node
                    .at
                    .error(format!("the path `{}` is relative", shown(path)))
                    .hint("write the absolute path; nothing is expanded, and nothing here says what it would be relative to"));
            }
            if path.contains("://") {
                return Err(path_node
                    .at
                    .error("here stands a path, not a URI")
                    .hint("write the path alone; `storage` takes URIs"));
            }
            let spec = StorageSpec {
                uri: format!("fs://{path}"),
                access: Some(vec![access.to_owned()]),
                ..StorageSpec::default()
            };
            let rule = StorageRule::new(Effect::Allow, &spec, read.options.base.as_ref());
            let place = Place::Text(path_node.at);
            read.rules
                .storage
                .push(rule.map_err(|error| place.error(&error))?);
            read.storage.push(place);
        }
    }
    Ok(())
}

fn network<'n>(node: &'n Node, read: &mut Placed<'n>) -> Result<(), ParsePolicyError> {
    const KEYS: [&str; 7] = [
        "host",
        "cidr",
        "schemes",
        "ports",
        "methods",
        "paths",
        "protocols",
    ];
    let section = Map::of(node, "`network`", &["allow", "deny"])?;
    for effect in [Effect::Allow, Effect::Deny] {
        for item in members(&section, effect.as_str())? {
            let map = Map::of(item, "a network rule", &KEYS)?;
            let ports = map.get("ports").map(port_texts).transpose()?;
            let spec = NetworkSpec {
                host: map.text("host")?,
                cidr: map.text("cidr")?,
                schemes: map.texts("schemes")?,
                ports,
                methods: map.texts("methods")?,
                paths: map.texts("paths")?,
                protocols: map.texts("protocols")?,
            };
            let rule = NetworkRule::new(effect, &spec);
            let place = Place::Parts(map);
            read.rules
                .network
                .push(rule.map_err(|error| place.error(&error))?);
            read.network.push(place);
        }
    }
    Ok(())
}

fn port_texts(node: &Node) -> Result<Vec<String>, ParsePolicyError> {
    let items = node.items("ports")?.iter();
    items
        .map(|item| {
            item.amount(
                "ports",
                "write a port or a range, for example `443` or `8000-8099`",
            )
            .map(str::to_owned)
        })
        .collect()
}

fn environment<'n>(node: &'n Node, read: &mut Placed<'n>) -> Result<(), ParsePolicyError> {
    let section = only_allow(node, "`environment`")?;
    for item in members(&section, "allow")? {
        let (place, rule) = match &item.value {
            Value::Map(_) => {
                let map = Map::of(item, "an environment rule", &["key", "value"])?;
                let key = map
                    .required("key", "write the name of a variable: `key: NAME`")?
                    .text("key")?;
                (
                    Place::Parts(map),
                    EnvironmentRule::new(key, map.text("value")?.as_deref()),
                )
            }
            Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::List(_) => (
                Place::Text(item.at),
                EnvironmentRule::new(item.text("key")?, None),
            ),
        };
        read.rules
            .environment
            .push(rule.map_err(|error| place.error(&error))?);
        read.environment.push(place);
    }
    Ok(())
}

const SECRET: &str = "a secret has a `name`, the `host` it is sent to, and the `header` that carries it";

fn secrets<'n>(node: &'n Node, read: &mut Placed<'n>) -> Result<(), ParsePolicyError> {
    let section = only_allow(node, "`secrets`")?;
    for item in members(&section, "allow")? {
        let map = Map::of(item, "a secret", &["name", "host", "header", "format"])?;
        let spec = SecretSpec {
            name: map.required("name", SECRET)?.text("name")?.to_owned(),
            host: map.required("host", SECRET)?.text("host")?.to_owned(),
            header: map.required("header", SECRET)?.text("header")?.to_owned(),
            format: map.text("format")?,
        };
        let rule = SecretRule::new(&spec);
        let place = Place::Parts(map);
        read.rules
            .secrets
            .push(rule.map_err(|error| place.error(&error))?);
        read.secrets.push(place);
    }
    Ok(())
}

/// Sections without `deny`: names are granted one by one, so there is nothing to take out.
fn only_allow<'n>(node: &'n Node, what: &str) -> Result<Map<'n>, ParsePolicyError> {
    if let Some(deny) = node.entry("deny") {
        return Err(deny
            .at
            .error(format!("{what} has no `deny`"))
            .hint("what is not in `allow` is denied"));
    }
    Map::of(node, what, &["allow"])
}

fn tools(node: &Node, rules: &mut Rules) -> Result<(), ParsePolicyError> {
    if let Some(allow) = node.entry("allow") {
        return Err(allow
            .at
            .error("`tools` has no `allow`")
            .hint("every function is offered that is not in `deny`"));
    }
    let section = Map::of(node, "`tools`", &["deny"])?;
    for item in members(&section, "deny")? {
        let pattern = ToolPattern::new(item.text("deny")?);
        rules
            .tools_deny
            .push(pattern.map_err(|error| from_rule(&error, item.at))?);
    }
    Ok(())
}

fn resources(node: &Node, limits: &mut LimitSettings) -> Result<(), ParsePolicyError> {
    let section = Map::of(node, "`resources`", &["limits", "cpu", "memory"])?;
    if let Some(node) = section.get("limits")
        && !node.is_null()
    {
        let mut known: Vec<&str> = LimitKey::ALL.into_iter().map(LimitKey::name).collect();
        known.dedup();
        let section = Map::of(node, "`limits`", &known)?;
        let entries = section.entries().iter();
        for (limit, Entry { key, value, .. }) in
            entries.filter_map(|entry| Some((LimitKey::from_name(&entry.key)?, entry)))
        {
            let text = value.amount(key, limit.example())?;
            limits
                .set(limit, text)
                .map_err(|error| unreadable(error, value))?;
        }
    }
    if let Some(entry) = section.entry("cpu") {
        refuse_twice(limits, LimitKey::CpuShare, entry)?;
        let text = entry.value.amount("cpu", "write percent of one core: `50`")?;
        limits
            .set_cpu_percent(text)
            .map_err(|error| unreadable(error, &entry.value))?;
    }
    if let Some(entry) = section.entry("memory") {
        refuse_twice(limits, LimitKey::Memory, entry)?;
        let text = entry.value.amount("memory", "write a number of MiB: `512`")?;
        limits
            .set_memory_mebibytes(text)
            .map_err(|error| unreadable(error, &entry.value))?;
    }
    Ok(())
}

fn refuse_twice(limits: &LimitSettings, key: LimitKey, entry: &Entry) -> Result<(), ParsePolicyError> {
    if limits.is_set(key) {
        return Err(entry
            .at
            .error(format!("`{}` is set in `limits` too", entry.key))
            .hint("leave this one out; it is the older form"));
    }
    Ok(())
}

fn unreadable(error: ParseLimitError, node: &Node) -> ParsePolicyError {
    node.at.error(error.message).hint(error.hint)
}

fn key_of(field: Field) -> Option<&'static str> {
    match field {
        Field::Uri => Some("uri"),
        Field::Access => Some("access"),
        Field::Guest => Some("guest"),
        Field::Submounts => Some("submounts"),
        Field::Host => Some("host"),
        Field::Cidr => Some("cidr"),
        Field::Schemes => Some("schemes"),
        Field::Ports => Some("ports"),
        Field::Methods => Some("methods"),
        Field::Paths => Some("paths"),
        Field::Protocols => Some("protocols"),
        Field::Key => Some("key"),
        Field::Value => Some("value"),
        Field::Name => Some("name"),
        Field::Header => Some("header"),
        Field::Format => Some("format"),
        Field::Identity => Some("identity"),
        Field::Issuer => Some("issuer"),
        Field::Signers => Some("signers"),
        Field::Rule | Field::Tool | Field::Source | Field::Description => None,
    }
}
