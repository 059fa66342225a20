//! `wassette completion`: a script that a shell sources.

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::line;
use clap::CommandFactory;

pub(crate) fn print(shell: clap_complete::Shell) -> Result<(), Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wassette", &mut script);
    line(String::from_utf8_lossy(&script).trim_end())
}
