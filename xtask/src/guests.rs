//! Builds the guest components from source.

/// What `cargo xtask guests` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Build only what is missing or out of date, and compare the checked-in guests with their sources.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Builds them.
pub(crate) fn run(_options: &Options) -> anyhow::Result<()> {
    anyhow::bail!("`guests` is being written")
}
