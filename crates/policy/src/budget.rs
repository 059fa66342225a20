//! What a comparison of policies may cost.
//!
//! SECURITY: policies are compared before a person has read them (what an update asks for), so that neither the time
//! nor the memory of a comparison may depend on what somebody wrote. Whatever is kept or looked at is paid for first.

/// Most that one comparison costs. A question that few rules are about costs one; so does each candidate for a
/// question, and each 64 bytes that are kept.
pub(crate) const COST_MAX: usize = 1_000_000;

/// How many rules, names and such are looked at for one.
const LOOKS_FOR_ONE: usize = 64;

/// How many bytes are kept for one.
const BYTES_FOR_ONE: usize = 64;

/// Why a search ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The visitor has what it wants.
    Found,
    /// It would cost more than [`COST_MAX`].
    TooMany,
}

/// What is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(COST_MAX)
    }

    /// Pays for a question or a candidate, and for looking at so many rules for it.
    pub(crate) fn spend(&mut self, looks: usize) -> Result<(), Stop> {
        self.pay(1 + looks / LOOKS_FOR_ONE)
    }

    /// Pays for keeping a candidate of this size.
    pub(crate) fn keep(&mut self, bytes: usize) -> Result<(), Stop> {
        self.pay(1 + bytes / BYTES_FOR_ONE)
    }

    fn pay(&mut self, cost: usize) -> Result<(), Stop> {
        self.0 = self.0.checked_sub(cost).ok_or(Stop::TooMany)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_and_kept_is_paid_for() {
        let paid = |pay: &dyn Fn(&mut Budget) -> Result<(), Stop>| {
            let mut budget = Budget(1_000);
            pay(&mut budget).map(|()| 1_000 - budget.0)
        };
        for (count, cost) in [(0, 1), (63, 1), (64, 2), (640, 11), (63_936, 1_000)] {
            assert_eq!(paid(&|budget| budget.spend(count)), Ok(cost), "{count}");
            assert_eq!(paid(&|budget| budget.keep(count)), Ok(cost), "{count}");
        }
        assert_eq!(paid(&|budget| budget.spend(64_000)), Err(Stop::TooMany));
        assert_eq!(paid(&|budget| budget.keep(64_000)), Err(Stop::TooMany));
        assert_eq!(Budget::new().0, COST_MAX);
    }
}
