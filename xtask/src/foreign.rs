//! Guests in languages other than Rust.
