//! One request and its answer, over `wasi:http`.

use crate::Header;
use crate::url::Url;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method as WasiMethod, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

/// No more of a body is read.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

const CHUNK_BYTES: u64 = 64 * 1024;

/// What servers are told unless the caller gives headers of the same name.
const DEFAULT_HEADERS: [(&str, &str); 2] = [
    ("accept", "text/html, text/*;q=0.9, */*;q=0.5"),
    ("user-agent", "wassette-fetch/0.1"),
];

/// The methods this component uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    Get,
    Head,
}

/// The answer of a server, read completely.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body was longer than what is read of one.
    pub(crate) truncated: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let found = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }
}

/// Sends a request and reads the answer.
pub(crate) fn send(method: Method, url: &Url, headers: &[Header]) -> Result<Answer, String> {
    let request = request(method, url, headers)?;
    let future = outgoing_handler::handle(request, None).map_err(|code| refused(url, &code))?;
    future.subscribe().block();
    let response = match future.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(refused(url, &code)),
        Some(Err(())) | None => return Err(format!("cannot fetch `{url}`: the host gave no answer")),
    };
    let fields = response.headers().entries();
    let headers = fields
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let (body, truncated) = match method {
        Method::Get => body(&response, url)?,
        Method::Head => (Vec::new(), false),
    };
    Ok(Answer {
        status: response.status(),
        headers,
        body,
        truncated,
    })
}

fn request(method: Method, url: &Url, headers: &[Header]) -> Result<OutgoingRequest, String> {
    let fields = Fields::new();
    let given = |name: &str| {
        headers
            .iter()
            .any(|header| header.name.eq_ignore_ascii_case(name))
    };
    let defaults = DEFAULT_HEADERS.iter().filter(|(name, _)| !given(name)).copied();
    for (name, value) in defaults.chain(
        headers
            .iter()
            .map(|header| (header.name.as_str(), header.value.as_str())),
    ) {
        fields
            .append(name, value.as_bytes())
            .map_err(|_| format!("the header `{name}` cannot be sent"))?;
    }
    let request = OutgoingRequest::new(fields);
    let method = match method {
        Method::Get => WasiMethod::Get,
        Method::Head => WasiMethod::Head,
    };
    let scheme = if url.is_https { Scheme::Https } else { Scheme::Http };
    request
        .set_method(&method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(&url.authority)))
        .and_then(|()| request.set_path_with_query(Some(&url.path)))
        .map_err(|()| format!("`{url}` is no URL that can be fetched"))?;
    Ok(request)
}

/// Reads the body up to its bound.
fn body(response: &IncomingResponse, url: &Url) -> Result<(Vec<u8>, bool), String> {
    let broken = || format!("cannot read the answer of `{url}`");
    let body = response.consume().map_err(|()| broken())?;
    let stream = body.stream().map_err(|()| broken())?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK_BYTES) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok((bytes, false)),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(format!("{}: {}", broken(), error.to_debug_string()));
            }
        }
        if bytes.len() > BODY_BYTES_MAX {
            bytes.truncate(BODY_BYTES_MAX);
            return Ok((bytes, true));
        }
    }
}

/// The body as text.
pub(crate) fn text(answer: &Answer, url: &Url) -> Result<String, String> {
    let kind = answer
        .header("content-type")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let is_text = [
        "text/",
        "json",
        "xml",
        "javascript",
        "yaml",
        "toml",
        "x-www-form-urlencoded",
    ];
    if !kind.is_empty() && !is_text.iter().any(|part| kind.contains(part)) {
        return Err(format!("`{url}` is of the type `{kind}`, which is no text"));
    }
    if kind.is_empty() && answer.body.contains(&0) {
        return Err(format!("`{url}` has no content type and is no text"));
    }
    if kind.contains("iso-8859-1") || kind.contains("windows-1252") {
        return Ok(answer.body.iter().copied().map(char::from).collect());
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// What to tell the caller when the host, or the network, says no.
fn refused(url: &Url, code: &ErrorCode) -> String {
    let (host, _) = url.authority.split_once(':').unwrap_or((&url.authority, ""));
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "thirty more codes, each of which says what it is"
    )]
    let reason = match code {
        ErrorCode::HttpRequestDenied => {
            format!("this component was not granted the host `{host}`; ask the user to grant it")
        }
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => format!("the host `{host}` is not known"),
        ErrorCode::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorCode::DnsTimeout | ErrorCode::ConnectionTimeout | ErrorCode::HttpResponseTimeout => {
            "the server did not answer in time".to_owned()
        }
        other => format!("{other:?}").trim_start_matches("ErrorCode::").to_owned(),
    };
    format!("cannot fetch `{url}`: {reason}")
}
