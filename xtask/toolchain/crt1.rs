//! `_start` for wasip2 commands on Debian's wasi-libc of 2022.
//!
//! That libc looks for preopened folders in a constructor, and the adapter between preview 1 and preview 2
//! answers "no such descriptor" to the very first call of a command. So another call is made first.
#![no_std]

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn fd_fdstat_get(fd: i32, stat: *mut u8) -> i32;
    fn proc_exit(code: i32) -> !;
}

unsafe extern "C" {
    fn __wasm_call_ctors();
    fn __wasm_call_dtors();
    fn __main_void() -> i32;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _start() {
    // SAFETY: the calls a preview 1 command is started with, in their order; 24 bytes is what `fdstat` takes.
    unsafe {
        let mut stat = [0_u8; 24];
        fd_fdstat_get(0, stat.as_mut_ptr());
        __wasm_call_ctors();
        let code = __main_void();
        __wasm_call_dtors();
        if code != 0 {
            proc_exit(code);
        }
    }
}
