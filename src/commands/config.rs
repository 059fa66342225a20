//! `wassette config`: what is set, and where it was set.

use crate::cli::ConfigCommand;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::{Output, line, table};

pub(crate) fn run(config: &Config, command: &ConfigCommand, output: Output) -> Result<(), Exit> {
    match command {
        ConfigCommand::Path => line(&config.path.display().to_string()),
        ConfigCommand::Show => output.print(config, people),
    }
}

#[expect(clippy::too_many_lines, reason = "one row for each setting")]
fn people(config: &Config) -> String {
    let sources: Vec<_> = config
        .agent_sources
        .value
        .iter()
        .map(ToString::to_string)
        .collect();
    let paths = |paths: &[std::path::PathBuf]| {
        let texts: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        texts.join(", ")
    };
    let mirrors: Vec<_> = config
        .registry_mirrors
        .value
        .iter()
        .map(|(of, at)| format!("{of} at {at}"))
        .collect();
    let rows = [
        (
            "component_dir",
            config.component_dir.value.display().to_string(),
            config.component_dir.source,
        ),
        ("log", config.log.value.clone(), config.log.source),
        ("agent_sources", sources.join(", "), config.agent_sources.source),
        (
            "hardened",
            config.hardened.value.to_string(),
            config.hardened.source,
        ),
        (
            "approve_in_client",
            config.approve_in_client.value.to_string(),
            config.approve_in_client.source,
        ),
        (
            "ceiling",
            config
                .ceiling
                .value
                .as_ref()
                .map_or("none".to_owned(), |path| path.display().to_string()),
            config.ceiling.source,
        ),
        (
            "secrets_dir",
            config.secrets_dir.value.display().to_string(),
            config.secrets_dir.source,
        ),
        (
            "secrets_backend",
            config.secrets_backend.value.as_str().to_owned(),
            config.secrets_backend.source,
        ),
        (
            "catalogues",
            config.catalogues.value.join(", "),
            config.catalogues.source,
        ),
        (
            "revocation_feeds",
            config.revocation_feeds.value.join(", "),
            config.revocation_feeds.source,
        ),
        (
            "revocation_grace",
            config.revocation_grace.value.to_string(),
            config.revocation_grace.source,
        ),
        (
            "trusted_root",
            config
                .trusted_root
                .value
                .as_ref()
                .map_or("public Sigstore".to_owned(), |path| path.display().to_string()),
            config.trusted_root.source,
        ),
        (
            "registry_ca",
            paths(&config.registry_ca.value),
            config.registry_ca.source,
        ),
        (
            "registry_mirrors",
            mirrors.join(", "),
            config.registry_mirrors.source,
        ),
        (
            "registry_credential_helpers",
            config.registry_credential_helpers.value.to_string(),
            config.registry_credential_helpers.source,
        ),
    ];
    table(
        ["SETTING", "VALUE", "FROM"],
        rows.map(|(name, value, source)| [name.to_owned(), value, source.to_string()]),
    )
}
