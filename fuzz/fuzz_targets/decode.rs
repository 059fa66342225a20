//! Arguments of a call: a type as it is stored, a line break, and JSON from a client.
//!
//! Whatever is read must print and read as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wassette_wit::{Type, decode, encode, schema};

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (ty, json) = (&data[..end], &data[end + 1..]);
    let Ok(ty) = serde_json::from_slice::<Type>(ty) else { return };
    drop(schema(&ty));
    let Ok(json) = serde_json::from_slice(json) else { return };
    let Ok(value) = decode(&ty, &json) else { return };
    let printed = encode(&ty, &value);
    // Names that a stored type repeats, which no component can, make a value print in another way.
    if let Ok(again) = decode(&ty, &printed) {
        assert_eq!(encode(&ty, &again), printed);
    }
});
