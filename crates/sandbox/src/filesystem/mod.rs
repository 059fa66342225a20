//! `wasi:filesystem`, answered by the gate.
//!
//! A guest sees the folders and files that were granted, under the names the grants give them, in one tree that
//! begins at `/`. Every operation is an access with the absolute path and is decided before the kernel hears of the
//! path, so a denial names the file that was reached for and a denied path was never looked at.
//!
//! `resolve` turns a guest's text into a place that was allowed, `kernel` looks it up without following a link,
//! `action` does something there, `jobs` is where that may wait. On systems without these calls everything is
//! denied (`closed`).

use crate::state::State;
use bindings::wasi::filesystem::{preopens, types};
use types::ErrorCode;
use wasmtime::component::{HasData, Linker, ResourceTable, ResourceTableError};

#[cfg(unix)]
mod action;
#[cfg(not(unix))]
mod closed;
#[cfg(unix)]
mod convert;
#[cfg(unix)]
mod descriptors;
#[cfg(unix)]
mod host;
#[cfg(unix)]
mod jobs;
#[cfg(unix)]
mod kernel;
#[cfg(unix)]
mod links;
#[cfg(unix)]
mod listing;
#[cfg(unix)]
mod resolve;
#[cfg(unix)]
mod root;
#[cfg(unix)]
mod session;
#[cfg(unix)]
mod stream;
#[cfg(all(test, unix))]
mod tests;

#[cfg(not(unix))]
use closed as system;
#[cfg(unix)]
use session as system;

pub(crate) use system::{FileHost, Session};

mod bindings {
    //! Generated from `wit/`; what it uses of other packages comes from wasmtime-wasi.
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        reason = "generated"
    )]
    wasmtime::component::bindgen!({
        path: "wit",
        world: "filesystem",
        imports: {
            // What needs no kernel, or is not waited for.
            "wasi:filesystem/types.[method]descriptor.append-via-stream": trappable,
            "wasi:filesystem/types.[method]descriptor.get-flags": trappable,
            "wasi:filesystem/types.[method]descriptor.get-type": trappable,
            "wasi:filesystem/types.[method]descriptor.read-via-stream": trappable,
            "wasi:filesystem/types.[method]descriptor.write-via-stream": trappable,
            "wasi:filesystem/types.[drop]descriptor": trappable,
            "wasi:filesystem/types.[drop]directory-entry-stream": trappable,
            "wasi:filesystem/types.filesystem-error-code": trappable,
            default: async | trappable,
        },
        trappable_error_type: {
            "wasi:filesystem/types.error-code" => super::FileError,
        },
        require_store_data_send: true,
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem/types.descriptor": super::system::Node,
            "wasi:filesystem/types.directory-entry-stream": super::system::Entries,
        },
    });
}

/// Why an operation has no result: what the guest is told, or a misuse that ends it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub enum FileError {
    /// What the guest is told.
    Code(ErrorCode),
    /// A handle that is none, or too many of them.
    Trap(wasmtime::Error),
}

impl From<ErrorCode> for FileError {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<ResourceTableError> for FileError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

type Answer<T> = Result<T, FileError>;

/// Selects [`Files`] as the data of the linked interfaces.
struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

/// The part of the state that answers for files.
struct Files<'a> {
    session: &'a Session,
    table: &'a mut ResourceTable,
}

fn files(state: &mut State) -> Files<'_> {
    Files {
        session: &state.files,
        table: &mut state.table,
    }
}

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    types::add_to_linker::<State, HasFiles>(linker, files)?;
    preopens::add_to_linker::<State, HasFiles>(linker, files)
}

/// What a guest means to do with the file it opens.
fn intent(open: types::OpenFlags, flags: types::DescriptorFlags) -> wassette_policy::FileOperation {
    use types::{DescriptorFlags, OpenFlags};
    use wassette_policy::FileOperation;
    if open.contains(OpenFlags::CREATE) {
        return FileOperation::Create;
    }
    if open.contains(OpenFlags::TRUNCATE) || flags.contains(DescriptorFlags::WRITE) {
        return FileOperation::Write;
    }
    if open.contains(OpenFlags::DIRECTORY) {
        return FileOperation::List;
    }
    FileOperation::Read
}

#[cfg(test)]
mod intent_tests {
    use super::intent;
    use super::types::{DescriptorFlags, OpenFlags};
    use wassette_policy::FileOperation;

    #[test]
    fn the_intent_of_an_open_is_its_strongest_flag() {
        let table = [
            (OpenFlags::empty(), DescriptorFlags::READ, FileOperation::Read),
            (OpenFlags::DIRECTORY, DescriptorFlags::READ, FileOperation::List),
            (
                OpenFlags::empty(),
                DescriptorFlags::READ | DescriptorFlags::WRITE,
                FileOperation::Write,
            ),
            (OpenFlags::TRUNCATE, DescriptorFlags::READ, FileOperation::Write),
            (OpenFlags::CREATE, DescriptorFlags::READ, FileOperation::Create),
        ];
        for (open, flags, operation) in table {
            assert_eq!(intent(open, flags), operation, "{open:?} {flags:?}");
        }
    }
}
