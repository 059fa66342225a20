//! Finding tools among hundreds by what their names, parameters and descriptions say and mean.
//!
//! Two measures are added up: the words that a query has in common with a tool, where rare words count more than common
//! ones, and how alike in meaning the two are. The first finds what is named, the second what is worded otherwise.

mod meaning;

use meaning::Meaning;
use wassette_host::CatalogTool;

/// Words of a query that count; the rest is ignored.
const QUERY_WORDS_MAX: usize = 32;

/// What a word is worth where it stands.
const NAME: f64 = 3.0;
const PARAMETER: f64 = 2.0;
const DESCRIPTION: f64 = 1.0;

/// How alike in meaning a tool must be that has no word in common with the query.
const LIKENESS_MIN: f64 = 0.25;

/// Words of a description that say what it means; more would blur it.
const MEANING_WORDS_MAX: usize = 64;

/// How alike two words are.
const SAME: f64 = 1.0;
const SAME_STEM: f64 = 0.6;
const PREFIX: f64 = 0.4;

/// Letters that words of one stem begin with in common, and those that may follow.
const STEM: usize = 4;
const ENDING: usize = 3;

/// Tools that have to do with the query, best first; all of them, by name, when it has no words.
pub(crate) fn search<'a>(tools: impl Iterator<Item = &'a CatalogTool>, query: &str) -> Vec<&'a CatalogTool> {
    let mut wanted = words(query);
    wanted.truncate(QUERY_WORDS_MAX);
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return tools.collect();
    }
    let meaning = Meaning::of(wanted.iter().map(String::as_str));
    rank(
        tools.map(|tool| (Words::of(tool), tool)),
        &wanted,
        meaning.as_ref(),
    )
}

/// One tool that may be found.
struct Candidate<T> {
    /// What each word of the query is worth here.
    worth: Vec<f64>,
    likeness: f64,
    item: T,
}

/// Those that say or mean what is wanted, best first; of the same worth, in the order in which they came.
fn rank<T>(
    described: impl Iterator<Item = (Words, T)>,
    wanted: &[String],
    meaning: Option<&Meaning>,
) -> Vec<T> {
    let candidate = |(words, item): (Words, T)| Candidate {
        worth: words.worth(wanted),
        likeness: words.likeness(meaning),
        item,
    };
    let candidates: Vec<_> = described.map(candidate).collect();
    let weights = weights(&candidates, wanted.len());
    let most = NAME * weights.iter().sum::<f64>();
    let score = |candidate: Candidate<T>| {
        // A part of what a tool would have whose name says the whole query.
        let said = score(&candidate.worth, &weights) / most;
        let is_found = said > 0.0 || candidate.likeness >= LIKENESS_MIN;
        is_found.then_some((said + candidate.likeness, candidate.item))
    };
    let mut ranked: Vec<(f64, T)> = candidates.into_iter().filter_map(score).collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    ranked.into_iter().map(|(_, item)| item).collect()
}

/// What each word of the query weighs: more the fewer tools have it.
#[expect(clippy::cast_precision_loss, reason = "counts of tools are far below 2^52")]
fn weights<T>(found: &[Candidate<T>], words: usize) -> Vec<f64> {
    let having = |word: usize| {
        found
            .iter()
            .filter(move |candidate| candidate.worth.get(word).is_some_and(|w| *w > 0.0))
    };
    let weight = |word| (1.0 + found.len() as f64 / (1.0 + having(word).count() as f64)).ln();
    (0..words).map(weight).collect()
}

fn score(worth: &[f64], weights: &[f64]) -> f64 {
    worth
        .iter()
        .zip(weights)
        .map(|(worth, weight)| worth * weight)
        .sum()
}

/// The words of one tool.
#[cfg_attr(test, derive(Clone))]
struct Words {
    name: Vec<String>,
    parameters: Vec<String>,
    description: Vec<String>,
}

impl Words {
    fn of(found: &CatalogTool) -> Self {
        let tool = &found.tool;
        let parameters = tool.params.iter().flat_map(|param| words(&param.name));
        Self {
            name: words(tool.name.as_str()),
            parameters: parameters.collect(),
            description: words(&tool.description),
        }
    }

    /// What each wanted word is worth here; nothing where it does not occur.
    fn worth(&self, wanted: &[String]) -> Vec<f64> {
        let places = [
            (NAME, &self.name),
            (PARAMETER, &self.parameters),
            (DESCRIPTION, &self.description),
        ];
        let best = |word: &String| {
            let worth = places
                .iter()
                .flat_map(|(worth, words)| words.iter().map(move |other| worth * alike(word, other)));
            worth.fold(0.0, f64::max)
        };
        wanted.iter().map(best).collect()
    }

    /// How alike its name and description are to what is wanted; parameters say how, not what.
    fn likeness(&self, wanted: Option<&Meaning>) -> f64 {
        let description = self.description.iter().take(MEANING_WORDS_MAX);
        let words = self.name.iter().chain(description).map(String::as_str);
        let likeness = wanted.and_then(|wanted| Some(wanted.likeness(&Meaning::of(words)?)));
        likeness.unwrap_or(0.0).max(0.0)
    }
}

/// Lower-case runs of letters and digits; `readFile` is two words.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for letter in text.chars() {
        let begins = !letter.is_alphanumeric() || (was_lower && letter.is_uppercase());
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn alike(wanted: &str, other: &str) -> f64 {
    if wanted == other {
        return SAME;
    }
    let common = wanted
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let ending = |word: &str| word.chars().count() - common;
    if common >= STEM && ending(wanted) <= ENDING && ending(other) <= ENDING {
        SAME_STEM
    } else if common >= STEM - 1 && ending(wanted) == 0 {
        PREFIX
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests;
