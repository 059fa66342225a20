//! Prints what steers a terminal.
use wasip2::cli::{stderr::get_stderr, stdout::get_stdout};

attack::attack!(|_, journal| {
    let text = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[1;1H\u{9b}31m\r\u{8}\u{202e}\u{1b}]52;c;b3duZWQ=\u{7}\u{1b}P+q544e\u{1b}\\";
    for stream in [get_stdout(), get_stderr()] {
        let _ = stream.blocking_write_and_flush(text.as_bytes());
        let _ = stream.blocking_write_and_flush(b"\xff\xfe\x80\n");
    }
    journal.saw("returned", text);
});
