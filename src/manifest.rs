//! A manifest: which components there are to be, and what each may do. A file that people write and keep.
//!
//! The form is version 1 of what users of microsoft/wassette write, with `id`, `policy` and `tools` added. Every key that is read is
//! obeyed: `digest` is compared, `resources` become limits, `retry_policy` is how often a source is asked again.

use crate::config::Config;
use crate::exit::Exit;
use crate::output::shown;
use crate::policy_text::PolicyText;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wassette_host::{ComponentId, Digest, ParseOptions, Policy, Reference, Shown, ToolName, read_text};

const VERSION: u32 = 1;

/// Components of one manifest.
const COMPONENTS_MAX: usize = 1_000;

/// How often a source is asked, and the longest wait in between, whatever the manifest says.
const ATTEMPTS_MAX: u32 = 10;
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A manifest that was read and understood, whole.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<Entry>,
}

/// One component that is to be there.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ComponentId,
    pub(crate) reference: Reference,
    /// Its bytes, or the manifest that names them.
    pub(crate) digest: Option<Digest>,
    /// What it may do; `None`: what it was granted otherwise stays.
    pub(crate) policy: Option<Policy>,
    /// The file that it is read from, if it is one.
    pub(crate) policy_text: Option<PolicyText>,
    /// How its tools are shown, by the names that it gives them; `None`: what was said otherwise stays.
    pub(crate) tools: Option<BTreeMap<ToolName, Shown>>,
    pub(crate) retry: Retry,
}

/// How a source that fails is asked again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) attempts: u32,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug)]
enum Backoff {
    Exponential { base: Duration },
    Linear { increment: Duration },
}

impl Retry {
    /// The wait after so many attempts.
    pub(crate) fn wait(self, attempts: u32) -> Duration {
        let wait = match self.backoff {
            Backoff::Exponential { base } => {
                base.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)))
            }
            Backoff::Linear { increment } => increment.saturating_mul(attempts),
        };
        wait.min(WAIT_MAX)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    components: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    uri: String,
    #[serde(default)]
    id: Option<String>,
    /// A label for people; the id says what it is called.
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    permissions: Option<Json>,
    #[serde(default)]
    policy: Option<PathBuf>,
    #[serde(default)]
    tools: Option<BTreeMap<ToolName, Shown>>,
    #[serde(default)]
    retry_policy: Option<RetryItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryItem {
    attempts: u32,
    #[serde(default)]
    backoff: Option<BackoffItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "lowercase")]
enum BackoffItem {
    Exponential { base_ms: u64 },
    Linear { increment_ms: u64 },
}

impl Manifest {
    /// Reads a manifest. Relative paths in it begin at its folder.
    pub(crate) fn read(config: &Config, path: &Path) -> Result<Self, Exit> {
        let path = config.current_dir.join(path);
        let text = read_text(&path).map_err(|error| Exit::unreadable(&path, error))?;
        Self::parse(&path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Exit> {
        let wrong = |message: String| Exit::failed(anyhow::anyhow!("{}: {message}", path.display()));
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let document: Document = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let place = error
                .location()
                .map(|at| format!("{}:{}:{}", path.display(), at.line(), at.column()));
            let place = place.unwrap_or_else(|| path.display().to_string());
            let message = error.to_string().lines().next().unwrap_or_default().to_owned();
            Exit::failed(anyhow::anyhow!("{place}: {message}"))
        })?;
        if document.version != VERSION {
            return Err(wrong(format!("`version` is {}, not {VERSION}", document.version)));
        }
        if document.components.is_empty() || document.components.len() > COMPONENTS_MAX {
            return Err(wrong(format!("`components` has 1 to {COMPONENTS_MAX} entries")));
        }
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        let mut entries: Vec<Entry> = Vec::new();
        for (index, item) in document.components.into_iter().enumerate() {
            let entry =
                entry(folder, item).map_err(|message| wrong(format!("components[{index}]{message}")))?;
            let twice = |known: &&Entry| known.id == entry.id || known.reference == entry.reference;
            if let Some(known) = entries.iter().find(twice) {
                let message = format!(
                    "components[{index}]: `{}` is `{}`, which an entry above is already",
                    shown(&entry.reference.to_string()),
                    known.id
                );
                return Err(wrong(message).with_hint("give each entry another `id`"));
            }
            entries.push(entry);
        }
        Ok(Self {
            path: path.to_owned(),
            entries,
        })
    }
}

/// Reads one entry. A fault begins with its key.
fn entry(folder: &Path, item: Item) -> Result<Entry, String> {
    let reference = Reference::parse(&item.uri, folder).map_err(|error| format!(".uri: {error}"))?;
    let id = match &item.id {
        Some(id) => id.parse().map_err(|error| format!(".id: {error}"))?,
        None => ComponentId::from_stem(&reference.stem()),
    };
    let digest = item.digest.as_deref().map(str::parse).transpose();
    let (policy, policy_text) = policy(folder, &item)?.unzip();
    Ok(Entry {
        id,
        reference,
        digest: digest.map_err(|error| format!(".digest: {error}"))?,
        policy,
        policy_text: policy_text.flatten(),
        tools: item.tools,
        retry: retry(item.retry_policy)?,
    })
}

/// What the entry says of permissions: in itself, in a file, or nothing. `{}` is nothing too, as it always was.
fn policy(folder: &Path, item: &Item) -> Result<Option<(Policy, Option<PolicyText>)>, String> {
    let base = folder.to_str().and_then(|folder| folder.parse().ok());
    let options = ParseOptions { base };
    let (key, text, path) = match (&item.permissions, &item.policy) {
        (Some(_), Some(_)) => {
            return Err(": `permissions` and `policy` are two ways to say the same".to_owned());
        }
        (Some(Json::Null), None) | (None, None) => return Ok(None),
        (Some(Json::Object(fields)), None) if fields.is_empty() => return Ok(None),
        (Some(permissions), None) => {
            let document = json!({"version": "1.0", "permissions": with_limits(permissions.clone())?});
            (".permissions", document.to_string(), None)
        }
        (None, Some(path)) => {
            let path = folder.join(path);
            let text = read_text(&path)
                .map_err(|error| format!(".policy: cannot read `{}`: {error}", path.display()))?;
            (".policy", text, Some(path))
        }
    };
    let policy = Policy::parse(&text, &options).map_err(|error| {
        let hint = error.hint();
        // Where it stands in what was made of the entry would mislead; in a file it is where it stands.
        if key == ".policy" {
            format!("{key}:{error} ({hint})")
        } else {
            format!("{key}: {} ({hint})", error.message())
        }
    })?;
    let text = path.map(|path| PolicyText { path, text, options });
    Ok(Some((policy, text)))
}

/// `resources: {memory_bytes, cpu_time_ms}` as the limits they mean.
fn with_limits(mut permissions: Json) -> Result<Json, String> {
    let Some(resources) = permissions.get_mut("resources").and_then(Json::as_object_mut) else {
        return Ok(permissions);
    };
    let mut limits = serde_json::Map::new();
    for (old, new, unit) in [("memory_bytes", "memory", ""), ("cpu_time_ms", "cpu", "ms")] {
        if let Some(value) = resources.remove(old) {
            let number = value
                .as_u64()
                .ok_or_else(|| format!(".permissions.resources.{old}: expected a whole number"))?;
            let text = if unit.is_empty() {
                json!(number)
            } else {
                json!(format!("{number}{unit}"))
            };
            limits.insert(new.to_owned(), text);
        }
    }
    if limits.is_empty() {
        return Ok(permissions);
    }
    match resources.entry("limits").or_insert_with(|| json!({})) {
        Json::Object(known) => known.extend(limits),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            return Err(".permissions.resources.limits: expected keys and values".to_owned());
        }
    }
    Ok(permissions)
}

fn retry(item: Option<RetryItem>) -> Result<Retry, String> {
    let Some(RetryItem { attempts, backoff }) = item else {
        return Ok(Retry {
            attempts: 1,
            backoff: Backoff::Linear {
                increment: Duration::ZERO,
            },
        });
    };
    if attempts == 0 || attempts > ATTEMPTS_MAX {
        return Err(format!(".retry_policy.attempts: 1 to {ATTEMPTS_MAX}"));
    }
    let backoff = match backoff {
        Some(BackoffItem::Exponential { base_ms }) => Backoff::Exponential {
            base: Duration::from_millis(base_ms),
        },
        Some(BackoffItem::Linear { increment_ms }) => Backoff::Linear {
            increment: Duration::from_millis(increment_ms),
        },
        None => Backoff::Exponential {
            base: Duration::from_millis(500),
        },
    };
    Ok(Retry { attempts, backoff })
}
