//! Raw sockets: those of wasmtime-wasi, which asks us before it uses an address, with their bytes counted.
//!
//! Making a socket needs a permit, and each use of an address another one. wasmtime makes the streams and
//! datagrams of a socket; the functions that hand them out or move them are replaced here by ones that count.
//! All of it ends with the call: a socket lives in the call's table and nowhere else.

use crate::gate::{Gate, OverLimit};
use crate::state::State;
use bytes::Bytes;
use std::net::SocketAddr;
use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, LinkOptions};
use wasmtime_wasi::p2::bindings::sockets::tcp::HostTcpSocket as _;
use wasmtime_wasi::p2::bindings::sockets::udp::{
    HostIncomingDatagramStream as _, HostOutgoingDatagramStream as _, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream,
};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network, network, tcp, tcp_create_socket, udp, udp_create_socket,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, SocketError, SocketResult,
    StreamError, StreamResult, TcpSocket, UdpSocket,
};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSockets, WasiSocketsView as _};
use wassette_policy::{Access, Protocol, SocketUse};

/// The names under which wasmtime links sockets.
const TCP: &str = "wasi:sockets/tcp@0.2.12";
const UDP: &str = "wasi:sockets/udp@0.2.12";

/// Sockets one call may make or accept, closed ones included: each is a file descriptor of ours.
const SOCKETS_MAX: u32 = 64;

/// What a datagram costs beside its bytes: its UDP header. So an empty one is not for nothing.
const DATAGRAM_BYTES: u64 = 8;

/// Selects [`Sockets`] as the data of linked interfaces.
struct HasSockets;

impl HasData for HasSockets {
    type Data<'a> = Sockets<'a>;
}

/// The part of the state that makes sockets.
struct Sockets<'a> {
    state: &'a mut State,
}

/// Whether a socket may use an address.
pub(crate) fn may_use(gate: &Gate, address: SocketAddr, address_use: SocketAddrUse) -> bool {
    let (protocol, socket_use) = match address_use {
        SocketAddrUse::TcpBind => (Protocol::Tcp, SocketUse::Bind),
        SocketAddrUse::TcpListen => (Protocol::Tcp, SocketUse::Listen),
        // The address is that of the peer.
        SocketAddrUse::TcpAccept => (Protocol::Tcp, SocketUse::Receive),
        SocketAddrUse::TcpConnect => (Protocol::Tcp, SocketUse::Connect),
        SocketAddrUse::UdpBind => (Protocol::Udp, SocketUse::Bind),
        SocketAddrUse::UdpSend => (Protocol::Udp, SocketUse::Send),
        SocketAddrUse::UdpReceive => (Protocol::Udp, SocketUse::Receive),
    };
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    let access = Access::SocketAddress {
        protocol,
        socket_use,
        address,
    };
    gate.authorize(&access).is_ok()
}

type Caller<'a> = StoreContextMut<'a, State>;
type Connected = (Resource<DynInputStream>, Resource<DynOutputStream>);
type Accepted = (
    Resource<TcpSocket>,
    Resource<DynInputStream>,
    Resource<DynOutputStream>,
);

/// What a linked function returns: a trap, or a result for the guest.
type Returned<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// Links `wasi:sockets` but for the lookup of names.
pub(super) fn link(l: &mut Linker<State>) -> wasmtime::Result<()> {
    tcp_create_socket::add_to_linker::<State, HasSockets>(l, |state| Sockets { state })?;
    udp_create_socket::add_to_linker::<State, HasSockets>(l, |state| Sockets { state })?;
    instance_network::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    network::add_to_linker::<State, WasiSockets>(l, &LinkOptions::default(), State::sockets)?;
    tcp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    udp::add_to_linker::<State, WasiSockets>(l, State::sockets)?;
    l.allow_shadowing(true);
    let mut tcp = l.instance(TCP)?;
    tcp.func_wrap(
        "[method]tcp-socket.finish-connect",
        |mut caller: Caller<'_>, (socket,): (Resource<TcpSocket>,)| {
            returned(finish_connect(caller.data_mut(), socket))
        },
    )?;
    tcp.func_wrap(
        "[method]tcp-socket.accept",
        |mut caller: Caller<'_>, (socket,): (Resource<TcpSocket>,)| {
            returned(accept(caller.data_mut(), socket))
        },
    )?;
    let mut udp = l.instance(UDP)?;
    udp.func_wrap(
        "[method]incoming-datagram-stream.receive",
        |mut caller: Caller<'_>, (stream, max): (Resource<IncomingDatagramStream>, u64)| {
            returned(receive(caller.data_mut(), stream, max))
        },
    )?;
    udp.func_wrap(
        "[method]outgoing-datagram-stream.send",
        |mut caller: Caller<'_>,
         (stream, datagrams): (Resource<OutgoingDatagramStream>, Vec<OutgoingDatagram>)| {
            returned(send(caller.data_mut(), stream, datagrams))
        },
    )?;
    l.allow_shadowing(false);
    Ok(())
}

pub(super) fn returned<T>(answer: SocketResult<T>) -> Returned<T> {
    match answer {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

impl Sockets<'_> {
    fn permit(&mut self, protocol: Protocol) -> SocketResult<()> {
        let access = Access::Socket { protocol };
        if self.state.gate.authorize(&access).is_err() {
            return Err(ErrorCode::AccessDenied.into());
        }
        count_socket(self.state)
    }
}

/// Counts a socket that is about to be made.
fn count_socket(state: &mut State) -> SocketResult<()> {
    if state.sockets_made >= SOCKETS_MAX {
        return Err(ErrorCode::NewSocketLimit.into());
    }
    state.sockets_made += 1;
    Ok(())
}

// The interfaces that make sockets want these of whoever implements them, and link neither.
impl network::Host for Sockets<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime_wasi::p2::bindings::io::error::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.state.sockets(), error)
    }
}

impl network::HostNetwork for Sockets<'_> {
    fn drop(&mut self, handle: Resource<network::Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.state.sockets(), handle)
    }
}

impl tcp_create_socket::Host for Sockets<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.permit(Protocol::Tcp)?;
        tcp_create_socket::Host::create_tcp_socket(&mut self.state.sockets(), family)
    }
}

impl udp_create_socket::Host for Sockets<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.permit(Protocol::Udp)?;
        udp_create_socket::Host::create_udp_socket(&mut self.state.sockets(), family).await
    }
}

fn finish_connect(state: &mut State, socket: Resource<TcpSocket>) -> SocketResult<Connected> {
    let streams = state.sockets().finish_connect(socket)?;
    count_streams(state, &streams.0, &streams.1)?;
    Ok(streams)
}

fn accept(state: &mut State, socket: Resource<TcpSocket>) -> SocketResult<Accepted> {
    if state.sockets_made >= SOCKETS_MAX {
        return Err(ErrorCode::NewSocketLimit.into());
    }
    let accepted = state.sockets().accept(socket)?;
    count_socket(state)?;
    count_streams(state, &accepted.1, &accepted.2)?;
    Ok(accepted)
}

/// Puts a counter before each of the two streams of a connection.
fn count_streams(
    state: &mut State,
    input: &Resource<DynInputStream>,
    output: &Resource<DynOutputStream>,
) -> SocketResult<()> {
    let (gate, table): (_, &mut ResourceTable) = (state.gate.clone(), &mut state.table);
    let input = table.get_mut(input)?;
    let inner = std::mem::replace(input, Box::new(Gone));
    *input = Box::new(CountedInput {
        inner,
        gate: gate.clone(),
    });
    let output = table.get_mut(output)?;
    let inner = std::mem::replace(output, Box::new(Gone));
    *output = Box::new(CountedOutput { inner, gate });
    Ok(())
}

fn receive(
    state: &mut State,
    stream: Resource<IncomingDatagramStream>,
    max: u64,
) -> SocketResult<Vec<IncomingDatagram>> {
    let datagrams = state.sockets().receive(stream, max)?;
    let bytes = datagrams.iter().map(|datagram| cost(&datagram.data)).sum();
    let counted = state.gate.spend(|m| &m.ingress, bytes);
    counted.map_err(ended).map(|()| datagrams)
}

fn send(
    state: &mut State,
    stream: Resource<OutgoingDatagramStream>,
    datagrams: Vec<OutgoingDatagram>,
) -> SocketResult<u64> {
    let costs: Vec<u64> = datagrams.iter().map(|datagram| cost(&datagram.data)).collect();
    let total: u64 = costs.iter().sum();
    // Nothing is sent that would not fit; what is sent is counted.
    if total > state.gate.meters().egress.left() {
        state.gate.spend(|m| &m.egress, total).map_err(ended)?;
    }
    let sent = state.sockets().send(stream, datagrams)?;
    let count = usize::try_from(sent).unwrap_or(usize::MAX);
    let bytes = costs.iter().take(count).sum();
    let counted = state.gate.spend(|m| &m.egress, bytes);
    counted.map_err(ended).map(|()| sent)
}

fn cost(datagram: &[u8]) -> u64 {
    DATAGRAM_BYTES + datagram.len() as u64
}

/// The call is being ended; the guest does not get far with this.
fn ended(_over: OverLimit) -> SocketError {
    ErrorCode::AccessDenied.into()
}

/// Stands for a stream while it is wrapped.
struct Gone;

#[wasmtime_wasi::async_trait]
impl Pollable for Gone {
    async fn ready(&mut self) {}
}

impl InputStream for Gone {
    fn read(&mut self, _size: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

impl OutputStream for Gone {
    fn write(&mut self, _bytes: Bytes) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Err(StreamError::Closed)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Err(StreamError::Closed)
    }
}

struct CountedInput {
    inner: DynInputStream,
    gate: Gate,
}

#[wasmtime_wasi::async_trait]
impl Pollable for CountedInput {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for CountedInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.read(size)?;
        let counted = self.gate.spend(|m| &m.ingress, bytes.len() as u64);
        counted.map_err(|_over| StreamError::Closed).map(|()| bytes)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

struct CountedOutput {
    inner: DynOutputStream,
    gate: Gate,
}

#[wasmtime_wasi::async_trait]
impl Pollable for CountedOutput {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for CountedOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // An empty write moves nothing, and must not be queued anywhere (GHSA-5m8g-xhq4-4h93).
        if bytes.is_empty() {
            return Ok(());
        }
        let counted = self.gate.spend(|m| &m.egress, bytes.len() as u64);
        counted.map_err(|_over| StreamError::Closed)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
