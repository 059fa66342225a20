//! The answers to the list requests: built once for each state of the catalog, given out page by page.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rmcp::ErrorData;
use rmcp::model::{Prompt, Resource, ResourceTemplate, Tool};
use wassette_host::{Catalog, Component, Revision};

use crate::rich;

/// Entries in one page of a list. Clients that do not turn pages see this many, which is more than a model can use.
const PAGE: usize = 1000;

/// The answers to the list requests for one state of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) revision: Revision,
    pub(crate) tools: Pages<Tool>,
    pub(crate) prompts: Pages<Prompt>,
    pub(crate) resources: Pages<Resource>,
    pub(crate) templates: Pages<ResourceTemplate>,
}

impl Listing {
    pub(crate) fn new(catalog: &Catalog, tools: Vec<Tool>) -> Self {
        let offers = || catalog.components().map(Component::offers);
        let prompts = offers().flat_map(|offers| offers.prompts.iter().cloned());
        let resources = offers().flat_map(|offers| offers.resources.iter().cloned());
        let templates = offers().flat_map(|offers| offers.templates.iter().cloned());
        Self {
            revision: catalog.revision(),
            tools: Pages::new(tools),
            prompts: Pages::new(prompts.map(rich::prompt).collect()),
            resources: Pages::new(resources.map(rich::resource).collect()),
            templates: Pages::new(templates.map(rich::template).collect()),
        }
    }
}

/// What is listed under a name of its own.
pub(crate) trait Listed: Clone {
    fn key(&self) -> &str;
}

impl Listed for Tool {
    fn key(&self) -> &str {
        &self.name
    }
}

impl Listed for Prompt {
    fn key(&self) -> &str {
        &self.name
    }
}

impl Listed for Resource {
    fn key(&self) -> &str {
        &self.uri
    }
}

impl Listed for ResourceTemplate {
    fn key(&self) -> &str {
        &self.uri_template
    }
}

/// A list that is given out page by page.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    entries: Arc<Vec<T>>,
    /// Where each is in `entries`.
    places: Arc<HashMap<String, usize>>,
}

impl<T: PartialEq> PartialEq for Pages<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<T: Listed> Pages<T> {
    fn new(entries: Vec<T>) -> Self {
        let places = entries.iter().enumerate();
        let places = places
            .map(|(place, entry)| (entry.key().to_owned(), place))
            .collect();
        Self {
            entries: Arc::new(entries),
            places: Arc::new(places),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(*self.places.get(key)?)
    }

    /// The entries after the one that the cursor names, and the next cursor if these are not the last.
    pub(crate) fn page(&self, cursor: Option<&str>) -> Result<(Vec<T>, Option<String>), ErrorData> {
        let begin = match cursor.filter(|cursor| !cursor.is_empty()) {
            None => 0,
            Some(cursor) => {
                let place = key_of(cursor).and_then(|key| self.places.get(&key));
                1 + place.ok_or_else(|| {
                    ErrorData::invalid_params("unknown cursor: the list has changed, begin it again", None)
                })?
            }
        };
        let rest = self.entries.get(begin..).unwrap_or_default();
        let page: Vec<T> = rest.iter().take(PAGE).cloned().collect();
        let next = page.last().filter(|_| rest.len() > PAGE).map(cursor_after);
        Ok((page, next))
    }
}

/// Opaque to clients, and understood by every server with the same list.
fn cursor_after<T: Listed>(entry: &T) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(entry.key().as_bytes())
}

fn key_of(cursor: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(count: usize) -> Pages<Tool> {
        let tools = (0..count).map(|number| Tool::new(format!("tool-{number}"), "", Arc::default()));
        Pages::new(tools.collect())
    }

    #[test]
    fn a_long_list_is_given_out_page_by_page() {
        let tools = tools(2 * PAGE + 1);
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let (page, next) = tools.page(cursor.as_deref()).unwrap();
            assert!((1..=PAGE).contains(&page.len()));
            seen.extend(page.into_iter().map(|tool| tool.name));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 2 * PAGE + 1);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 2 * PAGE + 1);
    }

    #[test]
    fn a_whole_page_is_followed_by_none_and_foreign_cursors_are_refused() {
        let tools = tools(PAGE);
        let (page, next) = tools.page(Some("")).unwrap();
        assert_eq!((page.len(), next), (PAGE, None));
        let last = cursor_after(page.last().unwrap());
        assert_eq!(tools.page(Some(&last)).unwrap(), (Vec::new(), None));
        for cursor in ["x", "%", "dG9vbC14", &"a".repeat(10_000)] {
            assert!(tools.page(Some(cursor)).is_err(), "{cursor}");
        }
        assert!(tools.get("tool-7").is_some() && tools.get("tool-x").is_none());
    }
}
