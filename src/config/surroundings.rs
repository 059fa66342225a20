//! What the settings are read from, besides their file.

use super::VARIABLES;
use crate::clients::Folders;
use crate::exit::Exit;
use etcetera::BaseStrategy as _;
use std::ffi::OsString;
use std::path::PathBuf;

/// What is read of the process's surroundings, so that the rest can be tested without changing them.
pub(super) struct Surroundings {
    pub(super) variables: Vec<(String, OsString)>,
    pub(super) config_dir: PathBuf,
    pub(super) data_dir: PathBuf,
    pub(super) current_dir: PathBuf,
    pub(super) home_dir: PathBuf,
    pub(super) docker_config: PathBuf,
    pub(super) client_folders: Folders,
}

impl Surroundings {
    pub(super) fn read() -> Result<Self, Exit> {
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
            docker_config: std::env::var_os("DOCKER_CONFIG")
                .map_or_else(|| folders.home_dir().join(".docker"), PathBuf::from)
                .join("config.json"),
            client_folders: Folders {
                home: folders.home_dir().to_owned(),
                // Where programs with windows keep theirs; our own stay where XDG has them.
                config: if cfg!(target_os = "macos") {
                    folders.home_dir().join("Library/Application Support")
                } else {
                    folders.config_dir()
                },
                codex: std::env::var_os("CODEX_HOME").map(PathBuf::from),
                claude: std::env::var_os("CLAUDE_CONFIG_DIR").map(PathBuf::from),
                // The specification has relative paths ignored, and an empty one is none.
                xdg: std::env::var_os("XDG_CONFIG_HOME")
                    .map(PathBuf::from)
                    .filter(|path| path.is_absolute()),
            },
            current_dir: std::env::current_dir().map_err(Exit::failed)?,
        })
    }

    pub(super) fn variable(&self, name: &str) -> Result<Option<String>, Exit> {
        debug_assert!(VARIABLES.contains(&name), "{name} is not listed");
        let found = self.variables.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone().into_string())
            .transpose()
            .map_err(|_not_text| Exit::usage(format!("the variable `{name}` is not valid text")))
    }
}
