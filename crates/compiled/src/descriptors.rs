//! What a process that we start must not inherit.
//!
//! The standard library opens everything so that it is closed in a new program. What it did not open itself, such as
//! descriptors that this process was started with, or those of C libraries, it does not touch.

/// Marks every descriptor of this process but the three standard ones to be closed in programs that it starts.
///
/// It closes nothing here, and changes nothing for descriptors that are opened later.
pub fn close_on_exec() {
    #[cfg(unix)]
    if !range() {
        each();
    }
}

/// First descriptor that is not a standard one.
#[cfg(unix)]
const FIRST: libc::c_uint = 3;

/// Descriptors that are looked at one by one, where the system cannot do all at once: the usual limit.
#[cfg(unix)]
const EACH_MAX: libc::c_int = 1024;

/// All at once; false where the kernel cannot (Linux before 5.11).
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "JUSTIFICATION: neither the standard library nor rustix has a safe call for descriptors of others"
)]
fn range() -> bool {
    // By its number: the C library of an old system does not have the function.
    let (last, flags) = (libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: the call takes three numbers and touches no memory of ours. With this flag it closes nothing, so that no
    // owner of a descriptor loses it; it only sets a flag that is in force in programs started later.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, last, flags) == 0 }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn range() -> bool {
    false
}

#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "JUSTIFICATION: neither the standard library nor rustix has a safe call for descriptors of others"
)]
fn each() {
    for descriptor in FIRST.cast_signed()..EACH_MAX {
        // SAFETY: the call takes numbers and touches no memory of ours. It closes nothing; for a number that is no
        // descriptor it does nothing at all.
        let _is_open = unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
