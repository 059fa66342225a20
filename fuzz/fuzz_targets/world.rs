//! A component from anywhere, up to the tools it would offer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wassette_wit::{Docs, World, tools};

fuzz_target!(|data: &[u8]| {
    let Ok(mut world) = World::read(data) else { return };
    world.describe(&Docs::from_component(data));
    let Ok(tools) = tools("fuzz", &world) else { return };
    for tool in tools {
        drop(tool.decode_arguments(&serde_json::json!({})));
    }
});
