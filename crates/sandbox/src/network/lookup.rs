//! Names looked up for the guest itself: only those a rule names, and never to dial by.
//!
//! What a guest learns here is an address; using it is decided anew, by the address.

use super::resolve::ResolveError;
use super::sockets::returned;
use super::{Outbound, REQUEST_TEXT_BYTES_MAX};
use crate::state::State;
use futures::FutureExt as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::vec;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network as NetworkHandle};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketResult, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wassette_policy::{Access, AccessKind, Host, HttpTarget};

/// The name under which wasmtime links lookups.
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// Characters of a name that is none, for the report.
const SHOWN_MAX: usize = 512;

/// A lookup under way, or its answer. The `resolve-address-stream` of WASI; wasmtime's own cannot be made
/// from outside.
enum Lookup {
    Pending(AbortOnDropJoinHandle<Answer>),
    Answered(Answer),
}

type Answer = Result<vec::IntoIter<IpAddr>, ErrorCode>;
type Caller<'a> = StoreContextMut<'a, State>;

/// Links `wasi:sockets/ip-name-lookup`.
pub(super) fn link(l: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut lookup = l.instance(LOOKUP)?;
    lookup.resource(
        "resolve-address-stream",
        ResourceType::host::<Lookup>(),
        |mut caller: Caller<'_>, id| {
            let stream = Resource::<Lookup>::new_own(id);
            caller.data_mut().table.delete(stream)?;
            Ok(())
        },
    )?;
    lookup.func_wrap(
        "resolve-addresses",
        |mut caller: Caller<'_>, (network, name): (Resource<NetworkHandle>, String)| {
            returned(resolve(caller.data_mut(), &network, &name))
        },
    )?;
    lookup.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut caller: Caller<'_>, (stream,): (Resource<Lookup>,)| returned(next(caller.data_mut(), &stream)),
    )?;
    lookup.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut caller: Caller<'_>,
         (stream,): (Resource<Lookup>,)|
         -> wasmtime::Result<(Resource<DynPollable>,)> {
            Ok((subscribe(&mut caller.data_mut().table, stream)?,))
        },
    )?;
    Ok(())
}

fn resolve(
    state: &mut State,
    network: &Resource<NetworkHandle>,
    name: &str,
) -> SocketResult<Resource<Lookup>> {
    let _it_exists = state.table.get(network)?;
    let lookup = match decide(&state.outbound, name)? {
        Host::Address(address) => Lookup::Answered(Ok(vec![address].into_iter())),
        Host::Name(name) => {
            let outbound = state.outbound.clone();
            let Ok(place) = Arc::clone(&outbound.places).try_acquire_owned() else {
                return Err(ErrorCode::TemporaryResolverFailure.into());
            };
            Lookup::Pending(spawn(async move {
                let own = outbound.gate.control().pace().lookups();
                let found = outbound.network.names.resolve(&name, own).await;
                drop(place);
                found.map(Vec::into_iter).map_err(|error| match error {
                    ResolveError::Unknown => ErrorCode::NameUnresolvable,
                    ResolveError::Timeout => ErrorCode::TemporaryResolverFailure,
                })
            }))
        }
    };
    Ok(state.table.push(lookup)?)
}

/// Reads a name like the host of a URL, so that it is decided and resolved in one and the same form.
fn decide(outbound: &Outbound, name: &str) -> Result<Host, ErrorCode> {
    let gate = &outbound.gate;
    let malformed = |text: &str| {
        let _always_denied = gate.authorize(&Access::Malformed {
            kind: AccessKind::Resolve,
            text,
            why: "it is not the name of a host",
        });
        Err(ErrorCode::AccessDenied)
    };
    // SECURITY: before it is copied and parsed. No name is that long, and a guest may hand over megabytes.
    if name.len() > REQUEST_TEXT_BYTES_MAX {
        return malformed(&name.chars().take(SHOWN_MAX).collect::<String>());
    }
    let target = HttpTarget::parse("GET", &format!("https://{name}/"));
    let target = target
        .ok()
        .filter(|target| target.path() == "/" && !name.contains(['/', '?', '#', ':', '@']));
    let Some(target) = target else {
        return malformed(name);
    };
    let host_name = target.host().to_string();
    let access = Access::Resolve {
        host_name: &host_name,
    };
    match gate.authorize(&access) {
        Ok(_permit) => Ok(target.host().clone()),
        Err(_denied) => Err(ErrorCode::AccessDenied),
    }
}

fn next(state: &mut State, stream: &Resource<Lookup>) -> SocketResult<Option<IpAddress>> {
    let lookup = state.table.get_mut(stream)?;
    if let Lookup::Pending(pending) = lookup {
        let answer = pending.now_or_never().ok_or(ErrorCode::WouldBlock)?;
        *lookup = Lookup::Answered(answer);
    }
    match lookup {
        Lookup::Pending(_) => Err(ErrorCode::WouldBlock.into()),
        Lookup::Answered(Ok(addresses)) => Ok(addresses.next().map(IpAddress::from)),
        Lookup::Answered(Err(code)) => Err((*code).into()),
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let Self::Pending(lookup) = self {
            *self = Self::Answered(lookup.await);
        }
    }
}
