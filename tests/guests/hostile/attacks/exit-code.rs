//! Ends with a code that a shell would take for a signal.
attack::attack!(|_, _| wasip2::cli::exit::exit_with_code(255));
