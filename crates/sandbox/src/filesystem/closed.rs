//! `wasi:filesystem` where files cannot be granted: everything is asked, and everything is refused.
//!
//! A guest sees one empty folder, `/`, whose type and flags may be asked for, because C libraries do at start. There
//! is no code here that touches a file.

use super::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use super::{Answer, FileError, Files, intent, preopens};
use crate::gate::Gate;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wassette_policy::{AbsolutePath, Access, AccessKind, FileOperation, PATH_BYTES_MAX};

/// What all calls share: nothing.
#[derive(Debug)]
pub(crate) struct FileHost;

impl FileHost {
    pub(crate) fn new() -> Self {
        Self
    }

    /// File operations that outlived their calls: there are none.
    pub(crate) fn lingering(&self) -> usize {
        0
    }
}

/// The files of one call: its gate.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    gate: Gate,
}

impl Session {
    pub(crate) fn new(gate: Gate, _host: Arc<FileHost>) -> Self {
        Self { gate }
    }
}

/// The root, open in a guest.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub struct Node;

/// A listing. There is none.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
#[derive(Debug)]
pub enum Entries {}

type Handle = Resource<Node>;

impl Files<'_> {
    /// Asks the gate about a path below the root, so that it is on record, and says no.
    fn refuse<T>(&mut self, path: &str, operation: FileOperation) -> Answer<T> {
        if path.len() > PATH_BYTES_MAX {
            return Err(ErrorCode::NameTooLong.into());
        }
        let path = format!("/{}", path.trim_start_matches('/'));
        let _denied = match path.parse::<AbsolutePath>() {
            Ok(path) => self.session.gate.authorize(&Access::File {
                path: &path,
                operation,
            }),
            Err(_not_a_path) => self.session.gate.authorize(&Access::Malformed {
                kind: AccessKind::File,
                text: &path,
                why: "the path leads out of the root",
            }),
        };
        Err(ErrorCode::Access.into())
    }
}

impl preopens::Host for Files<'_> {
    async fn get_directories(&mut self) -> wasmtime::Result<Vec<(Handle, String)>> {
        Ok(vec![(self.table.push(Node)?, "/".to_owned())])
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FileError) -> wasmtime::Result<ErrorCode> {
        match error {
            FileError::Code(code) => Ok(code),
            FileError::Trap(error) => Err(error),
        }
    }

    fn filesystem_error_code(
        &mut self,
        _error: Resource<wasmtime_wasi::p2::bindings::io::error::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl types::HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(&mut self, _entries: Resource<Entries>) -> Answer<Option<DirectoryEntry>> {
        Err(ErrorCode::BadDescriptor.into())
    }

    fn drop(&mut self, entries: Resource<Entries>) -> wasmtime::Result<()> {
        self.table.delete(entries)?;
        Ok(())
    }
}

impl types::HostDescriptor for Files<'_> {
    fn get_type(&mut self, node: Handle) -> Answer<DescriptorType> {
        self.table.get(&node)?;
        Ok(DescriptorType::Directory)
    }

    fn get_flags(&mut self, node: Handle) -> Answer<DescriptorFlags> {
        self.table.get(&node)?;
        Ok(DescriptorFlags::READ)
    }

    async fn is_same_object(&mut self, a: Handle, b: Handle) -> wasmtime::Result<bool> {
        self.table.get(&a)?;
        self.table.get(&b)?;
        Ok(true)
    }

    async fn open_at(
        &mut self,
        _node: Handle,
        _follow: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Handle> {
        self.refuse(&path, intent(open, flags))
    }

    async fn stat(&mut self, _node: Handle) -> Answer<DescriptorStat> {
        self.refuse("", FileOperation::Inspect)
    }

    async fn stat_at(&mut self, _node: Handle, _follow: PathFlags, path: String) -> Answer<DescriptorStat> {
        self.refuse(&path, FileOperation::Inspect)
    }

    async fn metadata_hash(&mut self, _node: Handle) -> Answer<MetadataHashValue> {
        self.refuse("", FileOperation::Inspect)
    }

    async fn metadata_hash_at(
        &mut self,
        _node: Handle,
        _follow: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        self.refuse(&path, FileOperation::Inspect)
    }

    async fn readlink_at(&mut self, _node: Handle, path: String) -> Answer<String> {
        self.refuse(&path, FileOperation::Inspect)
    }

    async fn read_directory(&mut self, _node: Handle) -> Answer<Resource<Entries>> {
        self.refuse("", FileOperation::List)
    }

    async fn read(&mut self, _node: Handle, _length: Filesize, _at: Filesize) -> Answer<(Vec<u8>, bool)> {
        self.refuse("", FileOperation::Read)
    }

    fn read_via_stream(&mut self, _node: Handle, _at: Filesize) -> Answer<Resource<DynInputStream>> {
        self.refuse("", FileOperation::Read)
    }

    async fn advise(
        &mut self,
        _node: Handle,
        _at: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> Answer<()> {
        self.refuse("", FileOperation::Inspect)
    }

    async fn write(&mut self, _node: Handle, _bytes: Vec<u8>, _at: Filesize) -> Answer<Filesize> {
        self.refuse("", FileOperation::Write)
    }

    fn write_via_stream(&mut self, _node: Handle, _at: Filesize) -> Answer<Resource<DynOutputStream>> {
        self.refuse("", FileOperation::Write)
    }

    fn append_via_stream(&mut self, _node: Handle) -> Answer<Resource<DynOutputStream>> {
        self.refuse("", FileOperation::Write)
    }

    async fn sync(&mut self, _node: Handle) -> Answer<()> {
        self.refuse("", FileOperation::Write)
    }

    async fn sync_data(&mut self, _node: Handle) -> Answer<()> {
        self.refuse("", FileOperation::Write)
    }

    async fn set_size(&mut self, _node: Handle, _size: Filesize) -> Answer<()> {
        self.refuse("", FileOperation::Write)
    }

    async fn set_times(&mut self, _node: Handle, _read: NewTimestamp, _written: NewTimestamp) -> Answer<()> {
        self.refuse("", FileOperation::Write)
    }

    async fn set_times_at(
        &mut self,
        _node: Handle,
        _follow: PathFlags,
        path: String,
        _read: NewTimestamp,
        _written: NewTimestamp,
    ) -> Answer<()> {
        self.refuse(&path, FileOperation::Write)
    }

    async fn create_directory_at(&mut self, _node: Handle, path: String) -> Answer<()> {
        self.refuse(&path, FileOperation::Create)
    }

    async fn symlink_at(&mut self, _node: Handle, _text: String, path: String) -> Answer<()> {
        self.refuse(&path, FileOperation::Create)
    }

    async fn link_at(
        &mut self,
        _node: Handle,
        _follow: PathFlags,
        path: String,
        _to_node: Handle,
        _to_path: String,
    ) -> Answer<()> {
        self.refuse(&path, FileOperation::Rename)
    }

    async fn rename_at(
        &mut self,
        _node: Handle,
        path: String,
        _to_node: Handle,
        _to_path: String,
    ) -> Answer<()> {
        self.refuse(&path, FileOperation::Rename)
    }

    async fn unlink_file_at(&mut self, _node: Handle, path: String) -> Answer<()> {
        self.refuse(&path, FileOperation::Remove)
    }

    async fn remove_directory_at(&mut self, _node: Handle, path: String) -> Answer<()> {
        self.refuse(&path, FileOperation::Remove)
    }

    fn drop(&mut self, node: Handle) -> wasmtime::Result<()> {
        self.table.delete(node)?;
        Ok(())
    }
}
