//! The starter component `fetch`: a URL as Markdown or text, or its status and headers.
//!
//! The host decides which hosts can be reached; a refusal is this component's error, never a trap.

mod entity;
mod html;
mod http;
mod markdown;
mod url;

use http::{Answer, Method};
use url::Url;

wit_bindgen::generate!({ world: "fetch", path: "wit" });

/// How many characters `get` returns when nobody asks for another number.
const CHARACTERS_MAX: u32 = 50_000;

const REDIRECTS_MAX: usize = 5;

struct Component;
export!(Component);

impl Guest for Component {
    fn get(
        url: String,
        form: Option<Form>,
        headers: Option<Vec<Header>>,
        offset: Option<u32>,
        max_characters: Option<u32>,
    ) -> Result<Page, String> {
        let (answer, url, _) = follow(Method::Get, &url, headers.unwrap_or_default())?;
        let content_type = answer.header("content-type");
        let body = http::text(&answer, &url)?;
        let is_html = content_type.as_deref().is_some_and(|kind| kind.contains("html"));
        let (title, text) = match form.unwrap_or(Form::Markdown) {
            Form::Markdown if is_html => markdown::convert(&body, &url, true),
            Form::Text if is_html => markdown::convert(&body, &url, false),
            Form::Markdown | Form::Text | Form::Raw => (None, body),
        };
        let (part, total, more) = part(
            &text,
            offset.unwrap_or(0),
            max_characters.unwrap_or(CHARACTERS_MAX),
        );
        Ok(Page {
            url: url.to_string(),
            status: answer.status,
            content_type,
            title,
            text: part,
            total_characters: total,
            truncated: more || answer.truncated,
        })
    }

    fn head(url: String, headers: Option<Vec<Header>>) -> Result<Response, String> {
        let (answer, url, redirects) = follow(Method::Head, &url, headers.unwrap_or_default())?;
        let headers = answer
            .headers
            .into_iter()
            .map(|(name, value)| Header { name, value })
            .collect();
        Ok(Response {
            url: url.to_string(),
            status: answer.status,
            headers,
            redirects,
        })
    }
}

/// Sends a request, and again wherever a redirect leads; returns the URLs that redirected, too.
fn follow(method: Method, url: &str, mut headers: Vec<Header>) -> Result<(Answer, Url, Vec<String>), String> {
    let mut url = Url::parse(url)?;
    let mut redirects = Vec::new();
    loop {
        let answer = http::send(method, &url, &headers)?;
        let location = if matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
            answer.header("location")
        } else {
            None
        };
        let Some(location) = location else {
            return Ok((answer, url, redirects));
        };
        redirects.push(url.to_string());
        if redirects.len() > REDIRECTS_MAX {
            return Err(format!(
                "`{}` redirects more than {REDIRECTS_MAX} times",
                redirects.join("` -> `")
            ));
        }
        let next = url.join(&location)?;
        if next.origin() != url.origin() {
            // What was meant for one server is not shown to another.
            headers.retain(|header| !is_secret(&header.name));
        }
        url = next;
    }
}

fn is_secret(name: &str) -> bool {
    ["authorization", "cookie", "proxy-authorization"]
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Cuts a part out of a text; returns the number of all characters and whether some follow the part.
fn part(text: &str, offset: u32, max: u32) -> (String, u32, bool) {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let total = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let part = text.chars().skip(size(offset)).take(size(max)).collect();
    (part, total, total > offset.saturating_add(max))
}
