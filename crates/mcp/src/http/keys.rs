//! The keys of an authorization server: kept, and asked for again.
//!
//! INVARIANT: the issuer is asked one question at a time, and whoever has a token whose key is known does not wait for the
//! answer. Otherwise anybody could make all wait, with a token that names a key which there is not, whenever the issuer
//! is slow.
//!
//! Keys that have merely become old are used while they are asked for again, so that a slow issuer is not felt. A key
//! that the issuer took back stops counting after [`KEYS_TIME`] and [`STALE_TIME`] at the latest, however few requests
//! there are: beyond that the answer is waited for. Only while the keys cannot be had do the old ones count longer,
//! because an issuer that is down would take us down as well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::access::Denied;

/// How long keys are used before they are asked for again.
const KEYS_TIME: Duration = Duration::from_secs(600);

/// How much longer they are used while they are asked for, and after that has failed.
const STALE_TIME: Duration = Duration::from_secs(60);

/// How long keys are used when they cannot be had again.
const KEYS_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// A token with an unknown key makes us ask again, but no more often than this.
const ASK_INTERVAL: Duration = Duration::from_secs(30);

/// How long the keys may take to come, with the metadata that says where they are.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);

/// Keys of one issuer.
const KEYS_MAX: usize = 64;

/// Gets the issuer's keys (a JSON Web Key Set, RFC 7517), or says why not.
pub type FetchKeys = Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<u8>, String>> + Send + Sync>;

/// The keys of one issuer.
pub(super) struct KeyRing {
    issuer: String,
    fetch: FetchKeys,
    kept: Mutex<Kept>,
    /// Held while the issuer is asked.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Kept {
    /// The keys as last heard, and when that was.
    known: Option<(Arc<JwkSet>, Instant)>,
    asked: Option<Instant>,
    failed: Option<Instant>,
}

/// What the age of the keys means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Fresh,
    /// To be used, and asked for again.
    Old,
    /// To be asked for before they are used.
    TooOld,
}

impl Kept {
    fn standing(&self) -> Standing {
        let Some((_, had)) = &self.known else {
            return Standing::TooOld;
        };
        let age = had.elapsed();
        let has_just_failed = self.failed.is_some_and(|failed| failed.elapsed() < STALE_TIME);
        if age <= KEYS_TIME {
            Standing::Fresh
        } else if age <= KEYS_TIME + STALE_TIME || has_just_failed {
            Standing::Old
        } else {
            Standing::TooOld
        }
    }
}

impl KeyRing {
    pub(super) fn new(issuer: String, fetch: FetchKeys) -> Arc<Self> {
        Arc::new(Self {
            issuer,
            fetch,
            kept: Mutex::default(),
            asking: Arc::default(),
        })
    }

    /// The key that a token names, or the only one there is.
    pub(super) async fn key(self: &Arc<Self>, id: Option<&str>, algorithm: Algorithm) -> Result<Jwk, Denied> {
        const UNKNOWN: Denied = Denied::Invalid("the token's key is none of the authorization server's");
        let standing = self.kept().standing();
        match standing {
            Standing::Fresh => {}
            Standing::Old => self.ask_beside(),
            Standing::TooOld => self.ask().await,
        }
        if let Some(key) = find(&*self.known()?, id, algorithm) {
            return Ok(key);
        }
        self.ask().await;
        find(&*self.known()?, id, algorithm).ok_or(UNKNOWN)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> Result<Arc<JwkSet>, Denied> {
        let kept = self.kept();
        let good = kept
            .known
            .as_ref()
            .filter(|(_, had)| had.elapsed() < KEYS_TIME_MAX);
        good.map(|(keys, _)| Arc::clone(keys)).ok_or(Denied::Unknown)
    }

    /// Asks the issuer and waits for what comes of it; for the answer to who asked before, if one is under way.
    async fn ask(self: &Arc<Self>) {
        let turn = Arc::clone(&self.asking).lock_owned().await;
        if let Some(asked) = self.asked(turn) {
            // It ends in time, and what came of it is seen in what is kept.
            drop(asked.await);
        }
    }

    /// Asks the issuer, if nobody does, and does not wait.
    fn ask_beside(self: &Arc<Self>) {
        if let Ok(turn) = Arc::clone(&self.asking).try_lock_owned() {
            drop(self.asked(turn));
        }
    }

    /// In a task of its own: a client that goes away must not take the answer with it, for which others wait.
    fn asked(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> Option<JoinHandle<()>> {
        let mut kept = self.kept();
        if kept.asked.is_some_and(|asked| asked.elapsed() <= ASK_INTERVAL) {
            return None;
        }
        kept.asked = Some(Instant::now());
        let ring = Arc::clone(self);
        Some(tokio::spawn(async move {
            let _turn = turn;
            ring.refresh().await;
        }))
    }

    async fn refresh(&self) {
        let fetched = timeout(FETCH_TIME_MAX, self.fetched()).await;
        let fetched = fetched
            .unwrap_or_else(|_| Err(format!("they did not come within {} s", FETCH_TIME_MAX.as_secs())));
        let now = Instant::now();
        match fetched {
            Ok(set) => self.kept().known = Some((Arc::new(set), now)),
            Err(reason) => {
                self.kept().failed = Some(now);
                tracing::warn!(%reason, issuer = %self.issuer, "no keys of the authorization server");
            }
        }
    }

    async fn fetched(&self) -> Result<JwkSet, String> {
        let bytes = (self.fetch)().await?;
        let set: Listed =
            serde_json::from_slice(&bytes).map_err(|error| format!("these are no keys: {error}"))?;
        let count = set.keys.len();
        if count == 0 || count > KEYS_MAX {
            return Err(format!("there are {count} keys; 1 to {KEYS_MAX} are expected"));
        }
        // What is not understood is ignored, and does not spoil the rest (RFC 7517, section 5).
        let keys = set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<Jwk> = keys.filter(verifies).collect();
        if keys.is_empty() {
            return Err(format!(
                "none of its {count} keys verifies signatures in a way that is known"
            ));
        }
        Ok(JwkSet { keys })
    }
}

/// A set of keys as it comes, with whatever else there may be in it.
#[derive(Deserialize)]
struct Listed {
    keys: Vec<serde_json::Value>,
}

/// Whether a key is for signatures, as far as it says.
fn verifies(key: &Jwk) -> bool {
    let usage = key.common.public_key_use.as_ref();
    let operations = key.common.key_operations.as_ref();
    usage.is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

/// Whether signatures of this kind are made with a key of this one.
fn is_for(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    let is_on =
        |wanted: EllipticCurve| matches!(key, AlgorithmParameters::EllipticCurve(key) if key.curve == wanted);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only what is named here signs tokens"
    )]
    match algorithm {
        Algorithm::RS256
        | Algorithm::RS384
        | Algorithm::RS512
        | Algorithm::PS256
        | Algorithm::PS384
        | Algorithm::PS512 => matches!(key, AlgorithmParameters::RSA(_)),
        Algorithm::ES256 => is_on(EllipticCurve::P256),
        Algorithm::ES384 => is_on(EllipticCurve::P384),
        Algorithm::EdDSA => {
            matches!(key, AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519)
        }
        // An open enum of the library; what is left shares a secret.
        _ => false,
    }
}

/// The key of this name; without one, the only key that fits.
fn find(keys: &JwkSet, id: Option<&str>, algorithm: Algorithm) -> Option<Jwk> {
    let mut fitting = keys.keys.iter().filter(|key| {
        let is_named = id.is_none_or(|id| key.common.key_id.as_deref() == Some(id));
        let stated = key.common.key_algorithm.map(|stated| stated.to_string());
        is_named
            && is_for(&key.algorithm, algorithm)
            && stated.is_none_or(|stated| stated == format!("{algorithm:?}"))
    });
    let first = fitting.next().cloned();
    first.filter(|_| id.is_some() || fitting.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What the issuer does when it is asked.
    #[derive(Clone, Copy)]
    enum Says {
        Key(&'static str),
        Nothing,
        Fails,
    }

    struct Issuer {
        says: Arc<Mutex<Says>>,
        asked: Arc<AtomicUsize>,
        ring: Arc<KeyRing>,
    }

    impl Issuer {
        /// One whose only key is called "first" and was just heard.
        async fn heard() -> Self {
            let says = Arc::new(Mutex::new(Says::Key("first")));
            let asked = Arc::new(AtomicUsize::new(0));
            let (said, counted) = (Arc::clone(&says), Arc::clone(&asked));
            let fetch: FetchKeys = Arc::new(move || {
                counted.fetch_add(1, Ordering::SeqCst);
                let says = *said.lock().unwrap();
                async move {
                    match says {
                        Says::Key(id) => Ok(json!({"keys": [
                            {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": id, "x": "AA", "y": "AA"},
                        ]})
                        .to_string()
                        .into_bytes()),
                        Says::Nothing => std::future::pending().await,
                        Says::Fails => Err("it is down".to_owned()),
                    }
                }
                .boxed()
            });
            let ring = KeyRing::new("https://issuer.example".to_owned(), fetch);
            let issuer = Self { says, asked, ring };
            assert_eq!(issuer.key("first").await, Ok(()));
            issuer
        }

        fn says(&self, says: Says) {
            *self.says.lock().unwrap() = says;
        }

        /// Lets so much time have passed.
        fn later(&self, by: Duration) {
            let mut kept = self.ring.kept();
            let kept = &mut *kept;
            let had = kept.known.as_mut().map(|(_, had)| had);
            let moments = [had, kept.asked.as_mut(), kept.failed.as_mut()];
            for moment in moments.into_iter().flatten() {
                *moment = moment.checked_sub(by).unwrap();
            }
        }

        async fn key(&self, id: &str) -> Result<(), Denied> {
            self.ring.key(Some(id), Algorithm::ES256).await.map(drop)
        }

        /// What comes of it without waiting for the issuer.
        async fn key_at_once(&self, id: &str) -> Result<(), Denied> {
            let at_once = timeout(Duration::from_secs(2), self.key(id)).await;
            at_once.expect("it waits")
        }

        async fn is_asked(&self, times: usize) {
            let asked = async {
                while self.asked.load(Ordering::SeqCst) < times {
                    tokio::task::yield_now().await;
                }
            };
            timeout(Duration::from_secs(2), asked)
                .await
                .expect("it is not asked");
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
    const NONE: Result<(), Denied> = Err(Denied::Invalid(
        "the token's key is none of the authorization server's",
    ));

    #[tokio::test]
    async fn a_token_with_an_unknown_key_keeps_nobody_else_waiting() {
        let issuer = Arc::new(Issuer::heard().await);
        issuer.says(Says::Nothing);
        issuer.later(ASK_INTERVAL + SECOND);
        let begun = Instant::now();
        let other = Arc::clone(&issuer);
        let strangers: Vec<_> = (0..3)
            .map(|_| {
                let other = Arc::clone(&other);
                tokio::spawn(async move { other.key("unknown").await })
            })
            .collect();
        issuer.is_asked(2).await;
        assert_eq!(issuer.key_at_once("first").await, Ok(()));
        for stranger in strangers {
            assert_eq!(stranger.await.unwrap(), NONE);
        }
        assert!(begun.elapsed() < FETCH_TIME_MAX * 2, "{:?}", begun.elapsed());
        assert_eq!(
            issuer.asked.load(Ordering::SeqCst),
            2,
            "all of them are one question"
        );
    }

    #[tokio::test]
    async fn who_goes_away_takes_no_answer_along() {
        let issuer = Issuer::heard().await;
        issuer.says(Says::Key("second"));
        issuer.later(ASK_INTERVAL + SECOND);
        // Polled once: the question is asked, and nobody is there any more.
        assert_eq!(issuer.key("second").now_or_never(), None);
        issuer.is_asked(2).await;
        assert_eq!(issuer.key_at_once("second").await, Ok(()));
    }

    #[tokio::test]
    async fn old_keys_are_used_while_they_are_asked_for() {
        let issuer = Issuer::heard().await;
        issuer.says(Says::Nothing);
        issuer.later(KEYS_TIME + SECOND);
        assert_eq!(issuer.key_at_once("first").await, Ok(()));
        issuer.is_asked(2).await;
        assert_eq!(issuer.key_at_once("first").await, Ok(()));
    }

    #[tokio::test]
    async fn a_key_that_was_taken_back_stops_counting() {
        let issuer = Issuer::heard().await;
        issuer.says(Says::Key("second"));
        issuer.later(KEYS_TIME + STALE_TIME + SECOND);
        assert_eq!(issuer.key("first").await, NONE);
        assert_eq!(issuer.key("second").await, Ok(()));
        // However long ago it was that they could not be had.
        issuer.says(Says::Fails);
        issuer.later(KEYS_TIME + SECOND);
        assert_eq!(issuer.key("second").await, Ok(()));
        issuer.is_asked(3).await;
        issuer.says(Says::Key("third"));
        issuer.later(STALE_TIME + SECOND);
        assert_eq!(issuer.key("second").await, NONE);
    }

    #[tokio::test]
    async fn keys_count_for_a_day_when_they_cannot_be_had() {
        let issuer = Issuer::heard().await;
        issuer.says(Says::Fails);
        issuer.later(KEYS_TIME_MAX - SECOND * 10);
        assert_eq!(issuer.key("first").await, Ok(()));
        // Nobody waits for an issuer that has just failed.
        issuer.says(Says::Nothing);
        issuer.later(SECOND);
        assert_eq!(issuer.key_at_once("first").await, Ok(()));
        issuer.says(Says::Fails);
        issuer.later(STALE_TIME);
        assert_eq!(issuer.key("first").await, Err(Denied::Unknown));
    }
}
