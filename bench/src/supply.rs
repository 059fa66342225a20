//! The way of a component from a registry into a store, and what hundreds of installed ones cost.

use crate::client::{Scratch, command};
use crate::guests;
use crate::machine;
use crate::measure::LOAD_ROUNDS_MAX;
use crate::report::{Sample, quantile};
use crate::targets::{Bench, Guest};
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wassette_store::{Artifact, Reference, Store};

/// Components of the installation that is checked for updates.
const INSTALLED: usize = 500;

/// Blobs of the store that is collected.
const BLOBS: usize = 10_000;

/// How long the registry may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Debian's `docker-registry` on loopback, without a password.
struct Registry {
    child: Child,
    host: String,
}

impl Registry {
    fn start(folder: &Path) -> Result<Self> {
        // Free a moment ago, and nobody else takes ports here.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"}}\n",
            folder.join("registry").display()
        );
        let path = folder.join("registry.yml");
        std::fs::write(&path, config)?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start `docker-registry`, which `cargo xtask setup` installs")?;
        let registry = Self { child, host };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(&registry.host).is_err() {
            ensure!(Instant::now() < until, "the registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    fn reference(&self, name: &str) -> String {
        format!("oci://{}/bench/{name}:1", self.host)
    }

    fn image(&self, name: &str) -> String {
        format!("docker://{}/bench/{name}:1", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Wall and processor time of a command in milliseconds.
fn timed(words: &[OsString], home: &Path) -> Result<(f64, f64)> {
    let cpu = machine::ended_children_cpu_ms();
    let start = Instant::now();
    let output = command(words, home)?
        .output()
        .with_context(|| format!("cannot start {words:?}"))?;
    let wall = start.elapsed();
    ensure!(
        output.status.success(),
        "{words:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok((wall.as_secs_f64() * 1e3, machine::ended_children_cpu_ms() - cpu))
}

impl Bench<'_> {
    /// Loads from a registry beside `skopeo copy` of the same artifact; many components; many blobs.
    pub(crate) fn supply(&mut self) -> Result<()> {
        if !self.wants("supply") {
            return Ok(());
        }
        let folder = Scratch::new(self.scratch.path(), "supply")?;
        let registry = Registry::start(folder.path())?;
        self.registry_loads(&registry, folder.path())?;
        self.installed(&registry, folder.path())?;
        self.blobs(folder.path())
    }

    /// A command of ours on the store in `folder`.
    fn ours(&self, folder: &Path, words: &[&str]) -> Result<(f64, f64)> {
        let mut all: Vec<OsString> = vec![self.plan.wassette.clone().into()];
        all.extend(words.iter().map(OsString::from));
        all.extend(["--component-dir".into(), folder.into()]);
        timed(&all, self.scratch.path())
    }

    fn registry_loads(&mut self, registry: &Registry, folder: &Path) -> Result<()> {
        eprintln!("measuring loads from a registry");
        let guests: Vec<Guest> = self
            .guests
            .iter()
            .take(1)
            .chain(&self.plan.large)
            .cloned()
            .collect();
        for guest in &guests {
            let (path, reference) = (
                guest.path.display().to_string(),
                registry.reference(&guest.name()),
            );
            self.ours(&self.empty, &["registry", "push", &path, &reference])?;
        }
        for round in 0..self.plan.rounds.min(LOAD_ROUNDS_MAX) {
            for guest in &guests {
                let name = guest.name();
                let reference = registry.reference(&name);
                let store = Scratch::new(folder, "store")?;
                let load = ["component", "load", reference.as_str()];
                let first = self.ours(store.path(), &load)?;
                let unchanged = self.ours(store.path(), &load)?;
                self.ours(store.path(), &["component", "unload", &name])?;
                let compiled = self.ours(store.path(), &load)?;
                let copy = Scratch::new(folder, "copy")?;
                let mut words: Vec<OsString> = ["skopeo", "copy", "--src-tls-verify=false"]
                    .map(OsString::from)
                    .to_vec();
                words.push(registry.image(&name).into());
                words.push(format!("dir:{}", copy.path().join("image").display()).into());
                let copied = timed(&words, self.scratch.path())?;
                for (what, (wall, cpu)) in [
                    ("first load", first),
                    ("load, compiled before", compiled),
                    ("load, nothing new", unchanged),
                    ("skopeo copy", copied),
                ] {
                    let figures = vec![("ms", wall), ("CPU ms", cpu)];
                    let target = format!("{what} ({name})");
                    self.samples
                        .push(Sample::new("from a registry", &target, round, figures));
                }
            }
        }
        Ok(())
    }

    /// Starts with many components that came from a registry, and asks it about each.
    fn installed(&mut self, registry: &Registry, folder: &Path) -> Result<()> {
        eprintln!("measuring {INSTALLED} components: installing them takes minutes");
        let (made, store) = (folder.join("made"), folder.join("installed"));
        std::fs::create_dir_all(&made)?;
        for path in guests::many(&made, INSTALLED)? {
            let name = path
                .file_stem()
                .context("a file without a name")?
                .to_string_lossy()
                .into_owned();
            let reference = registry.reference(&name);
            self.ours(
                &self.empty,
                &["registry", "push", &path.display().to_string(), &reference],
            )?;
            self.ours(&store, &["component", "load", &reference])?;
        }
        let empty = self.wassette("0 components".to_owned(), &self.empty, None);
        let many = self.wassette(format!("{INSTALLED} components"), &store, None);
        // One round is thrown away.
        for round in 0..=self.plan.rounds {
            let mut all = Vec::new();
            for target in [&empty, &many] {
                all.push((target.name.clone(), self.one_start(target)?));
            }
            if let Some((_, figures)) = all.last_mut() {
                let (wall, cpu) = self.ours(&store, &["component", "update", "--check"])?;
                figures.extend([("update check ms", wall), ("update check CPU ms", cpu)]);
            }
            for (name, figures) in all {
                if let Some(round) = round.checked_sub(1) {
                    self.samples
                        .push(Sample::new("many components", &name, round, figures));
                }
            }
        }
        Ok(())
    }

    /// A store that holds many blobs, none of which any component needs.
    fn blobs(&mut self, folder: &Path) -> Result<()> {
        eprintln!("measuring a store of {BLOBS} blobs");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        for round in 0..self.plan.rounds.min(LOAD_ROUNDS_MAX) {
            let scratch = Scratch::new(folder, "blobs")?;
            let figures = runtime.block_on(blob_times(&scratch.path().join("store")))?;
            let target = format!("{BLOBS} blobs");
            self.samples.push(Sample::new("store", &target, round, figures));
        }
        Ok(())
    }
}

async fn blob_times(folder: &Path) -> Result<Vec<(&'static str, f64)>> {
    let milliseconds = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    let store = Store::open(folder).await?;
    let origin = Reference::File(folder.join("blob.wasm"));
    let (mut puts, mut reads) = (Vec::new(), Vec::new());
    for number in 0..BLOBS {
        let artifact = Artifact::new(format!("blob {number}").into_bytes().into(), origin.clone());
        let start = Instant::now();
        store.put(&artifact).await?;
        puts.push(milliseconds(start) * 1e3);
        let start = Instant::now();
        store.blob(&artifact.digest).await?;
        reads.push(milliseconds(start) * 1e3);
    }
    for times in [&mut puts, &mut reads] {
        times.sort_by(f64::total_cmp);
    }
    store.close().await;
    let start = Instant::now();
    let store = Store::open(folder).await?;
    let open = milliseconds(start);
    let start = Instant::now();
    let collected = store.collect().await?;
    let collect = milliseconds(start);
    ensure!(usize::try_from(collected.blobs)? == BLOBS, "{collected:?}");
    Ok(vec![
        ("put p50 µs", quantile(&puts, 50)),
        ("read p50 µs", quantile(&reads, 50)),
        ("open ms", open),
        ("collect ms", collect),
    ])
}
