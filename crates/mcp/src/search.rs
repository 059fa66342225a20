//! Finding tools among hundreds by the words of their names, parameters and descriptions.
//!
//! Words are compared, not meanings: a model words its query as it likes and can search again, and nothing here
//! needs a language model of its own. Rare words count more than common ones.

use wassette_host::CatalogTool;

/// Words of a query that count; the rest is ignored.
const QUERY_WORDS_MAX: usize = 32;

/// What a word is worth where it stands.
const NAME: f64 = 3.0;
const PARAMETER: f64 = 2.0;
const DESCRIPTION: f64 = 1.0;

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
    rank(tools.map(|tool| (Words::of(tool), tool)), &wanted)
}

/// Those in which a wanted word occurs, best first; of the same worth, in the order in which they came.
fn rank<T>(described: impl Iterator<Item = (Words, T)>, wanted: &[String]) -> Vec<T> {
    let found: Vec<(Vec<f64>, T)> = described
        .map(|(words, item)| (words.worth(wanted), item))
        .collect();
    let weights = weights(&found, wanted.len());
    let mut ranked: Vec<(f64, T)> = found
        .into_iter()
        .map(|(worth, item)| (score(&worth, &weights), item))
        .filter(|(score, _)| *score > 0.0)
        .collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    ranked.into_iter().map(|(_, item)| item).collect()
}

/// What each word of the query weighs: more the fewer tools have it.
#[expect(clippy::cast_precision_loss, reason = "counts of tools are far below 2^52")]
fn weights<T>(found: &[(Vec<f64>, T)], words: usize) -> Vec<f64> {
    let having = |word: usize| {
        found
            .iter()
            .filter(move |(worth, _)| worth.get(word).is_some_and(|w| *w > 0.0))
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
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(words("text_word-count"), ["text", "word", "count"]);
        assert_eq!(words("readFile, HTTP2 ÄÖ"), ["read", "file", "http2", "äö"]);
        assert!(words(" -_ ").is_empty());
    }

    #[track_caller]
    fn check(query: &str, expected: &[&str]) {
        let tools = [
            ("list_files", "path", "Lists files."),
            ("read_text", "path", "Reads the text of a file."),
            ("write_text", "file path", "Writes text."),
            ("count_text", "", "Counts words."),
            ("convert_time", "zone", "Converts a time."),
        ];
        let described = tools.map(|(name, parameters, description)| {
            let described = Words {
                name: words(name),
                parameters: words(parameters),
                description: words(description),
            };
            (described, name)
        });
        assert_eq!(rank(described.into_iter(), &words(query)), expected, "{query}");
    }

    #[test]
    fn names_count_more_than_parameters_and_these_more_than_descriptions() {
        check("file", &["write_text", "list_files", "read_text"]);
        check("files", &["list_files", "write_text", "read_text"]);
        check("nothing", &[]);
    }

    #[test]
    fn a_rare_word_counts_more_than_a_common_one() {
        // Three have `text` in their name, one has `zone`, as a parameter only.
        check(
            "text zone",
            &["convert_time", "read_text", "write_text", "count_text"],
        );
    }

    #[test]
    fn words_of_one_stem_are_alike_and_a_word_is_most_like_itself() {
        assert!(alike("count", "count") > alike("counts", "count"));
        assert!(alike("converting", "convert") > 0.0 && alike("files", "file") > 0.0);
        assert!(alike("conv", "conversion") > 0.0);
        for (wanted, other) in [
            ("file", "fetch"),
            ("fi", "file"),
            ("zone", "ozone"),
            ("time", "timid-lines"),
        ] {
            assert!(alike(wanted, other) <= 0.0, "{wanted} {other}");
        }
    }
}
