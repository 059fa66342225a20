//! The settings: what they are and where each value comes from.
//!
//! A flag wins over a `WASSETTE_*` variable, that over the settings file, that over the default. An unknown
//! variable or key is an error: a misspelt setting that is silently ignored is a setting nobody has.

mod surroundings;
mod values;

use crate::cli::Global;
use crate::clients::Folders;
use crate::exit::Exit;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use surroundings::Surroundings;
pub(crate) use values::{AgentSource, Grace, SecretsBackend};
use wassette_host::{
    Allocation, Backend, Compiler, CompilerLimits, CompilerProgram, CredentialSource, FEED_GRACE, HostConfig,
    SecretString, SecretsConfig,
};
use wassette_mcp::Builtin;

/// The variables that are read. Every other `WASSETTE_*` name is an error.
const VARIABLES: [&str; 10] = [
    "WASSETTE_COMPONENT_DIR",
    "WASSETTE_LOG",
    "WASSETTE_AGENT_SOURCES",
    "WASSETTE_HARDENED",
    "WASSETTE_APPROVE_IN_CLIENT",
    "WASSETTE_CEILING",
    "WASSETTE_SECRETS_DIR",
    "WASSETTE_SECRETS_BACKEND",
    "WASSETTE_REVOCATION_FEEDS",
    "WASSETTE_KEY_PASSPHRASE",
];

/// A value and where it comes from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Flag,
    Environment,
    File,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// All settings.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Config {
    /// Folder of the component store.
    pub(crate) component_dir: Setting<PathBuf>,
    /// What is logged.
    pub(crate) log: Setting<String>,
    /// From where a model may load components.
    pub(crate) agent_sources: Setting<Vec<AgentSource>>,
    /// Whether a person may approve in their MCP client what a model asks for.
    pub(crate) approve_in_client: Setting<bool>,
    /// Whether guests get memory that no guest had before, at the price of speed.
    pub(crate) hardened: Setting<bool>,
    /// The policy file that nothing exceeds.
    pub(crate) ceiling: Setting<Option<PathBuf>>,
    /// Folder of the secrets.
    pub(crate) secrets_dir: Setting<PathBuf>,
    /// Where the values of secrets go.
    pub(crate) secrets_backend: Setting<SecretsBackend>,
    /// Where components are found by name.
    pub(crate) catalogues: Setting<Vec<String>>,
    /// Lists of what is revoked.
    pub(crate) revocation_feeds: Setting<Vec<String>>,
    /// How long a feed that cannot be asked is good for.
    pub(crate) revocation_grace: Setting<Grace>,
    /// The root of trust for keyless signatures, if it is not that of the public Sigstore.
    pub(crate) trusted_root: Setting<Option<PathBuf>>,
    /// Certificates of authorities for registries, besides the public ones.
    pub(crate) registry_ca: Setting<Vec<PathBuf>>,
    /// Mirrors of registries.
    pub(crate) registry_mirrors: Setting<BTreeMap<String, String>>,
    /// Whether credential helpers, which are programs, are run.
    pub(crate) registry_credential_helpers: Setting<bool>,
    /// The passphrase of a private key, for scripts.
    #[serde(skip)]
    pub(crate) key_passphrase: Option<SecretString>,
    /// Docker's settings file, whose credentials are read.
    #[serde(skip)]
    pub(crate) docker_config: PathBuf,
    /// The settings file.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// The working folder.
    #[serde(skip)]
    pub(crate) current_dir: PathBuf,
    /// The user's home.
    #[serde(skip)]
    home_dir: PathBuf,
    /// Where MCP clients have their settings.
    #[serde(skip)]
    pub(crate) client_folders: Folders,
}

/// The settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    component_dir: Option<PathBuf>,
    log: Option<String>,
    agent_sources: Option<Vec<String>>,
    catalogues: Option<Vec<String>>,
    revocation_feeds: Option<Vec<String>>,
    revocation_grace: Option<String>,
    trusted_root: Option<PathBuf>,
    registry_ca: Option<Vec<PathBuf>>,
    registry_mirrors: Option<BTreeMap<String, String>>,
    registry_credential_helpers: Option<bool>,
    hardened: Option<bool>,
    approve_in_client: Option<bool>,
    ceiling: Option<PathBuf>,
    secrets_dir: Option<PathBuf>,
    secrets_backend: Option<SecretsBackend>,
}

impl Surroundings {
    fn path(&self, name: &str) -> Result<Option<PathBuf>, Exit> {
        Ok(self.variable(name)?.map(PathBuf::from))
    }

    fn parsed<T>(&self, name: &str, parse: fn(&str, &str) -> Result<T, Exit>) -> Result<Option<T>, Exit> {
        let text = self.variable(name)?;
        text.map(|text| parse(name, &text)).transpose()
    }
}

impl<T> Setting<T> {
    fn map<U>(self, map: impl FnOnce(T) -> U) -> Setting<U> {
        Setting {
            value: map(self.value),
            source: self.source,
        }
    }
}

impl Config {
    /// Reads the settings.
    pub(crate) fn read(flags: &Global) -> Result<Self, Exit> {
        let surroundings = Surroundings::read()?;
        let path = surroundings.config_dir.join("wassette").join("config.toml");
        let file = read_file(&path)?;
        Self::resolve(flags, &surroundings, file, path)
    }

    fn resolve(flags: &Global, around: &Surroundings, file: File, path: PathBuf) -> Result<Self, Exit> {
        for (name, _) in &around.variables {
            if !VARIABLES.contains(&name.as_str()) {
                return Err(Exit::usage(format!("unknown variable `{name}`"))
                    .with_hint(format!("known are {}", VARIABLES.join(", "))));
            }
        }
        let absolute = |path: PathBuf| around.current_dir.join(path);
        let component_dir = choose(
            flags.component_dir.clone(),
            around.path("WASSETTE_COMPONENT_DIR")?,
            file.component_dir,
            usual_store(around),
        );
        let agent_sources = agent_sources(around, file.agent_sources)?;
        let ceiling = choose(
            flags.ceiling.clone().map(Some),
            around.path("WASSETTE_CEILING")?.map(Some),
            file.ceiling.map(Some),
            None,
        );
        let secrets_dir = choose(
            None,
            around.path("WASSETTE_SECRETS_DIR")?,
            file.secrets_dir,
            secrets_of(&absolute(component_dir.value.clone()), around),
        );
        let hardened = around.parsed("WASSETTE_HARDENED", boolean)?;
        let approve_in_client = around.parsed("WASSETTE_APPROVE_IN_CLIENT", boolean)?;
        let backend = around.parsed("WASSETTE_SECRETS_BACKEND", secrets_backend)?;
        let log = around.variable("WASSETTE_LOG")?;
        let feeds = around.variable("WASSETTE_REVOCATION_FEEDS")?;
        let feeds = feeds.map(|list| list.split(',').map(|text| text.trim().to_owned()).collect());
        let grace = file.revocation_grace.as_deref().map(str::parse).transpose()?;
        Ok(Self {
            component_dir: component_dir.map(absolute),
            log: choose(None, log, file.log, "warn".to_owned()),
            agent_sources,
            catalogues: choose(None, None, file.catalogues, vec!["starters".to_owned()]),
            revocation_feeds: choose(None, feeds, file.revocation_feeds, Vec::new()),
            revocation_grace: choose(None, None, grace, Grace(FEED_GRACE)),
            trusted_root: choose(None, None, file.trusted_root.map(Some), None)
                .map(|path| path.map(absolute)),
            registry_ca: choose(None, None, file.registry_ca, Vec::new())
                .map(|paths| paths.into_iter().map(absolute).collect()),
            registry_mirrors: choose(None, None, file.registry_mirrors, BTreeMap::new()),
            registry_credential_helpers: choose(None, None, file.registry_credential_helpers, false),
            key_passphrase: around
                .variable("WASSETTE_KEY_PASSPHRASE")?
                .map(SecretString::from),
            docker_config: around.docker_config.clone(),
            hardened: choose(None, hardened, file.hardened, false),
            approve_in_client: choose(None, approve_in_client, file.approve_in_client, true),
            ceiling: ceiling.map(|path| path.map(absolute)),
            secrets_dir: secrets_dir.map(absolute),
            secrets_backend: choose(None, backend, file.secrets_backend, SecretsBackend::Auto),
            path,
            home_dir: around.home_dir.clone(),
            client_folders: around.client_folders.clone(),
            current_dir: around.current_dir.clone(),
        })
    }

    /// What the host is made with.
    ///
    /// # Errors
    ///
    /// When a setting names what cannot be read.
    pub(crate) fn host(&self) -> Result<HostConfig, Exit> {
        let mut config = HostConfig::new(&self.component_dir.value);
        for source in &self.agent_sources.value {
            match source {
                AgentSource::Folder(folder) => config.agent_folders.push(folder.clone()),
                AgentSource::Pattern(pattern) => config.agent_patterns.push(pattern.clone()),
            }
        }
        self.supply(&mut config)?;
        config.starters = crate::starters::STARTERS;
        config.ceiling.clone_from(&self.ceiling.value);
        config.secrets = SecretsConfig {
            folder: self.secrets_dir.value.clone(),
            backend: match self.secrets_backend.value {
                SecretsBackend::Auto => Backend::Auto,
                SecretsBackend::Keyring => Backend::Keyring,
                SecretsBackend::File => Backend::File,
            },
        };
        config.own = self.path.parent().map(Path::to_owned).into_iter().collect();
        config.reserved = Builtin::all().map(Builtin::name).collect();
        config.home = Some(self.home_dir.clone());
        config.compiler = Compiler {
            program: CompilerProgram::Process(this_program()),
            limits: CompilerLimits::DEFAULT,
        };
        if self.hardened.value {
            config.sandbox.allocation = Allocation::OnDemand;
        }
        Ok(config)
    }

    /// Where components come from and what is thought of it.
    fn supply(&self, config: &mut HostConfig) -> Result<(), Exit> {
        config.catalogues = each("catalogues", &self.catalogues.value)?;
        config.feeds = each("revocation_feeds", &self.revocation_feeds.value)?;
        config.feed_grace = self.revocation_grace.value.0;
        config.trusted_root = self.trusted_root.value.as_deref().map(read_bytes).transpose()?;
        for path in &self.registry_ca.value {
            config.network.extra_roots.extend(certificates(path)?);
        }
        config.network.mirrors.clone_from(&self.registry_mirrors.value);
        let files = [self.logins(), self.docker_config.clone()];
        let files = files.into_iter().filter(|path| path.exists());
        config.network.credentials = files.map(CredentialSource::DockerConfig).collect();
        if self.registry_credential_helpers.value {
            config.network.helper_path = std::env::var_os("PATH");
        }
        Ok(())
    }

    /// The file of the token of `wassette serve`.
    pub(crate) fn http_token(&self) -> PathBuf {
        self.path.with_file_name("http-token")
    }

    /// The file of what `wassette registry login` keeps.
    pub(crate) fn logins(&self) -> PathBuf {
        self.path.with_file_name("registry-logins.json")
    }
}

/// This program, to be started again as a compiler.
///
/// Where the system names the running program itself, it is the running one even when its file was replaced since. A
/// path that cannot be had leads to an error when something is to be compiled, and not to another way of compiling.
fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_default()
}

/// From where a model may load. Unless the settings say otherwise: the working folder, and public registries and web
/// servers, since what it loads can do nothing until a person grants it something.
///
/// SECURITY: some clients start servers in the root of the file system, which means no folder and holds all.
fn agent_sources(
    around: &Surroundings,
    file: Option<Vec<String>>,
) -> Result<Setting<Vec<AgentSource>>, Exit> {
    let current_dir = &around.current_dir;
    let variable = around.variable("WASSETTE_AGENT_SOURCES")?;
    let variable = variable
        .map(|text| AgentSource::read_all(&text, current_dir))
        .transpose()?;
    let read = |list: Vec<String>| {
        list.iter()
            .map(|text| AgentSource::read(text, current_dir))
            .collect()
    };
    let file = file.map(read).transpose()?;
    let mut default = Vec::new();
    if current_dir.parent().is_some() {
        default.push(AgentSource::Folder(current_dir.clone()));
    }
    for pattern in ["oci://**", "https://**"] {
        default.push(AgentSource::read(pattern, current_dir)?);
    }
    Ok(choose(None, variable, file, default))
}

/// Reads each text of a list; the first that cannot be read is said with its setting.
fn each<T: FromStr<Err: fmt::Display>>(setting: &str, texts: &[String]) -> Result<Vec<T>, Exit> {
    let read = |text: &String| {
        text.parse()
            .map_err(|error| Exit::usage(format!("`{text}` in `{setting}`: {error}")))
    };
    texts.iter().map(read).collect()
}

/// Bytes of a file that a setting names: certificates, roots of trust.
const SETTING_FILE_BYTES_MAX: u64 = 4 << 20;

/// The certificates in a file of PEM.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, Exit> {
    let bytes = read_bytes(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = read.ok().filter(|found| !found.is_empty());
    let found = found.ok_or_else(|| {
        Exit::failed(anyhow::anyhow!("`{}` has no certificates in PEM", path.display()))
            .with_hint("a certificate begins with `-----BEGIN CERTIFICATE-----`")
    })?;
    Ok(found
        .into_iter()
        .map(|certificate| certificate.to_vec())
        .collect())
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Exit> {
    let failed = |error| Exit::unreadable(path, error);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > SETTING_FILE_BYTES_MAX {
        let error = anyhow::anyhow!(
            "`{}` has more than {SETTING_FILE_BYTES_MAX} bytes",
            path.display()
        );
        return Err(Exit::failed(error));
    }
    std::fs::read(path).map_err(failed)
}

/// The first value that is there.
fn choose<T>(flag: Option<T>, variable: Option<T>, file: Option<T>, default: T) -> Setting<T> {
    let given = [
        (flag, Source::Flag),
        (variable, Source::Environment),
        (file, Source::File),
    ];
    let first = given.into_iter().find_map(|(value, source)| {
        Some(Setting {
            value: value?,
            source,
        })
    });
    first.unwrap_or(Setting {
        value: default,
        source: Source::Default,
    })
}

fn boolean(name: &str, text: &str) -> Result<bool, Exit> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(Exit::usage(format!(
            "the variable `{name}` is `{other}`; it must be true or false"
        ))),
    }
}

/// A path without links, `.` and `..`, as far as there is something; what is not there yet is taken as it is written.
fn spelled_once(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let Ok(real) = there.canonicalize() {
            let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
            return real.components().chain(rest.components()).collect();
        }
    }
    path.to_owned()
}

fn usual_store(around: &Surroundings) -> PathBuf {
    around.data_dir.join("wassette").join("components")
}

/// Where the secrets of a store are. Each has its own: an id means another component in another store, and what is unloaded
/// there takes its secrets along.
fn secrets_of(store: &Path, around: &Surroundings) -> PathBuf {
    let folder = around.config_dir.join("wassette");
    let store = spelled_once(store);
    if store == spelled_once(&usual_store(around)) {
        return folder.join("secrets");
    }
    let digest = wassette_host::Digest::of(store.as_os_str().as_encoded_bytes());
    let name: String = digest
        .as_bytes()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    folder.join(format!("secrets-{name}"))
}

fn secrets_backend(name: &str, text: &str) -> Result<SecretsBackend, Exit> {
    match text {
        "auto" => Ok(SecretsBackend::Auto),
        "keyring" => Ok(SecretsBackend::Keyring),
        "file" => Ok(SecretsBackend::File),
        other => Err(Exit::usage(format!(
            "the variable `{name}` is `{other}`; it must be auto, keyring or file"
        ))),
    }
}

/// Reads the settings file; one that is missing has no settings.
fn read_file(path: &Path) -> Result<File, Exit> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(Exit::unreadable(path, error)),
    };
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<File, Exit> {
    toml(path, text).map_err(|exit| {
        exit.with_hint("correct the line or remove it; without the file everything has its default")
    })
}

/// Reads TOML; says the line and column of a mistake.
pub(crate) fn toml<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, Exit> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        Exit::failed(anyhow::anyhow!("{}:{line}:{column}: {message}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            variables: variables
                .iter()
                .map(|(n, v)| ((*n).to_owned(), OsString::from(v)))
                .collect(),
            config_dir: "/c".into(),
            data_dir: "/d".into(),
            current_dir: "/here".into(),
            home_dir: "/home/me".into(),
            docker_config: "/home/me/.docker/config.json".into(),
            client_folders: Folders {
                home: "/home/me".into(),
                config: "/c".into(),
                codex: None,
                claude: None,
                xdg: None,
            },
        }
    }

    fn resolve(flag: Option<&str>, variables: &[(&str, &str)], file: &str) -> Result<Config, Exit> {
        let flags = Global {
            component_dir: flag.map(PathBuf::from),
            ceiling: None,
            output: None,
        };
        let file = parse(Path::new("config.toml"), file)?;
        Config::resolve(
            &flags,
            &surroundings(variables),
            file,
            "/c/wassette/config.toml".into(),
        )
    }

    #[test]
    fn each_store_has_secrets_of_its_own_unless_said_otherwise() {
        let of = |flag, variables: &[(&str, &str)]| {
            let config = resolve(flag, variables, "").expect("valid settings");
            config.secrets_dir.value
        };
        let usual = Path::new("/c/wassette/secrets");
        assert_eq!(of(None, &[]), usual);
        assert_eq!(of(Some("/d/wassette/components"), &[]), usual);
        let other = of(Some("x"), &[]);
        assert_eq!(other, of(None, &[("WASSETTE_COMPONENT_DIR", "/here/x")]));
        assert_ne!(other, of(Some("y"), &[]));
        assert!(
            other.to_string_lossy().starts_with("/c/wassette/secrets-"),
            "{other:?}"
        );
        assert_eq!(of(Some("x"), &[("WASSETTE_SECRETS_DIR", "/s")]), Path::new("/s"));

        // However the store is written.
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().join("real");
        std::fs::create_dir_all(real.join("store")).expect("a store");
        std::os::unix::fs::symlink(&real, folder.path().join("link")).expect("a link");
        let written = |below: &str| {
            let path = folder.path().join(below).display().to_string();
            of(None, &[("WASSETTE_COMPONENT_DIR", &path)])
        };
        for other in [
            "real/store/",
            "real/./store",
            "link/store",
            "real/../link/store",
            "link/../real/store/.",
        ] {
            assert_eq!(written(other), written("real/store"), "{other}");
        }
        assert_eq!(written("link/not/yet"), written("real/not/yet"));
    }

    #[test]
    fn flag_wins_over_variable_over_file_over_default() {
        let variable = [("WASSETTE_COMPONENT_DIR", "/v")];
        let file = "component_dir = \"/f\"";
        let table = [
            (Some("x"), &variable[..], file, "/here/x", Source::Flag),
            (None, &variable[..], file, "/v", Source::Environment),
            (None, &[][..], file, "/f", Source::File),
            (None, &[][..], "", "/d/wassette/components", Source::Default),
        ];
        for (flag, variables, file, value, source) in table {
            let found = resolve(flag, variables, file)
                .expect("valid settings")
                .component_dir;
            assert_eq!((found.value.as_path(), found.source), (Path::new(value), source));
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let unknown = resolve(None, &[("WASSETTE_COMPONENTDIR", "/v")], "").expect_err("a misspelt variable");
        assert!(
            format!("{unknown:?}").contains("unknown variable `WASSETTE_COMPONENTDIR`"),
            "{unknown:?}"
        );
        let unknown = resolve(None, &[], "\ncomponent-dir = 1").expect_err("a misspelt key");
        assert!(
            format!("{unknown:?}").contains("config.toml:2:1: unknown field `component-dir`"),
            "{unknown:?}"
        );
        let wrong = resolve(None, &[("WASSETTE_HARDENED", "yes")], "").expect_err("no boolean");
        assert!(
            format!("{wrong:?}").contains("it must be true or false"),
            "{wrong:?}"
        );
    }

    #[test]
    fn a_model_loads_from_the_working_folder_and_from_public_sources_unless_told_otherwise() {
        #[track_caller]
        fn check(variables: &[(&str, &str)], file: &str, expected: &[&str]) {
            let found = resolve(None, variables, file)
                .expect("valid settings")
                .agent_sources;
            let found: Vec<_> = found.value.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected);
        }
        check(&[], "", &["/here", "oci://**", "https://**"]);
        check(&[], "agent_sources = []", &[]);
        check(
            &[],
            "agent_sources = [\"x\", \"oci://r.example/*\"]",
            &["/here/x", "oci://r.example/*"],
        );
        check(&[("WASSETTE_AGENT_SOURCES", "/a:b")], "", &["/a", "/here/b"]);
        check(
            &[("WASSETTE_AGENT_SOURCES", "oci://r.example:5000/*, /a")],
            "",
            &["oci://r.example:5000/*", "/a"],
        );
        let wrong = resolve(None, &[], "agent_sources = [\"http://x/*\"]").expect_err("no source");
        assert!(
            wrong
                .message()
                .starts_with("`http://x/*` in `agent_sources` is no source"),
            "{wrong:?}"
        );
    }

    #[test]
    fn a_grace_has_a_unit() {
        for (text, seconds) in [("7d", 604_800), ("12h", 43_200), ("30m", 1_800)] {
            let grace: Grace = text.parse().expect("a time");
            assert_eq!((grace.0.as_secs(), grace.to_string().as_str()), (seconds, text));
        }
        for text in ["", "7", "d", "-1d", "7 d", "7s"] {
            assert!(text.parse::<Grace>().is_err(), "{text}");
        }
    }
}
