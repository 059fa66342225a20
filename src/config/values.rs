//! What settings hold beyond texts, paths and truths, and how each is written.

use crate::exit::Exit;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use wassette_host::SourcePattern;

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

/// From where a model may load components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum AgentSource {
    /// What is below a folder.
    Folder(PathBuf),
    /// References that match a pattern, such as `oci://ghcr.io/org/*`.
    Pattern(#[serde(serialize_with = "as_text")] SourcePattern),
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl AgentSource {
    pub(super) fn read(text: &str, current_dir: &Path) -> Result<Self, Exit> {
        if !text.contains("://") {
            return Ok(Self::Folder(current_dir.join(text)));
        }
        let pattern = SourcePattern::new(text).map_err(|error| error.to_string());
        let is_known = ["oci://", "https://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        let known = "folders, and patterns of `oci://` and `https://`";
        let pattern = pattern.and_then(|pattern| {
            is_known
                .then_some(pattern)
                .ok_or_else(|| format!("known are {known}"))
        });
        pattern.map(Self::Pattern).map_err(|reason| {
            Exit::usage(format!("`{text}` in `agent_sources` is no source: {reason}"))
                .with_hint("for example `oci://ghcr.io/org/*`, or `oci://**` for all registries")
        })
    }

    /// All in one text: as `PATH` is written, or with commas where there are patterns.
    pub(super) fn read_all(text: &str, current_dir: &Path) -> Result<Vec<Self>, Exit> {
        if text.contains("://") {
            let each = text.split(',').map(str::trim);
            return each.map(|text| Self::read(text, current_dir)).collect();
        }
        let folders = std::env::split_paths(text);
        Ok(folders
            .map(|folder| Self::Folder(current_dir.join(folder)))
            .collect())
    }
}

impl fmt::Display for AgentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

/// A time, as `7d`, `12h` or `30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grace(pub(crate) Duration);

impl FromStr for Grace {
    type Err = Exit;

    fn from_str(text: &str) -> Result<Self, Exit> {
        let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
        let parsed = units.into_iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Duration::from_secs(u64::from(number) * seconds))
        });
        parsed.map(Self).ok_or_else(|| {
            Exit::usage(format!("`{text}` is no time for `revocation_grace`"))
                .with_hint("write `7d`, `12h` or `30m`")
        })
    }
}

impl fmt::Display for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match (seconds % 86_400, seconds % 3_600) {
            (0, _) => write!(f, "{}d", seconds / 86_400),
            (_, 0) => write!(f, "{}h", seconds / 3_600),
            (_, _) => write!(f, "{}m", seconds / 60),
        }
    }
}

impl Serialize for Grace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
