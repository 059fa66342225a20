//! A folder that is filled beside its place and gets its name when it is whole.

use std::io;
use std::path::{Path, PathBuf};

use crate::{failpoint, fs};

/// A private folder under a temporary name; removed when it is dropped before it is finished.
#[derive(Debug)]
pub(crate) struct NewFolder {
    folder: tempfile::TempDir,
    target: PathBuf,
}

impl NewFolder {
    /// Makes the folder; the ones above the target that are missing, too.
    pub(crate) fn beside(target: &Path) -> io::Result<Self> {
        let above = fs::parent(target)?;
        fs::make_folders(above)?;
        Ok(Self {
            folder: fs::temporary_folder(above)?,
            target: target.to_owned(),
        })
    }

    /// Where it is for now.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where it will be.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the folder its name, durably; `false` when something is there.
    pub(crate) fn finish(self) -> io::Result<bool> {
        fs::sync_folder(self.path())?;
        if !fs::move_folder(self.path(), &self.target)? {
            return Ok(false);
        }
        failpoint::reached("backup: renamed");
        // There is nothing any more at the path that would be removed.
        drop(self.folder.keep());
        fs::sync_folder(fs::parent(&self.target)?)?;
        Ok(true)
    }
}
