//! What a component may do, as plain data and one decision.
//!
//! This crate is pure: no clock, no file, no network, no async. [`Authority::authorize`] is the only way to
//! obtain a [`Permit`], and every effect in the sandbox takes a permit, so an effect without a decision does
//! not compile.

mod access;
mod access_text;
mod address;
mod budget;
mod ceiling;
mod change;
mod decide;
mod document;
mod error;
mod explain;
mod grant;
mod host;
mod index;
mod limits;
mod path;
mod pattern;
mod policy;
mod quantity;
mod rate;
mod relation;
mod rules;
mod signature;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod url;
mod url_path;
mod witness;

pub use access::{Access, AccessKind, FileOperation, Protocol, SocketUse};
pub use access_text::{AccessText, ParseAccessError};
pub use address::is_public_address;
pub use ceiling::Ceiling;
pub use change::{Grant, GrantError};
pub use document::{DOCUMENT_BYTES_MAX, ParseOptions, ParsePolicyError, PolicyPart};
pub use error::{Field, ParseLimitError, RuleError};
pub use explain::Explanation;
pub use grant::{
    Effect, EnvironmentRule, FileAccess, NetworkRule, NetworkSpec, Peer, RESERVED_HEADERS, SecretRule,
    SecretSpec, StorageRule, StorageSpec,
};
pub use host::{Host, HostPattern};
pub use limits::{LimitKey, LimitSettings, Limits};
pub use path::{AbsolutePath, PATH_BYTES_MAX, ParsePathError};
pub use pattern::{PathPattern, ToolPattern};
pub use policy::{Authority, Decision, Denied, Layer, Mount, Permit, Place, SecretUse, Variable};
pub use rate::Rate;
pub use relation::{Excess, LimitChange, PolicyDiff, Relation};
pub use rules::{Policy, PolicyError, RuleList, Rules};
pub use signature::{SignatureMode, SignatureRule, TrustedIdentity, TrustedKey, TrustedSigner};
pub use source::SourcePattern;
pub use url::{HttpTarget, ParseTargetError, Scheme};
pub use url_path::UrlPathPattern;
