//! `wassette.lock`: exactly what is loaded, so that it can be loaded again somewhere else and nothing else can.
//!
//! TOML, one `[[component]]` each, sorted by id, so that a change shows as a change of lines. It holds no secrets and
//! belongs beside the manifest or the source code.

use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, shown};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::Path;
use wassette_host::{Host, Locked, Reference};

/// The form that is written and read.
const VERSION: u32 = 1;

/// Bytes of a lock file: several thousand components.
const BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockFile {
    version: u32,
    #[serde(default, rename = "component")]
    pub(crate) components: Vec<Locked>,
}

impl LockFile {
    /// All that is loaded.
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            version: VERSION,
            components: host.catalog().components().map(|known| known.locked()).collect(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Exit> {
        let failed = |error| Exit::unreadable(path, error);
        if std::fs::metadata(path).map_err(failed)?.len() > BYTES_MAX {
            let error = anyhow::anyhow!("{}: the file has more than {BYTES_MAX} bytes", path.display());
            return Err(Exit::failed(error));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let lock: Self = crate::config::toml(path, &text)?;
        if lock.version != VERSION {
            let error = anyhow::anyhow!(
                "{}: the lock file has version {}, not {VERSION}",
                path.display(),
                lock.version
            );
            return Err(Exit::failed(error).with_hint("use the program that wrote it, or a newer one"));
        }
        Ok(lock)
    }

    /// Writes the whole file or nothing.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Exit> {
        let text = ::toml::to_string(self).map_err(Exit::failed)?;
        let head = "# Written by `wassette component lock` and `wassette manifest apply`; belongs under version control.\n";
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
            file.write_all(head.as_bytes())?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)
        });
        written.map(drop).map_err(|error| {
            let error = anyhow::Error::new(error).context(format!("cannot write `{}`", path.display()));
            Exit::failed(error)
        })
    }
}

/// What a lock file says of a reference.
pub(crate) fn find(path: &Path, reference: &Reference) -> Result<Locked, Exit> {
    let wanted = reference.to_string();
    let lock = LockFile::read(path)?;
    let found = lock
        .components
        .into_iter()
        .find(|locked| locked.reference == wanted);
    found.ok_or_else(|| {
        Exit::denied(format!(
            "`{}` is not in the lock file `{}`",
            shown(&wanted),
            path.display()
        ))
        .with_hint("load it without `--locked`, look at it, and write it down with `wassette component lock`")
    })
}

/// Writes down all that is loaded.
pub(crate) fn write_all(config: &Config, host: &Host, path: &Path, output: Output) -> Result<(), Exit> {
    let path = config.current_dir.join(path);
    let lock = LockFile::of(host);
    lock.write(&path)?;
    output.print(&lock, |lock| {
        format!(
            "{} components are locked in {}",
            lock.components.len(),
            path.display()
        )
    })
}
