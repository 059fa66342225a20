//! What has to be so before `wassette serve` says that it is ready. All else is served meanwhile.

use super::manifest;
use crate::config::Config;
use crate::exit::Exit;
use crate::output::note;
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use wassette_host::Host;
use wassette_mcp::{HttpServer, Readiness};

/// How long until what failed is tried again.
const RETRY_TIME: Duration = Duration::from_secs(30);

/// Loads what a manifest says. What cannot be had now may be had later.
pub(super) async fn loaded(config: &Config, host: &Host, file: &Path) {
    while let Err(exit) = manifest::apply_before(config, host, file).await {
        let _code = exit.report();
        note(&format!(
            "not ready: the manifest is tried again in {} s",
            RETRY_TIME.as_secs()
        ));
        sleep(RETRY_TIME).await;
    }
}

/// Says that the server is ready, as soon as the bytes of all components were there.
///
/// A new process whose volume is missing gets no requests then. What is damaged later changes nothing: one component
/// would take every process away from its balancer.
pub(super) async fn told(host: &Host, server: &HttpServer) {
    let (mut whole, mut changed) = (HashSet::new(), host.changed());
    loop {
        changed.mark_unchanged();
        let broken = host.broken(&mut whole).await;
        if broken.is_empty() {
            return server.tell(Readiness::Ready);
        }
        server.tell(Readiness::Broken);
        for error in broken {
            let _code = Exit::from(error).report();
        }
        note(&format!(
            "not ready: the components are looked at again in {} s, and when one is loaded or unloaded",
            RETRY_TIME.as_secs()
        ));
        drop(timeout(RETRY_TIME, changed.changed()).await);
    }
}
