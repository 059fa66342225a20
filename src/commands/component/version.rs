//! `wassette component update|rollback|approve|verify|revoke`: which version of a component is trusted and runs.

use super::{Bar, execute, loaded, loaded_people};
use crate::cli::UpdateArgs;
use crate::commands::{component_id, reference, refused};
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, shown, table};
use futures::StreamExt as _;
use serde::Serialize;
use wassette_host::{
    Actor, Availability, Change, Command, ComponentId, Difference, Digest, GrantRequested, Host, HostError,
    Loaded, Outcome, ParseSubjectError, Subject, UpdateRequest, Verification,
};

/// Sources that are asked at a time.
const CHECKS_AT_A_TIME: usize = 16;

/// One component after `update` without an id, or with `--check`.
#[derive(Debug, Serialize)]
struct Checked {
    id: ComponentId,
    /// `current`, `newer`, `updated`, `quarantined` or `failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct AllChecked {
    components: Vec<Checked>,
}

impl Checked {
    fn of(id: &ComponentId, found: Result<Availability, HostError>) -> Self {
        let (state, digest, reason) = match found {
            Ok(Availability::Current) => ("current", None, None),
            Ok(Availability::Newer { digest }) => ("newer", Some(digest), None),
            Err(error) => ("failed", None, Some(Exit::from(error).message().to_owned())),
        };
        Self {
            id: id.clone(),
            state,
            digest,
            difference: None,
            reason,
        }
    }

    fn installed(id: &ComponentId, done: Result<Loaded, Exit>) -> Self {
        match done {
            Ok(loaded) => Self {
                id: id.clone(),
                state: match (&loaded.change, loaded.quarantined) {
                    (_, true) => "quarantined",
                    (Change::Unchanged, false) => "current",
                    (Change::New | Change::Replaced { .. }, false) => "updated",
                },
                digest: Some(loaded.digest),
                difference: match loaded.change {
                    Change::Replaced { difference, .. } => Some(*difference),
                    Change::New | Change::Unchanged => None,
                },
                reason: None,
            },
            Err(error) => Self {
                id: id.clone(),
                state: "failed",
                digest: None,
                difference: None,
                reason: Some(error.message().to_owned()),
            },
        }
    }
}

pub(super) async fn update(
    config: &Config,
    host: &Host,
    args: &UpdateArgs,
    output: Output,
) -> Result<(), Exit> {
    match &args.id {
        Some(id) => update_one(config, host, (&component_id(id)?, args), output).await,
        None => update_all(host, args, output).await,
    }
}

async fn update_one(
    config: &Config,
    host: &Host,
    (id, args): (&ComponentId, &UpdateArgs),
    output: Output,
) -> Result<(), Exit> {
    let request = UpdateRequest {
        id: id.clone(),
        to: args
            .to
            .as_deref()
            .map(|text| reference(config, text))
            .transpose()?,
        approve: args.approve,
        digest: None,
    };
    if args.check {
        let (digest, difference) = host.preview(&request, &Bar::new()).await?;
        let catalog = host.catalog();
        let is_current = catalog.component(id).is_some_and(|known| known.digest == digest);
        let checked = Checked {
            id: id.clone(),
            state: if is_current { "current" } else { "newer" },
            digest: Some(digest),
            difference: Some(difference),
            reason: None,
        };
        return output.print(&checked, checked_people);
    }
    let done = install(host, request).await?;
    output.print(&Outcome::Loaded(done.clone()), |_| loaded_people(&done))
}

async fn install(host: &Host, request: UpdateRequest) -> Result<Loaded, Exit> {
    let subject = request.id.to_string();
    let progress = Bar::new();
    let outcome = host
        .execute(Command::Update(request), &Actor::Operator, &progress)
        .await;
    drop(progress);
    loaded(outcome.map_err(|error| refused(error, &subject))?)
}

/// Asks all sources first, which is cheap, and then updates what is newer, one after the other.
async fn update_all(host: &Host, args: &UpdateArgs, output: Output) -> Result<(), Exit> {
    let catalog = host.catalog();
    let remote = catalog
        .components()
        .filter(|known| known.origin.starts_with("oci://") || known.origin.starts_with("https://"));
    let asked = futures::stream::iter(remote.map(|known| async {
        let found = host.availability(&known.id).await;
        Checked::of(&known.id, found)
    }));
    let mut components: Vec<_> = asked.buffered(CHECKS_AT_A_TIME).collect().await;
    if !args.check {
        for checked in components.iter_mut().filter(|checked| checked.state == "newer") {
            let request = UpdateRequest {
                id: checked.id.clone(),
                to: None,
                approve: false,
                digest: None,
            };
            *checked = Checked::installed(&checked.id, install(host, request).await);
        }
    }
    let failed = components
        .iter()
        .filter(|checked| checked.state == "failed")
        .count();
    output.print(&AllChecked { components }, all_people)?;
    match failed {
        0 => Ok(()),
        count => Err(Exit::failed(anyhow::anyhow!(
            "{count} of the components could not be updated"
        ))),
    }
}

fn checked_people(checked: &Checked) -> String {
    let mut text = format!("{}: {}", checked.id, checked.state);
    if let Some(digest) = checked.digest {
        text.push_str(&format!("  {digest}"));
    }
    for line in checked.difference.iter().flat_map(Difference::lines) {
        text.push_str(&format!("\n  {}", shown(&line)));
    }
    text
}

fn all_people(all: &AllChecked) -> String {
    if all.components.is_empty() {
        return "no component came from a registry or a web server".to_owned();
    }
    let rows = all.components.iter().map(|checked| {
        let lines: Vec<_> = checked.difference.iter().flat_map(Difference::lines).collect();
        let what = checked.reason.clone().unwrap_or_else(|| lines.join("; "));
        [
            checked.id.to_string(),
            checked.state.to_owned(),
            checked
                .digest
                .map_or_else(String::new, |digest| digest.to_string()),
            shown(&what),
        ]
    });
    table(["ID", "STATE", "DIGEST", "WHAT"], rows)
}

pub(super) async fn rollback(host: &Host, id: &str, to: Option<&str>, output: Output) -> Result<(), Exit> {
    let digest = to.map(digest).transpose()?;
    let outcome = execute(host, Command::Rollback(component_id(id)?, digest)).await?;
    let done = loaded(outcome)?;
    output.print(&Outcome::Loaded(done.clone()), |_| loaded_people(&done))
}

fn digest(text: &str) -> Result<Digest, Exit> {
    text.parse().map_err(|error| {
        Exit::usage(format!("`{}` is not a digest: {error}", shown(text)))
            .with_hint("a digest is `sha256:` and 64 hexadecimal digits")
    })
}

pub(super) async fn approve(
    host: &Host,
    id: &str,
    grant_requested: bool,
    output: Output,
) -> Result<(), Exit> {
    let requested = if grant_requested {
        GrantRequested::All
    } else {
        GrantRequested::Nothing
    };
    let outcome = execute(host, Command::Approve(component_id(id)?, requested)).await?;
    output.print(&outcome, approved_people)
}

fn approved_people(outcome: &Outcome) -> String {
    let Outcome::Approved {
        id,
        approved,
        granted,
        ..
    } = outcome
    else {
        return String::new();
    };
    let mut text = if approved.is_nothing() {
        format!("{id} was in no quarantine")
    } else {
        format!("approved {id}")
    };
    for line in approved.lines() {
        text.push_str(&format!("\n  {}", shown(&line)));
    }
    for rule in granted {
        text.push_str(&format!("\n  granted {}", shown(rule)));
    }
    text
}

pub(super) async fn verify(config: &Config, host: &Host, subject: &str, output: Output) -> Result<(), Exit> {
    let id = subject.parse::<ComponentId>().ok();
    let verification = match id.filter(|id| host.catalog().component(id).is_some()) {
        Some(id) => host.verify_loaded(&id).await?,
        None => host.verify(&reference(config, subject)?).await?,
    };
    output.print(&verification, verification_people)?;
    if verification.accepted {
        return Ok(());
    }
    let reason = verification.reason.unwrap_or_default();
    Err(
        Exit::denied(format!("`{}`: {reason}", shown(&verification.reference)))
            .with_hint("the rules are `signatures` in the ceiling"),
    )
}

fn verification_people(verification: &Verification) -> String {
    let mut text = shown(&verification.reference);
    if let Some(manifest) = verification.manifest {
        text.push_str(&format!("  {manifest}"));
    }
    for found in &verification.signatures {
        let line = match (&found.signer, &found.fault) {
            (Some(signer), None) => format!("signed by {signer}"),
            (Some(signer), Some(fault)) => format!("signed by {signer}, {fault}"),
            (None, fault) => fault.clone().unwrap_or_default(),
        };
        text.push_str(&format!("\n  {}", shown(&line)));
    }
    if verification.signatures.is_empty() {
        text.push_str("\n  not signed");
    }
    let verdict = if verification.accepted {
        "accepted"
    } else {
        "not accepted"
    };
    text.push_str(&format!("\n  {verdict} (rule: {})", verification.rule));
    text
}

/// Revokes for a reason; without one, takes a revocation back.
pub(super) async fn revoke(
    host: &Host,
    subject: &str,
    reason: Option<String>,
    output: Output,
) -> Result<(), Exit> {
    let parsed = subject.parse::<Subject>();
    let subject =
        parsed.map_err(|error| Exit::usage(error.to_string()).with_hint(ParseSubjectError::HINT))?;
    let command = match reason {
        Some(reason) => Command::RevokeVersions(subject, reason),
        None => Command::ReinstateVersions(subject),
    };
    let outcome = execute(host, command).await?;
    output.print(&outcome, revocation_people)
}

fn revocation_people(outcome: &Outcome) -> String {
    let Outcome::Revocation {
        subject,
        revoked,
        components,
    } = outcome
    else {
        return String::new();
    };
    let done = if *revoked {
        "revoked"
    } else {
        "no longer revoked by you:"
    };
    let names: Vec<_> = components.iter().map(ToString::to_string).collect();
    let concerned = if names.is_empty() {
        "none that is loaded".to_owned()
    } else {
        names.join(", ")
    };
    format!("{done} {}\n  components: {concerned}", shown(subject))
}
