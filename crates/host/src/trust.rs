//! Whose signature counts: the rules of the ceiling, applied to what was found beside a manifest.
//!
//! A signature is verified over the digest of the manifest, before anything that the manifest names is downloaded. Where no
//! rule asks for one it is looked at all the same, so that a version signed by somebody else, or by nobody, is noticed.

use crate::Host;
use crate::ceiling::{Above, BROKEN_CEILING};
use crate::command::Actor;
use crate::error::HostError;
use crate::load::reach;
use crate::update::known;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use wassette_fetch::{Reach, Resolved, Signature, SignatureMaterial};
use wassette_policy::{Ceiling, SignatureMode, SignatureRule, TrustedSigner};
use wassette_signature::{Finding, Material, Observed, PublicKey, Roots, Signer, SignerRule, Verifier};
use wassette_store::{ComponentId, Digest, OciReference, Reference};

/// Who signed a version, as far as it was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) signers: Vec<String>,
}

/// Everything that was found out about the signatures of a version.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// What was looked at.
    pub reference: String,
    /// The manifest that the signatures are about; files and URLs have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// Each signature that was found.
    pub signatures: Vec<SignatureFound>,
    /// What the ceiling's rule for this source is: `require`, `warn` or `off`.
    pub rule: &'static str,
    /// Whether the rule accepts it.
    pub accepted: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One signature.
#[derive(Clone, Debug, Serialize)]
pub struct SignatureFound {
    /// Who made it; `None` when that cannot be proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// What is wrong with it, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// What the rules of the ceiling say of a source.
struct Rule<'a> {
    mode: SignatureMode,
    rule: Option<&'a SignatureRule>,
}

impl<'a> Rule<'a> {
    fn of(ceiling: Option<&'a Ceiling>, reference: &str) -> Self {
        let rule = ceiling.and_then(|ceiling| ceiling.signature_rule(reference));
        Self {
            mode: rule.map_or(SignatureMode::Off, SignatureRule::mode),
            rule,
        }
    }

    /// Those whose signatures count. One that cannot be read makes the rule unusable, not void.
    fn signers(&self) -> Result<Vec<SignerRule>, String> {
        let broken =
            |error: &dyn fmt::Display| format!("a signer in its `signatures` cannot be used: {error}");
        let signers = self.rule.map_or(&[][..], SignatureRule::signers).iter();
        signers
            .map(|signer| match signer {
                TrustedSigner::Keyless(trusted) => {
                    SignerRule::keyless(trusted.identity(), trusted.issuer()).map_err(|error| broken(&error))
                }
                TrustedSigner::Key(trusted) => {
                    let key = PublicKey::from_pem(trusted.pem());
                    key.map(SignerRule::Key).map_err(|error| broken(&error))
                }
            })
            .collect()
    }
}

/// Whether everything that a reference leads to must be signed.
pub(crate) fn requires_signature(above: &Above, reference: &str) -> bool {
    match above {
        Above::Ceiling(ceiling) => Rule::of(Some(ceiling), reference).mode == SignatureMode::Require,
        Above::Nothing | Above::Broken(_) => false,
    }
}

/// Whether a component that is there has the signatures that the rules want now.
pub(crate) fn check_signers(ceiling: &Ceiling, reference: &str, signers: &[String]) -> Result<(), String> {
    let rule = Rule::of(Some(ceiling), reference);
    match rule.mode {
        SignatureMode::Off | SignatureMode::Warn => Ok(()),
        SignatureMode::Require => {
            let trusted = rule.signers()?;
            let is_trusted = |text: &String| {
                let signer = text.parse::<Signer>();
                signer.is_ok_and(|signer| trusted.iter().any(|rule| rule.means(&signer)))
            };
            if signers.iter().any(is_trusted) {
                Ok(())
            } else if signers.is_empty() {
                Err("it is not signed".to_owned())
            } else {
                Err(format!("it is signed by {}", signers.join(", ")))
            }
        }
    }
}

/// What signatures are about: a manifest, and the index that names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) reference: &'a OciReference,
    pub(crate) manifest: Digest,
    pub(crate) index: Option<Digest>,
}

impl<'a> From<&'a Resolved> for Signed<'a> {
    fn from(resolved: &'a Resolved) -> Self {
        Self {
            reference: &resolved.reference,
            manifest: resolved.manifest,
            index: resolved.index,
        }
    }
}

/// The signatures of one digest.
struct Group {
    digest: Digest,
    materials: Vec<Material>,
}

/// Every signature that was found, by what it is about.
struct Materials(Vec<Group>);

impl Materials {
    fn of(found: Vec<Signature>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for Signature { subject, material } in found {
            let material = self::material(material);
            match groups.iter_mut().find(|group| group.digest == subject) {
                Some(group) => group.materials.push(material),
                None => groups.push(Group {
                    digest: subject,
                    materials: vec![material],
                }),
            }
        }
        Self(groups)
    }

    /// Those who are trusted and signed; each once.
    fn verified(&self, verifier: &Verifier, trusted: &[SignerRule]) -> Result<Vec<String>, String> {
        let (mut signers, mut reasons) = (Vec::new(), Vec::new());
        for group in &self.0 {
            match verifier.verify(group.digest.as_bytes(), &group.materials, trusted) {
                Ok(found) => signers.extend(found.iter().map(ToString::to_string)),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        signers.sort();
        signers.dedup();
        match (signers.is_empty(), reasons.is_empty()) {
            (false, _) => Ok(signers),
            (true, false) => Err(reasons.join("; ")),
            (true, true) => Err("it is not signed".to_owned()),
        }
    }

    /// Each signature and what was found about it.
    fn observed(&self, verifier: &Verifier, trusted: &[SignerRule]) -> Result<Vec<Observed>, String> {
        let mut all = Vec::new();
        for group in &self.0 {
            let observed = verifier.observe(group.digest.as_bytes(), &group.materials, trusted);
            all.extend(observed.map_err(|error| error.to_string())?);
        }
        Ok(all)
    }
}

impl Host {
    /// Decides about the signatures of a manifest, by the rule for its source.
    pub(crate) async fn verdict(
        &self,
        signed: impl Into<Signed<'_>>,
        reach: &Reach,
    ) -> Result<Verdict, HostError> {
        let signed = signed.into();
        let above = self.usable_ceiling()?;
        let reference = signed.reference.to_string();
        let rule = Rule::of(above.as_deref(), &reference);
        let materials = match (self.materials(signed, reach).await, rule.mode) {
            (Ok(materials), _) => materials,
            (Err(error), SignatureMode::Require) => return Err(error),
            // Nobody asked for signatures. That one is missing that was there before is noticed all the same.
            (Err(error), SignatureMode::Warn | SignatureMode::Off) => {
                tracing::warn!(%reference, %error, "its signatures could not be asked for");
                Materials(Vec::new())
            }
        };
        let verifier = self.verifier()?;
        let untrusted = |reason: String| HostError::Untrusted {
            reference: reference.clone(),
            reason,
        };
        let trusted = rule.signers().map_err(untrusted)?;
        match (materials.verified(verifier, &trusted), rule.mode) {
            (Ok(signers), _) => Ok(Verdict { signers }),
            (Err(reason), SignatureMode::Require) => Err(untrusted(reason)),
            (Err(reason), mode @ (SignatureMode::Warn | SignatureMode::Off)) => {
                if mode == SignatureMode::Warn {
                    tracing::warn!(%reference, %reason, "it is not signed by whom the ceiling names");
                }
                let observed = materials.observed(verifier, &trusted).unwrap_or_default();
                let mut signers: Vec<_> = observed.into_iter().filter_map(holds).collect();
                signers.sort();
                signers.dedup();
                Ok(Verdict { signers })
            }
        }
    }

    /// Decides about what cannot carry a signature.
    pub(crate) fn verdict_without_signatures(&self, reference: &Reference) -> Result<Verdict, HostError> {
        let above = self.usable_ceiling()?;
        let reference = reference.to_string();
        let rule = Rule::of(above.as_deref(), &reference);
        match rule.mode {
            SignatureMode::Require => Err(HostError::Untrusted {
                reference,
                reason: "only what is in a registry can be signed".to_owned(),
            }),
            SignatureMode::Warn => {
                tracing::warn!(%reference, "it is not signed");
                Ok(Verdict::default())
            }
            SignatureMode::Off => Ok(Verdict::default()),
        }
    }

    fn usable_ceiling(&self) -> Result<Option<Arc<Ceiling>>, HostError> {
        match &*self.above() {
            Above::Nothing => Ok(None),
            Above::Ceiling(ceiling) => Ok(Some(Arc::clone(ceiling))),
            Above::Broken(reason) => Err(HostError::NoCeiling(format!("{BROKEN_CEILING}: {reason}"))),
        }
    }

    /// What lies beside a manifest.
    async fn materials(&self, signed: Signed<'_>, reach: &Reach) -> Result<Materials, HostError> {
        let (manifest, index) = (signed.manifest, signed.index);
        let found = self
            .inner
            .fetcher
            .signatures_of(signed.reference, (manifest, index), reach)
            .await;
        found.map(Materials::of).map_err(HostError::network)
    }

    /// Made when the first signature is looked at: the root of trust takes a while to read.
    fn verifier(&self) -> Result<&Verifier, HostError> {
        let broken = |reason: String| HostError::TrustedRoot { reason };
        if let Some(verifier) = self.inner.verifier.get() {
            return Ok(verifier);
        }
        let roots = match &self.inner.config.trusted_root {
            Some(json) => Roots::from_json(json),
            None => Roots::public_good(),
        };
        let roots = roots.map_err(|error| broken(error.to_string()))?;
        Ok(self.inner.verifier.get_or_init(|| Verifier::new(roots)))
    }

    /// Looks at the signatures of a loaded component where it came from.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownComponent`], [`HostError::Fetch`], [`HostError::NoCeiling`].
    pub async fn verify_loaded(&self, id: &ComponentId) -> Result<Verification, HostError> {
        let catalog = self.catalog();
        let known = known(&catalog, id)?;
        let reference: Reference = known.origin.parse().map_err(|_| HostError::Damaged {
            id: id.clone(),
            reason: "its origin is no reference".to_owned(),
        })?;
        // What is loaded is verified, whatever the tag points to by now.
        match (&reference, known.provenance.named()) {
            (Reference::Oci(oci), Some(manifest)) => {
                self.verify(&Reference::Oci(oci.with_digest(manifest))).await
            }
            (Reference::Oci(_) | Reference::File(_) | Reference::Starter(_) | Reference::Https(_), _) => {
                self.verify(&reference).await
            }
        }
    }

    /// Looks at the signatures of what a reference leads to, and says whether they would be accepted.
    ///
    /// # Errors
    ///
    /// [`HostError::Fetch`], [`HostError::NoCeiling`].
    pub async fn verify(&self, reference: &Reference) -> Result<Verification, HostError> {
        self.refresh().await?;
        self.check_source(reference)?;
        let above = self.usable_ceiling()?;
        let text = reference.to_string();
        let rule = Rule::of(above.as_deref(), &text);
        let (manifest, signatures, decided) = match reference {
            Reference::Oci(oci) => {
                let reach = reach(&Actor::Operator);
                let resolved = self.inner.fetcher.resolve(oci, &reach).await;
                let resolved = resolved.map_err(HostError::network)?;
                let materials = self.materials(Signed::from(&resolved), &reach).await?;
                let trusted = rule.signers().unwrap_or_default();
                let observed = materials.observed(self.verifier()?, &trusted).unwrap_or_default();
                let signatures = observed.into_iter().map(SignatureFound::of).collect();
                (
                    Some(resolved.named()),
                    signatures,
                    self.verdict(&resolved, &reach).await,
                )
            }
            Reference::File(_) | Reference::Starter(_) | Reference::Https(_) => {
                (None, Vec::new(), self.verdict_without_signatures(reference))
            }
        };
        let reason = match decided {
            Ok(_) => None,
            Err(HostError::Untrusted { reason, .. }) => Some(reason),
            Err(error) => return Err(error),
        };
        Ok(Verification {
            reference: text,
            manifest,
            signatures,
            rule: rule.mode.as_str(),
            accepted: reason.is_none(),
            reason,
        })
    }
}

impl SignatureFound {
    fn of(observed: Observed) -> Self {
        match observed.finding {
            Finding::Holds(signer) => Self {
                signer: Some(signer.to_string()),
                fault: None,
            },
            Finding::Refused(reason) => Self {
                signer: None,
                fault: Some(reason.to_string()),
            },
        }
    }
}

/// Who made a signature that holds.
fn holds(observed: Observed) -> Option<String> {
    match observed.finding {
        Finding::Holds(signer) => Some(signer.to_string()),
        Finding::Refused(_) => None,
    }
}

fn material(found: SignatureMaterial) -> Material {
    match found {
        SignatureMaterial::Bundle(bytes) => Material::Bundle(bytes),
        SignatureMaterial::Cosign {
            payload,
            signature,
            certificate,
            chain,
            bundle,
        } => Material::Cosign {
            payload,
            signature,
            certificate,
            chain,
            bundle,
        },
    }
}
