//! Whose name is given to a registry: configured entries, files in the form of docker's `config.json`, and, only
//! where that is switched on, the programs such a file names.
//!
//! A file is read anew each time a registry asks, so that a login counts at once. A file that is missing says
//! nothing; one that cannot be understood is an error, because its owner believes to be logged in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use wassette_store::RegularFile;

use super::NetworkError;

/// Largest file with credentials.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Longest time for a program that keeps credentials.
const HELPER_TIME_MAX: Duration = Duration::from_secs(10);

/// Most bytes taken from such a program.
const HELPER_BYTES_MAX: u64 = 64 << 10;

/// What proves who one is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A name and a password or access token.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// A token that is exchanged for a short one (`identitytoken`, of OAuth 2 `refresh_token`).
    Refresh(SecretString),
    /// A token that is sent as it is (`registrytoken`).
    Bearer(SecretString),
}

/// Where credentials are looked for; the first source that knows the registry counts.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// These, for this registry: `ghcr.io`, `localhost:5000`.
    Entry {
        /// The registry as references name it.
        registry: String,
        /// What is sent to it.
        credential: Credential,
    },
    /// A file in the form of docker's `config.json`.
    DockerConfig(PathBuf),
}

/// The sources, and the folders in which credential helpers are looked for, or `None` when none is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) sources: Vec<CredentialSource>,
    pub(crate) helper_path: Option<OsString>,
}

#[derive(Default, Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
struct DockerAuth {
    #[serde(default)]
    auth: Option<SecretString>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<SecretString>,
    #[serde(default)]
    identitytoken: Option<SecretString>,
    #[serde(default)]
    registrytoken: Option<SecretString>,
}

#[derive(Deserialize)]
struct HelperAnswer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: SecretString,
}

impl Credentials {
    /// What is known for this repository of this registry.
    pub(crate) async fn find(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, NetworkError> {
        for source in &self.sources {
            let found = match source {
                CredentialSource::Entry {
                    registry: known,
                    credential,
                } => (key_host(known) == registry).then(|| credential.clone()),
                CredentialSource::DockerConfig(path) => self.in_file(path, registry, repository).await?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn in_file(
        &self,
        path: &std::path::Path,
        registry: &str,
        repository: &str,
    ) -> Result<Option<Credential>, NetworkError> {
        let failed = |reason| NetworkError::Credentials {
            path: path.to_owned(),
            reason,
        };
        let owned = path.to_owned();
        let config = tokio::task::spawn_blocking(move || read_file(&owned)).await;
        let config = config
            .map_err(|_| failed("was not read"))
            .and_then(|read| read.map_err(failed))?;
        let helper = config
            .helpers
            .iter()
            .find(|(key, _)| key_host(key) == registry)
            .map(|(key, name)| (name, key.as_str()));
        // A registry's own helper goes before what is in the file, the store for all registries after it.
        if let Some((name, key)) = helper
            && let Some(search) = &self.helper_path
        {
            return run_helper(search, name, key).await;
        }
        if let Some(credential) = in_auths(&config.auths, registry, repository).map_err(failed)? {
            return Ok(Some(credential));
        }
        match (&config.store, &self.helper_path) {
            (Some(name), Some(search)) => run_helper(search, name, &store_key(registry)).await,
            (None, _) | (_, None) => Ok(None),
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<DockerConfig, &'static str> {
    let file = match RegularFile::open(path).map_err(std::io::Error::from) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(DockerConfig::default()),
        Err(_) => return Err("cannot be opened as a file"),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| "cannot be read")?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err("is too large for a file with credentials");
    }
    // The parser's message might quote a password.
    serde_json::from_slice(&bytes).map_err(|_| "is not JSON in the form of docker's `config.json`")
}

/// The most exact entry: podman and others also write `registry/path` as key.
fn in_auths(
    auths: &BTreeMap<String, DockerAuth>,
    registry: &str,
    repository: &str,
) -> Result<Option<Credential>, &'static str> {
    let covers = |key: &str| {
        let path = key_path(key);
        let rest = repository.strip_prefix(path);
        key_host(key) == registry
            && (path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let best = auths
        .iter()
        .filter(|(key, _)| covers(key))
        .max_by_key(|(key, _)| key_path(key).len());
    best.map_or(Ok(None), |(_, auth)| credential(auth))
}

fn credential(auth: &DockerAuth) -> Result<Option<Credential>, &'static str> {
    use secrecy::ExposeSecret as _;
    if let Some(token) = auth
        .registrytoken
        .as_ref()
        .filter(|token| !token.expose_secret().is_empty())
    {
        return Ok(Some(Credential::Bearer(token.clone())));
    }
    if let Some(token) = auth
        .identitytoken
        .as_ref()
        .filter(|token| !token.expose_secret().is_empty())
    {
        return Ok(Some(Credential::Refresh(token.clone())));
    }
    if let (Some(user), Some(password)) = (&auth.username, &auth.password) {
        let (user, password) = (user.clone(), password.clone());
        return Ok(Some(Credential::Password { user, password }));
    }
    let Some(text) = auth.auth.as_ref().filter(|text| !text.expose_secret().is_empty()) else {
        return Ok(None);
    };
    let wrong = "holds an `auth` that is not `user:password` in base64";
    let bytes = STANDARD.decode(text.expose_secret().trim()).map_err(|_| wrong)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong)?;
    let (user, password) = text.split_once(':').ok_or(wrong)?;
    Ok(Some(Credential::Password {
        user: user.to_owned(),
        password: password.trim_end_matches('\0').into(),
    }))
}

/// `ghcr.io` of `https://ghcr.io/v2/`; Docker Hub has several names and one here.
fn key_host(key: &str) -> String {
    let host = without_scheme(key)
        .split('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    }
}

/// The path behind the host, without those of old interfaces.
fn key_path(key: &str) -> &str {
    let path = without_scheme(key).split_once('/').map_or("", |(_, path)| path);
    match path.trim_end_matches('/') {
        "v1" | "v2" => "",
        path => path,
    }
}

fn without_scheme(key: &str) -> &str {
    key.strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key)
}

fn store_key(registry: &str) -> String {
    match registry {
        "docker.io" => "https://index.docker.io/v1/".to_owned(),
        _ => registry.to_owned(),
    }
}

/// Asks `docker-credential-<name>` by its protocol: the key on standard input, JSON on standard output.
///
/// SECURITY: this starts a program that a file names, and so only where the operator allows it.
async fn run_helper(search: &OsString, name: &str, key: &str) -> Result<Option<Credential>, NetworkError> {
    let failed = |reason| NetworkError::Helper {
        name: name.to_owned(),
        reason,
    };
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
        return Err(NetworkError::Helper {
            // The text of a file, which may be anything.
            name: "…".to_owned(),
            reason: "is not started: its name is not of `a-z`, `0-9` and `-`",
        });
    }
    let run = tokio::time::timeout(HELPER_TIME_MAX, talk(search, name, key));
    let (is_success, output) = run
        .await
        .map_err(|_elapsed| failed("did not answer in time"))?
        .map_err(failed)?;
    if !is_success {
        let text = String::from_utf8_lossy(&output);
        // The protocol's words for "none", which comes as a failure.
        if text.trim() == "credentials not found in native keychain" {
            return Ok(None);
        }
        return Err(failed("failed"));
    }
    let answer: HelperAnswer =
        serde_json::from_slice(&output).map_err(|_| failed("did not answer in its protocol"))?;
    Ok(Some(match answer.user.as_str() {
        "<token>" => Credential::Refresh(answer.secret),
        _ => Credential::Password {
            user: answer.user,
            password: answer.secret,
        },
    }))
}

async fn talk(search: &OsString, name: &str, key: &str) -> Result<(bool, Vec<u8>), &'static str> {
    let mut child = start(search, name)?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("cannot be talked to");
    };
    // One that does not read its input may answer nevertheless.
    drop(input.write_all(key.as_bytes()).await);
    drop(input);
    let mut bytes = Vec::new();
    output
        .take(HELPER_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|_| "cannot be read")?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > HELPER_BYTES_MAX {
        return Err("answered more than fits");
    }
    let status = child.wait().await.map_err(|_| "did not end")?;
    Ok((status.success(), bytes))
}

fn start(search: &OsString, name: &str) -> Result<tokio::process::Child, &'static str> {
    let program = format!("docker-credential-{name}{}", std::env::consts::EXE_SUFFIX);
    // Not by the search of the system, which may look into the current folder.
    for folder in std::env::split_paths(search).filter(|folder| folder.is_absolute()) {
        let mut command = Command::new(folder.join(&program));
        command
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return Err("cannot be started"),
        }
    }
    Err("is not installed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn shown(credential: Option<&Credential>) -> String {
        match credential {
            None => "none".to_owned(),
            Some(Credential::Password { user, password }) => format!("{user}:{}", password.expose_secret()),
            Some(Credential::Refresh(token)) => format!("refresh {}", token.expose_secret()),
            Some(Credential::Bearer(token)) => format!("bearer {}", token.expose_secret()),
        }
    }

    #[track_caller]
    fn check(config: &str, registry: &str, expected: &str) {
        let config: DockerConfig = serde_json::from_str(config).unwrap();
        let found = in_auths(&config.auths, registry, "org/tool");
        let found = found.map(|found| shown(found.as_ref()));
        assert_eq!(found.unwrap_or_else(str::to_owned), expected);
    }

    #[test]
    fn entries_of_a_docker_config_are_found() {
        // `dTpw` is `u:p`.
        check(r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#, "ghcr.io", "u:p");
        check(r#"{"auths":{"ghcr.io":{"auth":"dTpw"}}}"#, "other.io", "none");
        check(
            r#"{"auths":{"https://ghcr.io/v2/":{"auth":"dTpw"}}}"#,
            "ghcr.io",
            "u:p",
        );
        check(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#,
            "docker.io",
            "u:p",
        );
        check(
            r#"{"auths":{"ghcr.io":{"username":"u","password":"p"}}}"#,
            "ghcr.io",
            "u:p",
        );
        check(
            r#"{"auths":{"ghcr.io":{"auth":"dTpw","identitytoken":"t"}}}"#,
            "ghcr.io",
            "refresh t",
        );
        check(
            r#"{"auths":{"ghcr.io":{"registrytoken":"t"}}}"#,
            "ghcr.io",
            "bearer t",
        );
        check(r#"{"auths":{"ghcr.io":{}}}"#, "ghcr.io", "none");
        check(
            r#"{"auths":{"ghcr.io":{"auth":"dTpw"},"ghcr.io/org":{"username":"o","password":"q"}}}"#,
            "ghcr.io",
            "o:q",
        );
        check(r#"{"auths":{"ghcr.io/or":{"auth":"dTpw"}}}"#, "ghcr.io", "none");
        check(
            r#"{"auths":{"localhost:5000":{"auth":"dTpw"}}}"#,
            "localhost:5001",
            "none",
        );
        let wrong = "holds an `auth` that is not `user:password` in base64";
        check(r#"{"auths":{"ghcr.io":{"auth":"%"}}}"#, "ghcr.io", wrong);
        check(r#"{"auths":{"ghcr.io":{"auth":"dQ=="}}}"#, "ghcr.io", wrong);
    }

    #[tokio::test]
    async fn a_helper_has_a_plain_name() {
        for name in ["", "../x", "a/b", "A", "a b", "a;b"] {
            let error = run_helper(&"/bin".into(), name, "ghcr.io").await.unwrap_err();
            assert!(
                matches!(error, NetworkError::Helper { .. }),
                "{name:?}: {error:?}"
            );
        }
        let error = run_helper(&"relative".into(), "x", "ghcr.io").await.unwrap_err();
        assert_eq!(error.to_string(), "`docker-credential-x` is not installed");
    }
}
