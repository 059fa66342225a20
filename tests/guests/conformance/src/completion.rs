//! Completion.

use crate::Fixture;
use crate::exports::wassette::mcp::completion::{Completions, Guest, Reference};
use crate::wassette::mcp::types::Failure;

impl Guest for Fixture {
    fn complete(
        reference: Reference,
        argument: String,
        value: String,
        others: Vec<(String, String)>,
    ) -> Result<Completions, Failure> {
        let known: &[&str] = match (&reference, argument.as_str()) {
            (Reference::Prompt(name), "arg1") if name == "test_prompt_with_arguments" => {
                &["paris", "park", "party"]
            }
            (Reference::Prompt(name), "arg2") if name == "test_prompt_with_arguments" => {
                let is_paris = others.iter().any(|(name, value)| name == "arg1" && value == "paris");
                if is_paris { &["france"] } else { &["elsewhere"] }
            }
            (Reference::ResourceTemplate(_), "id") => &["1", "2", "3"],
            _ => &[],
        };
        let values = known.iter().filter(|known| known.starts_with(value.as_str()));
        let values: Vec<String> = values.map(|known| (*known).to_owned()).collect();
        Ok(Completions {
            total: u32::try_from(values.len()).ok(),
            values,
            has_more: false,
        })
    }
}
