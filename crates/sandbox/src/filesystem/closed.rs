//! `wasi:filesystem`, answered by the gate.
//!
//! A guest sees one folder, `/`, and every operation below it is an [`Access`] with the absolute path, so a
//! denial names the file that was reached for. Without that folder a guest's C library would give up before
//! it asked us, and nobody would learn what it wanted.
//!
//! There is no code here that touches a file: no policy can grant one yet. Only the root exists, its type
//! may be asked for (C libraries do at start), and everything else is refused with `access`.

use crate::gate::Gate;
use crate::state::State;
use bindings::wasi::filesystem::{preopens, types};
use types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wassette_policy::{AbsolutePath, Access, AccessKind, FileOperation};

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
        imports: { default: trappable },
        require_store_data_send: true,
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:filesystem/types.descriptor": super::Folder,
            "wasi:filesystem/types.directory-entry-stream": super::Entries,
        },
    });
}

/// The guest's name of the only folder it sees.
const ROOT: &str = "/";

/// A folder open in a guest. Only the root can be.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub struct Folder;

/// A listing open in a guest. None can be yet.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub enum Entries {}

type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// Selects [`Files`] as the data of the linked interfaces.
struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

/// The part of the state that answers for files.
struct Files<'a> {
    gate: &'a mut Gate,
    table: &'a mut ResourceTable,
}

fn files(state: &mut State) -> Files<'_> {
    Files {
        gate: &mut state.gate,
        table: &mut state.table,
    }
}

impl Files<'_> {
    /// Asks the gate about `path` below `folder`. Nothing can be granted yet, so the answer is always no.
    fn refuse<T>(
        &mut self,
        folder: &Resource<Descriptor>,
        path: &str,
        operation: FileOperation,
    ) -> Answer<T> {
        self.table.get(folder)?;
        let path = absolute(path);
        let _denied = match path.parse::<AbsolutePath>() {
            Ok(path) => self.gate.authorize(&Access::File {
                path: &path,
                operation,
            }),
            Err(_not_a_path) => self.gate.authorize(&Access::Malformed {
                kind: AccessKind::File,
                text: &path,
                why: "the path leads out of the root",
            }),
        };
        Ok(Err(ErrorCode::Access))
    }

    fn refuse_here<T>(&mut self, folder: &Resource<Descriptor>, operation: FileOperation) -> Answer<T> {
        self.refuse(folder, "", operation)
    }
}

/// The path below the root as the guest wrote it. It is not normalised: it is shown, not followed.
fn absolute(path: &str) -> String {
    format!("{ROOT}{}", path.strip_prefix(ROOT).unwrap_or(path))
}

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    types::add_to_linker::<State, HasFiles>(linker, files)?;
    preopens::add_to_linker::<State, HasFiles>(linker, files)
}

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        Ok(vec![(self.table.push(Folder)?, ROOT.to_owned())])
    }
}

impl types::Host for Files<'_> {
    fn filesystem_error_code(
        &mut self,
        _error: Resource<wasmtime_wasi::p2::bindings::io::error::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl types::HostDirectoryEntryStream for Files<'_> {
    fn read_directory_entry(
        &mut self,
        _entries: Resource<DirectoryEntryStream>,
    ) -> Answer<Option<DirectoryEntry>> {
        Ok(Err(ErrorCode::BadDescriptor))
    }

    fn drop(&mut self, entries: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table.delete(entries)?;
        Ok(())
    }
}

impl types::HostDescriptor for Files<'_> {
    fn get_type(&mut self, folder: Resource<Descriptor>) -> Answer<DescriptorType> {
        self.table.get(&folder)?;
        Ok(Ok(DescriptorType::Directory))
    }

    fn get_flags(&mut self, folder: Resource<Descriptor>) -> Answer<DescriptorFlags> {
        self.table.get(&folder)?;
        Ok(Ok(DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY))
    }

    fn is_same_object(&mut self, a: Resource<Descriptor>, b: Resource<Descriptor>) -> wasmtime::Result<bool> {
        self.table.get(&a)?;
        self.table.get(&b)?;
        Ok(true)
    }

    fn open_at(
        &mut self,
        folder: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        self.refuse(&folder, &path, intent(open, flags))
    }

    fn stat(&mut self, folder: Resource<Descriptor>) -> Answer<DescriptorStat> {
        self.refuse_here(&folder, FileOperation::Inspect)
    }

    fn stat_at(
        &mut self,
        folder: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
    ) -> Answer<DescriptorStat> {
        self.refuse(&folder, &path, FileOperation::Inspect)
    }

    fn metadata_hash(&mut self, folder: Resource<Descriptor>) -> Answer<MetadataHashValue> {
        self.refuse_here(&folder, FileOperation::Inspect)
    }

    fn metadata_hash_at(
        &mut self,
        folder: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        self.refuse(&folder, &path, FileOperation::Inspect)
    }

    fn readlink_at(&mut self, folder: Resource<Descriptor>, path: String) -> Answer<String> {
        self.refuse(&folder, &path, FileOperation::Inspect)
    }

    fn read_directory(&mut self, folder: Resource<Descriptor>) -> Answer<Resource<DirectoryEntryStream>> {
        self.refuse_here(&folder, FileOperation::List)
    }

    fn read(
        &mut self,
        folder: Resource<Descriptor>,
        _length: Filesize,
        _at: Filesize,
    ) -> Answer<(Vec<u8>, bool)> {
        self.refuse_here(&folder, FileOperation::Read)
    }

    fn read_via_stream(
        &mut self,
        folder: Resource<Descriptor>,
        _at: Filesize,
    ) -> Answer<Resource<DynInputStream>> {
        self.refuse_here(&folder, FileOperation::Read)
    }

    fn advise(
        &mut self,
        folder: Resource<Descriptor>,
        _at: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> Answer<()> {
        self.refuse_here(&folder, FileOperation::Inspect)
    }

    fn write(&mut self, folder: Resource<Descriptor>, _bytes: Vec<u8>, _at: Filesize) -> Answer<Filesize> {
        self.refuse_here(&folder, FileOperation::Write)
    }

    fn write_via_stream(
        &mut self,
        folder: Resource<Descriptor>,
        _at: Filesize,
    ) -> Answer<Resource<DynOutputStream>> {
        self.refuse_here(&folder, FileOperation::Write)
    }

    fn append_via_stream(&mut self, folder: Resource<Descriptor>) -> Answer<Resource<DynOutputStream>> {
        self.refuse_here(&folder, FileOperation::Write)
    }

    fn sync(&mut self, folder: Resource<Descriptor>) -> Answer<()> {
        self.refuse_here(&folder, FileOperation::Write)
    }

    fn sync_data(&mut self, folder: Resource<Descriptor>) -> Answer<()> {
        self.refuse_here(&folder, FileOperation::Write)
    }

    fn set_size(&mut self, folder: Resource<Descriptor>, _size: Filesize) -> Answer<()> {
        self.refuse_here(&folder, FileOperation::Write)
    }

    fn set_times(
        &mut self,
        folder: Resource<Descriptor>,
        _read: NewTimestamp,
        _written: NewTimestamp,
    ) -> Answer<()> {
        self.refuse_here(&folder, FileOperation::Write)
    }

    fn set_times_at(
        &mut self,
        folder: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
        _read: NewTimestamp,
        _written: NewTimestamp,
    ) -> Answer<()> {
        self.refuse(&folder, &path, FileOperation::Write)
    }

    fn create_directory_at(&mut self, folder: Resource<Descriptor>, path: String) -> Answer<()> {
        self.refuse(&folder, &path, FileOperation::Create)
    }

    fn symlink_at(&mut self, folder: Resource<Descriptor>, _target: String, path: String) -> Answer<()> {
        self.refuse(&folder, &path, FileOperation::Create)
    }

    fn link_at(
        &mut self,
        folder: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
        _to_folder: Resource<Descriptor>,
        _to_path: String,
    ) -> Answer<()> {
        self.refuse(&folder, &path, FileOperation::Create)
    }

    fn rename_at(
        &mut self,
        folder: Resource<Descriptor>,
        path: String,
        _to_folder: Resource<Descriptor>,
        _to_path: String,
    ) -> Answer<()> {
        self.refuse(&folder, &path, FileOperation::Rename)
    }

    fn unlink_file_at(&mut self, folder: Resource<Descriptor>, path: String) -> Answer<()> {
        self.refuse(&folder, &path, FileOperation::Remove)
    }

    fn remove_directory_at(&mut self, folder: Resource<Descriptor>, path: String) -> Answer<()> {
        self.refuse(&folder, &path, FileOperation::Remove)
    }

    fn drop(&mut self, folder: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(folder)?;
        Ok(())
    }
}

/// What a guest means to do with the file it opens.
fn intent(open: OpenFlags, flags: DescriptorFlags) -> FileOperation {
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
mod tests {
    use super::*;

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

    #[test]
    fn paths_are_shown_below_the_root_as_the_guest_wrote_them() {
        assert_eq!(absolute("etc/passwd"), "/etc/passwd");
        assert_eq!(absolute("/etc/passwd"), "/etc/passwd");
        assert_eq!(absolute("../x"), "/../x");
        assert_eq!(absolute(""), "/");
    }
}
