//! The answer to `tools/list`: built once for each state of the catalog, given out page by page.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rmcp::ErrorData;
use rmcp::model::Tool;
use wassette_host::Revision;

/// Tools in one page of a list. Clients that do not turn pages see this many, which is more than a model can use.
const PAGE: usize = 1000;

/// The answer to `tools/list` for one state of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) revision: Revision,
    tools: Arc<Vec<Tool>>,
    /// Where each is in `tools`.
    places: Arc<HashMap<String, usize>>,
}

impl Listing {
    pub(crate) fn new(revision: Revision, tools: Vec<Tool>) -> Self {
        let places = tools.iter().enumerate();
        let places = places
            .map(|(place, tool)| (tool.name.to_string(), place))
            .collect();
        Self {
            revision,
            tools: Arc::new(tools),
            places: Arc::new(places),
        }
    }

    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(*self.places.get(name)?)
    }

    /// The tools after the one that the cursor names, and the next cursor if these are not the last.
    pub(crate) fn page(&self, cursor: Option<&str>) -> Result<(Vec<Tool>, Option<String>), ErrorData> {
        let begin = match cursor.filter(|cursor| !cursor.is_empty()) {
            None => 0,
            Some(cursor) => {
                let place = name_of(cursor).and_then(|name| self.places.get(&name));
                1 + place.ok_or_else(|| {
                    ErrorData::invalid_params("unknown cursor: the list has changed, begin it again", None)
                })?
            }
        };
        let rest = self.tools.get(begin..).unwrap_or_default();
        let page: Vec<Tool> = rest.iter().take(PAGE).cloned().collect();
        let next = page.last().filter(|_| rest.len() > PAGE).map(cursor_after);
        Ok((page, next))
    }
}

/// Opaque to clients, and understood by every server with the same tools.
fn cursor_after(tool: &Tool) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(tool.name.as_bytes())
}

fn name_of(cursor: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(count: usize) -> Listing {
        let tools = (0..count).map(|number| Tool::new(format!("tool-{number}"), "", Arc::default()));
        Listing::new(Revision(0), tools.collect())
    }

    #[test]
    fn a_long_list_is_given_out_page_by_page() {
        let listing = listing(2 * PAGE + 1);
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let (page, next) = listing.page(cursor.as_deref()).unwrap();
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
        let listing = listing(PAGE);
        let (page, next) = listing.page(Some("")).unwrap();
        assert_eq!((page.len(), next), (PAGE, None));
        let last = cursor_after(page.last().unwrap());
        assert_eq!(listing.page(Some(&last)).unwrap(), (Vec::new(), None));
        for cursor in ["x", "%", "dG9vbC14", &"a".repeat(10_000)] {
            assert!(listing.page(Some(cursor)).is_err(), "{cursor}");
        }
        assert!(listing.tool("tool-7").is_some() && listing.tool("tool-x").is_none());
    }
}
