//! Lets the hostile zoo loose and shows what came of each attack.
//!
//! The attacks are tests (`tests/it/zoo.rs`), so that nobody can forget to run them; here is only the table. With
//! `--markdown` it is written between two markers of SECURITY.md. With `--slowdown` each attack is repeated beside four
//! honest callers in the same sandbox, and the table says how much longer their calls took.

use crate::step;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::fs;

/// What `cargo xtask zoo` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write the table into SECURITY.md.
    #[arg(long)]
    markdown: bool,
    /// Measure what each attack costs honest callers: release build, one attack at a time, minutes.
    #[arg(long)]
    slowdown: bool,
}

const DOCUMENT: &str = "SECURITY.md";
const BEGIN: &str = "<!-- written by `cargo xtask zoo --markdown` -->";
const END: &str = "<!-- end of what is written -->";

/// Rounds of each measurement, alone and beside the attack in turn.
const ROUNDS: &str = "5";

/// What is promised: honest calls take at most so many times as long.
const SLOWDOWN_MAX: f64 = 2.0;

/// One attack and what came of it.
#[derive(Debug, Default)]
struct Row {
    threats: String,
    what: String,
    /// Empty when the test did not come to its end.
    outcome: String,
    slowdown: Option<f64>,
}

/// Runs all attacks and prints the table.
///
/// # Errors
///
/// When an attack was not contained or could not be run, or slows honest callers more than is promised.
pub(crate) fn run(options: &Options) -> Result<()> {
    let results = step::cache()?.join("zoo.tsv");
    fs::create_dir_all(step::cache()?)?;
    if results.exists() {
        fs::remove_file(&results)?;
    }
    let mut cargo = step::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    if options.slowdown {
        cargo.arg("--release").env("WASSETTE_ZOO_SLOWDOWN", ROUNDS);
    }
    cargo.args(["--test", "it", "--", "zoo::"]);
    if options.slowdown {
        cargo.args(["--test-threads", "1"]);
    }
    cargo.env("WASSETTE_ZOO", &results);
    let tested = step::exec(&mut cargo);
    let rows = read(&fs::read_to_string(&results).context("no attack was run")?)?;
    print(&rows);
    tested.context("an attack was not contained")?;
    let slow: Vec<_> = rows
        .iter()
        .filter(|(_, row)| row.slowdown.is_some_and(|ratio| ratio > SLOWDOWN_MAX))
        .map(|(name, _)| name.as_str())
        .collect();
    if options.markdown {
        write(&markdown(&rows))?;
    }
    ensure!(
        slow.is_empty(),
        "honest calls took more than {SLOWDOWN_MAX} times as long beside {}",
        slow.join(", ")
    );
    Ok(())
}

/// The lines the tests left: name, threats, what it is, outcome; or name and slowdown.
fn read(text: &str) -> Result<BTreeMap<String, Row>> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for line in text.lines() {
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            [name, threats, what, outcome] => {
                let row = rows.entry((*name).to_owned()).or_default();
                (row.threats, row.what, row.outcome) =
                    ((*threats).to_owned(), (*what).to_owned(), (*outcome).to_owned());
            }
            [name, ratio] => {
                let ratio: f64 = ratio.parse()?;
                let row = rows.entry((*name).to_owned()).or_default();
                row.slowdown = Some(row.slowdown.map_or(ratio, |before| before.max(ratio)));
            }
            _ => anyhow::bail!("a line is not understood: {line}"),
        }
    }
    Ok(rows)
}

fn print(rows: &BTreeMap<String, Row>) {
    for (name, row) in rows {
        let outcome = if row.outcome.is_empty() {
            "NOT CONTAINED"
        } else {
            &row.outcome
        };
        let slowdown = row
            .slowdown
            .map_or(String::new(), |ratio| format!("  [honest calls x{ratio:.2}]"));
        println!("{name:26} {:10} {outcome}{slowdown}", row.threats);
    }
    let contained = rows.values().filter(|row| !row.outcome.is_empty()).count();
    println!("\n{contained} of {} attacks contained", rows.len());
    let worst = rows
        .iter()
        .filter_map(|(name, row)| Some((row.slowdown?, name)))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    if let Some((ratio, name)) = worst {
        println!("honest calls took at most {ratio:.2} times as long, beside `{name}`");
    }
}

fn markdown(rows: &BTreeMap<String, Row>) -> String {
    let has_slowdown = rows.values().any(|row| row.slowdown.is_some());
    let mut text = format!("{} attacks, all contained.\n\n", rows.len());
    text.push_str("| attack | threat | what it tries | what came of it |");
    text.push_str(if has_slowdown { " honest calls |\n" } else { "\n" });
    text.push_str("|---|---|---|---|");
    text.push_str(if has_slowdown { "---|\n" } else { "\n" });
    for (name, row) in rows {
        let cell = |text: &str| text.replace('|', "\\|");
        let (what, outcome) = (cell(&row.what), cell(&row.outcome));
        text.push_str(&format!("| {name} | {} | {what} | {outcome} |", row.threats));
        if has_slowdown {
            let ratio = row
                .slowdown
                .map_or("-".to_owned(), |ratio| format!("x{ratio:.2}"));
            text.push_str(&format!(" {ratio} |"));
        }
        text.push('\n');
    }
    text
}

/// Puts the table between the markers of the document.
fn write(table: &str) -> Result<()> {
    let path = step::root().join(DOCUMENT);
    let document = fs::read_to_string(&path).with_context(|| format!("cannot read `{DOCUMENT}`"))?;
    let (before, rest) = document
        .split_once(BEGIN)
        .with_context(|| format!("no `{BEGIN}` in `{DOCUMENT}`"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("no `{END}` in `{DOCUMENT}`"))?;
    fs::write(&path, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_without_an_outcome_is_not_contained() {
        let rows = read("a\tE1\tspins\t\nb\tE2\twaits\t\na\tE1\tspins\tended\na\t1.5\n").unwrap();
        assert_eq!(rows["a"].outcome, "ended");
        assert_eq!(rows["a"].slowdown, Some(1.5));
        assert_eq!(rows["b"].outcome, "");
        assert_eq!(
            read("nonsense").unwrap_err().to_string(),
            "a line is not understood: nonsense"
        );
    }
}
