//! The operator's ceiling: a policy file above all components, read again whenever it changes.
//!
//! A ceiling that is configured and cannot be read is a ceiling that allows nothing: every component is
//! unavailable, with the reason, until the file is mended. Whether it changed is asked at every call, so that costs
//! one `stat`, about a microsecond.

use crate::error::HostError;
use crate::grant::moved;
use crate::protect::Protection;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wassette_policy::{Ceiling, DOCUMENT_BYTES_MAX, ParseOptions, Policy, SignatureRule};
use wassette_store::{Reference, RegularFile};

/// Clocks of file systems move in steps; two writes within one look the same.
const CLOCK_STEP: Duration = Duration::from_millis(100);

/// What is said of a ceiling that is [`Above::Broken`], before the reason.
pub(crate) const BROKEN_CEILING: &str = "the operator's ceiling cannot be used";

/// What applies above every policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    /// No ceiling is configured.
    Nothing,
    /// This one.
    Ceiling(Arc<Ceiling>),
    /// One is configured and cannot be read, for this reason.
    Broken(Arc<str>),
}

/// What tells one version of a file from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Device, inode, and the time of the last change of either, in nanoseconds.
    identity: (u64, u64, i64, i64),
}

impl Stamp {
    /// Whether a later write will look different.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let age = self.modified.map(|modified| now.duration_since(modified));
        match age {
            Some(Ok(age)) => age > CLOCK_STEP,
            // A time to come, or none at all: whoever sets such times is not followed at every call.
            Some(Err(_)) | None => true,
        }
    }
}

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct CeilingFile {
    path: Option<PathBuf>,
}

impl CeilingFile {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// Looks whether the file is another than before. Costs about a microsecond; nothing without a ceiling.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        stamp(self.path.as_deref()?)
    }

    /// Reads the file. Blocks.
    pub(crate) fn read(&self) -> Above {
        let Some(path) = &self.path else {
            return Above::Nothing;
        };
        match read_ceiling(path) {
            Ok(ceiling) => Above::Ceiling(Arc::new(ceiling)),
            Err(error) => Above::Broken(error.in_one().into()),
        }
    }
}

/// What is wrong with a ceiling, and where: the file, and for a mistake in its text line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CeilingError {
    text: String,
    hint: Option<String>,
}

impl CeilingError {
    /// What could be written instead.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Both, where only one text is shown.
    fn in_one(&self) -> String {
        let Self { text, hint } = self;
        hint.as_ref()
            .map_or_else(|| text.clone(), |hint| format!("{text} ({hint})"))
    }
}

/// Reads a ceiling as it would be in force: its paths are what they lead to. Blocks.
///
/// # Errors
///
/// [`CeilingError`] when the file cannot be read, is no ceiling, or has a pattern that names a folder alone.
pub fn read_ceiling(path: &Path) -> Result<Ceiling, CeilingError> {
    let at = path.display();
    let wrong = |text: String, hint: Option<String>| CeilingError { text, hint };
    let text = read_text(path).map_err(|error| wrong(format!("{at}: {error}"), None))?;
    let ceiling = Ceiling::parse(&text, &ParseOptions::default())
        .map_err(|error| wrong(format!("{at}:{error}"), Some(error.hint().to_owned())))?;
    if let Some(folder) = folder_alone(&ceiling) {
        let text = format!("{at}: the pattern `{folder}` names a folder, and matches no file in it");
        let hint = format!("write `{folder}/*` for its files or `{folder}/**` for all below");
        return Err(wrong(text, Some(hint)));
    }
    followed(&ceiling).map_err(|error| wrong(format!("{at}: {error}"), None))
}

/// A pattern of sources that names a folder without `*`.
///
/// SECURITY: it matches nothing, so that a rule which requires signatures would be one for nothing.
fn folder_alone(ceiling: &Ceiling) -> Option<String> {
    let signed = ceiling.signatures().iter().map(SignatureRule::source);
    let patterns = ceiling.sources().unwrap_or_default().iter().chain(signed);
    patterns.map(ToString::to_string).find(|text| is_folder(text))
}

fn is_folder(pattern: &str) -> bool {
    let reference = pattern.parse();
    matches!(reference, Ok(Reference::File(path)) if !pattern.contains('*') && path.is_dir())
}

/// Rules of policies are about paths without links, so those of the ceiling must be too.
fn followed(ceiling: &Ceiling) -> Result<Ceiling, HostError> {
    let mut rules = ceiling.policy().rules().clone();
    for rule in &mut rules.storage {
        let written = rule.pattern().prefix();
        *rule = moved(rule, &written, &Protection::follow(&written)?)?;
    }
    let sources = ceiling.sources().map(<[_]>::to_vec);
    let policy = Policy::of_ceiling(rules).map_err(|error| HostError::Rule(error.error().clone()))?;
    Ok(Ceiling::new(policy, sources).with_signatures(ceiling.signatures().to_vec()))
}

/// Reads a policy file: a regular file of UTF-8 text, at most [`DOCUMENT_BYTES_MAX`] long. Blocks.
///
/// # Errors
///
/// What the system says; [`io::ErrorKind::FileTooLarge`] and [`io::ErrorKind::InvalidData`].
pub fn read_text(path: &Path) -> io::Result<String> {
    let file = RegularFile::open(path)?;
    let bytes_max = DOCUMENT_BYTES_MAX as u64;
    if file.length() > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file has more than {DOCUMENT_BYTES_MAX} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    String::from_utf8(bytes)
        .map_err(|_not_text| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text"))
}

/// `None` when nothing is there or cannot be looked at: reading then says why.
#[cfg(unix)]
fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.metadata().ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
        identity: (
            metadata.dev(),
            metadata.ino(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ),
    })
}

#[cfg(not(unix))]
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
        identity: (0, 0, 0, 0),
    })
}
