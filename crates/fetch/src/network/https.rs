//! A file from a web server: `https` only, nobody's credentials, the same limits as for everything else.

use std::sync::Arc;

use url::Url;
use wassette_store::{Artifact, HttpsReference, Reference};

use super::exchange::Ask;
use super::reach::Reach;
use super::registry::{ATTEMPTS_MAX, Network};
use super::{NetworkError, Progress};

const ACCEPT: &str = "application/wasm, application/octet-stream;q=0.9, */*;q=0.1";

/// Bytes of a document about something, such as the keys of an authorization server.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

/// Requests are held up until a document is there: why it is not must be known within seconds, and it is asked for again
/// later anyway.
const DOCUMENT_ATTEMPTS_MAX: u32 = 2;

impl Network {
    pub(crate) async fn web_document(&self, url: &Url) -> Result<Vec<u8>, NetworkError> {
        let what = url.as_str();
        let mut ask = Ask::get(url.clone(), "application/json", what);
        ask.bytes_max = DOCUMENT_BYTES_MAX;
        ask.attempts_max = DOCUMENT_ATTEMPTS_MAX;
        let answer = self.exchange.ask(&ask, None, &Reach::Operator).await?;
        if answer.status != http::StatusCode::OK {
            return Err(answer.error(what));
        }
        Ok(answer.bytes)
    }

    pub(crate) async fn fetch_https(
        &self,
        reference: &HttpsReference,
        reach: &Reach,
        progress: Option<&Progress<'_>>,
    ) -> Result<Artifact, NetworkError> {
        let what = reference.shown();
        let mut ask = Ask::get(reference.url().clone(), ACCEPT, &what);
        ask.bytes_max = self.artifact_bytes_max;
        ask.progress = progress;
        ask.attempts_max = ATTEMPTS_MAX;
        let answer = self.exchange.ask(&ask, None, reach).await?;
        if answer.status != http::StatusCode::OK {
            return Err(answer.error(&what));
        }
        // Pages that ask to log in come with status 200.
        if matches!(
            answer.media_type().as_str(),
            "text/html" | "application/xhtml+xml"
        ) {
            return Err(NetworkError::Html { what });
        }
        if answer.bytes.is_empty() {
            return Err(NetworkError::Empty { what });
        }
        Ok(Artifact {
            digest: answer.digest,
            bytes: Arc::from(answer.bytes),
            origin: Reference::Https(reference.clone()),
        })
    }
}
