//! What the official conformance suite of the Model Context Protocol calls by name, as a component in the rich world:
//! nothing in here knows the protocol's messages, versions or transports.

mod completion;
mod content;
mod prompts;
mod questions;
mod resources;
mod tasks;
mod tools;

wit_bindgen::generate!({
    world: "wassette:mcp/rich",
    path: "../../../wit",
});

struct Fixture;
export!(Fixture);
