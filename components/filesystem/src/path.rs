//! From a path as the caller writes it to a granted folder and the way inside it.

use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{Descriptor, ErrorCode, PathFlags};

/// A path that lies in a granted folder; whether anything is there is another question.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) root: Descriptor,
    /// The way from the root, without `.` and `..`; empty for the root itself.
    pub(crate) inside: String,
    /// The whole path, to show.
    pub(crate) path: String,
}

impl Place {
    /// Finds the innermost granted folder a path lies in.
    pub(crate) fn find(path: &str) -> Result<Self, String> {
        let parts = parts(path).ok_or_else(|| format!("the path `{path}` leads out of the root folder"))?;
        let roots = roots();
        if roots.is_empty() {
            return Err(format!(
                "cannot reach `{path}`: no folder was granted to this component; ask the user to grant one"
            ));
        }
        let names: Vec<String> = roots.iter().map(|(_, name)| format!("`{name}`")).collect();
        let inside = |name: &str| {
            let root = self::parts(name)?;
            parts
                .strip_prefix(root.as_slice())
                .map(|rest| (root.len(), rest.join("/")))
        };
        let found = roots
            .into_iter()
            .filter_map(|(root, name)| inside(&name).map(|(depth, rest)| (depth, root, rest)));
        let Some((_, root, inside)) = found.max_by_key(|(depth, _, _)| *depth) else {
            return Err(format!(
                "cannot reach `{path}`: it lies in none of the granted folders: {}",
                names.join(", ")
            ));
        };
        Ok(Self {
            root,
            inside,
            path: format!("/{}", parts.join("/")),
        })
    }

    /// The way from the root, as the host takes it.
    pub(crate) fn relative(&self) -> &str {
        if self.inside.is_empty() { "." } else { &self.inside }
    }

    /// Makes the folders the place lies in, when they are missing.
    pub(crate) fn make_parents(&self) -> Result<(), String> {
        let Some((parent, _)) = self.inside.rsplit_once('/') else {
            return Ok(());
        };
        // Asking first: who may write into a folder may not be allowed to make one.
        if self.root.stat_at(PathFlags::SYMLINK_FOLLOW, parent).is_ok() {
            return Ok(());
        }
        for (end, _) in self.inside.match_indices('/') {
            let folder = self.inside.get(..end).unwrap_or_default();
            match self.root.create_directory_at(folder) {
                Ok(()) | Err(ErrorCode::Exist) => {}
                Err(code) => return Err(self.refused("make the folders of", code)),
            }
        }
        Ok(())
    }

    /// What to tell the caller when the host says no.
    pub(crate) fn refused(&self, what: &str, code: ErrorCode) -> String {
        format!("cannot {what} `{}`: {}", self.path, reason(code))
    }
}

/// The granted folders and their names.
pub(crate) fn roots() -> Vec<(Descriptor, String)> {
    preopens::get_directories()
}

/// What the code means to the caller.
fn reason(code: ErrorCode) -> String {
    if matches!(
        code,
        ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly
    ) {
        return "this access was not granted; ask the user to grant it".to_owned();
    }
    if code == ErrorCode::Exist {
        return "it is there already; the mode `overwrite` or `append` changes it".to_owned();
    }
    // The first words of what the WIT says about the code, without its POSIX name.
    let text = code.message();
    let text = text
        .split(", similar")
        .next()
        .unwrap_or(text)
        .trim_end_matches('.');
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

/// The names a path is made of; none when `..` leads out of the root.
fn parts(path: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts)
}
