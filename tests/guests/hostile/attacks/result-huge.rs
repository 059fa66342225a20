//! Returns more than may pass to the host at all.
attack::attack!(|_, journal| journal.saw("x", &"x".repeat(24 << 20)));
