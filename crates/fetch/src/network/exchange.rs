//! One question, however many requests it takes: redirects are followed by our own rules, and what failed in
//! passing is asked again where that changes nothing.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use http::{HeaderMap, Method, StatusCode};
use url::Url;
use wassette_store::Digest;

use super::reach::{self, Reach};
use super::transport::{Message, Reply, Take, Transport};
use super::{NetworkError, Progress};

/// Most redirects for one question.
const REDIRECTS_MAX: u32 = 5;

/// Most bytes read of an answer that says what went wrong.
const ERROR_BYTES_MAX: usize = 8 << 10;

/// Longest wait that a server may ask for before the next request.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// Most bytes of the code in an error body.
const CODE_BYTES_MAX: usize = 64;

/// What is asked.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: &'static str,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: Bytes,
    /// What is fetched, for messages.
    pub(crate) what: &'a str,
    pub(crate) bytes_max: u64,
    pub(crate) progress: Option<&'a Progress<'a>>,
    /// Most requests, where asking again changes nothing.
    pub(crate) attempts_max: u32,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(url: Url, accept: &'static str, what: &'a str) -> Self {
        Self {
            method: Method::GET,
            url,
            accept,
            content_type: None,
            body: Bytes::new(),
            what,
            bytes_max: 0,
            progress: None,
            attempts_max: 1,
        }
    }
}

/// What was answered, by whom.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Whole where the status says success, else its start.
    pub(crate) bytes: Vec<u8>,
    /// Of the whole body.
    pub(crate) digest: Digest,
    /// Who answered, after all redirects.
    pub(crate) url: Url,
}

impl Answer {
    /// A field of the head that is text.
    pub(crate) fn field(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without its parameters, in lower case.
    pub(crate) fn media_type(&self) -> String {
        let text = self.field(CONTENT_TYPE).unwrap_or_default();
        text.split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    }

    /// The error that this status is.
    pub(crate) fn error(&self, what: &str) -> NetworkError {
        let host = reach::host(&self.url);
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => NetworkError::Login {
                host,
                status: self.status.as_u16(),
            },
            StatusCode::NOT_FOUND => NetworkError::NotFound {
                what: what.to_owned(),
            },
            StatusCode::TOO_MANY_REQUESTS => NetworkError::Busy { host },
            status => NetworkError::Status {
                host,
                status: status.as_u16(),
                code: code(&self.bytes),
            },
        }
    }
}

/// The code of the distribution specification's error body: its first, when it looks like one.
fn code(bytes: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let code = json.get("errors")?.get(0)?.get("code")?.as_str()?;
    let is_code =
        code.len() <= CODE_BYTES_MAX && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_code.then(|| code.to_owned())
}

/// Asks, within the rules.
pub(crate) struct Exchange {
    pub(crate) transport: Transport,
    /// The first wait before asking again; doubles from time to time.
    pub(crate) retry_delay: Duration,
}

impl Exchange {
    /// Asks with these credentials, which go to this server and to no other.
    pub(crate) async fn ask(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&HeaderValue>,
        reach: &Reach,
    ) -> Result<Answer, NetworkError> {
        let mut attempt = 1;
        loop {
            let (error, wait) = match self.follow(ask, authorization, reach).await {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => (answer.error(ask.what), retry_after(&answer.headers)),
                Err(error) => (error, None),
            };
            if attempt >= ask.attempts_max || !error.is_passing() {
                return Err(error);
            }
            tracing::debug!(host = %reach::host(&ask.url), attempt, "asking again");
            tokio::time::sleep(wait.unwrap_or_else(|| self.delay(attempt))).await;
            attempt += 1;
        }
    }

    /// Doubles with each attempt, plus up to half as much by chance, so that many do not come back together.
    fn delay(&self, attempt: u32) -> Duration {
        let delay = self.retry_delay.saturating_mul(1 << (attempt - 1).min(8));
        let chance = getrandom::u32().map_or(0, |number| number % 1024);
        delay + delay.saturating_mul(chance) / 2048
    }

    async fn follow(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&HeaderValue>,
        reach: &Reach,
    ) -> Result<Answer, NetworkError> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            // SECURITY: another server gets no credentials of this one.
            let authorization = authorization.filter(|_| reach::is_same_origin(&url, &ask.url));
            let message = Message {
                method: ask.method.clone(),
                headers: headers(ask, authorization),
                body: ask.body.clone(),
                url: url.clone(),
            };
            let reply = self.transport.send(&message, reach).await?;
            if !reply.head.status.is_redirection() {
                return self.answer(reply, url, ask).await;
            }
            url = redirect(&reply, &url, &ask.method)?;
        }
        Err(NetworkError::Redirects {
            host: reach::host(&ask.url),
            redirects_max: REDIRECTS_MAX,
        })
    }

    async fn answer(&self, reply: Reply, url: Url, ask: &Ask<'_>) -> Result<Answer, NetworkError> {
        let (status, headers) = (reply.head.status, reply.head.headers.clone());
        if !status.is_success() || ask.method == Method::HEAD {
            let bytes = self.transport.read_start(reply, ERROR_BYTES_MAX).await?;
            let digest = Digest::of(&bytes);
            return Ok(Answer {
                status,
                headers,
                bytes,
                digest,
                url,
            });
        }
        let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
            return Err(NetworkError::Encoded {
                what: ask.what.to_owned(),
            });
        }
        let take = Take {
            what: ask.what,
            bytes_max: ask.bytes_max,
            progress: ask.progress,
        };
        let body = self.transport.read(reply, &take).await?;
        Ok(Answer {
            status,
            headers,
            bytes: body.bytes,
            digest: body.digest,
            url,
        })
    }
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn headers(ask: &Ask<'_>, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
    let mut put = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    put(AUTHORIZATION, authorization.cloned());
    put(
        CONTENT_TYPE,
        ask.content_type.and_then(|text| HeaderValue::from_str(text).ok()),
    );
    headers
}

/// Where a redirect leads, when a redirect may lead there.
fn redirect(reply: &Reply, from: &Url, method: &Method) -> Result<Url, NetworkError> {
    let refused = |reason| NetworkError::Location {
        host: reach::host(from),
        reason,
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(refused("another place while something is written"));
    }
    let location = reply
        .head
        .headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    next(from, location.unwrap_or_default()).map_err(refused)
}

/// Reads a `Location`: `https`, or plain HTTP from this machine to this machine; no user in it.
pub(crate) fn next(from: &Url, location: &str) -> Result<Url, &'static str> {
    if location.is_empty() {
        return Err("nowhere");
    }
    let mut url = from.join(location).map_err(|_| "what is no URL")?;
    url.set_fragment(None);
    let is_local = reach::is_loopback(from) && reach::is_loopback(&url);
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err("what is not `https://`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user or a password");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_next(from: &str, location: &str, expected: Result<&str, &'static str>) {
        let next = next(&Url::parse(from).unwrap(), location);
        assert_eq!(
            next.as_ref().map(Url::as_str).map_err(|reason| *reason),
            expected,
            "{location:?}"
        );
    }

    #[test]
    fn redirects_lead_to_https_or_stay_on_this_machine() {
        check_next("https://a.example/x", "/y", Ok("https://a.example/y"));
        check_next(
            "https://a.example/x",
            "https://b.example/y?z#f",
            Ok("https://b.example/y?z"),
        );
        check_next(
            "http://localhost:1/x",
            "http://127.0.0.1:2/y",
            Ok("http://127.0.0.1:2/y"),
        );
        check_next(
            "http://localhost:1/x",
            "http://a.example/y",
            Err("what is not `https://`"),
        );
        check_next(
            "https://a.example/x",
            "http://a.example/y",
            Err("what is not `https://`"),
        );
        check_next(
            "https://a.example/x",
            "http://localhost/y",
            Err("what is not `https://`"),
        );
        check_next(
            "https://a.example/x",
            "file:///etc/passwd",
            Err("what is not `https://`"),
        );
        check_next(
            "https://a.example/x",
            "https://u:p@a.example/y",
            Err("a URL with a user or a password"),
        );
        check_next("https://a.example/x", "https://", Err("what is no URL"));
        check_next("https://a.example/x", "", Err("nowhere"));
    }

    #[test]
    fn only_a_code_is_taken_from_an_error_body() {
        let code = |text: &str| super::code(text.as_bytes());
        let denied = r#"{"errors":[{"code":"DENIED","message":"password was hunter2"}]}"#;
        assert_eq!(code(denied), Some("DENIED".to_owned()));
        assert_eq!(code(r#"{"errors":[{"code":"hunter2"}]}"#), None);
        assert_eq!(code(r#"{"errors":[]}"#), None);
        assert_eq!(code("<html>"), None);
    }
}
