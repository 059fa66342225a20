//! Installs what tests and guests need beyond Rust.

/// Installs it.
pub(crate) fn run() -> anyhow::Result<()> {
    anyhow::bail!("`setup` is being written")
}
