//! What one component may do and is given, as it follows from its record and from what applies to all.

use crate::catalog::{EMPTY_POLICY, read_policy};
use crate::ceiling::{Above, BROKEN_CEILING};
use crate::feed::Freshness;
use crate::protect::Protection;
use crate::secrets::Variables;
use crate::state::Unavailable;
use crate::trust;
use crate::version::Provenance;
use std::sync::Arc;
use wassette_policy::{Authority, Effect, Limits, Policy};
use wassette_sandbox::Surroundings;
use wassette_secrets::SecretName;
use wassette_store::Record;

/// What applies to all components, and from which, with its record, follows what one of them may do.
pub(crate) struct Terms<'a> {
    pub(crate) above: &'a Above,
    pub(crate) defaults: &'a Limits,
    pub(crate) variables: &'a Variables,
    pub(crate) protection: &'a Protection,
    pub(crate) freshness: &'a Freshness,
}

/// What one component may do and is given.
#[derive(Clone)]
pub(crate) struct Standing {
    pub(crate) policy: Arc<Policy>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) secrets: Vec<SecretName>,
}

impl Standing {
    /// Both layers can keep a function from being offered.
    pub(crate) fn offers(&self, function: &str) -> bool {
        let above = self.authority.ceiling();
        self.policy.offers_tool(function) && above.is_none_or(|above| above.offers_tool(function))
    }
}

impl Terms<'_> {
    /// For a component that was granted nothing.
    pub(crate) fn nothing(&self) -> Standing {
        let policy = Arc::new(Policy::empty());
        Standing {
            authority: Arc::new(self.authority(&policy)),
            policy,
            surroundings: Arc::default(),
            secrets: Vec::new(),
        }
    }

    fn authority(&self, policy: &Arc<Policy>) -> Authority {
        let above = match self.above {
            Above::Ceiling(ceiling) => Some(Arc::clone(ceiling.policy())),
            Above::Nothing | Above::Broken(_) => None,
        };
        Authority::new(Arc::clone(policy), above, self.defaults)
    }

    /// What a record's policy amounts to, or why it amounts to nothing. Agents see the reason: no path is in it.
    pub(crate) fn standing(
        &self,
        record: &Record,
        provenance: &Provenance,
        nothing: &Standing,
    ) -> Result<Standing, Unavailable> {
        self.check_source(record)?;
        self.check_signers(record, provenance)?;
        self.check_feeds(record)?;
        if record.policy == EMPTY_POLICY {
            return Ok(nothing.clone());
        }
        let policy = read_policy(&record.policy)
            .map_err(|reason| Unavailable::because("its policy is not understood", reason))?;
        if policy == *nothing.policy {
            return Ok(nothing.clone());
        }
        if let Above::Ceiling(ceiling) = self.above {
            policy.within(ceiling.policy()).map_err(|excess| {
                Unavailable::because("its policy is not within the operator's ceiling", excess)
            })?;
        }
        for rule in policy.storage(Effect::Allow) {
            let path = rule.pattern().prefix();
            // Our own folders may be elsewhere than when it was granted.
            let checked = self.protection.check(&path, &path);
            checked.map_err(|kept| Unavailable::because("its policy grants what cannot be granted", kept))?;
        }
        let secrets = secret_names(&policy)?;
        let policy = Arc::new(policy);
        Ok(Standing {
            authority: Arc::new(self.authority(&policy)),
            surroundings: Arc::new(Surroundings {
                variables: self.variables.named_by(&policy),
                ..Surroundings::default()
            }),
            secrets,
            policy,
        })
    }

    fn check_source(&self, record: &Record) -> Result<(), Unavailable> {
        match self.above {
            Above::Nothing => Ok(()),
            Above::Broken(reason) => Err(Unavailable::because(BROKEN_CEILING, reason)),
            Above::Ceiling(ceiling) if ceiling.allows_source(&record.origin) => Ok(()),
            Above::Ceiling(_) => {
                let reason = "the operator's ceiling does not allow components from where it came from";
                Err(Unavailable::plain(reason.to_owned()))
            }
        }
    }
}

impl Terms<'_> {
    /// The rules about signatures may be newer than the component.
    fn check_signers(&self, record: &Record, provenance: &Provenance) -> Result<(), Unavailable> {
        let Above::Ceiling(ceiling) = self.above else {
            return Ok(());
        };
        trust::check_signers(ceiling, &record.origin, &provenance.signers).map_err(|reason| {
            Unavailable::because("the operator's ceiling does not accept its signatures", reason)
        })
    }

    /// Without news from the feeds nobody can say that what came from the network is not revoked.
    fn check_feeds(&self, record: &Record) -> Result<(), Unavailable> {
        let is_remote = record.origin.starts_with("oci://") || record.origin.starts_with("https://");
        match &self.freshness.stale {
            Some(reason) if is_remote => Err(Unavailable::because(
                "nobody can say whether it is revoked",
                reason,
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// The secrets a policy names, each once.
fn secret_names(policy: &Policy) -> Result<Vec<SecretName>, Unavailable> {
    let mut names = Vec::new();
    for rule in &policy.rules().secrets {
        let name = rule.name().parse();
        names.push(name.map_err(|error| Unavailable::because("its policy names no secret", error))?);
    }
    names.sort();
    names.dedup();
    Ok(names)
}
