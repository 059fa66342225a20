//! Returns more than anybody wants to read.
attack::attack!(|_, journal| journal.saw("x", &"x".repeat(8 << 20)));
