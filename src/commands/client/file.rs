//! A settings file of a client on the disk: found through links, never half written, kept as it was, and closed to others with a token in it.

use crate::clients::backup_path;
use crate::exit::Exit;
use crate::output::shown;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of a settings file that is changed. Claude Code keeps more than settings in its own.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Links that are followed one after the other. Linux follows as many.
const LINKS_MAX: usize = 40;

/// A change of a file.
pub(super) struct Change<'a> {
    /// What is in it, if there is one.
    pub(super) before: Option<&'a str>,
    pub(super) after: &'a str,
    /// Whether a token is in either.
    pub(super) is_secret: bool,
}

/// What came of it.
pub(super) struct Written {
    /// The file as it was.
    pub(super) backup: Option<PathBuf>,
    /// Whether others could read the file and cannot any more.
    pub(super) is_closed: bool,
}

/// The file that is meant by a path: what the links lead to, whether it is there or not.
///
/// Settings are often links into a folder that is kept elsewhere. The file is written, and the link stays.
pub(super) fn target(path: &Path) -> Result<PathBuf, Exit> {
    if let Ok(file) = fs::canonicalize(path) {
        return Ok(file);
    }
    let mut file = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&file) else {
            return Ok(file);
        };
        file = file.parent().unwrap_or_else(|| Path::new(".")).join(next);
    }
    let path = shown(&path.display().to_string());
    Err(Exit::failed(anyhow::anyhow!("the link `{path}` leads nowhere")))
}

/// The text of the file, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<String>, Exit> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Exit::unreadable(path, error)),
        Ok(found) if !found.is_file() || found.len() > FILE_BYTES_MAX => Err(Exit::failed(anyhow::anyhow!(
            "{} is no settings file",
            shown(&path.display().to_string())
        ))),
        Ok(_) => fs::read_to_string(path)
            .map(Some)
            .map_err(|error| Exit::unreadable(path, error)),
    }
}

/// Writes the file anew beside itself, and keeps what it was.
///
/// SECURITY: a token in a file that others can read is theirs, and one that was taken out of it is still in the copy.
pub(super) fn write(file: &Path, change: &Change<'_>) -> Result<Written, Exit> {
    written(file, change).map_err(|error| {
        Exit::failed(anyhow::Error::new(error).context(format!("cannot write `{}`", file.display())))
    })
}

fn written(file: &Path, change: &Change<'_>) -> io::Result<Written> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let Some(before) = change.before else {
        temporary(folder, change.after)?.persist(file)?;
        return Ok(Written {
            backup: None,
            is_closed: false,
        });
    };
    let old = fs::metadata(file)?.permissions();
    let new = if change.is_secret {
        for_user_alone(&old)
    } else {
        old.clone()
    };
    let backup = backup_path(file);
    let kept = temporary(folder, before)?;
    let written = temporary(folder, change.after)?;
    for one in [&kept, &written] {
        fs::set_permissions(one.path(), new.clone())?;
    }
    kept.persist_noclobber(&backup)?;
    written.persist(file)?;
    Ok(Written {
        backup: Some(backup),
        is_closed: new != old,
    })
}

/// A file that is complete and has no name yet. It is for this user alone until something else is said.
fn temporary(folder: &Path, text: &str) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(unix)]
fn for_user_alone(permissions: &Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(permissions.mode() & !0o077)
}

/// Files in a user's folder are that user's here, unless somebody said otherwise.
#[cfg(not(unix))]
fn for_user_alone(permissions: &Permissions) -> Permissions {
    permissions.clone()
}
