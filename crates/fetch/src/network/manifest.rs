//! Manifests and indexes: which layers are taken, and which documents are refused.
//!
//! A document is read by what it says it is, once, and one that could be read in two ways is refused
//! (CVE-2021-41190). Forms: OCI image specification 1.1, and Docker's image manifest 2.2, which is the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wassette_store::Digest;

/// Largest manifest or index. Those of components have some kilobytes; registries take up to 4 MiB.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// Largest configuration.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Largest policy, WIT text or signature.
pub(crate) const TEXT_BYTES_MAX: u64 = 256 << 10;

/// Most layers of a manifest, and most manifests of an index.
const ENTRIES_MAX: usize = 128;

/// Most annotations that are kept, and the longest of them in bytes.
const ANNOTATIONS_MAX: usize = 64;
const ANNOTATION_BYTES_MAX: usize = 4096;

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What we ask a registry for.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// The configuration of a Wasm artifact (CNCF Wasm OCI artifact layout).
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The layer of a Wasm artifact.
pub(crate) const WASM: &str = "application/wasm";

const WASM_LAYERS: [&str; 4] = [
    WASM,
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.wasm.component.v1",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
];

/// A policy that comes with an artifact.
pub(crate) const POLICY: &str = "application/vnd.wasm.policy.v1+yaml";

const POLICY_LAYERS: [&str; 4] = [
    POLICY,
    "application/vnd.wassette.policy+yaml",
    "application/x-yaml",
    "text/yaml",
];

/// The WIT of a component as text.
pub(crate) const WIT: &str = "application/vnd.wassette.wit.v1+text";

/// Why a manifest or an index is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not in the form of a manifest.
    #[error("it is not in the form of a manifest (line {line}, column {column})")]
    Form {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A kind of document that is not known, or two kinds at once.
    #[error("it is no image manifest and no index, or says different things about that")]
    Kind,
    /// More entries than the limit.
    #[error("it has more than {ENTRIES_MAX} entries")]
    Entries,
    /// A digest that is not SHA-256.
    #[error("it names a part by a digest that is not sha256")]
    Algorithm,
    /// A layer that is to be taken from another place.
    #[error("it has a layer with `urls`, which would be taken from another place")]
    ForeignUrls,
    /// A compressed layer, as of a container image; holds its media type.
    #[error("it has a compressed layer or one of a container image, `{0}`")]
    Compressed(String),
    /// No component.
    #[error("it has no layer with a component")]
    NoWasm,
    /// Several components; holds how many.
    #[error("it has {0} layers with a component, not one")]
    ManyWasm(usize),
    /// Several policies, or several WIT texts.
    #[error("it has two layers of a kind of which there is one at most")]
    TwoOfAKind,
    /// A part is larger than the limit.
    #[error("it has a part of {bytes} bytes, and at most {bytes_max} are taken")]
    TooLarge {
        /// What it says.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// An index in an index.
    #[error("it is an index that names an index")]
    Nested,
    /// An index without a component; holds what there is.
    #[error("it is an index without a component; there are {0}")]
    NoPlatform(String),
    /// An index with several components; holds them.
    #[error("it is an index with several components: {0}")]
    Ambiguous(String),
    /// A policy or a WIT text that is not UTF-8.
    #[error("it has a text that is not UTF-8")]
    Text,
    /// An artifact of another type; holds the type that was asked for.
    #[error("it is not one part of the type `{0}`")]
    Type(String),
}

impl ManifestError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Compressed(_) | Self::NoWasm => Some(
                "this is not a component: container images cannot be loaded; push the `.wasm` as an artifact",
            ),
            Self::Ambiguous(_) => {
                Some("name one of them by its digest: `oci://registry/repository@sha256:…`")
            }
            Self::Form { .. }
            | Self::Kind
            | Self::Entries
            | Self::Algorithm
            | Self::ForeignUrls
            | Self::ManyWasm(_)
            | Self::TwoOfAKind
            | Self::TooLarge { .. }
            | Self::Nested
            | Self::NoPlatform(_)
            | Self::Text
            | Self::Type(_) => None,
        }
    }
}

/// What a document says about one part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

/// A manifest or an index; which of them, [`Document::parse`] says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    pub(crate) schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) layers: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifests: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    Index,
}

/// A part that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

/// The parts of an artifact that are taken; the others are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) wasm: Part,
    pub(crate) policy: Option<Part>,
    pub(crate) wit: Option<Part>,
}

impl Descriptor {
    /// The part, when it is named by SHA-256 and within the limit.
    pub(crate) fn part(&self, bytes_max: u64) -> Result<Part, ManifestError> {
        if self.size > bytes_max {
            return Err(ManifestError::TooLarge {
                bytes: self.size,
                bytes_max,
            });
        }
        Ok(Part {
            digest: self.digest.parse().map_err(|_| ManifestError::Algorithm)?,
            bytes: self.size,
        })
    }

    /// Of bytes that we have.
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            ..Self::default()
        }
    }
}

impl Document {
    /// Reads a document that came under this media type.
    pub(crate) fn parse(bytes: &[u8], media_type: &str) -> Result<(Self, Kind), ManifestError> {
        let document: Self = serde_json::from_slice(bytes).map_err(|error| ManifestError::Form {
            line: error.line(),
            column: error.column(),
        })?;
        let kind = document.kind(media_type)?;
        let entries = [&document.layers, &document.manifests];
        if entries.into_iter().flatten().any(|list| list.len() > ENTRIES_MAX) {
            return Err(ManifestError::Entries);
        }
        Ok((document, kind))
    }

    fn kind(&self, came_as: &str) -> Result<Kind, ManifestError> {
        let said = self.media_type.as_deref().unwrap_or(came_as);
        // Some registries send a general type; a particular one must be the same in both places.
        let is_particular = matches!(came_as, IMAGE | INDEX | DOCKER_IMAGE | DOCKER_INDEX);
        if self.schema_version != 2 || (is_particular && said != came_as) {
            return Err(ManifestError::Kind);
        }
        match said {
            IMAGE | DOCKER_IMAGE
                if self.manifests.is_none() && self.layers.is_some() && self.config.is_some() =>
            {
                Ok(Kind::Image)
            }
            INDEX | DOCKER_INDEX
                if self.manifests.is_some() && self.layers.is_none() && self.config.is_none() =>
            {
                Ok(Kind::Index)
            }
            _ => Err(ManifestError::Kind),
        }
    }

    /// The layers, where none is from elsewhere and none is compressed.
    pub(crate) fn plain_layers(&self) -> Result<&[Descriptor], ManifestError> {
        let layers = self.layers.as_deref().unwrap_or_default();
        for layer in layers {
            if !layer.urls.is_empty() {
                return Err(ManifestError::ForeignUrls);
            }
            if is_compressed(&layer.media_type) {
                return Err(ManifestError::Compressed(shortened(&layer.media_type)));
            }
        }
        Ok(layers)
    }

    /// Chooses what is taken of an image manifest.
    pub(crate) fn parts(&self, wasm_bytes_max: u64) -> Result<Parts, ManifestError> {
        let layers = self.plain_layers()?;
        if let Some(config) = &self.config {
            config.part(CONFIG_BYTES_MAX)?;
        }
        let of = |types: &[&str]| -> Vec<&Descriptor> {
            layers
                .iter()
                .filter(|layer| types.contains(&layer.media_type.as_str()))
                .collect()
        };
        let wasm = match of(&WASM_LAYERS).as_slice() {
            [] => return Err(ManifestError::NoWasm),
            [one] => one.part(wasm_bytes_max)?,
            many => return Err(ManifestError::ManyWasm(many.len())),
        };
        let text = |types: &[&str]| match of(types).as_slice() {
            [] => Ok(None),
            [one] => one.part(TEXT_BYTES_MAX).map(Some),
            _ => Err(ManifestError::TwoOfAKind),
        };
        Ok(Parts {
            wasm,
            policy: text(&POLICY_LAYERS)?,
            wit: text(&[WIT])?,
        })
    }

    /// Chooses the manifest of an index that is of a component.
    pub(crate) fn choose(&self) -> Result<Part, ManifestError> {
        let all = self.manifests.as_deref().unwrap_or_default();
        if all
            .iter()
            .any(|one| matches!(one.media_type.as_str(), INDEX | DOCKER_INDEX))
        {
            return Err(ManifestError::Nested);
        }
        if all.iter().any(|one| !one.urls.is_empty()) {
            return Err(ManifestError::ForeignUrls);
        }
        let by = |is_one: fn(&Descriptor) -> bool| -> Vec<&Descriptor> {
            all.iter().filter(|one| is_one(one)).collect()
        };
        let mut found = by(|one| {
            one.platform
                .as_ref()
                .is_some_and(|platform| platform.architecture == "wasm")
        });
        if found.is_empty() {
            found = by(|one| one.artifact_type.as_deref().is_some_and(is_wasm_type));
        }
        match found.as_slice() {
            [] => Err(ManifestError::NoPlatform(list(&by(|_| true)))),
            [one] => one.part(MANIFEST_BYTES_MAX),
            _ => Err(ManifestError::Ambiguous(list(&found))),
        }
    }

    /// The annotations that are within the bounds.
    pub(crate) fn bounded_annotations(&self) -> BTreeMap<String, String> {
        bounded(self.annotations.as_ref())
    }
}

/// The annotations that are within the bounds; the others are left out.
pub(crate) fn bounded(annotations: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let pairs = annotations.into_iter().flatten();
    pairs
        .filter(|(name, value)| name.len() <= ANNOTATION_BYTES_MAX && value.len() <= ANNOTATION_BYTES_MAX)
        .take(ANNOTATIONS_MAX)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn is_compressed(media_type: &str) -> bool {
    let lower = media_type.to_ascii_lowercase();
    ["+gzip", "+zstd", ".gzip", ".zstd"]
        .iter()
        .any(|ending| lower.ends_with(ending))
        || lower.starts_with("application/vnd.docker.image.rootfs.")
        || lower.starts_with("application/vnd.oci.image.layer.")
}

fn is_wasm_type(artifact_type: &str) -> bool {
    artifact_type == WASM_CONFIG
        || WASM_LAYERS.contains(&artifact_type)
        || artifact_type.starts_with("application/vnd.wasm.")
}

/// Digests and platforms for a message, within bounds.
fn list(entries: &[&Descriptor]) -> String {
    let shown = entries.iter().take(8).map(|entry| {
        let platform = entry.platform.as_ref();
        let platform = platform.map_or_else(String::new, |one| {
            format!(" ({}/{})", shortened(&one.os), shortened(&one.architecture))
        });
        format!("`{}`{platform}", shortened(&entry.digest))
    });
    let shown: Vec<_> = shown.collect();
    match (shown.is_empty(), entries.len() - shown.len()) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A text of somebody else's for a message.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn layer(media_type: &str) -> Json {
        json!({ "mediaType": media_type, "digest": DIGEST, "size": 10 })
    }

    fn image(layers: &[Json]) -> Json {
        json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": layer(WASM_CONFIG), "layers": layers })
    }

    fn parts(json: &Json) -> Result<Parts, ManifestError> {
        let (document, kind) = Document::parse(json.to_string().as_bytes(), IMAGE)?;
        assert!(matches!(kind, Kind::Image));
        document.parts(100)
    }

    #[track_caller]
    fn refused(json: &Json, error: &ManifestError) {
        assert_eq!(parts(json).as_ref(), Err(error), "{json}");
    }

    #[test]
    fn one_component_is_taken_with_its_policy() {
        let part = Part {
            digest: DIGEST.parse().unwrap(),
            bytes: 10,
        };
        for wasm in WASM_LAYERS {
            let taken = Parts {
                wasm: part,
                policy: None,
                wit: None,
            };
            assert_eq!(
                parts(&image(&[layer(wasm), layer("text/plain")])),
                Ok(taken),
                "{wasm}"
            );
        }
        for policy in POLICY_LAYERS {
            let taken = Parts {
                wasm: part,
                policy: Some(part),
                wit: Some(part),
            };
            assert_eq!(
                parts(&image(&[layer(policy), layer(WIT), layer(WASM)])),
                Ok(taken),
                "{policy}"
            );
        }
    }

    #[test]
    fn manifests_that_are_no_component_are_refused() {
        refused(&image(&[]), &ManifestError::NoWasm);
        refused(
            &image(&[layer(WASM), layer(WASM_LAYERS[1])]),
            &ManifestError::ManyWasm(2),
        );
        refused(
            &image(&[layer(WASM), layer(POLICY), layer("text/yaml")]),
            &ManifestError::TwoOfAKind,
        );
        for compressed in [
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/wasm+gzip",
            "application/wasm+zstd",
        ] {
            let error = ManifestError::Compressed(compressed.to_owned());
            refused(&image(&[layer(WASM), layer(compressed)]), &error);
        }
        let mut foreign = layer("text/plain");
        foreign["urls"] = json!(["https://evil.example/x"]);
        refused(&image(&[layer(WASM), foreign]), &ManifestError::ForeignUrls);
        let mut large = layer(WASM);
        large["size"] = json!(101);
        refused(
            &image(&[large]),
            &ManifestError::TooLarge {
                bytes: 101,
                bytes_max: 100,
            },
        );
        let mut policy = layer(POLICY);
        policy["size"] = json!(TEXT_BYTES_MAX + 1);
        let error = ManifestError::TooLarge {
            bytes: TEXT_BYTES_MAX + 1,
            bytes_max: TEXT_BYTES_MAX,
        };
        refused(&image(&[layer(WASM), policy]), &error);
        let mut other = layer(WASM);
        other["digest"] = json!(format!("sha512:{}", "0".repeat(128)));
        refused(&image(&[other]), &ManifestError::Algorithm);
        refused(
            &image(&vec![layer(WASM); ENTRIES_MAX + 1]),
            &ManifestError::Entries,
        );
    }

    #[test]
    fn a_document_is_of_one_kind() {
        let mut both = image(&[layer(WASM)]);
        both["manifests"] = json!([]);
        refused(&both, &ManifestError::Kind);
        let mut other = image(&[layer(WASM)]);
        other["mediaType"] = json!(DOCKER_IMAGE);
        refused(&other, &ManifestError::Kind);
        let mut old = image(&[layer(WASM)]);
        old["schemaVersion"] = json!(1);
        refused(&old, &ManifestError::Kind);
        refused(
            &json!({ "schemaVersion": 2, "mediaType": IMAGE }),
            &ManifestError::Kind,
        );
        let error = Document::parse(b"{", IMAGE).unwrap_err();
        assert_eq!(error, ManifestError::Form { line: 1, column: 1 });
    }

    fn entry(architecture: &str, artifact_type: Option<&str>) -> Json {
        json!({ "mediaType": IMAGE, "digest": DIGEST, "size": 10, "artifactType": artifact_type,
            "platform": { "architecture": architecture, "os": "x" } })
    }

    fn choose(entries: &[Json]) -> Result<Part, ManifestError> {
        let json = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        let (document, kind) = Document::parse(json.to_string().as_bytes(), INDEX)?;
        assert!(matches!(kind, Kind::Index));
        document.choose()
    }

    #[test]
    fn an_index_names_one_component() {
        let part = Part {
            digest: DIGEST.parse().unwrap(),
            bytes: 10,
        };
        assert_eq!(choose(&[entry("amd64", None), entry("wasm", None)]), Ok(part));
        assert_eq!(
            choose(&[entry("amd64", None), entry("unknown", Some(WASM_CONFIG))]),
            Ok(part)
        );
        let amd = format!("`{DIGEST}` (x/amd64)");
        assert_eq!(
            choose(&[entry("amd64", None)]),
            Err(ManifestError::NoPlatform(amd))
        );
        assert_eq!(choose(&[]), Err(ManifestError::NoPlatform("none".to_owned())));
        let two = format!("`{DIGEST}` (x/wasm), `{DIGEST}` (x/wasm)");
        assert_eq!(
            choose(&[entry("wasm", None), entry("wasm", None)]),
            Err(ManifestError::Ambiguous(two))
        );
        let mut nested = entry("wasm", None);
        nested["mediaType"] = json!(INDEX);
        assert_eq!(choose(&[nested]), Err(ManifestError::Nested));
    }
}
