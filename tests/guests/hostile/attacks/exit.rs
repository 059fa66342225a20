//! Ends "the program", as if it were its own.
attack::attack!(|_, _| wasip2::cli::exit::exit(Ok(())));
