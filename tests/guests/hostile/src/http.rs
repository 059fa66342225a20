//! Requests, through `wasi:http`.

pub use wasip2::http::outgoing_handler::handle;
pub use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// An answer, as far as it was read.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub is_whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self
            .headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request that may be written as badly as the host takes it.
pub struct Ask<'a> {
    pub method: Method,
    pub scheme: Scheme,
    pub authority: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
}

impl<'a> Ask<'a> {
    /// A request in the clear.
    pub fn get(authority: &'a str, path: &'a str) -> Self {
        Self {
            method: Method::Get,
            scheme: Scheme::Http,
            authority,
            path,
            headers: &[],
            body: &[],
        }
    }

    /// Says at which step the host refused it.
    pub fn request(&self) -> Result<OutgoingRequest, String> {
        let fields = Fields::new();
        for (name, value) in self.headers {
            fields
                .append(name, value)
                .map_err(|error| format!("header {name:?}: {error:?}"))?;
        }
        let request = OutgoingRequest::new(fields);
        request.set_method(&self.method).map_err(|()| "method")?;
        request.set_scheme(Some(&self.scheme)).map_err(|()| "scheme")?;
        request
            .set_authority(Some(self.authority))
            .map_err(|()| "authority")?;
        request
            .set_path_with_query(Some(self.path))
            .map_err(|()| "path")?;
        Ok(request)
    }

    /// Sends it, and waits for the head of the answer.
    pub fn send(&self, options: Option<RequestOptions>) -> Result<IncomingResponse, String> {
        let request = self.request()?;
        let body = request.body().map_err(|()| "body")?;
        let future = handle(request, options).map_err(reason)?;
        if !self.body.is_empty() {
            let stream = body.write().map_err(|()| "body stream")?;
            for chunk in self.body.chunks(4096) {
                stream
                    .blocking_write_and_flush(chunk)
                    .map_err(|_| "the body was not taken")?;
            }
        }
        OutgoingBody::finish(body, None).map_err(reason)?;
        wait(&future)
    }

    /// Sends it, and reads at most `bytes_max` of the body.
    pub fn answer(&self, bytes_max: usize) -> Result<Answer, String> {
        let response = self.send(None)?;
        Ok(read(response, bytes_max))
    }
}

/// The head of an answer.
pub fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    future.subscribe().block();
    let answer = future.get().ok_or("no answer")?.map_err(|()| "taken twice")?;
    answer.map_err(reason)
}

/// The body of an answer.
pub fn read(response: IncomingResponse, bytes_max: usize) -> Answer {
    let mut answer = Answer {
        status: response.status(),
        headers: response.headers().entries(),
        body: Vec::new(),
        is_whole: false,
    };
    let Ok(body) = response.consume() else {
        return answer;
    };
    let Ok(stream) = body.stream() else {
        return answer;
    };
    while answer.body.len() < bytes_max {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => answer.body.extend(chunk),
            Err(StreamError::Closed) => {
                answer.is_whole = true;
                break;
            }
            Err(StreamError::LastOperationFailed(_)) => break,
        }
    }
    answer
}

/// What the host said, in short: printing all forty reasons would double the size of every component.
fn reason(code: ErrorCode) -> String {
    match code {
        ErrorCode::HttpRequestDenied => "denied",
        ErrorCode::HttpRequestMethodInvalid => "method",
        ErrorCode::HttpRequestUriInvalid => "uri",
        ErrorCode::HttpRequestBodySize(_) => "body size",
        ErrorCode::ConnectionTimeout | ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => {
            "timeout"
        }
        ErrorCode::ConnectionLimitReached => "too many",
        ErrorCode::ConnectionRefused | ErrorCode::ConnectionTerminated => "no connection",
        ErrorCode::DnsError(_) => "no address",
        _ => "failed",
    }
    .to_owned()
}

/// A plain GET whose body is read up to 64 KiB.
pub fn get(authority: &str, path: &str) -> Result<Answer, String> {
    Ask::get(authority, path).answer(64 << 10)
}
