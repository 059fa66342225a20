//! Waits for nothing at all, which WASI says traps.
attack::attack!(|_, journal| {
    journal.saw("ready", &wasip2::io::poll::poll(&[]).len().to_string());
});
