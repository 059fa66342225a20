//! How many descriptors this process may have.

/// Lets a server open as many as it may: connections, and files of components, are one each, and where nothing else is
/// said a process has 1,024.
pub(crate) fn allow_all() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // Then it keeps what it has.
        let _as_before = setrlimit(Resource::Nofile, raised);
    }
}
