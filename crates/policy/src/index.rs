//! Finds the rules that can be about an access without looking at the others.

use crate::rules::Rules;

/// Which rules stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {}

impl Index {
    pub(crate) const fn empty() -> Self {
        Self {}
    }

    pub(crate) fn new(_rules: &Rules) -> Self {
        Self {}
    }
}
