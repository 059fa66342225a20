//! The decision: which of the signatures that lie beside a manifest hold, and whether one of them counts.

use std::fmt;

use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy};

use crate::key::PublicKey;
use crate::material::{Claim, Layout, MATERIALS_MAX, Material};
use crate::reason::{Reason, one_line};
use crate::roots::Roots;
use crate::signer::{Keyless, Signer, SignerRule};

/// Verifies signatures against roots of trust.
#[derive(Debug)]
pub struct Verifier {
    roots: Roots,
}

impl Verifier {
    /// A verifier that trusts certificates, logs and timestamps under these roots.
    pub fn new(roots: Roots) -> Self {
        Self { roots }
    }

    /// Who of the trusted signed the manifest with this SHA-256: at least one, each once.
    ///
    /// One signature that counts suffices: whoever may write to the registry can lay bad ones beside it.
    ///
    /// # Errors
    ///
    /// When there is no signature, none that counts, no rule, or more signatures than are looked at.
    pub fn verify(
        &self,
        manifest: &[u8; 32],
        materials: &[Material],
        trusted: &[SignerRule],
    ) -> Result<Vec<Signer>, VerifyError> {
        if trusted.is_empty() {
            return Err(VerifyError::NoRule);
        }
        let mut signers = Vec::new();
        let mut failures = Vec::new();
        for observed in self.observe(manifest, materials, trusted)? {
            match decide(observed, trusted) {
                Ok(signer) if signers.contains(&signer) => {}
                Ok(signer) => signers.push(signer),
                Err(failure) => failures.push(failure),
            }
        }
        match (signers.is_empty(), failures.is_empty()) {
            (false, _) => Ok(signers),
            (true, false) => Err(VerifyError::Untrusted(failures)),
            (true, true) => Err(VerifyError::Unsigned),
        }
    }

    /// What lies beside the manifest with this SHA-256, in its order, whether or not anybody trusts it.
    ///
    /// Of the rules only the keys are used: without its key such a signature says nothing. SECURITY: that a signature
    /// holds is not a reason to run anything; anybody can sign. Only [`Verifier::verify`] decides.
    ///
    /// # Errors
    ///
    /// When there are more than [`MATERIALS_MAX`].
    pub fn observe(
        &self,
        manifest: &[u8; 32],
        materials: &[Material],
        rules: &[SignerRule],
    ) -> Result<Vec<Observed>, VerifyError> {
        if materials.len() > MATERIALS_MAX {
            return Err(VerifyError::TooMany(materials.len()));
        }
        let observed = materials.iter().enumerate().map(|(index, material)| Observed {
            number: index + 1,
            layout: material.layout(),
            finding: match self.signer(manifest, material, rules) {
                Ok(signer) => Finding::Holds(signer),
                Err(reason) => Finding::Refused(reason),
            },
        });
        Ok(observed.collect())
    }

    fn signer(
        &self,
        manifest: &[u8; 32],
        material: &Material,
        rules: &[SignerRule],
    ) -> Result<Signer, Reason> {
        let claim = Claim::read(material, manifest)?;
        match claim.bundle.signing_certificate() {
            Some(_) => self.by_certificate(&claim).map(Signer::Keyless),
            None => self.by_key(&claim, rules),
        }
    }

    /// Verifies everything but who it is, and says who: one verification serves all rules. SECURITY: the result is
    /// compared with a rule in `decide`, which takes an identity together with its issuer and nothing less.
    fn by_certificate(&self, claim: &Claim<'_>) -> Result<Keyless, Reason> {
        let policy = VerificationPolicy::any_identity();
        let result = self
            .roots
            .verifier
            .verify(claim.artifact(), &claim.bundle, &policy);
        let result = result.map_err(invalid)?;
        if !(result.certificate_verified() && result.sct_verified() && result.tlog_verified()) {
            return Err(Reason::Invalid("not everything was verified".to_owned()));
        }
        let (Some(identity), Some(issuer)) = (result.identity(), result.issuer()) else {
            return Err(Reason::NoIdentity);
        };
        Keyless::new(identity.as_str(), issuer).map_err(|_| Reason::NoIdentity)
    }

    /// A key that a rule names needs no log to confirm it; but what is there of logs and timestamps must hold.
    fn by_key(&self, claim: &Claim<'_>, rules: &[SignerRule]) -> Result<Signer, Reason> {
        let mut keys = rules.iter().filter_map(key_of);
        let key = keys.find(|key| claim.is_confirmed_by(key));
        let Some(key) = key else {
            return Err(Reason::UnknownKey(claim.hint()));
        };
        let policy = PublicKeyVerificationPolicy::new(key.der().clone());
        let policy = match (claim.entries(), claim.timestamps()) {
            (0, 0) => return Ok(Signer::Key(key.fingerprint())),
            // There is no entry which it would skip; without it, the timestamps could not be verified.
            (0, _) => policy.skip_tlog_unsafe(),
            _ => policy,
        };
        let result = self
            .roots
            .verifier
            .verify(claim.artifact(), &claim.bundle, &policy);
        result.map_err(invalid)?;
        Ok(Signer::Key(key.fingerprint()))
    }
}

fn key_of(rule: &SignerRule) -> Option<&PublicKey> {
    match rule {
        SignerRule::Key(key) => Some(key),
        SignerRule::Keyless { .. } => None,
    }
}

fn invalid(error: sigstore_verify::Error) -> Reason {
    Reason::Invalid(one_line(&error.to_string()))
}

fn decide(observed: Observed, trusted: &[SignerRule]) -> Result<Signer, Failure> {
    let reason = match observed.finding {
        Finding::Holds(signer) if trusted.iter().any(|rule| rule.means(&signer)) => return Ok(signer),
        Finding::Holds(Signer::Keyless(keyless)) => Reason::UntrustedIdentity(keyless),
        Finding::Holds(Signer::Key(fingerprint)) => Reason::UnknownKey(Some(fingerprint.to_string())),
        Finding::Refused(reason) => reason,
    };
    Err(Failure {
        number: observed.number,
        layout: observed.layout,
        reason,
    })
}

/// One signature, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Which one, from 1.
    pub number: usize,
    /// How it was laid down.
    pub layout: Layout,
    /// What was found.
    pub finding: Finding,
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signature {} ({}): ", self.number, self.layout)?;
        match &self.finding {
            Finding::Holds(signer) => write!(f, "holds, by {signer}"),
            Finding::Refused(reason) => write!(f, "{reason}"),
        }
    }
}

/// What was found about one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It was made by this signer over this manifest. Whether the signer is trusted is another question.
    Holds(Signer),
    /// It does not count.
    Refused(Reason),
}

/// One signature that does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which one, from 1.
    pub number: usize,
    /// How it was laid down.
    pub layout: Layout,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signature {} ({}): {}", self.number, self.layout, self.reason)
    }
}

/// Why nobody who is trusted signed a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No rule names anybody.
    #[error("no rule says whose signature counts")]
    NoRule,
    /// There is no signature at all.
    #[error("there is no signature")]
    Unsigned,
    /// More signatures than [`MATERIALS_MAX`].
    #[error("{0} signatures; at most {MATERIALS_MAX} are looked at")]
    TooMany(usize),
    /// Signatures, but none that counts.
    #[error("no signature counts: {}", lines(.0))]
    Untrusted(Vec<Failure>),
}

impl VerifyError {
    /// Each signature that does not count, one a line.
    pub fn failures(&self) -> &[Failure] {
        match self {
            Self::Untrusted(failures) => failures,
            Self::NoRule | Self::Unsigned | Self::TooMany(_) => &[],
        }
    }
}

fn lines(failures: &[Failure]) -> String {
    let lines: Vec<_> = failures.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
