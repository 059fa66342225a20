//! What words mean: a table of vectors, made once from a sentence encoder (`crates/mcp/meanings/make.py`).
//!
//! A text means the mean of its words, and two texts are as alike as their vectors point the same way. That takes no model
//! at run time, and no memory but the pages of the program that are looked at.

/// The form is in `make.py`.
static TABLE: &[u8] = include_bytes!("../../meanings/meanings.bin");

/// Numbers in one vector, as `make.py` has it.
const DIRECTIONS: usize = 128;

/// Bytes of an integer or a float of the table.
const NUMBER: usize = 4;

/// Endings of words that the table may not have: letters to take, and what to put there.
const ENDINGS: [(&str, &str); 9] = [
    ("s", ""),
    ("es", ""),
    ("ed", ""),
    ("ed", "e"),
    ("er", ""),
    ("er", "e"),
    ("ing", ""),
    ("ing", "e"),
    ("ies", "y"),
];

/// Letters that must be left of a word without its ending.
const STEM_MIN: usize = 3;

/// What a text means: a vector of length one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning([f32; DIRECTIONS]);

impl Meaning {
    /// Of the words that are known, if any are.
    pub(super) fn of<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let table = Table::read(TABLE)?;
        let mut sum = [0.0; DIRECTIONS];
        for word in words {
            if let Some((factor, vector)) = table.find(word) {
                let of_word = vector.iter().map(|byte| f32::from(i8::from_ne_bytes([*byte])));
                sum.iter_mut()
                    .zip(of_word)
                    .for_each(|(sum, number)| *sum += factor * number);
            }
        }
        let length = dot(&sum, &sum).sqrt();
        (length > 0.0).then(|| Self(sum.map(|number| number / length)))
    }

    /// How alike two texts are: one is the same, zero or less has nothing in common.
    pub(super) fn likeness(&self, other: &Self) -> f64 {
        f64::from(dot(&self.0, &other.0))
    }
}

fn dot(a: &[f32; DIRECTIONS], b: &[f32; DIRECTIONS]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The parts of the table.
struct Table<'a> {
    words: usize,
    offsets: &'a [u8],
    text: &'a [u8],
    factors: &'a [u8],
    vectors: &'a [u8],
}

impl<'a> Table<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let words = number(bytes, 0)?;
        if number(bytes, 1)? != DIRECTIONS {
            return None;
        }
        let (offsets, rest) = bytes.get(2 * NUMBER..)?.split_at_checked((words + 1) * NUMBER)?;
        let (text, rest) = rest.split_at_checked(number(offsets, words)?)?;
        let (factors, vectors) = rest.split_at_checked(words * NUMBER)?;
        (vectors.len() == words * DIRECTIONS).then_some(Self {
            words,
            offsets,
            text,
            factors,
            vectors,
        })
    }

    fn word(&self, at: usize) -> Option<&'a [u8]> {
        self.text
            .get(number(self.offsets, at)?..number(self.offsets, at + 1)?)
    }

    /// The factor and the vector of a word, or of the word without its ending.
    fn find(&self, word: &str) -> Option<(f32, &'a [u8])> {
        let at = self.search(word).or_else(|| {
            let mut stems = ENDINGS.iter().filter_map(|(ending, instead)| {
                let stem = word.strip_suffix(ending)?;
                (stem.len() >= STEM_MIN).then(|| format!("{stem}{instead}"))
            });
            stems.find_map(|stem| self.search(&stem))
        })?;
        let factor = self.factors.get(at * NUMBER..)?.first_chunk()?;
        let vector = self.vectors.get(at * DIRECTIONS..)?.get(..DIRECTIONS)?;
        Some((f32::from_le_bytes(*factor), vector))
    }

    fn search(&self, word: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.words);
        while low < high {
            let middle = low.midpoint(high);
            match self.word(middle)?.cmp(word.as_bytes()) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// The number at this place of a row of numbers.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at * NUMBER..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Meaning {
        Meaning::of(text.split(' ')).unwrap_or_else(|| panic!("`{text}` means nothing"))
    }

    #[test]
    fn the_table_is_whole_and_each_word_is_found() {
        let table = Table::read(TABLE).expect("a table");
        assert!(table.words > 20_000, "{}", table.words);
        for at in 0..table.words {
            let word = table.word(at).and_then(|word| std::str::from_utf8(word).ok());
            assert_eq!(word.and_then(|word| table.search(word)), Some(at), "{word:?}");
        }
    }

    #[test]
    fn a_table_that_is_cut_off_is_none() {
        for length in [0, 4, 7, 8, 100, 100_000, 200_000, 300_000, TABLE.len() - 1] {
            assert!(
                Table::read(TABLE.get(..length).expect("shorter")).is_none(),
                "{length}"
            );
        }
    }

    #[test]
    fn what_means_the_same_is_alike_and_what_does_not_is_not() {
        for (text, near, far) in [
            ("delete", "remove", "weather"),
            ("photo", "picture", "currency"),
            ("erase file", "remove entry", "play song"),
            ("shorten article", "summarize document", "convert currency"),
        ] {
            let (near, far) = (of(text).likeness(&of(near)), of(text).likeness(&of(far)));
            assert!(near > far + 0.1, "{text}: {near} {far}");
        }
        assert!((of("file").likeness(&of("file")) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn words_are_known_with_their_endings_and_the_unknown_mean_nothing() {
        let table = Table::read(TABLE).expect("a table");
        for (ended, word) in [
            ("quaternions", "quaternion"),
            ("rebooted", "reboot"),
            ("hyperlinked", "hyperlink"),
            ("summarizer", "summarize"),
            ("transcribing", "transcribe"),
            ("refunding", "refund"),
            ("itineraries", "itinerary"),
        ] {
            assert_eq!(table.search(ended), None, "{ended}");
            assert_eq!(of(ended), of(word));
        }
        assert_eq!(Meaning::of(["xqzzyk", ""].into_iter()), None);
        assert_eq!(Meaning::of(std::iter::empty()), None);
        assert_eq!(of("xqzzyk file"), of("file"));
    }
}
