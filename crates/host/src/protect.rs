//! Which folders and files can be granted at all, and where they really are.
//!
//! A grant is about the place a path leads to when it is granted, so links are resolved here and the result is
//! what the policy keeps; a link that is made later leads nowhere. What belongs to the system, to Wassette itself
//! or to the keys and shells of its user can never be granted, nor can a folder with any of it inside: who writes
//! there can make this machine do anything.
//!
//! SECURITY: this is asked when something is granted and, without the disk, when a record is read; the sandbox
//! checks the kind of file system again when it opens a folder.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use wassette_policy::{AbsolutePath, ParsePathError};
use wassette_store::RegularFile;

/// What belongs to the kernel and to the services of the system.
const SYSTEM: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/var/run", "/boot"];

/// Below the user's home: keys, credentials, and what is run at login or by the next command.
const PERSONAL: [&str; 54] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".pgpass",
    ".git-credentials",
    ".gitconfig",
    ".password-store",
    ".pypirc",
    ".npmrc",
    ".cargo/bin",
    ".cargo/config",
    ".cargo/config.toml",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".cargo/env",
    ".config/gcloud",
    ".config/gh",
    ".config/git",
    ".config/autostart",
    ".config/environment.d",
    ".config/systemd",
    ".config/fish",
    ".config/pip",
    ".config/nvim",
    ".config/emacs",
    ".local/bin",
    ".local/share/keyrings",
    ".local/share/systemd",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".xprofile",
    ".xinitrc",
    ".pam_environment",
    ".vim",
    ".vimrc",
    ".gvimrc",
    ".emacs",
    ".emacs.d",
    ".tmux.conf",
    ".inputrc",
    "Library/LaunchAgents",
];

/// Below the user's home: settings of clients and editors that say which programs they start, for example the servers of
/// MCP clients, and the logs and keys beside them.
const CLIENTS: [&str; 14] = [
    ".claude",
    ".claude.json",
    ".codeium",
    ".codex",
    ".config/Claude",
    ".config/Code",
    ".config/opencode",
    ".cursor",
    ".gemini",
    ".mcp.json",
    ".vscode",
    ".vscode-server",
    "Library/Application Support/Claude",
    "Library/Application Support/Code",
];

/// File systems that are windows into the kernel. Those of files, memory, networks and users' own stay.
const KERNEL_FILE_SYSTEMS: [&str; 21] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// Bytes of the kernel's table of mounts that are read; a machine with more mounts than that grants nothing.
const MOUNTS_BYTES_MAX: u64 = 4 << 20;

/// Why a path cannot be granted.
#[derive(Debug, thiserror::Error)]
pub enum ProtectError {
    /// Nothing is there.
    #[error("there is no file or folder `{0}`")]
    Missing(AbsolutePath),
    /// The path cannot be followed.
    #[error("cannot follow the path `{path}`")]
    Unreadable {
        /// As it was written.
        path: AbsolutePath,
        /// What the system said.
        source: io::Error,
    },
    /// It leads to a path that no rule can hold.
    #[error("`{path}` leads to a path that no rule can hold")]
    Unspeakable {
        /// As it was written.
        path: AbsolutePath,
        /// Why; `None` when the path is no text.
        source: Option<ParsePathError>,
    },
    /// It is the root of the file system.
    #[error("`{0}` is the root of the file system, which cannot be granted")]
    Root(AbsolutePath),
    /// It is, holds or lies in something that is never granted.
    #[error("`{path}` {how} `{}`, {}, which cannot be granted", kept.display(), why.as_str())]
    Kept {
        /// As it was written.
        path: AbsolutePath,
        /// How the two lie.
        how: &'static str,
        /// What is kept.
        kept: PathBuf,
        /// Whose it is.
        why: Whose,
    },
    /// It is on a file system that is none of files.
    #[error(
        "`{path}` is on a file system of type `{kind}`, which belongs to the kernel and cannot be granted"
    )]
    Kernel {
        /// As it was written.
        path: AbsolutePath,
        /// The type.
        kind: String,
    },
    /// The kernel's table of mounts cannot be read, so nothing can be said about the path.
    #[error("cannot see on which file system `{path}` is")]
    Mounts {
        /// As it was written.
        path: AbsolutePath,
        /// What the system said.
        source: io::Error,
    },
    /// Storage cannot be granted on this system.
    #[error("storage cannot be granted on this system: nothing here could enforce it")]
    System,
}

impl ProtectError {
    /// The path that cannot be granted, as it was written.
    pub(crate) fn path(&self) -> Option<&AbsolutePath> {
        match self {
            Self::Missing(path)
            | Self::Root(path)
            | Self::Unreadable { path, .. }
            | Self::Unspeakable { path, .. }
            | Self::Kept { path, .. }
            | Self::Kernel { path, .. }
            | Self::Mounts { path, .. } => Some(path),
            Self::System => None,
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some("make it first: a grant is for what is there"),
            Self::Root(_) | Self::Kept { .. } => Some("grant the one folder that is needed, outside of it"),
            Self::Unspeakable { .. } => Some("rename it, or grant the folder above it"),
            Self::Unreadable { .. } | Self::Kernel { .. } | Self::Mounts { .. } | Self::System => None,
        }
    }
}

/// Whose something is that is never granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The system's.
    System,
    /// Wassette's own.
    Own,
    /// Keys or start-up files of the user.
    User,
}

impl Whose {
    fn as_str(self) -> &'static str {
        match self {
            Self::System => "which belongs to the system",
            Self::Own => "where Wassette keeps its own files",
            Self::User => "where keys, credentials or start-up files are",
        }
    }
}

/// What is never granted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protection {
    /// As they are written and as links lead, each.
    kept: BTreeMap<PathBuf, Whose>,
}

impl Protection {
    /// For our own files and folders, and the home of the user who runs us. Follows links, so it may block.
    pub(crate) fn new(own: &[PathBuf], home: Option<&Path>) -> Self {
        let system = SYSTEM.iter().map(|path| (PathBuf::from(path), Whose::System));
        let own = own.iter().map(|path| (path.clone(), Whose::Own));
        let homes: Vec<PathBuf> = home.map(Path::to_owned).into_iter().chain(homes()).collect();
        let personal = homes.iter().flat_map(|home| {
            PERSONAL
                .iter()
                .chain(&CLIENTS)
                .map(|name| (home.join(name), Whose::User))
        });
        let mut kept = BTreeMap::new();
        for (path, whose) in personal.chain(own).chain(system) {
            kept.insert(followed(&path), whose);
            kept.insert(path, whose);
        }
        Self { kept }
    }

    /// Where a path to be granted really is, links resolved. Asks the disk.
    pub(crate) fn resolve(&self, path: &AbsolutePath) -> Result<AbsolutePath, ProtectError> {
        if cfg!(windows) {
            return Err(ProtectError::System);
        }
        let found = Path::new(path.as_str()).canonicalize().map_err(|source| {
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) {
                ProtectError::Missing(path.clone())
            } else {
                ProtectError::Unreadable {
                    path: path.clone(),
                    source,
                }
            }
        })?;
        let real = as_rule(path, &found)?;
        self.check(path, &real)?;
        check_kind(path, &found)?;
        Ok(real)
    }

    /// Where a path is that need not be there: as far as it exists, links are resolved. For rules that deny.
    pub(crate) fn follow(path: &AbsolutePath) -> Result<AbsolutePath, ProtectError> {
        as_rule(path, &followed(Path::new(path.as_str())))
    }

    /// Refuses what is, holds or lies in something that is kept. Does not ask the disk.
    pub(crate) fn check(&self, written: &AbsolutePath, real: &AbsolutePath) -> Result<(), ProtectError> {
        if real.is_root() {
            return Err(ProtectError::Root(written.clone()));
        }
        let path = Path::new(real.as_str());
        for (kept, why) in &self.kept {
            let how = if path == kept {
                "is"
            } else if path.starts_with(kept) {
                "lies in"
            } else if kept.starts_with(path) {
                "holds"
            } else {
                continue;
            };
            return Err(ProtectError::Kept {
                path: written.clone(),
                how,
                kept: kept.clone(),
                why: *why,
            });
        }
        Ok(())
    }
}

/// Most users of a machine whose keys are kept, and most of the list of users that is read.
const USERS_MAX: usize = 64;
const USERS_BYTES_MAX: u64 = 1 << 20;

/// The homes of the machine's users: of the one who runs us whatever `HOME` says, of the superuser, and of others.
fn homes() -> Vec<PathBuf> {
    let mut table = String::new();
    let file = RegularFile::open(Path::new("/etc/passwd"));
    // Without the list only the home we were told of is known; some systems have none.
    let file = file.map_err(io::Error::from);
    let _nothing_without_it = file.and_then(|file| file.take(USERS_BYTES_MAX).read_to_string(&mut table));
    homes_of(&table)
}

fn homes_of(table: &str) -> Vec<PathBuf> {
    let home = |line: &str| {
        let mut fields = line.split(':');
        let user: u32 = fields.nth(2)?.parse().ok()?;
        let home = Path::new(fields.nth(2)?);
        // Users between are services, whose homes are folders of the system; the last one is nobody.
        let is_person = user == 0 || (1000..65534).contains(&user);
        (is_person && home.is_absolute() && home != Path::new("/")).then(|| home.to_owned())
    };
    table.lines().filter_map(home).take(USERS_MAX).collect()
}

fn as_rule(written: &AbsolutePath, found: &Path) -> Result<AbsolutePath, ProtectError> {
    let unspeakable = |source| ProtectError::Unspeakable {
        path: written.clone(),
        source,
    };
    let text = found.to_str().ok_or_else(|| unspeakable(None))?;
    text.parse().map_err(|source| unspeakable(Some(source)))
}

/// The path with the links in it resolved, as far as it exists; the rest stays as it is written.
fn followed(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        if let Ok(real) = existing.canonicalize() {
            return missing.iter().rev().fold(real, |path, name| path.join(name));
        }
        match (existing.parent(), existing.components().next_back()) {
            (Some(parent), Some(Component::Normal(name))) => {
                missing.push(name);
                existing = parent;
            }
            (Some(_) | None, _) => return path.to_owned(),
        }
    }
}

/// Refuses windows into the kernel, wherever they are mounted.
#[cfg(target_os = "linux")]
fn check_kind(written: &AbsolutePath, real: &Path) -> Result<(), ProtectError> {
    let unknown = |source| ProtectError::Mounts {
        path: written.clone(),
        source,
    };
    let file = RegularFile::open(Path::new("/proc/self/mountinfo")).map_err(|e| unknown(e.into()))?;
    let mut table = String::new();
    let mut bounded = file.take(MOUNTS_BYTES_MAX);
    let read = bounded.read_to_string(&mut table).map_err(unknown)?;
    if read as u64 >= MOUNTS_BYTES_MAX {
        return Err(unknown(io::ErrorKind::FileTooLarge.into()));
    }
    let kind = kind_of(&table, real).ok_or_else(|| unknown(io::ErrorKind::NotFound.into()))?;
    if KERNEL_FILE_SYSTEMS.contains(&kind) {
        return Err(ProtectError::Kernel {
            path: written.clone(),
            kind: kind.to_owned(),
        });
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn check_kind(_written: &AbsolutePath, _real: &Path) -> Result<(), ProtectError> {
    Ok(())
}

/// The type of the file system a path is on, by `proc_pid_mountinfo(5)`: the longest mount point counts, and of
/// those that are mounted over each other the last.
fn kind_of<'t>(table: &'t str, path: &Path) -> Option<&'t str> {
    let mut best: Option<(usize, &str)> = None;
    for line in table.lines() {
        let (before, after) = line.split_once(" - ")?;
        let point = unescaped(before.split(' ').nth(4)?);
        let kind = after.split(' ').next()?;
        let length = point.components().count();
        if path.starts_with(&point) && best.is_none_or(|(longest, _)| length >= longest) {
            best = Some((length, kind));
        }
    }
    best.map(|(_, kind)| kind)
}

/// The kernel writes space, tab, line feed and backslash as `\040`, `\011`, `\012` and `\134`.
fn unescaped(point: &str) -> PathBuf {
    let mut text = point.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        text = text.replace(escape, character);
    }
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsolutePath {
        text.parse().expect("a path")
    }

    #[track_caller]
    fn refused(protection: &Protection, text: &str, reason: &str) {
        let error = protection.resolve(&path(text)).expect_err("must not be granted");
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn what_belongs_to_the_system_is_never_granted() {
        let nothing_own = Protection::new(&[], None);
        for system in ["/proc", "/proc/self", "/sys", "/dev", "/dev/null", "/run"] {
            refused(&nothing_own, system, "which belongs to the system");
        }
        refused(&nothing_own, "/", "is the root of the file system");
        refused(&nothing_own, "/no/such/folder", "there is no file or folder");
        refused(&nothing_own, "/etc/hostname/below", "there is no file or folder");
    }

    #[test]
    fn our_own_folders_are_never_granted_nor_what_holds_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        let (store, beside) = (root.join("data/store"), root.join("beside"));
        std::fs::create_dir_all(store.join("blobs")).expect("made");
        std::fs::create_dir_all(&beside).expect("made");
        let protection = Protection::new(std::slice::from_ref(&store), None);
        for (path, how) in [
            (store.clone(), " is `"),
            (store.join("blobs"), "lies in"),
            (root.join("data"), "holds"),
            (root.clone(), "holds"),
        ] {
            refused(&protection, path.to_str().expect("text"), how);
        }
        let granted = protection.resolve(&path(beside.to_str().expect("text")));
        assert_eq!(
            granted.expect("nobody's").as_str(),
            beside.to_str().expect("text")
        );
    }

    #[test]
    fn keys_and_start_up_files_of_the_user_are_never_granted_also_where_they_are_not_there_yet() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().canonicalize().expect("it is there");
        std::fs::create_dir_all(home.join(".ssh")).expect("made");
        std::fs::create_dir_all(home.join("notes")).expect("made");
        let protection = Protection::new(&[], Some(&home));
        let text = |name: &str| home.join(name).to_str().expect("text").to_owned();
        refused(&protection, &text(".ssh"), "where keys, credentials");
        refused(&protection, home.to_str().expect("text"), "holds");
        protection.resolve(&path(&text("notes"))).expect("anything else");
    }

    #[test]
    fn what_programs_run_or_are_told_to_run_is_never_granted() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path().canonicalize().expect("it is there");
        let protection = Protection::new(&[], Some(&home));
        for name in [
            ".bash_aliases",
            ".vimrc",
            ".config/nvim",
            ".emacs",
            ".emacs.d",
            ".local/bin",
            ".local/share/systemd/user",
            ".cargo/config.toml",
            ".cargo/bin",
            ".npmrc",
            ".pypirc",
            ".pgpass",
            ".netrc",
            ".claude.json",
            ".claude",
            ".cursor/mcp.json",
            ".config/Claude",
            ".config/Code/User/mcp.json",
            ".codex/config.toml",
            ".gemini/settings.json",
            ".config/opencode/opencode.json",
            ".codeium/windsurf/mcp_config.json",
            ".vscode",
        ] {
            let path = path(home.join(name).to_str().expect("text"));
            let error = protection.check(&path, &path).expect_err(name);
            assert!(error.to_string().contains("start-up files"), "{error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_what_it_leads_to() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        std::fs::create_dir(root.join("real")).expect("made");
        symlink(root.join("real"), root.join("link")).expect("made");
        symlink("/proc", root.join("trap")).expect("made");
        symlink("/", root.join("all")).expect("made");
        symlink(root.join("link"), root.join("own")).expect("made");
        let text = |name: &str| root.join(name).to_str().expect("text").to_owned();
        let protection = Protection::new(&[], None);
        let real = protection.resolve(&path(&text("link"))).expect("a folder");
        assert_eq!(real.as_str(), text("real"));
        refused(&protection, &text("trap"), "which belongs to the system");
        refused(&protection, &text("all"), "is the root");
        // What is kept through a link is kept where it is.
        let own = Protection::new(&[root.join("own")], None);
        refused(&own, &text("real"), "where Wassette keeps");
        let denied = Protection::follow(&path(&text("link/not/there"))).expect("a path");
        assert_eq!(denied.as_str(), text("real/not/there"));
    }

    #[test]
    fn people_have_homes_and_services_have_none() {
        let table = "root:x:0:0:root:/home/super:/bin/sh\n\
                     www-data:x:33:33::/var/www:/usr/sbin/nologin\n\
                     ann:x:1000:1000:Ann,,:/home/ann:/bin/sh\n\
                     broken:x\n\
                     bob:x:1001:1001::/:/bin/sh\n\
                     nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";
        assert_eq!(
            homes_of(table),
            [Path::new("/home/super"), Path::new("/home/ann")]
        );
    }

    #[test]
    fn a_file_system_is_known_by_its_longest_and_last_mount_point() {
        let table = "1 0 0:1 / / rw shared:1 - ext4 /dev/a rw\n\
                     2 1 0:2 / /srv/a\\040b rw - proc proc rw\n\
                     3 1 0:3 / /srv/c rw - sysfs x rw\n\
                     4 1 0:4 / /srv/c rw - tmpfs x rw\n";
        for (path, kind) in [
            ("/srv", "ext4"),
            ("/srv/a b/1", "proc"),
            ("/srv/a", "ext4"),
            ("/srv/c/d", "tmpfs"),
        ] {
            assert_eq!(kind_of(table, Path::new(path)), Some(kind), "{path}");
        }
    }
}
