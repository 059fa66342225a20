//! `wassette policy`: what components may do, as documents.

use super::permission::unused_text;
use super::{component_id, open};
use crate::cli::PolicyCommand;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, note, shown};
use crate::policy_text::PolicyText;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::ErrorKind as IoErrorKind;
use std::path::Path;
use wassette_host::{
    AbsolutePath, AccessText, Actor, Ceiling, Command, Component, ComponentId, Effect, Explanation, Host,
    HostError, NetworkRule, ParseOptions, Policy, PolicyDiff, Relation, Silent, StorageRule, read_ceiling,
    read_text, rule_texts,
};

pub(crate) async fn run(config: &Config, command: PolicyCommand, output: Output) -> Result<(), Exit> {
    match command {
        PolicyCommand::Get { id } => get(&open(config).await?, &component_id(&id)?, output),
        PolicyCommand::Check {
            file,
            as_ceiling: true,
            ..
        } => check_ceiling(&open(config).await?, &file, output),
        PolicyCommand::Check { file, base, .. } => {
            let (policy, text) = read(config, &file, base.as_deref())?;
            check(config, &text, policy, output).await
        }
        PolicyCommand::Explain { id, access } => {
            let access = AccessText::parse(&access)
                .map_err(|error| Exit::usage(error.to_string()).with_hint(error.hint()))?;
            explain(&open(config).await?, &component_id(&id)?, &access, output).await
        }
        PolicyCommand::Diff { a, b, base } => {
            let host = open(config).await?;
            let before = named(config, &host, &a, base.as_deref())?;
            let after = named(config, &host, &b, base.as_deref())?;
            diff((&a, &b), &before.diff(&after), output)
        }
        PolicyCommand::Attach { id, file, base } => {
            let (policy, text) = read(config, &file, base.as_deref())?;
            let id = component_id(&id)?;
            let command = Command::Attach(id, Box::new(policy));
            let host = open(config).await?;
            let outcome = host.execute(command, &Actor::Operator, &Silent).await;
            let outcome = outcome.map_err(|error| text.located(error))?;
            super::permission::print(&outcome, ("policy", json!({"file": file})), output)
        }
    }
}

/// Reads a policy file. What is wrong with it is said with its line and column.
fn read(config: &Config, path: &Path, base: Option<&Path>) -> Result<(Policy, PolicyText), Exit> {
    let text = read_text(path).map_err(|error| {
        // The system says nothing of these two, so the message is ours and complete.
        let is_ours = [IoErrorKind::FileTooLarge, IoErrorKind::InvalidData].contains(&error.kind());
        if is_ours {
            Exit::failed(anyhow::anyhow!("{}: {error}", path.display()))
        } else {
            Exit::unreadable(path, error)
        }
    })?;
    let options = ParseOptions {
        base: base.map(|base| base_folder(config, base)).transpose()?,
    };
    let policy = Policy::parse(&text, &options).map_err(|error| {
        Exit::failed(anyhow::anyhow!("{}:{error}", path.display())).with_hint(with_base(error.hint()))
    })?;
    let path = path.to_owned();
    Ok((policy, PolicyText { path, text, options }))
}

/// A hint with the option that says what a path is relative to, if it is about that.
pub(super) fn with_base(hint: &str) -> String {
    if hint.contains("what it would be relative to") {
        return "write `fs:///` and the absolute path, or name the folder that it is relative to with `--base`"
            .to_owned();
    }
    hint.to_owned()
}

/// Where relative paths begin, with the links in it resolved.
pub(super) fn base_folder(config: &Config, base: &Path) -> Result<AbsolutePath, Exit> {
    let folder = config.current_dir.join(base);
    let folder = folder
        .canonicalize()
        .map_err(|error| Exit::unreadable(&folder, error))?;
    let text = folder
        .to_str()
        .ok_or_else(|| Exit::usage(format!("`{}` is not valid text", folder.display())))?;
    text.parse()
        .map_err(|error| Exit::usage(format!("`{text}`: {error}")))
}

fn component<'c>(catalog: &'c wassette_host::Catalog, id: &ComponentId) -> Result<&'c Component, Exit> {
    let known = catalog.component(id);
    Ok(known.ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?)
}

fn policy_of(component: &Component) -> Result<&Policy, Exit> {
    let reason = component
        .state
        .fault()
        .map_or_else(String::new, |fault| fault.reason.clone());
    Ok(component.policy().ok_or_else(|| HostError::Policy {
        id: component.id.clone(),
        reason,
    })?)
}

fn get(host: &Host, id: &ComponentId, output: Output) -> Result<(), Exit> {
    let catalog = host.catalog();
    let component = component(&catalog, id)?;
    let policy = policy_of(component)?;
    let fault = component.state.fault();
    // A comment: the text is a policy, and is read again as one.
    let mut text = fault.map_or_else(String::new, |fault| {
        format!("# nothing of it is in force: {}\n", shown(&fault.reason))
    });
    text.push_str(&policy.print());
    let ceiling = host.ceiling_rules();
    if ceiling.as_ref().is_some_and(|rules| !rules.is_empty()) {
        note("the ceiling's rules are in force besides; `-o json` shows them");
    }
    let data = json!({
        "component_id": id, "policy": document(policy), "rules": rule_texts(policy), "ceiling": ceiling,
        "in_force": fault.is_none(), "unavailable": fault.map(|fault| &fault.reason),
    });
    output.document(&data, &text)
}

/// A policy as JSON, which is a policy document as well: `policy check` reads it.
fn document(policy: &Policy) -> Json {
    let rules = policy.rules();
    let storage = |effect| Json::Array(policy.storage(effect).map(storage_rule).collect());
    let network = |effect| Json::Array(policy.network(effect).map(network_rule).collect());
    let variables = rules.environment.iter().map(|rule| {
        said([
            ("key", Some(json!(rule.name()))),
            ("value", rule.value().map(|value| json!(value))),
        ])
    });
    let secrets = rules.secrets.iter().map(|rule| {
        let spec = rule.spec();
        said([
            ("name", Some(json!(spec.name))),
            ("host", Some(json!(spec.host))),
            ("header", Some(json!(spec.header))),
            ("format", spec.format.map(|format| json!(format))),
        ])
    });
    let tools: Vec<_> = rules.tools_deny.iter().map(ToString::to_string).collect();
    let allow_only = |rules: Vec<Json>| non_empty(said([("allow", non_empty(Json::Array(rules)))]));
    let lists = |allow, deny| non_empty(said([("allow", non_empty(allow)), ("deny", non_empty(deny))]));
    let permissions = said([
        ("storage", lists(storage(Effect::Allow), storage(Effect::Deny))),
        ("network", lists(network(Effect::Allow), network(Effect::Deny))),
        ("environment", allow_only(variables.collect())),
        ("secrets", allow_only(secrets.collect())),
        ("tools", lists(Json::Null, json!(tools))),
        ("resources", limits(policy)),
    ]);
    said([
        ("version", Some(json!("1.0"))),
        ("description", policy.description().map(|text| json!(text))),
        ("permissions", non_empty(permissions)),
    ])
}

fn storage_rule(rule: &StorageRule) -> Json {
    let spec = rule.spec();
    said([
        ("uri", Some(json!(spec.uri))),
        ("access", spec.access.map(|access| json!(access))),
        ("guest", spec.guest.map(|guest| json!(guest))),
        ("submounts", spec.submounts.map(|submounts| json!(submounts))),
    ])
}

fn network_rule(rule: &NetworkRule) -> Json {
    let spec = rule.spec();
    let list = |texts: Option<Vec<String>>| texts.map(|texts| json!(texts));
    said([
        ("host", spec.host.map(|host| json!(host))),
        ("cidr", spec.cidr.map(|cidr| json!(cidr))),
        ("schemes", list(spec.schemes)),
        ("ports", list(spec.ports)),
        ("methods", list(spec.methods)),
        ("paths", list(spec.paths)),
        ("protocols", list(spec.protocols)),
    ])
}

fn limits(policy: &Policy) -> Option<Json> {
    let mut limits: BTreeMap<&str, String> = BTreeMap::new();
    for key in policy.limits().keys() {
        let Some(text) = policy.limits().text(key) else {
            continue;
        };
        // Processor time and share stand under one key.
        let said = limits.entry(key.name()).or_default();
        if !said.is_empty() {
            said.push(' ');
        }
        said.push_str(&text);
    }
    (!limits.is_empty()).then(|| json!({"limits": limits}))
}

/// An object of what is there.
fn said<const N: usize>(fields: [(&str, Option<Json>); N]) -> Json {
    let there = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Json::Object(there.collect())
}

fn non_empty(json: Json) -> Option<Json> {
    match &json {
        Json::Array(items) if items.is_empty() => None,
        Json::Object(fields) if fields.is_empty() => None,
        Json::Null => None,
        Json::Array(_) | Json::Object(_) | Json::Bool(_) | Json::Number(_) | Json::String(_) => Some(json),
    }
}

/// Says that a policy is one, and whether the ceiling would let it be attached.
async fn check(config: &Config, text: &PolicyText, policy: Policy, output: Output) -> Result<(), Exit> {
    let ceiling = if config.ceiling.value.is_some() {
        "within"
    } else {
        "none"
    };
    let missing = open(config).await?.check_policy(policy.clone()).await;
    let missing = missing.map_err(|error| text.located(error))?;
    let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let rules = rule_texts(&policy);
    let unused: Vec<_> = policy.unused_secrets().iter().map(ToString::to_string).collect();
    let data = json!({
        "status": "policy is valid", "file": text.path, "rules": rules, "unused": unused, "missing": missing,
        "ceiling": ceiling,
    });
    output.print(&data, |_| {
        let mut lines = vec!["the policy is valid; its rules are:".to_owned()];
        lines.extend(rules.iter().map(|rule| format!("  {}", shown(rule))));
        lines.extend(unused.iter().map(|rule| unused_text(rule)));
        lines.extend(missing.iter().map(|path| {
            let path = shown(path);
            format!("  there is no `{path}` on this machine; it must be there when the policy is attached")
        }));
        if ceiling == "within" {
            lines.push("the ceiling allows it".to_owned());
        }
        lines.join("\n")
    })
}

/// Says that a file could be the ceiling, and which of the components that are loaded it would leave out.
fn check_ceiling(host: &Host, path: &Path, output: Output) -> Result<(), Exit> {
    let ceiling = read_ceiling(path).map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        Exit::failed(error).with_any_hint(hint)
    })?;
    let rules = rule_texts(ceiling.policy());
    let catalog = host.catalog();
    let left_out: BTreeMap<String, String> = catalog
        .components()
        .filter_map(|component| Some((component.id.to_string(), left_out(component, &ceiling)?)))
        .collect();
    let data = json!({"status": "ceiling is valid", "file": path, "rules": rules, "unavailable": left_out});
    output.print(&data, |_| {
        let mut lines = vec!["the ceiling is valid; its rules are:".to_owned()];
        lines.extend(rules.iter().map(|rule| format!("  {}", shown(rule))));
        for (id, why) in &left_out {
            lines.push(format!("below it {id} could not be used: {}", shown(why)));
        }
        lines.join("\n")
    })
}

/// Why a component could not be used below a ceiling.
fn left_out(component: &Component, ceiling: &Ceiling) -> Option<String> {
    let origin = component.origin.to_string();
    if !ceiling.allows_source(&origin) {
        return Some(format!("no pattern of its `sources` matches `{origin}`"));
    }
    let excess = component.policy()?.within(ceiling.policy()).err()?;
    Some(excess.to_string())
}

async fn explain(host: &Host, id: &ComponentId, access: &AccessText, output: Output) -> Result<(), Exit> {
    let catalog = host.catalog();
    let is_in_force = component(&catalog, id)?.state.fault().is_none();
    let Explanation {
        allowed,
        layer,
        rule,
        text,
    } = host.explain(id, access).await?;
    let data = json!({
        "component_id": id, "access": access.to_string(), "allowed": allowed, "layer": layer, "rule": rule, "text": text,
        "in_force": is_in_force,
    });
    output.print(&data, |_| shown(&text))
}

/// A component's policy if there is one of this id, else that of a file.
fn named(config: &Config, host: &Host, name: &str, base: Option<&Path>) -> Result<Policy, Exit> {
    let catalog = host.catalog();
    let known = name.parse::<ComponentId>().ok();
    match known.as_ref().and_then(|id| catalog.component(id)) {
        Some(component) => policy_of(component).cloned(),
        None => Ok(read(config, Path::new(name), base)?.0),
    }
}

fn diff((a, b): (&str, &str), diff: &PolicyDiff, output: Output) -> Result<(), Exit> {
    let limits: Vec<_> = diff
        .limits
        .iter()
        .map(|change| json!({"limit": change.words(), "before": change.before, "after": change.after}))
        .collect();
    let data = json!({
        "a": a, "b": b, "relation": diff.relation, "added": diff.added, "removed": diff.removed, "limits": limits,
    });
    output.print(&data, |_| diff_people((a, b), diff))
}

fn diff_people((a, b): (&str, &str), diff: &PolicyDiff) -> String {
    let (a, b) = (shown(a), shown(b));
    let mut lines = vec![match diff.relation {
        Relation::Equal => format!("`{a}` and `{b}` allow the same"),
        Relation::Narrower => format!("`{b}` allows less than `{a}`"),
        Relation::Wider => format!("`{b}` allows more than `{a}`"),
        Relation::Neither => format!(
            "`{b}` allows some more and some less than `{a}`, or they are too large for anybody to say"
        ),
    }];
    lines.extend(diff.removed.iter().map(|rule| format!("- {}", shown(rule))));
    lines.extend(diff.added.iter().map(|rule| format!("+ {}", shown(rule))));
    let or_default = |text: &Option<String>| text.clone().unwrap_or_else(|| "the default".to_owned());
    lines.extend(diff.limits.iter().map(|change| {
        let (before, after) = (or_default(&change.before), or_default(&change.after));
        format!("~ limit {}: {before} -> {after}", change.words())
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_as_json_is_the_same_policy() {
        let text = r#"
version: "1.0"
description: "all there is"
permissions:
  storage:
    allow: [{uri: "fs:///a/*.log", access: [read]}, {uri: "fs:///b", access: [read, write], guest: /c, submounts: true}]
    deny: [{uri: "fs:///b/d", access: [write]}, {uri: "fs:///b/e"}]
  network:
    allow:
      - {host: "*.example.com", ports: ["443", "8000-8099"], methods: [GET], paths: ["/v1/**"]}
      - {host: "localhost:8080", schemes: [http]}
      - {cidr: "10.0.0.0/8", ports: [5432], protocols: [tcp]}
    deny: [{host: "*"}, {cidr: "169.254.0.0/16"}]
  environment: {allow: [LANG, {key: MODE, value: strict}]}
  secrets: {allow: [{name: token, host: api.example.com, header: Authorization, format: "Bearer {secret}"}]}
  tools: {deny: ["delete-*"]}
  resources: {limits: {memory: 512Mi, cpu: "2s 500m", rate: "60/min", requests: 100}}
"#;
        let policy = Policy::parse(text, &ParseOptions::default()).expect("a policy");
        let json = document(&policy).to_string();
        let again = Policy::parse(&json, &ParseOptions::default());
        assert_eq!(again.expect(&json), policy);
        assert_eq!(document(&Policy::empty()), json!({"version": "1.0"}));
    }
}
