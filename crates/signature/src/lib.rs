//! Who signed a component: signatures over the digest of a manifest, read and made.
//!
//! Three layouts are read: a sigstore bundle (v0.1 to v0.3), signed with a certificate or with a key, and cosign's
//! older one, a "simple signing" payload beside its signature. What counts is decided by rules that name an identity
//! *and* its issuer, or a public key. INVARIANT: a signer is named only after the signature, everything the material
//! brings along (certificate, log entry, timestamp) and its binding to the very digest that was asked for have been
//! verified; what is there and does not hold is refused, even where it would not have been needed.
//!
//! There is no network and there are no files: the roots of trust are compiled in or handed over. The one use of a
//! clock is inside the library that reads bundles: it refuses what claims to have been logged in the future.

mod cosign;
mod key;
mod material;
mod reason;
mod roots;
mod signer;
mod signing;
mod statement;
mod verify;

pub use cosign::{COSIGN_PAYLOAD_BYTES_MAX, COSIGN_TEXT_BYTES_MAX};
pub use key::{Fingerprint, KEY_PEM_BYTES_MAX, KeyError, PublicKey};
pub use material::{BUNDLE_BYTES_MAX, EVIDENCE_MAX, Layout, MATERIALS_MAX, Material};
pub use reason::Reason;
pub use roots::{ROOTS_BYTES_MAX, Roots, RootsError};
pub use signer::{IDENTITY_BYTES_MAX, IdentityPattern, Keyless, ParseSignerError, Signer, SignerRule};
pub use signing::{PASSPHRASE_BYTES_MAX, SigningError, SigningKey};
pub use verify::{Failure, Finding, Observed, Verifier, VerifyError};
