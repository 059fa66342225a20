//! Where components are found by name: catalogues, of which one is inside the program.
//!
//! A catalogue is a list that anyone can publish as an OCI artifact, and sign. It names references and grants nothing; what
//! is loaded from one is verified by its own signature. Entries of an MCP registry are read where they are `oci`.

use crate::Host;
use crate::command::Actor;
use crate::error::HostError;
use crate::load::reach;
use crate::trust::Signed;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::str::FromStr;
use wassette_fetch::{FetchOptions, SingleRequest};
use wassette_store::{OciReference, Reference};
use wassette_wit::sanitize;

/// The layer of a catalogue in a registry.
pub const CATALOGUE_MEDIA_TYPE: &str = "application/vnd.wassette.catalogue.v1+json";

/// Bytes and entries of one catalogue; bytes of one text in it.
const BYTES_MAX: u64 = 4 << 20;
const ENTRIES_MAX: usize = 10_000;
const TEXT_BYTES_MAX: usize = 500;

/// Where a catalogue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogueSource {
    /// The components inside the program.
    Starters,
    /// An artifact in a registry, or a document of a web server.
    Published(Reference),
    /// A registry of MCP servers, by the URL of its programming interface.
    McpRegistry(Reference),
}

/// What a text that names no catalogue should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a catalogue is `starters`, `oci://...`, `https://...`, or `mcp+https://...` for a registry of MCP servers"
)]
pub struct ParseCatalogueError;

impl FromStr for CatalogueSource {
    type Err = ParseCatalogueError;

    fn from_str(text: &str) -> Result<Self, ParseCatalogueError> {
        let remote = |text: &str| match text.parse() {
            Ok(reference @ (Reference::Oci(_) | Reference::Https(_))) => Ok(reference),
            Ok(Reference::File(_) | Reference::Starter(_)) | Err(_) => Err(ParseCatalogueError),
        };
        match text.strip_prefix("mcp+") {
            Some(url) if url.starts_with("https://") => remote(url).map(Self::McpRegistry),
            Some(_) => Err(ParseCatalogueError),
            None if text == "starters" => Ok(Self::Starters),
            None => remote(text).map(Self::Published),
        }
    }
}

/// One component that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// Its name in the catalogue.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What `load` takes.
    pub uri: String,
    /// The catalogue it stands in.
    pub catalogue: String,
}

/// What was found, and which catalogues could not be asked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Found {
    /// Best first.
    pub components: Vec<CatalogueEntry>,
    /// Catalogues that could not be read, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    components: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    #[serde(default)]
    description: String,
    uri: String,
}

impl Host {
    /// Searches all catalogues. Without a query, everything.
    pub async fn search(&self, query: &str, actor: &Actor) -> Found {
        let mut found = Found::default();
        for source in &self.inner.config.catalogues {
            match self.entries(source, query, actor).await {
                Ok(entries) => found.components.extend(entries),
                Err(reason) => found.failed.push(reason),
            }
        }
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let mut ranked: Vec<_> = found
            .components
            .into_iter()
            .filter_map(|entry| Some((rank(&entry, &words)?, entry)))
            .collect();
        ranked.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
        found.components = ranked.into_iter().map(|(_, entry)| entry).collect();
        found
    }

    async fn entries(
        &self,
        source: &CatalogueSource,
        query: &str,
        actor: &Actor,
    ) -> Result<Vec<CatalogueEntry>, String> {
        match source {
            CatalogueSource::Starters => Ok(self.starters()),
            CatalogueSource::Published(reference) => {
                let name = reference.to_string();
                let bytes = self
                    .document(reference, actor)
                    .await
                    .map_err(|error| failed(&name, &error))?;
                published(&name, &bytes).ok_or_else(|| format!("`{name}` is no catalogue"))
            }
            CatalogueSource::McpRegistry(reference) => {
                let name = reference.to_string();
                let words: String = url_words(query);
                let url = format!(
                    "{}/v0.1/servers?limit=100&search={words}",
                    name.trim_end_matches('/')
                );
                let reference = url.parse().map_err(|_| format!("`{name}` is no registry"))?;
                let bytes = self
                    .document(&reference, actor)
                    .await
                    .map_err(|error| failed(&name, &error))?;
                servers(&name, &bytes)
                    .ok_or_else(|| format!("`{name}` does not answer as a registry of MCP servers"))
            }
        }
    }

    /// The bytes of a catalogue. One in a registry is verified like a component.
    async fn document(&self, reference: &Reference, actor: &Actor) -> Result<Vec<u8>, HostError> {
        self.check_source(reference)?;
        match reference {
            Reference::Oci(reference) => {
                let (_, bytes) = self
                    .signed_document(reference, (CATALOGUE_MEDIA_TYPE, BYTES_MAX), &reach(actor))
                    .await?;
                Ok(bytes)
            }
            Reference::Https(_) | Reference::File(_) | Reference::Starter(_) => {
                let options = FetchOptions {
                    reach: &reach(actor),
                    progress: None,
                };
                let fetched = self.inner.fetcher.fetch(reference, &options).await;
                let fetched = fetched.map_err(|source| HostError::Fetch { source })?;
                Ok(fetched.artifact.bytes.to_vec())
            }
        }
    }

    /// A document in a registry whose signature the rules of the ceiling accept, and who signed it.
    pub(crate) async fn signed_document(
        &self,
        reference: &OciReference,
        (media_type, bytes_max): (&str, u64),
        reach: &wassette_fetch::Reach,
    ) -> Result<(Vec<String>, Vec<u8>), HostError> {
        let request = SingleRequest {
            reference,
            media_type,
            bytes_max,
        };
        let artifact = self.inner.fetcher.read_single(&request, reach).await;
        let artifact = artifact.map_err(HostError::network)?;
        // Verified before a byte of it is read; it was bounded and checked by its digest when it came.
        let signed = Signed {
            reference,
            manifest: artifact.manifest,
            index: None,
        };
        let verdict = self.verdict(signed, reach).await?;
        Ok((verdict.signers, artifact.bytes))
    }

    fn starters(&self) -> Vec<CatalogueEntry> {
        let starters = self.inner.config.starters.iter();
        starters
            .map(|starter| CatalogueEntry {
                name: starter.name.to_owned(),
                description: starter.description.to_owned(),
                uri: format!("starter:{}", starter.name),
                catalogue: "starters".to_owned(),
            })
            .collect()
    }
}

fn failed(name: &str, error: &HostError) -> String {
    format!("`{name}` cannot be read: {}", error.agent_text())
}

/// Reads a catalogue: an object with `components`, or the plain list of older ones.
fn published(catalogue: &str, bytes: &[u8]) -> Option<Vec<CatalogueEntry>> {
    let items = match serde_json::from_slice::<Document>(bytes) {
        Ok(document) => document.components,
        Err(_) => serde_json::from_slice::<Vec<Item>>(bytes).ok()?,
    };
    let entry = |item: Item| entry(catalogue, &item.name, &item.description, &item.uri);
    Some(items.into_iter().take(ENTRIES_MAX).filter_map(entry).collect())
}

/// An entry whose reference can be loaded. Its texts are somebody else's.
fn entry(catalogue: &str, name: &str, description: &str, uri: &str) -> Option<CatalogueEntry> {
    let reference: Reference = uri.parse().ok()?;
    Some(CatalogueEntry {
        name: sanitize(name, TEXT_BYTES_MAX),
        description: sanitize(description, TEXT_BYTES_MAX),
        uri: reference.to_string(),
        catalogue: catalogue.to_owned(),
    })
}

/// Reads the answer of a registry of MCP servers: those packages that are in an OCI registry.
fn servers(catalogue: &str, bytes: &[u8]) -> Option<Vec<CatalogueEntry>> {
    let answer: Json = serde_json::from_slice(bytes).ok()?;
    let mut entries = Vec::new();
    for item in answer.get("servers")?.as_array()?.iter().take(ENTRIES_MAX) {
        let server = item.get("server").unwrap_or(item);
        let text = |key: &str| server.get(key).and_then(Json::as_str).unwrap_or_default();
        let packages = server.get("packages").and_then(Json::as_array);
        for package in packages.into_iter().flatten() {
            let text_of = |key: &str| package.get(key).and_then(Json::as_str);
            if text_of("registryType") == Some("oci") {
                let uri = format!("oci://{}", text_of("identifier").unwrap_or_default());
                entries.extend(entry(catalogue, text("name"), text("description"), &uri));
            }
        }
    }
    Some(entries)
}

/// A query as a part of a URL.
fn url_words(query: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let mut text = String::new();
    for byte in query.bytes().take(TEXT_BYTES_MAX) {
        if is_plain(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// How well an entry fits; `None` when a word is nowhere in it.
fn rank(entry: &CatalogueEntry, words: &[String]) -> Option<u32> {
    let (name, description) = (entry.name.to_lowercase(), entry.description.to_lowercase());
    let mut rank = 0;
    for word in words {
        rank += if name == *word {
            8
        } else if name.contains(word.as_str()) {
            4
        } else if description.contains(word.as_str()) {
            1
        } else {
            return None;
        };
    }
    Some(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &[&str]) {
        let bytes = br#"{"components": [
            {"name": "fetch", "description": "Gets web pages", "uri": "oci://ghcr.io/x/fetch:1"},
            {"name": "web-search", "description": "Searches", "uri": "oci://ghcr.io/x/search"},
            {"name": "page", "description": "Has a fetch in it", "uri": "https://example.com/p.wasm"},
            {"name": "broken", "description": "", "uri": "gopher://x"}
        ]}"#;
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let entries = published("c", bytes).expect("a catalogue");
        let mut found: Vec<_> = entries
            .iter()
            .filter_map(|e| Some((rank(e, &words)?, e.name.as_str())))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        let names: Vec<_> = found.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, expected, "{query}");
    }

    #[test]
    fn the_best_fit_comes_first_and_every_word_counts() {
        check("fetch", &["fetch", "page"]);
        check("WEB", &["web-search", "fetch"]);
        check("fetch pages", &["fetch"]);
        check("nothing", &[]);
    }

    #[test]
    fn a_plain_list_is_a_catalogue_too() {
        let entries = published(
            "c",
            br#"[{"name": "a", "description": "b", "uri": "oci://ghcr.io/x/a"}]"#,
        );
        let uris: Vec<_> = entries.expect("a catalogue").into_iter().map(|e| e.uri).collect();
        assert_eq!(uris, ["oci://ghcr.io/x/a:latest"]);
        assert_eq!(published("c", b"<html>"), None);
    }

    #[test]
    fn of_an_mcp_registry_only_what_is_oci_is_taken() {
        let bytes = br#"{"servers": [
            {"server": {"name": "io.x/a", "description": "A", "packages": [
                {"registryType": "npm", "identifier": "a"},
                {"registryType": "oci", "identifier": "ghcr.io/x/a:1.0"}]}},
            {"server": {"name": "io.x/b", "description": "B"}}
        ]}"#;
        let found: Vec<_> = servers("m", bytes).expect("an answer");
        let found: Vec<_> = found.iter().map(|e| (e.name.as_str(), e.uri.as_str())).collect();
        assert_eq!(found, [("io.x/a", "oci://ghcr.io/x/a:1.0")]);
    }

    #[test]
    fn a_query_cannot_leave_its_place_in_a_url() {
        assert_eq!(url_words("a b&c=/../d"), "a%20b%26c%3D%2F..%2Fd");
    }

    #[test]
    fn only_known_sorts_of_catalogues_are_read() {
        for text in [
            "",
            "x",
            "file:///x",
            "starter:time",
            "mcp+oci://ghcr.io/x",
            "http://x",
        ] {
            assert_eq!(
                text.parse::<CatalogueSource>(),
                Err(ParseCatalogueError),
                "{text}"
            );
        }
        assert_eq!("starters".parse(), Ok(CatalogueSource::Starters));
    }
}
