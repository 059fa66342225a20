//! Everything the server was started with.
use attack::files::get_directories;
use wasip2::cli::environment::{get_arguments, get_environment, initial_cwd};

attack::attack!(|input, journal| {
    let variables = get_environment();
    journal.saw(
        "variables",
        &variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" "),
    );
    journal.holds(
        "only what was granted",
        variables.iter().all(|(name, _)| input.contains(&name.as_str())),
    );
    journal.holds("no arguments", get_arguments().is_empty());
    journal.holds(
        "no current folder",
        initial_cwd().is_none_or(|folder| folder == "/"),
    );
    journal.holds(
        "no folders",
        get_directories().iter().all(|(_, name)| name == "/"),
    );
    let mut bytes = Vec::new();
    let stdin = wasip2::cli::stdin::get_stdin();
    while let Ok(chunk) = stdin.blocking_read(4096) {
        bytes.extend(chunk);
    }
    journal.holds("nothing on standard input", bytes.is_empty());
});
