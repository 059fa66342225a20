//! `wassette registry`: finding, publishing, and the credentials of registries.

use super::component::{Bar, read_wit};
use super::hidden::hidden;
use super::{open, reference, refused};
use crate::cli::{PushArgs, PushKind, RegistryCommand};
use crate::config::Config;
use crate::exit::Exit;
use crate::logins::Logins;
use crate::output::{Output, note, shown, table};
use serde::Serialize;
use serde_json::json;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wassette_host::{
    Actor, CatalogueEntry, Command, Description, ExposeSecret as _, FeedSynced, Found, Host, Outcome, Policy,
    Publication, Publishable, Reference, SecretString, SigningKey, read_text,
};

/// Bytes of a component that is read to be published, as of one that is loaded.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a password, a token or a private key.
const SECRET_BYTES_MAX: u64 = 64 << 10;

pub(crate) async fn run(config: &Config, command: RegistryCommand, output: Output) -> Result<(), Exit> {
    match command {
        RegistryCommand::Search { query } => {
            let host = open(config).await?;
            let found = host.search(&query.unwrap_or_default(), &Actor::Operator).await;
            output.print(&found, found_people)
        }
        RegistryCommand::Get { name } => get(&open(config).await?, &name, output).await,
        RegistryCommand::Login {
            host,
            username,
            password_stdin,
        } => login(config, &host, (&username, password_stdin), output).await,
        RegistryCommand::Logout { host } => {
            let mut logins = Logins::read(config)?;
            let existed = logins.remove(&host);
            logins.write()?;
            let data = json!({"status": "success", "registry": host, "existed": existed});
            output.print(&data, |_| format!("{} is forgotten", shown(&host)))
        }
        RegistryCommand::Push(args) => push(config, &args, output).await,
        RegistryCommand::Keygen { path } => keygen(config, &config.current_dir.join(path), output).await,
        RegistryCommand::Sync => {
            let host = open(config).await?;
            let feeds = host.sync_feeds().await;
            output.print(&Synced { feeds }, synced_people)
        }
    }
}

#[derive(Debug, Serialize)]
struct Synced {
    feeds: Vec<FeedSynced>,
}

fn synced_people(synced: &Synced) -> String {
    if synced.feeds.is_empty() {
        return "no revocation feed is configured; `revocation_feeds` in the settings names them".to_owned();
    }
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let rows = synced.feeds.iter().map(|feed| {
        [
            shown(&feed.reference),
            number(feed.sequence),
            number(feed.revoked.and_then(|count| u64::try_from(count).ok())),
            feed.reason.as_deref().map(shown).unwrap_or_default(),
        ]
    });
    table(["FEED", "SEQUENCE", "REVOKED", "NOT READ BECAUSE"], rows)
}

fn found_people(found: &Found) -> String {
    for reason in &found.failed {
        note(&format!("warning: {}", shown(reason)));
    }
    if found.components.is_empty() {
        return "nothing was found".to_owned();
    }
    let rows = found
        .components
        .iter()
        .map(|entry| [shown(&entry.name), shown(&entry.uri), shown(&entry.description)]);
    table(["NAME", "LOAD WITH", "WHAT IT DOES"], rows)
}

async fn get(host: &Host, name: &str, output: Output) -> Result<(), Exit> {
    let found = host.search("", &Actor::Operator).await;
    let is_meant = |entry: &&CatalogueEntry| entry.name.eq_ignore_ascii_case(name) || entry.uri == name;
    let entry = found.components.iter().find(is_meant).ok_or_else(|| {
        Exit::not_found(format!("no catalogue has `{}`", shown(name)))
            .with_hint("`wassette registry search` shows what there is")
    })?;
    output.print(entry, |entry| {
        format!(
            "{}\n  {}\n  wassette component load {}",
            shown(&entry.name),
            shown(&entry.description),
            shown(&entry.uri)
        )
    })
}

/// Keeps a login that works.
async fn login(
    config: &Config,
    registry: &str,
    (username, password_stdin): (&str, bool),
    output: Output,
) -> Result<(), Exit> {
    let password = password(registry, password_stdin).await?;
    let mut logins = Logins::read(config)?;
    let host = open(config).await?;
    host.check_login(registry, username, &password)
        .await
        .map_err(|error| Exit::from(error).about(registry))?;
    logins.insert(registry, username, &password);
    logins.write()?;
    let data = json!({"status": "success", "registry": registry, "username": username});
    output.print(&data, |_| {
        format!("logged in to {} as {}", shown(registry), shown(username))
    })
}

async fn password(registry: &str, from_stdin: bool) -> Result<SecretString, Exit> {
    if !from_stdin && std::io::stdin().is_terminal() {
        return hidden(format!("password or token for {}: ", shown(registry))).await;
    }
    let mut text = String::new();
    std::io::stdin()
        .take(SECRET_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(Exit::failed)?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Exit::usage("there is no password on standard input"));
    }
    Ok(SecretString::from(text))
}

async fn keygen(config: &Config, path: &Path, output: Output) -> Result<(), Exit> {
    let key = SigningKey::generate().map_err(Exit::failed)?;
    let public = PathBuf::from(format!("{}.pub", path.display()));
    let private = key
        .to_encrypted_pem(passphrase(config, path).await?.expose_secret())
        .map_err(Exit::failed)?;
    if !crate::logins::create_private(path, private.as_bytes())? {
        return Err(
            Exit::failed(anyhow::anyhow!("`{}` is there already", path.display()))
                .with_hint("a key is not overwritten: name another file"),
        );
    }
    crate::logins::create(&public, key.public().to_pem().as_bytes())?;
    let signer = format!("key:{}", key.public().fingerprint());
    let data = json!({"private": path, "public": public, "signer": signer});
    output.print(&data, |_| {
        format!(
            "the private key is in {}, encrypted with your passphrase\nthe public key is in {}; put it into `signatures` of \
             a ceiling",
            path.display(),
            public.display()
        )
    })
}

async fn push(config: &Config, args: &PushArgs, output: Output) -> Result<(), Exit> {
    let Reference::Oci(to) = reference(config, &args.reference)? else {
        return Err(
            Exit::usage(format!("`{}` is in no registry", shown(&args.reference)))
                .with_hint("name it as `oci://registry/repository:tag`"),
        );
    };
    let path = config.current_dir.join(&args.file);
    let bytes = read(&path, FILE_BYTES_MAX)?;
    let content = match args.kind {
        PushKind::Component => Publishable::Component {
            wasm: bytes.into(),
            request: args
                .policy
                .as_deref()
                .map(|path| request(config, path))
                .transpose()?,
            wit: args.wit.as_deref().map(read_wit).transpose()?.unwrap_or_default(),
        },
        PushKind::Catalogue => Publishable::Catalogue(bytes),
        PushKind::Feed => Publishable::Feed(bytes),
    };
    let key = match &args.sign {
        Some(path) => Some(Arc::new(
            signing_key(config, &config.current_dir.join(path)).await?,
        )),
        None => None,
    };
    let publication = Publication {
        reference: to,
        content,
        description: description(args),
        key,
    };
    let host = open(config).await?;
    let progress = Bar::new();
    let outcome = host
        .execute(
            Command::Publish(Box::new(publication)),
            &Actor::Operator,
            &progress,
        )
        .await;
    drop(progress);
    let outcome = outcome.map_err(|error| refused(error, &args.file.display().to_string()))?;
    output.print(&outcome, published_people)
}

fn published_people(outcome: &Outcome) -> String {
    let Outcome::Published {
        reference,
        manifest,
        signer,
        ..
    } = outcome
    else {
        return String::new();
    };
    let signed = signer
        .as_ref()
        .map_or_else(String::new, |signer| format!("\n  signed by {}", shown(signer)));
    format!("published {}\n  {manifest}{signed}", shown(reference))
}

/// A policy that can be asked for: one that is understood. Kept as it is written.
fn request(config: &Config, path: &Path) -> Result<String, Exit> {
    let path = config.current_dir.join(path);
    let text = read_text(&path).map_err(|error| Exit::unreadable(&path, error))?;
    let options = wassette_host::ParseOptions::default();
    Policy::parse(&text, &options).map_err(|error| {
        Exit::failed(anyhow::anyhow!("{}:{error}", path.display())).with_hint(error.hint())
    })?;
    Ok(text)
}

/// The passphrase of a private key: from the environment, where scripts keep it, or from the terminal.
async fn passphrase(config: &Config, path: &Path) -> Result<SecretString, Exit> {
    if let Some(passphrase) = &config.key_passphrase {
        return Ok(passphrase.clone());
    }
    if std::io::stdin().is_terminal() {
        return hidden(format!("passphrase of {}: ", path.display())).await;
    }
    Err(Exit::usage(format!(
        "`{}` needs a passphrase, and there is no terminal to ask at",
        path.display()
    ))
    .with_hint("set WASSETTE_KEY_PASSPHRASE"))
}

async fn signing_key(config: &Config, path: &Path) -> Result<SigningKey, Exit> {
    let bytes = read(path, SECRET_BYTES_MAX)?;
    let text = String::from_utf8(bytes)
        .map_err(|_not_text| Exit::failed(anyhow::anyhow!("`{}` is not text in PEM", path.display())))?;
    let passphrase = if text.contains("ENCRYPTED") {
        Some(passphrase(config, path).await?)
    } else {
        None
    };
    let key = SigningKey::from_pem(&text, passphrase.as_ref().map(|text| text.expose_secret()));
    key.map_err(|error| {
        Exit::failed(anyhow::Error::new(error).context(format!("cannot use `{}`", path.display())))
    })
}

fn description(args: &PushArgs) -> Description {
    let name = args
        .file
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Description {
        title: Some(name),
        description: args.description.clone(),
        version: None,
        licenses: args.license.clone(),
        source: args.source.clone(),
        // Without a time the same component gives the same artifact.
        created: None,
    }
}

/// A whole file of at most so many bytes.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Exit> {
    let failed = |error| Exit::unreadable(path, error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(Exit::failed(anyhow::anyhow!(
            "`{}` has more than {bytes_max} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}
