//! What is measured against what: guests, folders with components in them, and the commands of all servers.

use crate::client::{Scratch, Server, Target, command};
use crate::guests;
use crate::machine;
use crate::measure::{MANY, Plan};
use crate::report::Sample;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

/// A component and the function that returns its one string.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) path: PathBuf,
    pub(crate) function: String,
}

impl FromStr for Guest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, function) = text.rsplit_once('#').ok_or("expected `FILE#FUNCTION`")?;
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        Ok(Self {
            path,
            function: function.to_owned(),
        })
    }
}

impl Guest {
    pub(crate) fn name(&self) -> String {
        self.path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

/// A plan with its folders made and its components loaded.
pub(crate) struct Bench<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) guests: Vec<Guest>,
    pub(crate) scratch: Scratch,
    /// A folder with nothing, one with the first guest, one with many components.
    pub(crate) empty: PathBuf,
    pub(crate) one: PathBuf,
    pub(crate) many: PathBuf,
    pub(crate) samples: Vec<Sample>,
}

impl<'a> Bench<'a> {
    pub(crate) fn prepare(plan: &'a Plan) -> Result<Self> {
        let name = format!("wassette-bench-{}", std::process::id());
        let scratch = Scratch::new(&std::env::temp_dir(), &name)?;
        let folder = |name: &str| -> Result<PathBuf> {
            let path = scratch.path().join(name);
            std::fs::create_dir_all(&path)?;
            Ok(path)
        };
        let (made, empty, one, many) = (folder("made")?, folder("empty")?, folder("one")?, folder("many")?);
        let mut guests = plan.guests.clone();
        guests.push(Guest {
            path: guests::echo(&made)?,
            function: "echo".to_owned(),
        });
        let paths = guests::many(&made, MANY)?;
        let bench = Self {
            plan,
            guests,
            scratch,
            empty,
            one,
            many,
            samples: Vec::new(),
        };
        bench.load(&bench.first()?.path, &bench.one)?;
        for path in &paths {
            bench.load(path, &bench.many)?;
        }
        Ok(bench)
    }

    pub(crate) fn first(&self) -> Result<&Guest> {
        self.guests.first().context("no guest")
    }

    /// Loads a component as a user does; wall and processor time in milliseconds.
    pub(crate) fn load(&self, path: &Path, folder: &Path) -> Result<(f64, f64)> {
        let words: [OsString; 6] = [
            self.plan.wassette.clone().into(),
            "component".into(),
            "load".into(),
            path.into(),
            "--component-dir".into(),
            folder.into(),
        ];
        let cpu = machine::ended_children_cpu_ms();
        let start = Instant::now();
        let output = command(&words, self.scratch.path())?
            .output()
            .context("cannot start wassette")?;
        let wall = start.elapsed();
        ensure!(
            output.status.success(),
            "`component load {}` failed: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok((wall.as_secs_f64() * 1e3, machine::ended_children_cpu_ms() - cpu))
    }

    /// Our server with one guest in a folder of its own.
    pub(crate) fn loaded(&self, guest: &Guest) -> Result<Target> {
        let name = guest.name();
        let folder = self.scratch.path().join(format!("only-{name}"));
        std::fs::create_dir_all(&folder)?;
        self.load(&guest.path, &folder)?;
        Ok(self.wassette(format!("wassette ({name})"), &folder, Some(&guest.function)))
    }

    pub(crate) fn wassette(&self, name: String, folder: &Path, function: Option<&str>) -> Target {
        let words = [
            self.plan.wassette.as_os_str(),
            "run".as_ref(),
            "--component-dir".as_ref(),
            folder.as_os_str(),
        ];
        Target {
            name,
            command: words.map(OsString::from).to_vec(),
            function: function.map(str::to_owned),
        }
    }

    pub(crate) fn node(&self, name: &str, tools: usize) -> Option<Target> {
        let server = self.plan.node_server.as_ref()?;
        let mut words: Vec<OsString> = vec![self.plan.node.clone().into(), server.into()];
        if tools > 0 {
            words.extend(["--tools".into(), tools.to_string().into()]);
        }
        Some(Target {
            name: name.to_owned(),
            command: words,
            function: Some("echo".to_owned()),
        })
    }

    /// This program in one of its other two roles.
    pub(crate) fn own(name: String, arguments: &[OsString], function: &str) -> Result<Target> {
        let program = std::env::current_exe().context("this program has no path")?;
        let words = std::iter::once(program.into()).chain(arguments.iter().cloned());
        Ok(Target {
            name,
            command: words.collect(),
            function: Some(function.to_owned()),
        })
    }

    pub(crate) fn floor() -> Result<Target> {
        Self::own("floor".to_owned(), &["floor".into()], "echo")
    }

    pub(crate) fn start(&self, target: &Target) -> Result<Server> {
        Server::start(target, self.scratch.path()).with_context(|| format!("target `{}`", target.name))
    }
}
