//! End-to-end tests with other people's tools: guests of every toolchain, and real MCP clients.
//!
//! A test target of its own that a plain `cargo test` leaves out, because it needs what `cargo xtask setup`
//! installs and `cargo xtask guests` builds; `cargo xtask test` runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "tests"
)]

mod agents;
mod balancer;
mod conformance;
#[allow(
    dead_code,
    reason = "shared with the other end-to-end tests, which use the rest"
)]
#[path = "http/server.rs"]
mod http;
mod large_guests;
mod notes;
mod real_clients;
mod real_issuer;
mod real_registry;
#[allow(
    dead_code,
    reason = "shared with the other end-to-end tests, which use the rest"
)]
mod support;
