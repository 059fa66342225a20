//! The settings: what they are and where each value comes from.
//!
//! A flag wins over a `WASSETTE_*` variable, that over the settings file, that over the default. An unknown
//! variable or key is an error: a misspelt setting that is silently ignored is a setting nobody has.

use crate::cli::Global;
use crate::exit::Exit;
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use wassette_host::{Allocation, Backend, HostConfig, SecretsConfig};

/// The variables that are read. Every other `WASSETTE_*` name is an error.
const VARIABLES: [&str; 7] = [
    "WASSETTE_COMPONENT_DIR",
    "WASSETTE_LOG",
    "WASSETTE_AGENT_SOURCES",
    "WASSETTE_HARDENED",
    "WASSETTE_CEILING",
    "WASSETTE_SECRETS_DIR",
    "WASSETTE_SECRETS_BACKEND",
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
    /// Folders from which a model may load components.
    pub(crate) agent_sources: Setting<Vec<PathBuf>>,
    /// Whether guests get memory that no guest had before, at the price of speed.
    pub(crate) hardened: Setting<bool>,
    /// The policy file that nothing exceeds.
    pub(crate) ceiling: Setting<Option<PathBuf>>,
    /// Folder of the secrets.
    pub(crate) secrets_dir: Setting<PathBuf>,
    /// Where the values of secrets go.
    pub(crate) secrets_backend: Setting<SecretsBackend>,
    /// The settings file.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    /// The working folder.
    #[serde(skip)]
    pub(crate) current_dir: PathBuf,
    /// The user's home.
    #[serde(skip)]
    home_dir: PathBuf,
}

/// Where the values of secrets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretsBackend {
    /// The system's keyring where there is one, else an encrypted file.
    Auto,
    /// The system's keyring, or nowhere.
    Keyring,
    /// An encrypted file.
    File,
}

impl SecretsBackend {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Keyring => "keyring",
            Self::File => "file",
        }
    }
}

/// The settings file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    component_dir: Option<PathBuf>,
    log: Option<String>,
    agent_sources: Option<Vec<PathBuf>>,
    hardened: Option<bool>,
    ceiling: Option<PathBuf>,
    secrets_dir: Option<PathBuf>,
    secrets_backend: Option<SecretsBackend>,
}

/// What is read of the process's surroundings, so that the rest can be tested without changing them.
struct Surroundings {
    variables: Vec<(String, OsString)>,
    config_dir: PathBuf,
    data_dir: PathBuf,
    current_dir: PathBuf,
    home_dir: PathBuf,
}

impl Surroundings {
    fn read() -> Result<Self, Exit> {
        let folders = etcetera::choose_base_strategy().map_err(|error| {
            Exit::failed(error).with_hint("set HOME, or name the folder with --component-dir and run again")
        })?;
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with("WASSETTE_"))
            .collect();
        Ok(Self {
            variables,
            config_dir: folders.config_dir(),
            data_dir: folders.data_dir(),
            home_dir: folders.home_dir().to_owned(),
            current_dir: std::env::current_dir().map_err(Exit::failed)?,
        })
    }

    fn variable(&self, name: &str) -> Result<Option<String>, Exit> {
        debug_assert!(VARIABLES.contains(&name), "{name} is not listed");
        let found = self.variables.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone().into_string())
            .transpose()
            .map_err(|_not_text| Exit::usage(format!("the variable `{name}` is not valid text")))
    }
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
        let component_dir = choose(
            flags.component_dir.clone(),
            around.path("WASSETTE_COMPONENT_DIR")?,
            file.component_dir,
            around.data_dir.join("wassette").join("components"),
        );
        let sources = around.variable("WASSETTE_AGENT_SOURCES")?;
        let sources = sources.map(|list| std::env::split_paths(&list).collect());
        let agent_sources = choose(
            None,
            sources,
            file.agent_sources,
            default_sources(&around.current_dir),
        );
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
            around.config_dir.join("wassette").join("secrets"),
        );
        let hardened = around.parsed("WASSETTE_HARDENED", boolean)?;
        let backend = around.parsed("WASSETTE_SECRETS_BACKEND", secrets_backend)?;
        let log = around.variable("WASSETTE_LOG")?;
        let absolute = |path: PathBuf| around.current_dir.join(path);
        Ok(Self {
            component_dir: component_dir.map(absolute),
            log: choose(None, log, file.log, "warn".to_owned()),
            agent_sources: agent_sources.map(|paths| paths.into_iter().map(absolute).collect()),
            hardened: choose(None, hardened, file.hardened, false),
            ceiling: ceiling.map(|path| path.map(absolute)),
            secrets_dir: secrets_dir.map(absolute),
            secrets_backend: choose(None, backend, file.secrets_backend, SecretsBackend::Auto),
            path,
            home_dir: around.home_dir.clone(),
            current_dir: around.current_dir.clone(),
        })
    }

    /// What the host is made with.
    pub(crate) fn host(&self) -> HostConfig {
        let mut config = HostConfig::new(&self.component_dir.value);
        config.agent_folders.clone_from(&self.agent_sources.value);
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
        config.home = Some(self.home_dir.clone());
        if self.hardened.value {
            config.sandbox.allocation = Allocation::OnDemand;
        }
        config
    }
}

/// The working folder, from which a model may load unless the settings say otherwise.
///
/// SECURITY: some clients start servers in the root of the file system, which means no folder and holds all.
fn default_sources(current_dir: &Path) -> Vec<PathBuf> {
    let folder = current_dir.parent().map(|_above| current_dir.to_owned());
    folder.into_iter().collect()
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
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        Exit::failed(anyhow::anyhow!("{}:{line}:{column}: {message}", path.display()))
            .with_hint("correct the line or remove it; without the file everything has its default")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_model_loads_from_the_working_folder_unless_told_otherwise() {
        let default = resolve(None, &[], "").expect("valid settings").agent_sources;
        assert_eq!(default.value, [PathBuf::from("/here")]);
        let none = resolve(None, &[], "agent_sources = []")
            .expect("valid settings")
            .agent_sources;
        assert_eq!(none.value, Vec::<PathBuf>::new());
        assert_eq!(default_sources(Path::new("/")), Vec::<PathBuf>::new());
    }
}
