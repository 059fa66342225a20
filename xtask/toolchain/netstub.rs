//! The socket functions `std::net` for wasip2 links against and Debian's wasi-libc of 2022 lacks.
//!
//! Each fails with `ENOSYS`. Guests reach the network through `wasi:http` and `wasi:sockets` instead.
#![no_std]
#![feature(thread_local)]

unsafe extern "C" {
    #[thread_local]
    static mut errno: i32;
}

const ENOSYS: i32 = 52;
const EAI_FAIL: i32 = -4;

macro_rules! unsupported {
    ($($name:ident($($type:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($(_: $type),*) -> i32 {
                // SAFETY: the libc's own `errno`, of this thread.
                unsafe { errno = ENOSYS };
                -1
            }
        )*
    };
}

unsupported! {
    socket(i32, i32, i32);
    connect(i32, *const u8, u32);
    bind(i32, *const u8, u32);
    listen(i32, i32);
    setsockopt(i32, i32, i32, *const u8, u32);
    getpeername(i32, *mut u8, *mut u32);
    getsockname(i32, *mut u8, *mut u32);
    sendto(i32, *const u8, usize, i32, *const u8, u32);
    recvfrom(i32, *mut u8, usize, i32, *mut u8, *mut u32);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(_: *const u8, _: *const u8, _: *const u8, _: *mut u8) -> i32 {
    EAI_FAIL
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn freeaddrinfo(_: *mut u8) {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gai_strerror(_: i32) -> *const u8 {
    c"not supported".as_ptr().cast()
}
