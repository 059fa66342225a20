//! Reaches for everything WASI has, and says what came of it.

mod net;

use std::fs;
use std::io::Read as _;
use std::time::SystemTime;

wit_bindgen::generate!({ world: "needy", path: "../../wit/needy.wit" });

struct Needy;
export!(Needy);

impl Guest for Needy {
    fn read_file(path: String) -> Result<String, String> {
        fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))
    }

    fn list_dir(path: String) -> Result<String, String> {
        let refused = |error| format!("cannot list {path}: {error}");
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(refused)? {
            names.push(entry.map_err(refused)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names.join("\n"))
    }

    fn write_file(path: String, text: String) -> Result<String, String> {
        fs::write(&path, &text).map_err(|error| format!("cannot write {path}: {error}"))?;
        Ok(text.len().to_string())
    }

    fn get_url(url: String) -> Result<String, String> {
        net::get(&url).map_err(|error| format!("cannot get {url}: {error}"))
    }

    fn read_env(name: String) -> Result<String, String> {
        std::env::var(&name).map_err(|error| format!("cannot read {name}: {error}"))
    }

    fn list_env() -> Result<String, String> {
        let mut names: Vec<String> = std::env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names.join("\n"))
    }

    fn resolve_name(name: String) -> Result<String, String> {
        net::resolve(&name).map_err(|error| format!("cannot resolve {name}: {error}"))
    }

    fn tcp_connect(address: String) -> Result<String, String> {
        net::connect(&address).map_err(|error| format!("cannot connect to {address}: {error}"))
    }

    fn args() -> Result<String, String> {
        Ok(std::env::args().collect::<Vec<_>>().join("\n"))
    }

    fn read_stdin() -> Result<String, String> {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| format!("cannot read standard input: {error}"))?;
        Ok(text)
    }

    fn random(len: u32) -> Result<String, String> {
        let bytes = wasip2::random::random::get_random_bytes(u64::from(len));
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn now() -> Result<String, String> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since
            .map(|since| since.as_millis().to_string())
            .map_err(|error| format!("cannot tell the time: {error}"))
    }
}
