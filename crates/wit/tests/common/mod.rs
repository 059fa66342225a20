//! Components made from WIT, without code.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made ends the test")]

use wassette_wit::FunctionPath;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// A component that has the only world in `wit` and traps when called.
pub(crate) fn component(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}

/// The component with a custom section behind it.
#[allow(dead_code, reason = "not every test file uses it")]
pub(crate) fn with_section(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let mut section = vec![u8::try_from(name.len()).unwrap()];
    section.extend(name.as_bytes());
    section.extend(data);
    let mut bytes = component.to_vec();
    bytes.push(0);
    let mut length = section.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(section);
    bytes
}

/// Path of a function in an interface.
#[allow(dead_code, reason = "not every test file uses it")]
pub(crate) fn path(interface: &str, function: &str) -> FunctionPath {
    FunctionPath {
        interface: Some(interface.to_owned()),
        function: function.to_owned(),
    }
}
