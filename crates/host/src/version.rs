//! One version of a component against another: what an update changes, and what of it needs a person.
//!
//! A version is compared with what was *approved*: that is the version that is there, or, while that one is itself in
//! quarantine, what was approved before it. What is new in a wider version is withheld until a person approves it; what was
//! approved goes on (docs/design/0010-supply-chain.md).

use crate::grantable::rule_texts;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wassette_policy::{ParseOptions, Policy, Relation};
use wassette_store::Digest;
use wassette_wit::rich::{Offers, Prompt, ResourceInfo, ResourceTemplate};
use wassette_wit::{Tool, ToolName};

/// Where a version came from, beyond its reference, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The manifest that named its bytes, if it came from a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The index through which the manifest was found, if the reference leads to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Who signed them, as far as it was verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// The policy it asks for: a document. Nothing of it is granted by being here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What is withheld until a person approves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
}

/// A version that wants more than what was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// What was approved, and is what the next version is compared with, too.
    approved: Approved,
    /// What is new.
    pub difference: Difference,
}

/// All of a version that an approval covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Approved {
    /// Each tool with a digest of its whole contract: name, description, schemas, types.
    tools: BTreeMap<ToolName, Digest>,
    /// The same of prompts, resources and families of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    others: BTreeMap<String, Digest>,
    imports: BTreeSet<String>,
    request: Option<String>,
    signers: Vec<String>,
}

/// What a version offers and imports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) tools: &'a [Arc<Tool>],
    pub(crate) imports: &'a [String],
    pub(crate) offers: &'a Offers,
}

/// How prompts, resources and families of them are called in a difference.
fn prompt_label(prompt: &Prompt) -> String {
    format!("prompt `{}`", prompt.name)
}

fn resource_label(resource: &ResourceInfo) -> String {
    format!("resource `{}`", resource.uri)
}

fn template_label(template: &ResourceTemplate) -> String {
    format!("resources `{}`", template.uri_template)
}

/// All that is offered besides tools, each with a digest of all of it.
fn others(offers: &Offers) -> BTreeMap<String, Digest> {
    fn digest<T: Serialize>(offered: &T) -> Digest {
        Digest::of(&serde_json::to_vec(offered).unwrap_or_default())
    }
    let prompts = offers.prompts.iter().map(|it| (prompt_label(it), digest(it)));
    let resources = offers.resources.iter().map(|it| (resource_label(it), digest(it)));
    let templates = offers.templates.iter().map(|it| (template_label(it), digest(it)));
    prompts.chain(resources).chain(templates).collect()
}

/// What differs between two versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Difference {
    /// Tools that were not there. A renamed tool is a removed and an added one.
    pub added: Vec<ToolName>,
    /// Tools that are gone.
    pub removed: Vec<ToolName>,
    /// Tools whose schema or description is another.
    pub changed: Vec<ToolName>,
    /// Prompts and resources that were not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others_added: Vec<String>,
    /// Prompts and resources that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others_removed: Vec<String>,
    /// Prompts and resources of which another thing is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others_changed: Vec<String>,
    /// Interfaces that were not imported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imports_added: Vec<String>,
    /// Interfaces that are not imported any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imports_removed: Vec<String>,
    /// Rules that are asked for and were not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests_added: Vec<String>,
    /// Rules that are not asked for any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests_removed: Vec<String>,
    /// Who signed it, if that is not whom was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signers: Option<SignersChanged>,
    /// Whether the request allows more than the old one, whatever its rules say.
    #[serde(skip_serializing_if = "is_false")]
    pub asks_more: bool,
}

/// Another signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignersChanged {
    /// Those who were approved.
    pub before: Vec<String>,
    /// Those of the new version; none: it is not signed.
    pub after: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Provenance {
    /// Reads what the store keeps. What cannot be understood is no provenance at all, and the component is unavailable.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("its stored provenance is damaged ({error})"))
    }

    /// What the reference leads to: the index where there is one, else the manifest.
    pub(crate) fn named(&self) -> Option<Digest> {
        self.index.or(self.manifest)
    }

    /// Whether this is the digest of its manifest or of the index that names it.
    pub fn is_named(&self, digest: Digest) -> bool {
        self.manifest == Some(digest) || self.index == Some(digest)
    }

    /// What the store keeps.
    pub(crate) fn print(&self) -> String {
        // A structure of texts always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the next version is compared with.
    pub(crate) fn approved(&self, offer: Offer<'_>) -> Approved {
        match &self.quarantine {
            Some(quarantine) => quarantine.approved.clone(),
            None => self.whole(offer),
        }
    }

    /// All of this version, as if it were approved.
    pub(crate) fn whole(&self, offer: Offer<'_>) -> Approved {
        let tools = offer.tools.iter();
        Approved {
            tools: tools.map(|tool| (tool.name.clone(), fingerprint(tool))).collect(),
            others: others(offer.offers),
            imports: offer.imports.iter().cloned().collect(),
            request: self.request.clone(),
            signers: self.signers.clone(),
        }
    }

    /// The same, in quarantine if it wants more than what was approved.
    pub(crate) fn admitted(self, approved: Approved, offer: Offer<'_>) -> (Self, Difference) {
        let difference = approved.difference(&self.whole(offer));
        let quarantine = difference.is_wider().then(|| Quarantine {
            approved,
            difference: difference.clone(),
        });
        (Self { quarantine, ..self }, difference)
    }

    /// What it asks for, a rule each.
    pub(crate) fn requested(&self) -> Vec<String> {
        match self.request.as_deref().map(request) {
            Some(Ok(policy)) => rule_texts(&policy),
            Some(Err(reason)) => vec![format!("a policy that is not understood: {reason}")],
            None => Vec::new(),
        }
    }

    /// What is offered of a version besides tools, if it can be used.
    pub(crate) fn offered(&self, offers: &Offers, is_usable: bool) -> Offers {
        if !is_usable {
            return Offers::default();
        }
        let mut offered = offers.clone();
        if let Some(Quarantine { difference, .. }) = &self.quarantine {
            let is_kept = |label: String| !difference.withholds_other(&label);
            offered.prompts.retain(|prompt| is_kept(prompt_label(prompt)));
            offered
                .resources
                .retain(|resource| is_kept(resource_label(resource)));
            offered
                .templates
                .retain(|template| is_kept(template_label(template)));
        }
        offered
    }

    /// Whether a tool is withheld until a person approves it.
    pub(crate) fn withholds(&self, tool: &ToolName) -> bool {
        self.quarantine
            .as_ref()
            .is_some_and(|quarantine| quarantine.difference.withholds(tool))
    }
}

/// What is compared of a tool: all of it.
fn fingerprint(tool: &Tool) -> Digest {
    Digest::of(&serde_json::to_vec(tool).unwrap_or_default())
}

impl Approved {
    fn difference(&self, after: &Self) -> Difference {
        let names = |of: &Self, without: &Self| {
            let names = of.tools.keys().filter(|name| !without.tools.contains_key(*name));
            names.cloned().collect()
        };
        let is_other = |(name, print): &(&ToolName, &Digest)| {
            self.tools.get(*name).is_some_and(|before| before != *print)
        };
        let (others_added, others_removed) = (
            keys_without(&after.others, &self.others),
            keys_without(&self.others, &after.others),
        );
        let is_other_offer = |(label, print): &(&String, &Digest)| {
            self.others.get(*label).is_some_and(|before| before != *print)
        };
        let requests = Requests::between(self.request.as_deref(), after.request.as_deref());
        Difference {
            added: names(after, self),
            removed: names(self, after),
            changed: after
                .tools
                .iter()
                .filter(is_other)
                .map(|(name, _)| name.clone())
                .collect(),
            others_added,
            others_removed,
            others_changed: after
                .others
                .iter()
                .filter(is_other_offer)
                .map(|(label, _)| label.clone())
                .collect(),
            imports_added: after.imports.difference(&self.imports).cloned().collect(),
            imports_removed: self.imports.difference(&after.imports).cloned().collect(),
            requests_added: requests.added,
            requests_removed: requests.removed,
            asks_more: requests.asks_more,
            signers: (self.signers != after.signers).then(|| SignersChanged {
                before: self.signers.clone(),
                after: after.signers.clone(),
            }),
        }
    }
}

fn keys_without(of: &BTreeMap<String, Digest>, without: &BTreeMap<String, Digest>) -> Vec<String> {
    let keys = of.keys().filter(|key| !without.contains_key(*key));
    keys.cloned().collect()
}

/// What differs between two requests.
struct Requests {
    added: Vec<String>,
    removed: Vec<String>,
    asks_more: bool,
}

impl Requests {
    fn between(before: Option<&str>, after: Option<&str>) -> Self {
        if before == after {
            return Self {
                added: Vec::new(),
                removed: Vec::new(),
                asks_more: false,
            };
        }
        let read = |text: Option<&str>| text.map_or_else(|| Ok(Policy::empty()), request);
        match (read(before), read(after)) {
            (Ok(before), Ok(after)) => {
                let diff = before.diff(&after);
                Self {
                    added: diff.added,
                    removed: diff.removed,
                    asks_more: !matches!(diff.relation, Relation::Equal | Relation::Narrower),
                }
            }
            // Nobody can say what a request asks for that is not understood.
            (Err(_), _) | (_, Err(_)) => Self {
                added: Vec::new(),
                removed: Vec::new(),
                asks_more: after.is_some(),
            },
        }
    }
}

impl Approved {
    /// What is different in another version.
    pub(crate) fn against(&self, provenance: &Provenance, offer: Offer<'_>) -> Difference {
        self.difference(&provenance.whole(offer))
    }
}

/// Reads what a version asks for.
pub(crate) fn request(text: &str) -> Result<Policy, String> {
    Policy::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())
}

impl Difference {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it wants more than what was approved: only then a person is asked. Fewer tools, imports and requests
    /// go through, and so does a first signature.
    #[must_use]
    pub fn is_wider(&self) -> bool {
        !self.added.is_empty()
            || !self.changed.is_empty()
            || !self.others_added.is_empty()
            || !self.others_changed.is_empty()
            || !self.imports_added.is_empty()
            || self.asks_more
            || self.is_from_another()
    }

    /// Whether those who signed what was approved did not all sign this.
    fn is_from_another(&self) -> bool {
        self.signers.as_ref().is_some_and(|changed| {
            changed
                .before
                .iter()
                .any(|signer| !changed.after.contains(signer))
        })
    }

    fn withholds(&self, tool: &ToolName) -> bool {
        self.is_from_another() || self.added.contains(tool) || self.changed.contains(tool)
    }

    fn withholds_other(&self, label: &String) -> bool {
        self.is_from_another() || self.others_added.contains(label) || self.others_changed.contains(label)
    }

    /// What is new, in words, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let names = |names: &[ToolName]| {
            names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut lines = Vec::new();
        for (what, tools) in [
            ("added", &self.added),
            ("removed", &self.removed),
            ("changed", &self.changed),
        ] {
            if !tools.is_empty() {
                lines.push(format!("{what}: {}", names(tools)));
            }
        }
        for (what, texts) in [
            ("added", &self.others_added),
            ("removed", &self.others_removed),
            ("changed", &self.others_changed),
        ] {
            if !texts.is_empty() {
                lines.push(format!("{what}: {}", texts.join(", ")));
            }
        }
        for (what, texts) in [
            ("imports now", &self.imports_added),
            ("imports no more", &self.imports_removed),
            ("asks for", &self.requests_added),
            ("asks no more for", &self.requests_removed),
        ] {
            lines.extend(texts.iter().map(|text| format!("{what}: {text}")));
        }
        if let Some(SignersChanged { before, after }) = &self.signers {
            lines.push(format!(
                "signed by: {} (before: {})",
                signers(after),
                signers(before)
            ));
        }
        lines
    }
}

/// Signers as people read them.
fn signers(signers: &[String]) -> String {
    if signers.is_empty() {
        "nobody".to_owned()
    } else {
        signers.join(", ")
    }
}
