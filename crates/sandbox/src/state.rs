//! What one call owns inside its wasm store. Built from nothing for each call and dropped with it.

use crate::client::Client;
use crate::control::{Control, Ended};
use crate::engine::Shared;
use crate::error::Limit;
use crate::filesystem::Session;
use crate::gate::Gate;
use crate::limits::{Ledger, Stopwatch};
use crate::network::{Outbound, may_use};
use crate::pace::Paced;
use crate::stdio::{Capture, GuestOutput};
use std::future::ready;
use std::sync::Arc;
use wasmtime::{CallHook, UpdateDeadline};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Bytes of all headers of one HTTP message, as wasmtime counts them.
const HTTP_FIELD_BYTES_MAX: usize = 32 << 10;

/// Ticks of the epoch between two looks at a running guest.
pub(crate) const TICKS_PER_LOOK: u64 = 1;

/// The data of one wasm store.
pub(crate) struct State {
    pub(crate) gate: Gate,
    pub(crate) ledger: Ledger,
    pub(crate) stopwatch: Stopwatch,
    pub(crate) table: ResourceTable,
    /// Only if the component has a share of the processor.
    pub(crate) paced: Option<Paced>,
    pub(crate) files: Session,
    /// The limit that made [`State::look`] interrupt the guest.
    pub(crate) interrupted: Option<Limit>,
    pub(crate) outbound: Outbound,
    /// Sockets that were made or accepted.
    pub(crate) sockets_made: u32,
    /// Whom the call is for, if it is for anybody who listens.
    pub(crate) client: Option<Arc<dyn Client>>,
    /// What was said to the client.
    pub(crate) said: u32,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    stdout: Capture,
    stderr: Capture,
}

impl State {
    pub(crate) fn new(control: Arc<Control>, client: Option<Arc<dyn Client>>, shared: &Shared) -> Self {
        let gate = Gate::new(control);
        let limits = gate.limits();
        let share = limits.cpu_share_millicores;
        let paced = share.map(|millicores| Paced::new(Arc::clone(gate.control().pace()), millicores));
        let (stdout, stderr) = (Capture::new(limits.stdio_bytes), Capture::new(limits.stdio_bytes));
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(limits.resources).unwrap_or(usize::MAX));
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(HTTP_FIELD_BYTES_MAX);
        Self {
            ledger: Ledger::new(limits),
            stopwatch: Stopwatch::new(),
            table,
            paced,
            interrupted: None,
            outbound: Outbound::new(gate.clone(), Arc::clone(&shared.network)),
            sockets_made: 0,
            client,
            said: 0,
            wasi: context(&gate, &stdout, &stderr),
            http,
            files: Session::new(gate.clone(), Arc::clone(&shared.files)),
            gate,
            stdout,
            stderr,
        }
    }

    /// Starts and stops the clock for guest time as control crosses the boundary.
    pub(crate) fn cross(&mut self, crossing: CallHook) {
        match crossing {
            CallHook::CallingWasm | CallHook::ReturningFromHost => self.stopwatch.start(),
            CallHook::ReturningFromWasm | CallHook::CallingHost => self.stopwatch.stop(),
        }
    }

    /// Looks at a running guest, once for each tick: out of time, or may it go on after others had a turn?
    pub(crate) fn look(&mut self) -> UpdateDeadline {
        self.stopwatch.stop();
        self.enter_pace();
        if let Some(ended) = self.gate.control().ended() {
            if let Ended::Limit(limit) = ended {
                self.interrupted = Some(limit.clone());
            }
            return UpdateDeadline::Interrupt;
        }
        let limits = self.gate.limits();
        if self.stopwatch.used() >= limits.cpu {
            self.interrupted = Some(Limit::Cpu { max: limits.cpu });
            return UpdateDeadline::Interrupt;
        }
        if self.stopwatch.elapsed() >= limits.time {
            self.interrupted = Some(Limit::Time { max: limits.time });
            return UpdateDeadline::Interrupt;
        }
        let pause = self.stopwatch.pause(self.paced.clone());
        UpdateDeadline::YieldCustom(TICKS_PER_LOOK, Box::pin(pause))
    }

    /// Tells the component's other calls what this one used so far.
    fn enter_pace(&mut self) {
        if let Some(paced) = &mut self.paced {
            paced.enter(self.stopwatch.used());
        }
    }

    /// What the guest printed.
    pub(crate) fn output(&self) -> GuestOutput {
        let ((stdout, stdout_dropped), (stderr, stderr_dropped)) = (self.stdout.take(), self.stderr.take());
        GuestOutput {
            stdout,
            stderr,
            dropped_bytes: stdout_dropped.saturating_add(stderr_dropped),
        }
    }
}

/// A WASI context that inherits nothing. Standard input is closed, there are no arguments, variables or
/// folders. Sockets are off below the gate as well when no rule could allow one; else each use of an address
/// asks the gate. wasmtime's lookup of names, which asks for no name in particular, is not linked and off.
fn context(gate: &Gate, stdout: &Capture, stderr: &Capture) -> WasiCtx {
    let has_network = gate.authority().has_network();
    let asked = gate.clone();
    WasiCtxBuilder::new()
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .allow_tcp(has_network)
        .allow_udp(has_network)
        .allow_ip_name_lookup(false)
        .socket_addr_check(move |address, address_use| Box::pin(ready(may_use(&asked, address, address_use))))
        .max_random_size(gate.limits().random_bytes)
        .build()
}

impl Drop for State {
    /// However the call ended: a share must not be stretched by calls that are cancelled.
    fn drop(&mut self) {
        self.stopwatch.stop();
        self.enter_pace();
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
