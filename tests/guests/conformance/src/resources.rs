//! Resources.

use crate::Fixture;
use crate::content::{PNG, contents};
use crate::exports::wassette::mcp::resources::{Guest, ReadOutcome, ResourceTemplate};
use crate::wassette::mcp::types::{
    Content, ContentBody, Failure, ResourceBody, ResourceContents, ResourceInfo, Resume,
};
use serde_json::json;

/// A page that a client shows beside a tool's result (MCP Apps).
pub const APP: &str = "ui://test/app";

fn resource(uri: &str, name: &str, mime_type: &str) -> ResourceInfo {
    ResourceInfo {
        uri: uri.into(),
        name: name.into(),
        title: None,
        description: Some(format!("{name}, for testing")),
        mime_type: Some(mime_type.into()),
        size: None,
        icons: Vec::new(),
        annotations: None,
        meta: None,
    }
}

pub fn link() -> Content {
    let link = resource("test://static-text", "Static text", "text/plain");
    Content { body: ContentBody::ResourceLink(link), annotations: None, meta: None }
}

fn read(uri: &str) -> Option<ResourceContents> {
    Some(match uri {
        "test://static-text" => {
            let text = "This is the content of the static text resource.";
            contents(uri, "text/plain", ResourceBody::Text(text.into()))
        }
        APP => {
            let page = "<!doctype html><title>App</title><p>Hello";
            ResourceContents {
                meta: Some(json!({"ui": {"prefersBorder": true}}).to_string()),
                ..contents(uri, "text/html;profile=mcp-app", ResourceBody::Text(page.into()))
            }
        }
        "test://static-binary" => contents(uri, "image/png", ResourceBody::Blob(PNG.to_vec())),
        "test://watched-resource" => contents(uri, "text/plain", ResourceBody::Text("Watched".into())),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            contents(uri, "application/json", ResourceBody::Text(data.to_string()))
        }
    })
}

impl Guest for Fixture {
    fn list() -> Vec<ResourceInfo> {
        vec![
            resource("test://static-text", "Static text", "text/plain"),
            resource("test://static-binary", "Static image", "image/png"),
            resource("test://watched-resource", "A resource that changes", "text/plain"),
            resource(APP, "A page", "text/html;profile=mcp-app"),
        ]
    }

    fn templates() -> Vec<ResourceTemplate> {
        vec![ResourceTemplate {
            uri_template: "test://template/{id}/data".into(),
            name: "Data by id".into(),
            title: None,
            description: Some("Data of one id".into()),
            mime_type: Some("application/json".into()),
            icons: Vec::new(),
            annotations: None,
            meta: None,
        }]
    }

    fn read(uri: String, _resume: Option<Resume>) -> Result<ReadOutcome, Failure> {
        match read(&uri) {
            Some(contents) => Ok(ReadOutcome::Done(vec![contents])),
            None => Err(Failure::NotFound(format!("no resource `{uri}`"))),
        }
    }
}
