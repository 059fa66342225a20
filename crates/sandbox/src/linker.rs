//! Everything a component may import: WASI 0.2 and `wasi:http`, whole, so that a component links whatever
//! its toolchain drags in, and the client of its call. Linking an interface grants nothing; the gate decides each use.

use crate::state::State;
use crate::{client, environment, filesystem, network};
use wasmtime::Engine;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, io, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

/// Interfaces of WASI that are linked, without version. Any `0.2.x` of them is accepted.
const LINKED: [&str; 29] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut ResourceTable;
}

/// Whether an import is of an interface that is linked, in a version of it that is. Of our own package, also the one
/// that has types alone.
pub(crate) fn is_linked(import: &str) -> bool {
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    if interface == client::INTERFACE || interface == "wassette:mcp/types" {
        return version.starts_with(client::VERSION);
    }
    LINKED.contains(&interface) && version.starts_with("0.2.")
}

/// A linker with every interface in it.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    link_inert(&mut linker)?;
    link_gated(&mut linker)?;
    client::link(&mut linker)?;
    Ok(linker)
}

/// What reaches nothing outside the call: streams, clocks, random numbers, captured output.
fn link_inert(l: &mut Linker<State>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<State, HasIo>(l, |s| &mut s.table)?;
    io::poll::add_to_linker::<State, HasIo>(l, |s| &mut s.table)?;
    io::streams::add_to_linker::<State, HasIo>(l, |s| &mut s.table)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(l, WasiClocksView::clocks)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, WasiClocksView::clocks)?;
    random::random::add_to_linker::<State, WasiRandom>(l, WasiRandomView::random)?;
    random::insecure::add_to_linker::<State, WasiRandom>(l, WasiRandomView::random)?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(l, WasiRandomView::random)?;
    cli::exit::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, WasiCliView::cli)
}

/// What reaches outside and therefore asks the gate.
fn link_gated(l: &mut Linker<State>) -> wasmtime::Result<()> {
    filesystem::link(l)?;
    environment::link(l)?;
    network::link(l)
}
