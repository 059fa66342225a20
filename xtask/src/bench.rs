//! Measurements beside the raw engine and a Node server.

/// What `cargo xtask bench` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Three rounds instead of nine.
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Measures.
pub(crate) fn run(_options: &Options) -> anyhow::Result<()> {
    anyhow::bail!("`bench` is being written")
}
