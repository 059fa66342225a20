//! One HTTP request of a guest, from what it asked for to the head of the answer.
//!
//! The order is the safety: read the target once, decide it, put the secrets on, resolve once, decide every
//! address, dial those addresses and nothing else. What is sent is written from the target that was decided,
//! not from the guest's text. Redirects come back to the guest, which may ask again; nothing is taken from
//! the environment (proxies), and no connection serves two requests.

use super::body::{Answer, Outgoing, Progress, explain, head_bytes};
use super::dial::{Counted, Dialable, dial};
use super::mask::Mask;
use super::resolve::ResolveError;
use super::{Network, Outbound};
use crate::gate::Gate;
use futures::future::{Either, select};
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use secrecy::ExposeSecret as _;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error as HttpError, RequestOptions, WasiBody};
use wassette_policy::{Access, AccessKind, Host, HttpTarget, SecretUse};

/// Longest wait for a connection, TLS included.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Longest wait for the head of an answer, from the last byte that was sent.
const FIRST_BYTE_TIME_MAX: Duration = Duration::from_secs(30);

/// Longest wait for the next piece of an answer.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a request waits for the connection of one before it to be closed.
const PLACE_TIME_MAX: Duration = Duration::from_millis(100);

/// Shortest secret that is masked in answers to requests that did not carry it.
const MASKED_BYTES_MIN: usize = 4;

/// What is read at once, and so the longest head of an answer.
const READ_BYTES: usize = 64 << 10;

pub(super) type Finished = Box<dyn Future<Output = Result<(), HttpError>> + Send>;
pub(super) type Answered = (Response<WasiBody>, Finished);

/// A request that was decided and may be sent when its addresses are, too.
pub(super) struct Exchange {
    target: HttpTarget,
    request: http::Request<Outgoing>,
    mask: Mask,
    progress: Progress,
    times: Times,
}

/// How long the parts of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    connect: Duration,
    first_byte: Duration,
    idle: Duration,
}

impl Times {
    /// A guest may be less patient than we are, not more. Zero means that only what is there already is taken.
    fn of(options: Option<RequestOptions>) -> Self {
        let options = options.unwrap_or_default();
        let clamp = |wish: Option<Duration>, max: Duration| wish.map_or(max, |wish| wish.min(max));
        Self {
            connect: clamp(options.connect_timeout, CONNECT_TIME_MAX),
            first_byte: clamp(options.first_byte_timeout, FIRST_BYTE_TIME_MAX),
            idle: clamp(options.between_bytes_timeout, IDLE_TIME_MAX),
        }
    }
}

impl Exchange {
    /// Decides a request and writes it anew.
    pub(super) fn prepare(
        gate: &Gate,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Self, HttpError> {
        let target = decide(gate, &request)?;
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        let length = content_length(&headers)?;
        let mask = put_secrets(gate, &target, &mut headers)?;
        headers.insert(HOST, host(&target)?);
        let path = path(&target, &parts.uri)?;
        let method = Method::from_bytes(target.method().as_bytes())
            .map_err(|_invalid| HttpError::HttpRequestMethodInvalid)?;
        let line = method.as_str().len() + path.as_str().len() + "  HTTP/1.1\r\n\r\n".len();
        spend_on_head(gate, line as u64 + head_bytes(&headers))?;
        let progress = Progress::new();
        let mut request = http::Request::new(Outgoing::new(body, length, gate.clone(), progress.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = headers;
        Ok(Self {
            target,
            request,
            mask,
            progress,
            times: Times::of(options),
        })
    }

    /// Sends it and waits for the head of the answer.
    pub(super) async fn run(self, network: &Network, outbound: Outbound) -> Result<Answered, HttpError> {
        let place = timeout(PLACE_TIME_MAX, Arc::clone(&outbound.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(HttpError::ConnectionLimitReached);
        };
        let own = outbound.gate.control().pace().lookups();
        let addresses = resolve(network, &self.target, own).await?;
        let addresses = decide_addresses(&outbound.gate, &self.target, addresses)?;
        let stream = dial(addresses, &self.target, &network.tls, self.times.connect).await?;
        self.talk(Counted::new(stream, outbound.gate), Arc::new(place))
            .await
    }

    async fn talk(self, stream: Counted, place: Arc<OwnedSemaphorePermit>) -> Result<Answered, HttpError> {
        let (mut sender, connection) = http1::Builder::new()
            .read_buf_exact_size(Some(READ_BYTES))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| explain(&error))?;
        let Self {
            request,
            mask,
            progress,
            times,
            ..
        } = self;
        // The time for the connection is another one.
        progress.mark();
        let mut connection = Box::pin(connection);
        let (answer, is_open) = {
            let answer = pin!(within(times.first_byte, &progress, sender.send_request(request)));
            match select(answer, connection.as_mut()).await {
                Either::Left((answer, _connection)) => (answer, true),
                // The connection was done, or broke, before its answer was looked at. Why it broke is in the
                // answer; an error is left over only where the answer had come, as from a server that answers
                // and closes without waiting for the end of the body.
                Either::Right((_left_over, answer)) => (answer.await, false),
            }
        };
        let (mut parts, body) = answer?.map_err(|error| explain(&error))?.into_parts();
        check_head(parts.status, &mut parts.headers, &mask)?;
        let body = Answer::new(body, times.idle, mask, Arc::clone(&place));
        let finished = Box::new(async move {
            // Whatever breaks the connection breaks the body as well, and the guest hears of it there.
            if is_open {
                let _told_by_the_body = connection.await;
            }
            drop(place);
            Ok(())
        });
        Ok((Response::from_parts(parts, body.boxed_unsync()), finished))
    }
}

/// Waits for an answer until nothing has been sent for so long.
async fn within<T>(
    max: Duration,
    progress: &Progress,
    answer: impl Future<Output = T>,
) -> Result<T, HttpError> {
    let mut answer = pin!(answer);
    loop {
        let deadline = progress.last() + max;
        if let Ok(answer) = timeout_at(deadline, &mut answer).await {
            return Ok(answer);
        }
        if progress.last() + max <= Instant::now() {
            return Err(HttpError::ConnectionReadTimeout);
        }
    }
}

fn decide(gate: &Gate, request: &http::Request<WasiBody>) -> Result<HttpTarget, HttpError> {
    let url = request.uri().to_string();
    let method = request.method().as_str();
    let target = HttpTarget::parse(method, &url).map_err(|error| {
        let _always_denied = gate.authorize(&Access::Malformed {
            kind: AccessKind::Http,
            text: &url,
            why: &error.to_string(),
        });
        HttpError::HttpRequestDenied
    })?;
    gate.authorize(&Access::Http(&target))
        .map_err(|_denied| HttpError::HttpRequestDenied)?;
    super::overrides::check(gate, &target, request.headers())?;
    gate.spend(|m| &m.requests, 1)
        .map_err(|_ended| HttpError::HttpRequestDenied)?;
    Ok(target)
}

fn spend_on_head(gate: &Gate, bytes: u64) -> Result<(), HttpError> {
    gate.spend(|m| &m.egress, bytes)
        .map_err(|_ended| HttpError::HttpRequestDenied)
}

/// The announced length of the body. Two, or one that two readers could read differently, are refused
/// (GHSA-r8xh, GHSA-9prg: request smuggling).
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (Some(length), None) = (lengths.next(), lengths.next()) else {
        return match headers.contains_key(CONTENT_LENGTH) {
            true => Err(HttpError::HttpProtocolError),
            false => Ok(None),
        };
    };
    let digits = length
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok());
    length.map(Some).ok_or(HttpError::HttpProtocolError)
}

/// Puts on the secrets of a target, and returns what must be blanked out of the answer.
fn put_secrets(gate: &Gate, target: &HttpTarget, headers: &mut HeaderMap) -> Result<Mask, HttpError> {
    let authority = gate.authority();
    let mut mask = Mask::default();
    let mut put: Vec<HeaderName> = Vec::new();
    for secret in authority.secrets(target) {
        let access = Access::Secret {
            name: &secret.name,
            target,
        };
        gate.authorize(&access)
            .map_err(|_denied| HttpError::HttpRequestDenied)?;
        let outcome = put_secret(gate, secret, headers).and_then(|name| {
            let is_taken = put.contains(&name);
            put.push(name);
            if is_taken {
                Err("another header: two secrets claim this one")
            } else {
                Ok(())
            }
        });
        if let Err(reason) = outcome {
            gate.refuse(&access, reason);
            return Err(HttpError::HttpRequestDenied);
        }
    }
    // All that the component has: what one request brought may come back in the answer to another. A value of a few
    // letters is in every text, and is looked for only where it was sent.
    mask.is_strict = !put.is_empty();
    for value in gate.control().surroundings().secrets.values() {
        if mask.is_strict || value.expose_secret().len() >= MASKED_BYTES_MIN {
            mask.add(value);
        }
    }
    if mask.is_strict {
        // A compressed answer could not be looked through.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(mask)
}

fn put_secret(gate: &Gate, secret: &SecretUse, headers: &mut HeaderMap) -> Result<HeaderName, &'static str> {
    const UNFIT: &str = "a value that can stand in a header";
    // None of the gate's own: the rule would not exist.
    let name: HeaderName = secret.header.parse().map_err(|_invalid| "a header that exists")?;
    let surroundings = gate.control().surroundings();
    let value = surroundings.secrets.get(&secret.name);
    let value = value.ok_or(if surroundings.is_missing_secrets {
        "a value: the secrets of the component cannot be read"
    } else {
        "a value: the secret is not set"
    })?;
    if value.expose_secret().is_empty() {
        return Err("a value: the secret is empty");
    }
    let text = format!("{}{}{}", secret.before, value.expose_secret(), secret.after);
    let mut header = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).map_err(|_invalid| UNFIT)?;
    header.set_sensitive(true);
    headers.insert(name.clone(), header);
    Ok(name)
}

fn host(target: &HttpTarget) -> Result<HeaderValue, HttpError> {
    let text = if target.port() == target.scheme().default_port() {
        target.host().to_string()
    } else {
        format!("{}:{}", target.host(), target.port())
    };
    HeaderValue::try_from(text).map_err(|_invalid| HttpError::HttpRequestUriInvalid)
}

/// The path that was decided, with the guest's query.
fn path(target: &HttpTarget, uri: &Uri) -> Result<PathAndQuery, HttpError> {
    let text = match uri.query() {
        Some(query) => format!("{}?{query}", target.path()),
        None => target.path().to_owned(),
    };
    PathAndQuery::try_from(text).map_err(|_invalid| HttpError::HttpRequestUriInvalid)
}

async fn resolve(
    network: &Network,
    target: &HttpTarget,
    own: &Arc<Semaphore>,
) -> Result<Vec<IpAddr>, HttpError> {
    match target.host() {
        Host::Address(address) => Ok(vec![*address]),
        Host::Name(name) => network
            .names
            .resolve(name, own)
            .await
            .map_err(|error| match error {
                ResolveError::Unknown => HttpError::DnsError {
                    rcode: None,
                    info_code: None,
                },
                ResolveError::Timeout => HttpError::DnsTimeout,
            }),
    }
}

/// Decides all addresses of a name. One that is denied denies the request.
///
/// SECURITY: a public name that has a private address among its own is an attack on what is behind that
/// address (DNS rebinding) or a mistake, and which of the addresses is dialed would be chance.
fn decide_addresses(
    gate: &Gate,
    target: &HttpTarget,
    addresses: Vec<IpAddr>,
) -> Result<Vec<Dialable>, HttpError> {
    let decide = |address: IpAddr| {
        let permit = gate.authorize(&Access::Dial { target, address }).ok()?;
        Some(Dialable {
            address: SocketAddr::new(address, target.port()),
            permit,
        })
    };
    let decided: Option<Vec<_>> = addresses.into_iter().map(decide).collect();
    decided.ok_or(HttpError::DestinationIpProhibited)
}

/// Takes from the head of an answer what is between the server and us, and what a mask must not let through.
fn check_head(status: StatusCode, headers: &mut HeaderMap, mask: &Mask) -> Result<(), HttpError> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(HttpError::HttpUpgradeFailed);
    }
    // Another coding than `chunked` would reach the guest undecoded, and pass the mask.
    if headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .any(|coding| !is(coding, "chunked"))
    {
        return Err(HttpError::HttpResponseTransferCoding(None));
    }
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    if mask.is_strict && codings.any(|coding| !is(coding, "identity")) {
        return Err(HttpError::HttpResponseContentCoding(None));
    }
    let named = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|names| names.to_str().ok());
    let named = named
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok());
    for name in named
        .chain(DEFAULT_FORBIDDEN_HEADERS)
        .collect::<Vec<HeaderName>>()
    {
        headers.remove(name);
    }
    mask.headers(headers);
    Ok(())
}

fn is(value: &HeaderValue, word: &str) -> bool {
    value.as_bytes().eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_stands_in_a_header_that_the_gate_sets_or_takes_away() {
        for header in DEFAULT_FORBIDDEN_HEADERS
            .iter()
            .chain(&[CONTENT_LENGTH, ACCEPT_ENCODING])
        {
            assert!(
                wassette_policy::RESERVED_HEADERS.contains(&header.as_str()),
                "{header}"
            );
        }
    }

    #[test]
    fn a_guest_may_be_less_patient_than_we_are_and_not_more() {
        let times = |connect, first_byte, idle| Times {
            connect: Duration::from_secs(connect),
            first_byte: Duration::from_secs(first_byte),
            idle: Duration::from_secs(idle),
        };
        let wish = |seconds| {
            let time = Some(Duration::from_secs(seconds));
            Times::of(Some(RequestOptions {
                connect_timeout: time,
                first_byte_timeout: time,
                between_bytes_timeout: time,
            }))
        };
        assert_eq!(Times::of(None), times(10, 30, 30));
        assert_eq!(Times::of(Some(RequestOptions::default())), times(10, 30, 30));
        assert_eq!(wish(3_600), times(10, 30, 30));
        assert_eq!(wish(20), times(10, 20, 20));
        assert_eq!(wish(0), times(0, 0, 0));
    }

    #[tokio::test]
    async fn an_answer_is_waited_for_as_long_as_something_is_sent() {
        let max = Duration::from_millis(100);
        let progress = Progress::new();
        let sending = async {
            for _ in 0..10 {
                tokio::time::sleep(max / 4).await;
                progress.mark();
            }
            "sent"
        };
        assert_eq!(within(max, &progress, sending).await.ok(), Some("sent"));
        let nothing = within(max, &progress, std::future::pending::<()>()).await;
        assert!(matches!(nothing, Err(HttpError::ConnectionReadTimeout)));
    }

    #[test]
    fn a_length_is_one_number() {
        let length = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            content_length(&headers).ok()
        };
        assert_eq!(length(&[]), Some(None));
        assert_eq!(length(&["0"]), Some(Some(0)));
        assert_eq!(length(&["18446744073709551615"]), Some(Some(u64::MAX)));
        for values in [
            &["1", "1"][..],
            &[""],
            &["+1"],
            &["-1"],
            &["0x1"],
            &["1, 1"],
            &["1 "],
            &["18446744073709551616"],
        ] {
            assert_eq!(length(values), None, "{values:?}");
        }
    }
}
