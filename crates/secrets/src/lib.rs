//! Secrets at rest: kept for a component, shown to nobody.
