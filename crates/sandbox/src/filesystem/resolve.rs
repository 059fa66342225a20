//! From the text a guest hands over to a place in the kernel, with every decision in between.
//!
//! INVARIANT: the kernel never sees a path before the policy allowed it. A path is first understood as text. Only
//! when the kernel meets a link is it followed here, one step at a time, and where it leads is decided anew before
//! anything is looked at there; then the kernel is asked again for the path without links, which it must find to be
//! without links. Whoever exchanges a folder for a link in between is met with another refusal.
//!
//! Long because the two ways to resolve a path, the kernel's and ours, must be read side by side.

use super::Session;
use super::kernel::{Pace, Spot, Stop};
use super::root::Root;
use super::types::{ErrorCode, PathFlags};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::sync::Arc;
use wassette_policy::{
    AbsolutePath, Access, AccessKind, Effect, FileOperation, Mount, PATH_BYTES_MAX, ParsePathError, Permit,
    Place,
};

/// Links followed for one path; as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Names of one path, and names looked at for one path with links.
const STEPS_MAX: usize = 1024;

/// Characters of a path that is none, for the report.
const SHOWN_MAX: usize = 512;

/// Times a path is looked up again because somebody exchanges its folders for links meanwhile.
const ATTEMPTS_MAX: usize = 8;

/// What a guest asked for, understood as text and allowed as such.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The folder the path is relative to. The path must not lead out of it.
    base: AbsolutePath,
    /// Names and `..`.
    names: Vec<String>,
    pub(super) operation: FileOperation,
    /// Whether a link at the end is followed; those on the way always are.
    pub(super) follow: bool,
    /// It was written with a slash at its end.
    pub(super) is_folder: bool,
    /// Where it leads if nothing on the way is a link.
    path: AbsolutePath,
    permit: Permit,
}

/// How a path is to be understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) operation: FileOperation,
    pub(super) follow: bool,
}

impl Manner {
    pub(super) fn of(operation: FileOperation, follow: PathFlags) -> Self {
        Self {
            operation,
            follow: follow.contains(PathFlags::SYMLINK_FOLLOW),
        }
    }
}

/// A place that was allowed.
#[derive(Debug)]
pub(super) enum Spotted {
    /// A folder that is there only because a grant is below it.
    Above(AbsolutePath),
    Real(Target),
}

/// A place in a grant that was allowed, for the kernel.
#[derive(Debug)]
pub(super) struct Target {
    /// As the guest names it, without links.
    pub(super) path: AbsolutePath,
    pub(super) root: Arc<Root>,
    /// As the kernel names it below the root.
    pub(super) below: String,
    /// Where the guest sees the grant.
    pub(super) mount: AbsolutePath,
    pub(super) is_folder: bool,
    pub(super) pace: Pace,
    pub(super) permit: (FileOperation, Permit),
}

impl Target {
    pub(super) fn spot(&self) -> Spot<'_> {
        Spot {
            root: &self.root,
            below: &self.below,
        }
    }
}

impl Target {
    /// Folders between the grant and what is meant.
    pub(super) fn depth(&self) -> usize {
        let below = self.path.below(&self.mount).unwrap_or_default();
        below.matches('/').count()
    }
}

impl Request {
    /// For operations on the name itself, which never follow it: not even when it ends in a slash.
    pub(super) fn at_its_name(self) -> Self {
        Self {
            follow: false,
            ..self
        }
    }
}

impl Spotted {
    /// The place in a grant; operations that change something are never allowed elsewhere.
    pub(super) fn real(&self) -> Result<&Target, Stop> {
        match self {
            Self::Real(target) => Ok(target),
            Self::Above(_) => Err(Errno::ACCESS.into()),
        }
    }
}

/// One name on the way, and whether a link brought it.
#[derive(Clone, Debug)]
struct Step {
    name: String,
    is_of_link: bool,
}

impl Session {
    /// Understands a path below a folder and decides about it. Asks no kernel.
    pub(super) fn request(
        &self,
        base: &AbsolutePath,
        text: &str,
        manner: Manner,
    ) -> Result<Request, ErrorCode> {
        let malformed = |why, code| {
            let shown: String = text.chars().take(SHOWN_MAX).collect();
            let access = Access::Malformed {
                kind: AccessKind::File,
                text: &if text.starts_with('/') {
                    shown
                } else {
                    format!("{}/{shown}", base.as_str().trim_end_matches('/'))
                },
                why,
            };
            let _denied = self.gate.authorize(&access);
            Err(code)
        };
        if text.is_empty() {
            return Err(ErrorCode::NoEntry);
        }
        // SECURITY: before anything else looks at it. A guest may hand over megabytes, and each `..` of them costs a
        // whole path and a decision.
        if is_overlong(text) {
            return malformed("the path is longer than any", ErrorCode::NameTooLong);
        }
        if text.starts_with('/') {
            return malformed("the path is absolute", ErrorCode::NotPermitted);
        }
        if text.contains('\0') {
            return malformed("the path contains a NUL character", ErrorCode::Invalid);
        }
        let names: Vec<String> = names(text).map(str::to_owned).collect();
        let is_folder = text.ends_with('/')
            || text.ends_with("/.")
            || text == "."
            || text == ".."
            || text.ends_with("/..");
        let mut popped = Vec::new();
        let path = match lexical(base, base, names.iter().map(String::as_str), &mut popped) {
            Ok(path) => path,
            Err(Lexical::LeadsOut) => {
                return malformed("the path leads out of the folder", ErrorCode::NotPermitted);
            }
            Err(Lexical::TooLong) => return Err(ErrorCode::NameTooLong),
        };
        let permit = self.decide(&path, manner.operation)?;
        for folder in &popped {
            self.decide(folder, FileOperation::Inspect)?;
        }
        Ok(Request {
            base: base.clone(),
            names,
            operation: manner.operation,
            follow: manner.follow || is_folder,
            is_folder,
            path,
            permit,
        })
    }

    /// The same for a folder itself.
    pub(super) fn request_here(
        &self,
        path: &AbsolutePath,
        operation: FileOperation,
    ) -> Result<Request, ErrorCode> {
        Ok(Request {
            base: path.clone(),
            names: Vec::new(),
            operation,
            follow: false,
            is_folder: true,
            path: path.clone(),
            permit: self.decide(path, operation)?,
        })
    }

    fn decide(&self, path: &AbsolutePath, operation: FileOperation) -> Result<Permit, ErrorCode> {
        // What is above a grant has nothing to read but the way down.
        let operation = match operation {
            FileOperation::Read if self.gate.authority().locate(path) == Place::Above => FileOperation::List,
            FileOperation::Read
            | FileOperation::Write
            | FileOperation::List
            | FileOperation::Inspect
            | FileOperation::Create
            | FileOperation::Remove
            | FileOperation::Rename => operation,
        };
        let permit = self.gate.authorize(&Access::File { path, operation });
        permit.map_err(|_denied| ErrorCode::Access)
    }

    /// Does something where a request leads: at once if there is no link on the way, else where the links lead.
    pub(super) fn act<T>(
        &self,
        request: &Request,
        pace: Pace,
        act: impl Fn(&Spotted) -> Result<T, Stop>,
    ) -> Result<T, Halt> {
        let mut spotted = self.first(request, pace)?;
        for _ in 0..ATTEMPTS_MAX {
            match act(&spotted) {
                Ok(done) => return Ok(done),
                Err(Stop::Link) if pace == Pace::Cached => return Err(Halt::WouldWait),
                Err(Stop::Link) => spotted = self.follow(request)?,
                Err(stop) => return Err(self.halt(stop, spotted_path(&spotted), request.operation)),
            }
        }
        Err(Halt::Code(ErrorCode::Loop))
    }

    /// As [`Session::act`], at two places.
    pub(super) fn act_at_both<T>(
        &self,
        (from, to): (&Request, &Request),
        act: impl Fn(&Spotted, &Spotted) -> Result<T, Stop>,
    ) -> Result<T, Halt> {
        let (mut here, mut there) = (self.first(from, Pace::Patient)?, self.first(to, Pace::Patient)?);
        for _ in 0..ATTEMPTS_MAX {
            match act(&here, &there) {
                Ok(done) => return Ok(done),
                Err(Stop::Link) => (here, there) = (self.follow(from)?, self.follow(to)?),
                Err(stop) => return Err(self.halt(stop, spotted_path(&here), from.operation)),
            }
        }
        Err(Halt::Code(ErrorCode::Loop))
    }

    fn first(&self, request: &Request, pace: Pace) -> Result<Spotted, Halt> {
        if !request.names.iter().any(|name| name == "..") {
            let spotted = self.spot(
                request.path.clone(),
                (request.operation, request.permit.clone()),
                (request.is_folder, pace),
            );
            return spotted.map_err(|stop| self.halt(stop, &request.path, request.operation));
        }
        match pace {
            Pace::Cached => Err(Halt::WouldWait),
            Pace::Patient => self.follow(request),
        }
    }

    fn spot(
        &self,
        path: AbsolutePath,
        (operation, permit): (FileOperation, Permit),
        (is_folder, pace): (bool, Pace),
    ) -> Result<Spotted, Stop> {
        let authority = self.gate.authority();
        match authority.locate(&path) {
            Place::Inside { mount, below } => {
                let root = self.root(mount, pace)?;
                Ok(Spotted::Real(Target {
                    below: root.kernel_path(&below),
                    root,
                    mount: mount.guest.clone(),
                    is_folder,
                    pace,
                    permit: (operation, permit),
                    path,
                }))
            }
            Place::Above => Ok(Spotted::Above(path)),
            Place::Outside => Err(Errno::ACCESS.into()),
        }
    }

    /// The opened root of a mount.
    pub(super) fn root(&self, mount: &Mount, pace: Pace) -> Result<Arc<Root>, Stop> {
        let exceptions = || self.has_exceptions(mount);
        self.roots.of(mount, &exceptions, pace)
    }

    /// Whether a rule excepts something at or below a mount.
    pub(super) fn has_exceptions(&self, mount: &Mount) -> bool {
        let authority = self.gate.authority();
        let layers = [Some(authority.granted()), authority.ceiling()];
        let mut denying = layers
            .into_iter()
            .flatten()
            .flat_map(|layer| layer.storage(Effect::Deny));
        denying.any(|rule| {
            let prefix = rule.pattern().prefix();
            prefix.below(&mount.host).is_some() || mount.host.below(&prefix).is_some()
        })
    }

    /// Records what was refused, and finds the guest's error.
    pub(super) fn halt(&self, stop: Stop, path: &AbsolutePath, operation: FileOperation) -> Halt {
        match stop {
            Stop::WouldWait => Halt::WouldWait,
            Stop::Link => Halt::Code(ErrorCode::Loop),
            Stop::OverLimit => Halt::Code(ErrorCode::Quota),
            Stop::Errno(errno) => Halt::Code(super::convert::code(errno)),
            Stop::Refused(reason) => {
                self.gate.refuse(&Access::File { path, operation }, reason);
                Halt::Code(ErrorCode::Access)
            }
            Stop::Crowded(reason) => {
                self.gate.refuse(&Access::File { path, operation }, reason);
                Halt::Code(ErrorCode::Busy)
            }
        }
    }

    /// Finds where a path leads that has links or `..` on its way.
    fn follow(&self, request: &Request) -> Result<Spotted, Halt> {
        let mut way = Way {
            here: request.base.clone(),
            ahead: request.names.iter().map(|name| Step::own(name)).collect(),
            permit: request.permit.clone(),
            is_folder: request.is_folder,
            links: 0,
        };
        let mut decided = request.path.clone();
        for _ in 0..STEPS_MAX {
            let Some(step) = way.ahead.pop_front() else {
                if way.here != decided {
                    way.permit = self.decide(&way.here, request.operation)?;
                }
                let spotted = self.spot(
                    way.here.clone(),
                    (request.operation, way.permit),
                    (way.is_folder, Pace::Patient),
                );
                return spotted.map_err(|stop| self.halt(stop, &way.here, request.operation));
            };
            if step.name == ".." {
                self.up(&mut way, &step, request)?;
                continue;
            }
            let next = way.here.join(&step.name).map_err(too_long)?;
            let is_last = way.ahead.is_empty();
            if is_last && !request.follow {
                way.here = next;
                continue;
            }
            let link = self.link_at(&next, is_last, request.operation)?;
            match link {
                None => way.here = next,
                Some(text) => {
                    self.enter_link(&mut way, (&next, &text), request)?;
                    decided = self.decide_ahead(&mut way, request)?;
                }
            }
        }
        Err(Halt::Code(ErrorCode::Loop))
    }

    /// One folder up. A link does not lead out of the grant it is in.
    fn up(&self, way: &mut Way, step: &Step, request: &Request) -> Result<(), Halt> {
        let leads_out = || {
            let path = &request.path;
            self.halt(Stop::Refused(LEADS_OUT), path, request.operation)
        };
        if way.here == request.base {
            return Err(if step.is_of_link {
                leads_out()
            } else {
                Halt::Code(ErrorCode::NotPermitted)
            });
        }
        let is_root = matches!(
            self.gate.authority().locate(&way.here),
            Place::Inside { mount, .. } if mount.guest == way.here
        );
        if step.is_of_link && is_root {
            return Err(leads_out());
        }
        way.here = way.here.parent().unwrap_or_else(AbsolutePath::root);
        Ok(())
    }

    /// The text of the link at a path, if there is one. A missing name is an error only on the way.
    fn link_at(
        &self,
        path: &AbsolutePath,
        is_last: bool,
        operation: FileOperation,
    ) -> Result<Option<String>, Halt> {
        let halt = |stop| self.halt(stop, path, operation);
        let authority = self.gate.authority();
        let Place::Inside { mount, below } = authority.locate(path) else {
            return Ok(None);
        };
        let root = self.root(mount, Pace::Patient).map_err(halt)?;
        let below = root.kernel_path(&below);
        let spot = Spot {
            root: &root,
            below: &below,
        };
        let found = match self.kernel.peek(spot, Pace::Patient) {
            Ok(found) => FileType::from_raw_mode(found.st_mode),
            Err(Stop::Errno(Errno::NOENT)) if is_last => return Ok(None),
            Err(stop) => return Err(halt(stop)),
        };
        if found == FileType::Symlink {
            let text = self.kernel.read_link(spot).map_err(halt)?;
            let text =
                String::from_utf8(text).map_err(|_not_text| Halt::Code(ErrorCode::IllegalByteSequence))?;
            return Ok(Some(text));
        }
        if !is_last && found != FileType::Directory {
            return Err(Halt::Code(ErrorCode::NotDirectory));
        }
        Ok(None)
    }

    fn enter_link(
        &self,
        way: &mut Way,
        (link, text): (&AbsolutePath, &str),
        request: &Request,
    ) -> Result<(), Halt> {
        way.links += 1;
        if way.links > LINKS_MAX {
            return Err(Halt::Code(ErrorCode::Loop));
        }
        if text.starts_with('/') {
            return Err(self.halt(Stop::Refused(LEADS_OUT), link, request.operation));
        }
        if way.ahead.is_empty() && (text.ends_with('/') || text.ends_with("/.")) {
            way.is_folder = true;
        }
        for name in names(text).collect::<Vec<_>>().into_iter().rev() {
            way.ahead.push_front(Step {
                name: name.to_owned(),
                is_of_link: true,
            });
        }
        // It would not be walked to its end anyway.
        if way.ahead.len() > STEPS_MAX {
            return Err(Halt::Code(ErrorCode::Loop));
        }
        Ok(())
    }

    /// Decides about where the rest of the way leads if it has no more links.
    fn decide_ahead(&self, way: &mut Way, request: &Request) -> Result<AbsolutePath, Halt> {
        let mut popped = Vec::new();
        let ahead = way.ahead.iter().map(|step| step.name.as_str());
        let path = match lexical(&way.here, &request.base, ahead, &mut popped) {
            Ok(path) => path,
            Err(Lexical::TooLong) => return Err(Halt::Code(ErrorCode::NameTooLong)),
            Err(Lexical::LeadsOut) => {
                return Err(self.halt(Stop::Refused(LEADS_OUT), &request.path, request.operation));
            }
        };
        way.permit = self.decide(&path, request.operation)?;
        for folder in &popped {
            self.decide(folder, FileOperation::Inspect)?;
        }
        Ok(path)
    }
}

const LEADS_OUT: &str = "a way within what was granted: a link on it leads out";

/// Why an operation has no result.
#[derive(Debug)]
pub(super) enum Halt {
    /// It must be done where it may wait.
    WouldWait,
    /// What the guest is told.
    Code(ErrorCode),
}

impl From<ErrorCode> for Halt {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

#[derive(Debug)]
struct Way {
    /// Where it has come, without links.
    here: AbsolutePath,
    ahead: VecDeque<Step>,
    permit: Permit,
    is_folder: bool,
    links: usize,
}

impl Step {
    fn own(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_of_link: false,
        }
    }
}

/// Whether a text is longer than any path, or has more parts.
pub(super) fn is_overlong(text: &str) -> bool {
    text.len() > PATH_BYTES_MAX || names(text).nth(STEPS_MAX).is_some()
}

/// The parts of a path that mean something.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|name| !name.is_empty() && *name != ".")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lexical {
    LeadsOut,
    TooLong,
}

/// Where names lead from a folder if none of them is a link; `popped` are the folders that are left by `..`, one that
/// is left again and again only once.
fn lexical<'a>(
    from: &AbsolutePath,
    base: &AbsolutePath,
    names: impl Iterator<Item = &'a str>,
    popped: &mut Vec<AbsolutePath>,
) -> Result<AbsolutePath, Lexical> {
    let mut below = String::new();
    let mut here = from.clone();
    let walk = |here: &AbsolutePath, below: &str| here.join(below).map_err(|_too_long| Lexical::TooLong);
    for name in names {
        if name != ".." {
            below.push('/');
            below.push_str(name);
            continue;
        }
        here = walk(&here, &below)?;
        below.clear();
        if here == *base {
            return Err(Lexical::LeadsOut);
        }
        let parent = here.parent().ok_or(Lexical::LeadsOut)?;
        let left = std::mem::replace(&mut here, parent);
        if popped.last() != Some(&left) {
            popped.push(left);
        }
    }
    walk(&here, &below)
}

fn too_long(_error: ParsePathError) -> Halt {
    Halt::Code(ErrorCode::NameTooLong)
}

fn spotted_path(spotted: &Spotted) -> &AbsolutePath {
    match spotted {
        Spotted::Above(path) => path,
        Spotted::Real(target) => &target.path,
    }
}
