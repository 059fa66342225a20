//! `wassette permission`: granting what a component needs, and taking it back.

mod asked;

use super::policy::{base_folder, with_base};
use super::{component_id, open};
use crate::cli::{GrantCommand, NetworkArgs, PermissionCommand, RevokeCommand, SecretArgs, StorageArgs};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, shown};
use serde_json::{Value as Json, json};
use wassette_host::{
    Actor, Command, ComponentId, Effect, EnvironmentRule, Grant, GrantKind, Grantable, Host, HostError,
    LimitKey, LimitSettings, NetworkRule, NetworkSpec, Outcome, ParseLimitError, PolicyChange, PolicyChanged,
    RuleError, SecretRule, SecretSpec, Silent, StorageRule, StorageSpec, peer, revocable, socket_peer,
};

/// What is asked for, in words that a script finds again in the answer.
type Details = (&'static str, Json);

pub(crate) async fn run(config: &Config, command: PermissionCommand, output: Output) -> Result<(), Exit> {
    match command {
        PermissionCommand::Grant(command) => {
            let (id, grant, details) = grant(config, command)?;
            let host = open(config).await?;
            let command = Command::Grant(id.clone(), grant);
            let outcome = host.execute(command, &Actor::Operator, &Silent).await;
            let outcome = outcome.map_err(|error| not_granted(error, &id, &details))?;
            print(&outcome, details, output)
        }
        PermissionCommand::Revoke(command) => {
            let host = open(config).await?;
            let (id, grants, details) = revoke(config, &host, command)?;
            let outcome = execute(&host, Command::Revoke(id, grants)).await?;
            print(&outcome, details, output)
        }
        PermissionCommand::Reset { id } => {
            let id = component_id(&id)?;
            let outcome = execute(&open(config).await?, Command::Reset(id)).await?;
            print(&outcome, ("all", json!({})), output)
        }
        PermissionCommand::Pending { all } => asked::pending(&open(config).await?, all, output).await,
        PermissionCommand::Approve { number } => asked::approve(&open(config).await?, number, output).await,
        PermissionCommand::Deny { numbers, component } => {
            let component = component.as_deref().map(component_id).transpose()?;
            asked::deny(&open(config).await?, (numbers, component), output).await
        }
    }
}

async fn execute(host: &Host, command: Command) -> Result<Outcome, Exit> {
    Ok(host.execute(command, &Actor::Operator, &Silent).await?)
}

fn grant(config: &Config, command: GrantCommand) -> Result<(ComponentId, Grantable, Details), Exit> {
    let (id, grant, details) = match command {
        GrantCommand::Storage(args) => {
            let details = ("storage", json!({"uri": args.uri, "access": args.access}));
            let grant = Grant::Storage(storage(config, &args, Effect::Allow)?);
            (args.id, grant, details)
        }
        GrantCommand::Network(args) => {
            let details = ("network", json!({"host": args.host}));
            let grant = Grant::Network(network(&args)?);
            (args.id, grant, details)
        }
        GrantCommand::EnvironmentVariable { id, key } => {
            let (name, value) = match key.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (key.as_str(), None),
            };
            let rule = EnvironmentRule::new(name, value).map_err(refused)?;
            (
                id,
                Grant::Environment(rule),
                ("environment", json!({"key": name})),
            )
        }
        GrantCommand::Secret(args) => {
            let details = json!({"name": args.name, "host": args.host, "header": args.header});
            let grant = Grant::Secret(secret(&args)?);
            (args.id, grant, ("secret", details))
        }
        GrantCommand::Memory { id, limit } => return limits(&id, LimitKey::Memory, &limit),
        GrantCommand::Cpu { id, limit } => return limits(&id, LimitKey::Cpu, &limit),
    };
    Ok((component_id(&id)?, grant.into(), details))
}

fn revoke(
    config: &Config,
    host: &Host,
    command: RevokeCommand,
) -> Result<(ComponentId, Vec<Grantable>, Details), Exit> {
    match command {
        RevokeCommand::Storage(args) => {
            let details = ("storage", json!({"uri": args.uri}));
            // To leave the reading, writing is denied.
            let takes_reading = args.access.iter().any(|word| word == "read");
            let effect = if takes_reading {
                Effect::Allow
            } else {
                Effect::Deny
            };
            let id = component_id(&args.id)?;
            let args = StorageArgs {
                id: args.id,
                uri: args.uri,
                access: args.access,
                guest: None,
                submounts: false,
                base: args.base,
            };
            let rule = storage(config, &args, effect)?;
            Ok((id, vec![Grant::Storage(rule).into()], details))
        }
        RevokeCommand::Network(args) => {
            let id = component_id(&args.id)?;
            let details = ("network", json!({"host": args.host}));
            let grants = if args.is_plain() {
                named(host, &id, (GrantKind::Network, &args.host))?
            } else {
                vec![Grant::Network(network(&args)?).into()]
            };
            Ok((id, grants, details))
        }
        RevokeCommand::EnvironmentVariable { id, key } => {
            let id = component_id(&id)?;
            let grants = named(host, &id, (GrantKind::EnvironmentVariable, &key))?;
            Ok((id, grants, ("environment", json!({"key": key}))))
        }
        RevokeCommand::Secret { id, name, host: at } => {
            let id = component_id(&id)?;
            let grants = match &at {
                None => named(host, &id, (GrantKind::Secret, &name))?,
                Some(at) => vec![Grant::Secret(secret_at(&name, at)?).into()],
            };
            Ok((id, grants, ("secret", json!({"name": name, "host": at}))))
        }
        RevokeCommand::Memory { id, .. } => default_limits(&id, ("memory", LimitKey::Memory, "16Mi")),
        RevokeCommand::Cpu { id, .. } => default_limits(&id, ("cpu", LimitKey::Cpu, "1s 100m")),
    }
}

/// All that a component was granted under a name.
fn named(host: &Host, id: &ComponentId, (kind, name): (GrantKind, &str)) -> Result<Vec<Grantable>, Exit> {
    let catalog = host.catalog();
    let component = catalog.component(id);
    let component = component.ok_or_else(|| HostError::UnknownComponent { id: id.clone() })?;
    revocable(component.policy(), kind, name).map_err(refused)
}

fn storage(config: &Config, args: &StorageArgs, effect: Effect) -> Result<StorageRule, Exit> {
    let base = args
        .base
        .as_deref()
        .map(|base| base_folder(config, base))
        .transpose()?;
    let spec = StorageSpec {
        uri: args.uri.clone(),
        access: Some(args.access.clone()),
        guest: args.guest.clone(),
        submounts: args.submounts.then_some(true),
    };
    StorageRule::new(effect, &spec, base.as_ref()).map_err(refused)
}

fn network(args: &NetworkArgs) -> Result<NetworkRule, Exit> {
    let some = |texts: &Vec<String>| (!texts.is_empty()).then(|| texts.clone());
    let peer = if args.protocols.is_empty() {
        peer(&args.host)
    } else {
        socket_peer(&args.host)
    };
    let spec = NetworkSpec {
        schemes: some(&args.schemes),
        ports: some(&args.ports),
        methods: some(&args.methods),
        paths: some(&args.paths),
        protocols: some(&args.protocols),
        ..peer
    };
    NetworkRule::new(Effect::Allow, &spec).map_err(refused)
}

fn secret(args: &SecretArgs) -> Result<SecretRule, Exit> {
    let is_authorization = args.header.eq_ignore_ascii_case("authorization");
    let format = args
        .format
        .clone()
        .or_else(|| is_authorization.then(|| "Bearer {secret}".to_owned()));
    let spec = SecretSpec {
        name: args.name.clone(),
        host: args.host.clone(),
        header: args.header.clone(),
        format,
    };
    SecretRule::new(&spec).map_err(refused)
}

/// The use of a secret at one host, in whatever header.
fn secret_at(name: &str, host: &str) -> Result<SecretRule, Exit> {
    let spec = SecretSpec {
        name: name.to_owned(),
        host: host.to_owned(),
        header: "authorization".to_owned(),
        format: None,
    };
    SecretRule::new(&spec).map_err(refused)
}

fn limits(id: &str, key: LimitKey, text: &str) -> Result<(ComponentId, Grantable, Details), Exit> {
    let mut settings = LimitSettings::new();
    settings.set(key, text).map_err(refused_limit)?;
    let word = key.name();
    Ok((
        component_id(id)?,
        Grantable::Limits(settings),
        (word, json!({"limit": text})),
    ))
}

/// To take limits back only their names count; any amounts will do.
fn default_limits(
    id: &str,
    (word, key, amount): (&'static str, LimitKey, &str),
) -> Result<(ComponentId, Vec<Grantable>, Details), Exit> {
    let (id, grant, _) = limits(id, key, amount)?;
    Ok((id, vec![grant], (word, json!({}))))
}

fn refused(error: RuleError) -> Exit {
    let message = error.to_string();
    let message = match message.strip_suffix(" is missing") {
        Some(key) => format!("{} is missing", in_options(key)),
        None => message,
    };
    Exit::usage(message).with_hint(with_base(&in_options(error.hint())))
}

/// Why something was not granted, with what to type instead.
fn not_granted(error: HostError, id: &ComponentId, (kind, details): &Details) -> Exit {
    let key = details.get("key").and_then(Json::as_str);
    let hint = match (key, error.hint()) {
        // Nothing denies a variable; it has another value.
        (Some(key), _) if *kind == "environment" && matches!(error, HostError::Grant(_)) => Some(format!(
            "take the other back first: `wassette permission revoke environment-variable {id} {key}`"
        )),
        (_, hint) => hint.map(in_options),
    };
    Exit::from(error).with_any_hint(hint)
}

/// What hints name as keys of a policy, as the command line has it.
const OPTIONS: [(&str, &str); 10] = [
    ("`cidr: ", "`"),
    ("`cidr`", "an address or a range of addresses"),
    ("`schemes`", "`--scheme`"),
    ("`ports`", "`--port`"),
    ("`methods`", "`--method`"),
    ("`paths`", "`--path`"),
    ("`protocols`", "`--protocol`"),
    ("`guest`", "`--guest`"),
    ("`submounts`", "`--submounts`"),
    (
        "`access: [read]` or `access: [read, write]`",
        "`--access read` or `--access read,write`",
    ),
];

fn in_options(hint: &str) -> String {
    let words = OPTIONS.iter();
    words.fold(hint.to_owned(), |hint, (key, option)| hint.replace(key, option))
}

fn refused_limit(error: ParseLimitError) -> Exit {
    Exit::usage(error.to_string()).with_hint(error.hint())
}

/// Prints what became of a change of a policy.
pub(super) fn print(outcome: &Outcome, (kind, details): Details, output: Output) -> Result<(), Exit> {
    let Outcome::Policy(changed) = outcome else {
        return Err(Exit::failed(anyhow::anyhow!(
            "a change of a policy answered {outcome:?}"
        )));
    };
    let mut data = json!({
        "status": status(changed),
        "component_id": changed.id,
        "permission_type": kind,
        "details": details,
        "rules": changed.rules,
        "changed": changed.is_changed,
        "message": message(changed),
    });
    if let (Json::Object(fields), Json::Object(details)) = (&mut data, details) {
        if changed.change == PolicyChange::Revoked {
            fields.extend(details);
        }
        if !changed.denied_by.is_empty() {
            fields.insert("denied_by".to_owned(), json!(changed.denied_by));
        }
        if !changed.unused.is_empty() {
            fields.insert("unused".to_owned(), json!(changed.unused));
        }
        if !changed.unmatched.is_empty() {
            fields.insert("unmatched".to_owned(), json!(changed.unmatched));
        }
    }
    output.print(&data, |_| people(changed))
}

fn status(changed: &PolicyChanged) -> &'static str {
    match changed.change {
        PolicyChange::Granted => "permission granted successfully",
        PolicyChange::Revoked if !changed.is_changed => "there was nothing to take back",
        PolicyChange::Revoked => "permission revoked successfully",
        PolicyChange::Reset => "permissions reset successfully",
        PolicyChange::Attached => "policy attached successfully",
    }
}

fn message(changed: &PolicyChanged) -> String {
    let id = &changed.id;
    match (changed.change, changed.is_changed) {
        (_, false) => format!("nothing changed for {id}"),
        (PolicyChange::Granted, true) => format!("granted to {id}, from its next call on"),
        // A call has the limits that it began with.
        (PolicyChange::Revoked, true) if changed.rules.iter().all(|rule| rule.starts_with("limit ")) => {
            format!("taken back from {id}, from its next call on")
        }
        (PolicyChange::Revoked, true) => format!("taken back from {id}; calls that used it end"),
        (PolicyChange::Reset, true) => {
            format!("{id} was granted nothing any more; calls that used anything end")
        }
        (PolicyChange::Attached, true) => format!("the policy of {id} is this one from now on"),
    }
}

fn people(changed: &PolicyChanged) -> String {
    let mut lines = vec![message(changed)];
    lines.extend(changed.rules.iter().map(|rule| format!("  {}", shown(rule))));
    let denied = changed.denied_by.iter();
    lines.extend(denied.map(|rule| format!("  but for what `{}` denies", shown(rule))));
    lines.extend(changed.unused.iter().map(|rule| unused_text(rule)));
    lines.extend(changed.unmatched.iter().map(|pattern| {
        let (id, pattern) = (&changed.id, shown(pattern));
        format!("  warning: `tools.deny` hides nothing with `{pattern}`: no function of {id} is called that")
    }));
    lines.join("\n")
}

/// Says of the rule of a secret that it comes to nothing.
pub(super) fn unused_text(rule: &str) -> String {
    format!(
        "  nothing carries `{}`: no rule of the network allows a request that it is for (a host without a scheme is \
         https)",
        shown(rule)
    )
}
