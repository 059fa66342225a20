//! Names that mean "up" or "outside" to some other system or reader.
use attack::files::{cage, peek, read};

attack::attack!(|_, journal| {
    let cage = cage();
    journal.works("read a file", read(&cage, "inside.txt"));
    for path in [
        "..\\outside.txt",
        "sub\\..\\..\\outside.txt",
        "%2e%2e/outside.txt",
        "..%2foutside.txt",
        "%2e%2e%2foutside.txt",
        "\u{2024}\u{2024}/outside.txt",
        "\u{ff0e}\u{ff0e}/outside.txt",
        "..\u{2215}outside.txt",
        "~",
        "~root",
        "~/outside.txt",
        "$HOME",
        "${HOME}/outside.txt",
        "C:\\outside.txt",
        "C:/outside.txt",
        "\\\\?\\C:\\x",
        "//server/share",
        "inside.txt:stream",
        "inside.txt::$DATA",
        "CON",
        "COM1",
        "COM\u{b9}",
        "NUL.txt",
        "...",
        "....",
        ".. ",
        ".. /outside.txt",
        "..;/outside.txt",
    ] {
        journal.none(path, peek(&cage, path));
    }
});
