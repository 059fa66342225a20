//! What a component may do, as plain data and one decision.
//!
//! This crate is pure: no clock, no file, no network, no async. [`Policy::authorize`] is the only way to
//! obtain a [`Permit`], and every effect in the sandbox takes a permit by value, so an effect without a
//! decision does not compile.
//!
//! The only policy that exists today is the empty one with its limits: everything is denied. The policy
//! language that widens it is not built yet, and nothing here pretends that it is.

mod access;
mod limits;
mod policy;

pub use access::{Access, AccessKind, FileOperation, Protocol};
pub use limits::Limits;
pub use policy::{Decision, Denied, Permit, Policy};
