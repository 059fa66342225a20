//! Secrets of components, and what else of this process a call is given.
//!
//! A secret belongs to the component under one id from one origin: it goes with the component, so that nothing which
//! later takes the id finds it. The keyring is asked only when a secret is needed.

use crate::Host;
use crate::catalog::Component;
use crate::code::blocking;
use crate::error::HostError;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use wassette_policy::Policy;
use wassette_sandbox::Surroundings;
use wassette_secrets::{SecretName, Secrets, SecretsError};
use wassette_store::ComponentId;

/// Variables that may be handed to components, by name. Their values may be secret, so they are not shown.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Later ones replace earlier ones of the same name.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// Those that a policy names and gives no value of its own.
    pub(crate) fn named_by(&self, policy: &Policy) -> BTreeMap<String, String> {
        let named = policy.rules().environment.iter();
        let named = named.filter(|rule| rule.value().is_none());
        named
            .filter_map(|rule| Some((rule.name().to_owned(), self.0.get(rule.name())?.clone())))
            .collect()
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Host {
    /// The names of a component's secrets. Nothing gives their values.
    ///
    /// # Errors
    ///
    /// [`HostError::UnknownComponent`], [`HostError::Secrets`].
    pub async fn secret_names(&self, id: &ComponentId) -> Result<Vec<SecretName>, HostError> {
        self.refresh().await?;
        self.known(id)?;
        let id = id.clone();
        self.with_secrets(move |secrets| secrets.names(&id)).await
    }

    pub(crate) async fn set_secret(
        &self,
        id: &ComponentId,
        name: &SecretName,
        value: SecretString,
    ) -> Result<(), HostError> {
        self.refresh().await?;
        self.known(id)?;
        let (id, name) = (id.clone(), name.clone());
        self.with_secrets(move |secrets| secrets.set(&id, &name, value))
            .await
    }

    pub(crate) async fn delete_secret(&self, id: &ComponentId, name: &SecretName) -> Result<bool, HostError> {
        self.refresh().await?;
        self.known(id)?;
        let (id, name) = (id.clone(), name.clone());
        self.with_secrets(move |secrets| secrets.delete(&id, &name)).await
    }

    /// Forgets all secrets of an id.
    pub(crate) async fn forget_secrets(&self, id: &ComponentId) -> Result<(), HostError> {
        // Where no secret was ever set, nothing is made to look for one.
        if !self.inner.config.secrets.folder.exists() {
            return Ok(());
        }
        let id = id.clone();
        self.with_secrets(move |secrets| secrets.delete_all(&id).map(drop))
            .await
    }

    /// What a call of a component is given of this process, as far as its policy names it. Costs nothing where the
    /// policy names no secret.
    ///
    /// A secret that cannot be read is left out: the gate then denies the requests that need it.
    pub(crate) async fn surroundings(&self, component: &Component) -> Arc<Surroundings> {
        if component.secrets.is_empty() {
            return Arc::clone(&component.surroundings);
        }
        let (id, names) = (component.id.clone(), component.secrets.clone());
        // Boxed, because every call carries the size of this future and few come here.
        let read = Box::pin(self.with_secrets(move |secrets| values(secrets, &id, &names))).await;
        let is_missing_secrets = read.is_err();
        let secrets = read.unwrap_or_else(|error| {
            let component = &component.id;
            tracing::warn!(%component, error = &error as &dyn std::error::Error, "secrets cannot be read");
            BTreeMap::new()
        });
        Arc::new(Surroundings {
            variables: component.surroundings.variables.clone(),
            secrets,
            is_missing_secrets,
        })
    }

    /// Works with the secrets, opened the first time. The work may block.
    async fn with_secrets<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Secrets) -> Result<T, SecretsError> + Send + 'static,
    ) -> Result<T, HostError> {
        let failed = |source| HostError::Secrets { source };
        let open = || async {
            let config = self.inner.config.secrets.clone();
            blocking(move || Secrets::open(&config)).await?.map_err(failed)
        };
        let secrets = self.inner.secrets.get_or_try_init(open).await?.clone();
        blocking(move || work(&secrets)).await?.map_err(failed)
    }

    fn known(&self, id: &ComponentId) -> Result<(), HostError> {
        match self.catalog().component(id) {
            Some(_) => Ok(()),
            None => Err(HostError::UnknownComponent { id: id.clone() }),
        }
    }
}

fn values(
    secrets: &Secrets,
    id: &ComponentId,
    names: &[SecretName],
) -> Result<BTreeMap<String, SecretString>, SecretsError> {
    let mut values = BTreeMap::new();
    for name in names {
        if let Some(value) = secrets.get(id, name)? {
            values.insert(name.to_string(), value);
        }
    }
    Ok(values)
}
