//! Requests through `wasi:http`.

use crate::{Answer, Request};
use wasip2::http::outgoing_handler::{self, FutureIncomingResponse};
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasip2::io::streams::StreamError;

const CHUNK_BYTES: u64 = 64 * 1024;
const NANOSECONDS_PER_MS: u64 = 1_000_000;

pub(crate) fn start(request: &Request) -> Result<FutureIncomingResponse, String> {
    let (future, body) = begin(request)?;
    if let Some(body) = body {
        write(request, body)?;
    }
    Ok(future)
}

/// Sends the head of a request. Its body, if it has one, is still to be written.
pub(crate) fn begin(request: &Request) -> Result<(FutureIncomingResponse, Option<OutgoingBody>), String> {
    let outgoing = OutgoingRequest::new(fields(request)?);
    let set = outgoing
        .set_method(&method(request.method.as_deref().unwrap_or("GET")))
        .and_then(|()| outgoing.set_scheme(request.scheme.as_deref().map(scheme).as_ref()))
        .and_then(|()| outgoing.set_authority(request.authority.as_deref()))
        .and_then(|()| outgoing.set_path_with_query(request.path.as_deref()));
    set.map_err(|()| "unsayable")?;
    let body = match &request.body {
        Some(_) => Some(outgoing.body().map_err(|()| "no body")?),
        None => None,
    };
    let future = outgoing_handler::handle(outgoing, Some(options(request))).map_err(code)?;
    Ok((future, body))
}

pub(crate) fn write(request: &Request, body: OutgoingBody) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream")?;
    for _ in 0..request.empty_writes.unwrap_or(0) {
        // Waits for its turn and writes nothing.
        stream.subscribe().block();
        if stream.check_write().map_err(failed)? > 0 {
            stream.write(&[]).map_err(failed)?;
        }
    }
    for piece in request.body.iter().flatten() {
        for part in piece.as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(part).map_err(failed)?;
        }
    }
    drop(stream);
    if request.unfinished == Some(true) {
        return Ok(());
    }
    OutgoingBody::finish(body, None).map_err(code)
}

pub(crate) fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    future.subscribe().block();
    let answer = future.get().ok_or("no answer")?;
    answer.map_err(|()| "answer taken twice")?.map_err(code)
}

pub(crate) fn status(response: Result<IncomingResponse, String>) -> String {
    response.map_or_else(|error| error, |response| response.status().to_string())
}

pub(crate) fn read(response: IncomingResponse) -> Result<Answer, String> {
    let headers = response.headers().entries();
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let mut bytes = Vec::new();
    body(&response, |chunk| bytes.extend_from_slice(chunk))?;
    Ok(Answer {
        status: response.status(),
        headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

pub(crate) fn body(response: &IncomingResponse, mut each: impl FnMut(&[u8])) -> Result<(), String> {
    let body: IncomingBody = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    loop {
        match stream.blocking_read(CHUNK_BYTES) {
            Ok(chunk) => each(&chunk),
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
}

fn fields(request: &Request) -> Result<Fields, String> {
    let fields = Fields::new();
    for (name, value) in request.headers.iter().flatten() {
        fields
            .append(name, value.as_bytes())
            .map_err(|error| format!("{error:?}"))?;
    }
    Ok(fields)
}

fn options(request: &Request) -> RequestOptions {
    let options = RequestOptions::new();
    let nanoseconds = |ms: Option<u64>| ms.map(|ms| ms.saturating_mul(NANOSECONDS_PER_MS));
    let _always_set = options.set_connect_timeout(nanoseconds(request.connect_ms));
    let _always_set = options.set_first_byte_timeout(nanoseconds(request.first_byte_ms));
    let _always_set = options.set_between_bytes_timeout(nanoseconds(request.between_bytes_ms));
    options
}

fn method(text: &str) -> Method {
    match text {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

fn scheme(text: &str) -> Scheme {
    match text {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    }
}

fn code(code: ErrorCode) -> String {
    format!("{code:?}")
}

fn failed(error: StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) => match wasip2::http::types::http_error_code(&error) {
            Some(known) => code(known),
            None => error.to_debug_string(),
        },
    }
}
