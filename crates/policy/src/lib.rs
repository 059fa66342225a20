//! What a component may do, as plain data and one decision.
//!
//! This crate is pure: no clock, no file, no network, no async. [`Authority::authorize`] is the only way to
//! obtain a [`Permit`], and every effect in the sandbox takes a permit, so an effect without a decision does
//! not compile.

mod access;
mod limits;
mod path;
mod policy;
mod quantity;
mod url;

pub use access::{Access, AccessKind, FileOperation, Protocol, SocketUse};
pub use limits::{LimitKey, LimitSettings, Limits, ParseLimitError, Rate};
pub use path::{AbsolutePath, PATH_BYTES_MAX, ParsePathError};
pub use policy::{Authority, Decision, Denied, Layer, Mount, Permit, Place, Policy, SecretUse, Variable};
pub use url::{Host, HttpTarget, ParseTargetError, Scheme};
