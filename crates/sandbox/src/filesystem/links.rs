//! Links that a guest makes, and what it is told of those that are there.

use super::Session;
use super::action::{host_below, named};
use super::convert::file_type;
use super::kernel::{Pace, Stop};
use super::resolve::{Halt, Request, Target};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use wassette_policy::{AbsolutePath, Access, FileOperation, Place};

const INSIDE: &str = "a target in the same grant, by a relative path";

impl Session {
    pub(super) fn link(&self, from: &Request, to: &Request) -> Result<(), Halt> {
        self.act_at_both((from, to), |here, there| {
            let (here, there) = (here.real()?, there.real()?);
            match file_type(&self.look(here, from.follow)?) {
                FileType::RegularFile => {}
                FileType::Directory => return Err(Errno::PERM.into()),
                FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => {
                    return Err(Stop::Refused("a file at its end: nothing else can be linked"));
                }
            }
            let (folder, name) = self.kernel.parent(here.spot(), here.pace)?;
            let (to_folder, to_name) = self.kernel.parent(there.spot(), there.pace)?;
            let to_name = named(to_name, there);
            self.gate.spend(|m| &m.files, 1)?;
            Ok(rustix::fs::linkat(
                folder,
                name,
                to_folder,
                to_name,
                AtFlags::empty(),
            )?)
        })
    }

    pub(super) fn symlink(&self, text: &str, request: &Request) -> Result<(), Halt> {
        self.act(request, Pace::Patient, |spotted| {
            let target = spotted.real()?;
            // SECURITY: whoever names what was granted, as another program or the same policy when it is applied again,
            // would follow the link to what was not granted.
            self.refuse_mounts_below(target)?;
            self.decide_link(text, target)?;
            let (folder, name) = self.kernel.parent(target.spot(), target.pace)?;
            self.gate.spend(|m| &m.files, 1)?;
            Ok(rustix::fs::symlinkat(text, folder, named(name, target))?)
        })
    }

    /// Decides about a link that is moved: it keeps its text, and leads elsewhere then.
    pub(super) fn decide_moved(&self, here: &Target, there: &Target) -> Result<(), Stop> {
        if file_type(&self.look(here, false)?) != FileType::Symlink {
            return Ok(());
        }
        let text = self.kernel.read_link(here.spot())?;
        let text = String::from_utf8(text).map_err(|_not_text| Errno::ILSEQ)?;
        self.decide_link(&text, there)
    }

    /// Decides about where a link at a place would lead, as text. The guest could not follow it to what it may not use,
    /// but others would, and would read or write there what they think is here.
    fn decide_link(&self, text: &str, target: &Target) -> Result<(), Stop> {
        if text.contains('\0') {
            return Err(Errno::INVAL.into());
        }
        if !stays_inside(text, target.depth()) {
            return Err(Stop::Refused(INSIDE));
        }
        let mut aim = target.path.parent().unwrap_or_else(AbsolutePath::root);
        for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
            aim = match name {
                ".." => aim.parent().unwrap_or_else(AbsolutePath::root),
                name => aim.join(name).map_err(|_too_long| Errno::NAMETOOLONG)?,
            };
        }
        // Not through the gate: nothing is read or written there.
        let authority = self.gate.authority();
        // Where the guest sees another grant, others find what is there on this machine.
        let seen = match authority.locate(&aim) {
            Place::Inside { mount, below } => mount.host.join(&below).ok(),
            Place::Above | Place::Outside => None,
        };
        if seen.is_none() || seen != host_below(&authority, &target.mount, &aim) {
            return Err(Stop::Refused(INSIDE));
        }
        let may = |operation| {
            let path = &aim;
            authority.authorize(&Access::File { path, operation }).is_ok()
        };
        if may(FileOperation::Read) && may(FileOperation::Write) {
            Ok(())
        } else {
            Err(Stop::Refused("a target that the component may read and write"))
        }
    }

    /// The text of a link, if it leads nowhere else.
    pub(super) fn read_link(&self, request: &Request) -> Result<String, Halt> {
        self.act(request, Pace::Patient, |spotted| {
            let target = spotted.real()?;
            let text = self.kernel.read_link(target.spot())?;
            let text = String::from_utf8(text).map_err(|_not_text| Errno::ILSEQ)?;
            if !leads_inside(&text, target.depth()) {
                return Err(Stop::Refused("a target within what was granted"));
            }
            Ok(text)
        })
    }
}

/// Whether a new link, `depth` folders below its grant, leads to the same grant whoever follows it: `..` only at its
/// beginning, because further on it would depend on other links.
fn stays_inside(text: &str, depth: usize) -> bool {
    let names = || text.split('/').filter(|name| !name.is_empty() && *name != ".");
    let ups = names().take_while(|name| *name == "..").count();
    !text.is_empty() && !text.starts_with('/') && ups <= depth && !names().skip(ups).any(|name| name == "..")
}

/// Whether a link that is there leads to the same grant, as text.
fn leads_inside(text: &str, depth: usize) -> bool {
    let mut depth = Some(depth);
    for name in text.split('/').filter(|name| !name.is_empty() && *name != ".") {
        depth = match name {
            ".." => depth.and_then(|depth| depth.checked_sub(1)),
            _ => depth.map(|depth| depth + 1),
        };
    }
    !text.starts_with('/') && depth.is_some()
}
