//! The network through a real guest and real servers: each kind of rule with what it allows and what it does
//! not, and what hostile guests, servers and resolvers try.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod environment;
mod guest;
mod http;
mod secrets;
mod server;
mod slow;
mod sockets;
mod tls;
