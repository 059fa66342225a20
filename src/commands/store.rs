//! `wassette store`: copies of the component store, and whether it is whole.

use super::open;
use crate::cli::StoreCommand;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::Output;
use indicatif::HumanBytes;
use serde_json::json;
use std::path::Path;
use wassette_host::{BackupError, CheckReport, Copied, Host};

pub(crate) async fn run(config: &Config, command: &StoreCommand, output: Output) -> Result<(), Exit> {
    match command {
        StoreCommand::Backup { target } => {
            let target = config.current_dir.join(target);
            let copied = open(config).await?.backup(&target).await;
            done("copied to", &target, copied, output)
        }
        StoreCommand::Restore { source } => {
            let (source, folder) = (config.current_dir.join(source), &config.component_dir.value);
            done(
                "restored to",
                folder,
                Host::restore(&source, folder).await,
                output,
            )
        }
        StoreCommand::Check => check(&open(config).await?, output).await,
    }
}

fn done(what: &str, folder: &Path, copied: Result<Copied, BackupError>, output: Output) -> Result<(), Exit> {
    let Copied {
        records,
        blobs,
        bytes,
    } = copied.map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        let exit = Exit::failed(error);
        hint.into_iter().fold(exit, Exit::with_hint)
    })?;
    let data = json!({
        "status": "success", "folder": folder, "components": records, "blobs": blobs, "bytes": bytes,
    });
    output.print(&data, |_| {
        format!(
            "{records} components, {} in {blobs} blobs, {what} {}",
            HumanBytes(bytes),
            folder.display()
        )
    })
}

async fn check(host: &Host, output: Output) -> Result<(), Exit> {
    let report = host.check_store().await?;
    let whole = report.is_whole();
    let CheckReport {
        records,
        versions,
        blobs,
        bytes,
        missing,
        damaged,
        ..
    } = report;
    let data = json!({
        "components": records, "versions": versions, "blobs": blobs, "bytes": bytes, "missing": missing, "damaged": damaged,
    });
    output.print(&data, |_| {
        let mut text = format!(
            "{records} components and {versions} earlier versions, {} in {blobs} blobs",
            HumanBytes(bytes)
        );
        for (what, digests) in [("missing", &missing), ("damaged", &damaged)] {
            for digest in digests {
                text.push_str(&format!("\n  {what}: {digest}"));
            }
        }
        text
    })?;
    if whole {
        return Ok(());
    }
    Err(Exit::failed(anyhow::anyhow!("the store is not whole"))
        .with_hint("load the components again that need what is missing or damaged, or restore a copy"))
}
