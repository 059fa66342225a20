//! Why the bytes of a component cannot be read, and what helps.

use super::COMPONENT_BYTES_MAX;
use crate::FunctionPath;

/// The bytes are no component that can be turned into tools.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadWorldError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// More bytes than any component may have.
    #[error("the component has {found} bytes, and at most {COMPONENT_BYTES_MAX} are taken")]
    TooManyBytes {
        /// How many there are.
        found: usize,
    },
    /// Something else than WebAssembly.
    #[error("the file is not WebAssembly: it does not start with the bytes `\\0asm`")]
    NotWasm,
    /// WebAssembly in its text format.
    #[error("the file is WebAssembly text; translate it to the binary format first, with `wasm-tools parse`")]
    Text,
    /// A core module.
    #[error(
        "the file is a core WebAssembly module, not a component; build for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Native code that an engine compiled from a component.
    #[error(
        "the file is precompiled native code, which nothing can check; load the `.wasm` component it was made from"
    )]
    Precompiled,
    /// A version of the binary format that is not known here.
    #[error("the file is of an unknown version of the component format")]
    UnknownVersion,
    /// The file ends too early.
    #[error("the component is truncated: what stands at byte {offset} goes on past its end")]
    Truncated {
        /// Where reading stopped.
        offset: usize,
    },
    /// The component breaks the rules of its format.
    #[error("the component is not valid at byte {offset}: {reason}")]
    Invalid {
        /// Where the offending part is.
        offset: usize,
        /// What the validator says, sanitized.
        reason: String,
    },
    /// The component has more of something than is taken.
    #[error("the component has {found} {what}, and at most {max} are taken")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many were found when reading stopped.
        found: usize,
        /// How many may be there.
        max: usize,
    },
    /// A function whose types are too large or nest too deeply, expanded.
    #[error(
        "the types of function `{path}` are too large: {found} {unit} when written out, and at most {max} are taken"
    )]
    TypeTooLarge {
        /// The function.
        path: FunctionPath,
        /// What is counted.
        unit: &'static str,
        /// How many there are, or more.
        found: usize,
        /// How many may be there.
        max: usize,
    },
}

impl ReadWorldError {
    /// What the user can do, where the message does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotWasm => {
                Some("name a component: the `.wasm` file that a build for `wasm32-wasip2` makes")
            }
            Self::Empty | Self::Truncated { .. } | Self::Invalid { .. } => {
                Some("build the component again, or copy it again from where it came from")
            }
            Self::UnknownVersion => Some("build the component with a current toolchain"),
            Self::TooManyBytes { .. } => Some("build the component without debug information"),
            Self::TooMany { .. } | Self::TypeTooLarge { .. } => {
                Some("offer less in one component, or pass large data as text or bytes")
            }
            Self::Text | Self::CoreModule | Self::Precompiled => None,
        }
    }
}
