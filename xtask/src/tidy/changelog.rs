//! The change log has a place for the next entry.

use super::{Finding, Repository};

const PATH: &str = "CHANGELOG.md";

pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(text) = repository.text(PATH) else {
        return vec![Finding::new(PATH, 1, "missing: users read there what changed")];
    };
    if text.lines().any(|line| line.trim_end() == "## [Unreleased]") {
        return Vec::new();
    }
    vec![Finding::new(PATH, 1, "has no `## [Unreleased]` section")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreleased_section_must_be_a_heading() {
        assert_eq!(
            check(&Repository::of(&[(PATH, "# Changes\n\n## [Unreleased]\n")])),
            []
        );
        let words_only = check(&Repository::of(&[(PATH, "# Changes\n\nnothing [Unreleased]\n")]));
        assert_eq!(
            words_only,
            [Finding::new(PATH, 1, "has no `## [Unreleased]` section")]
        );
        assert_eq!(
            check(&Repository::of(&[])),
            [Finding::new(PATH, 1, "missing: users read there what changed")]
        );
    }
}
