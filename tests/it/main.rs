//! End-to-end tests: the program as its users run it, with real components.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "tests"
)]

mod asked;
mod calls;
mod cli;
mod client;
mod compare;
mod compile;
mod contain;
mod demo;
mod deny;
mod http;
mod input;
mod notes;
mod permissions;
mod present;
mod registry;
mod rich;
mod spoil;
mod stdio;
mod store;
mod supply;
mod support;
mod zoo;
