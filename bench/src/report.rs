//! Medians over rounds, ratios per round, and what was promised, as Markdown.

use serde_json::{Value as Json, json};
use std::fmt::Write as _;

/// The figures of one target in one round.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) scenario: &'static str,
    pub(crate) target: String,
    pub(crate) round: usize,
    pub(crate) figures: Vec<(&'static str, f64)>,
}

/// Under what conditions was measured.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) machine: String,
    pub(crate) load_before: String,
    pub(crate) rounds: usize,
}

/// Ratios each scenario is read by: the figure, and the target it is compared with.
const RATIOS: [(&str, &str, &str); 25] = [
    ("calls, one processor", "p50 µs", "raw:scan"),
    ("calls, one processor", "p50 µs", "node-sdk"),
    ("calls, one processor", "p99 µs", "node-sdk"),
    ("calls, all processors", "p50 µs", "node-sdk"),
    ("calls, all processors, 64 in flight", "calls/s", "node-sdk"),
    ("HTTP, JSON, 1 connection", "calls/s", "node-sdk"),
    ("HTTP, JSON, 16 connections", "calls/s", "node-sdk"),
    ("HTTP, JSON, 64 connections", "calls/s", "node-sdk"),
    ("HTTP, JSON, 256 connections", "calls/s", "node-sdk"),
    ("HTTP, JSON, 1 connection", "p50 µs", "wassette, native tool"),
    ("HTTP, JSON, 16 connections", "p50 µs", "wassette, native tool"),
    ("HTTP, JSON, 64 connections", "p50 µs", "wassette, native tool"),
    ("HTTP, JSON, 256 connections", "p50 µs", "wassette, native tool"),
    ("HTTP, SSE, 1 connection", "calls/s", "node-sdk"),
    ("HTTP, SSE, 16 connections", "calls/s", "node-sdk"),
    ("HTTP, SSE, 64 connections", "calls/s", "node-sdk"),
    ("HTTP, SSE, 256 connections", "calls/s", "node-sdk"),
    ("HTTP, SSE, 1 connection", "p50 µs", "wassette, native tool"),
    ("HTTP, SSE, 16 connections", "p50 µs", "wassette, native tool"),
    ("HTTP, SSE, 64 connections", "p50 µs", "wassette, native tool"),
    ("HTTP, SSE, 256 connections", "p50 µs", "wassette, native tool"),
    ("starts", "CPU ms", "node-sdk"),
    ("lists", "p50 ms", "node-sdk"),
    ("memory", "idle MB", "node-sdk"),
    ("from a registry", "ms", "skopeo copy"),
];

/// What SPECIFICATION.md promises: scenario, figure, the target compared with if any, and the most it may be.
/// The target is the first of the scenario whose name starts as given.
const PROMISES: [(&str, &str, &str, Option<&str>, f64); 6] = [
    (
        "calls, one processor",
        "wassette",
        "p50 µs",
        Some("raw:scan"),
        2.0,
    ),
    (
        "calls, one processor",
        "wassette",
        "p99 µs",
        Some("node-sdk"),
        1.0,
    ),
    ("starts", "wassette (0 ", "CPU ms", None, 20.0),
    ("starts", "wassette (1 ", "CPU ms", None, 20.0),
    ("starts", "wassette (50 ", "CPU ms", None, 20.0),
    ("memory", "wassette (0 ", "idle MB", None, 20.0),
];

impl Sample {
    pub(crate) fn new(
        scenario: &'static str,
        target: &str,
        round: usize,
        figures: Vec<(&'static str, f64)>,
    ) -> Self {
        let target = target.to_owned();
        Self {
            scenario,
            target,
            round,
            figures,
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        let figures: serde_json::Map<_, _> = self
            .figures
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        json!({ "scenario": self.scenario, "target": self.target, "round": self.round, "figures": figures })
    }

    fn figure(&self, name: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }
}

/// The value below which `percent` of the sorted values lie; zero of none.
pub(crate) fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let index = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(index).copied().unwrap_or_default()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| quantile(&values, 50))
}

/// All tables.
pub(crate) fn render(context: &Context, samples: &[Sample]) -> String {
    let mut text = format!(
        "Machine: {}. Medians of {} rounds (loads and the store: at most 3), targets in turn; load average before: {}, after: {}.\n",
        context.machine,
        context.rounds,
        context.load_before,
        crate::machine::load(),
    );
    text.push_str(&promises(samples));
    for scenario in distinct(samples.iter().map(|sample| sample.scenario)) {
        let samples: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.scenario == scenario)
            .collect();
        text.push_str(&table(scenario, &samples));
    }
    text
}

fn promises(samples: &[Sample]) -> String {
    let mut rows = Vec::new();
    for (scenario, target, figure, base, most) in PROMISES {
        let samples: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.scenario == scenario)
            .collect();
        let Some(target) = samples
            .iter()
            .map(|sample| &sample.target)
            .find(|name| name.starts_with(target))
        else {
            continue;
        };
        let (what, measured) = match base {
            Some(base) => (
                format!("{figure}, ratio to {base}"),
                ratio(&samples, target, figure, base),
            ),
            None => (figure.to_owned(), figure_of(&samples, target, figure)),
        };
        let Some(measured) = measured else { continue };
        let verdict = if measured <= most { "yes" } else { "**no**" };
        rows.push(format!(
            "| {scenario} | {target} | {what} | ≤ {most} | {} | {verdict} |\n",
            number(measured)
        ));
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n### What is promised\n\n| scenario | target | figure | promised | measured | kept |\n|---|---|---|---|---|---|\n{}",
        rows.concat()
    )
}

fn table(scenario: &str, samples: &[&Sample]) -> String {
    let figures = distinct(
        samples
            .iter()
            .flat_map(|sample| sample.figures.iter().map(|(name, _)| *name)),
    );
    let ratios: Vec<_> = RATIOS.iter().filter(|(known, _, _)| *known == scenario).collect();
    let titles = figures.iter().map(|name| (*name).to_owned());
    let ratio_titles = ratios
        .iter()
        .map(|(_, figure, base)| format!("{figure} / {base}"));
    let titles: Vec<String> = titles.chain(ratio_titles).collect();
    let mut text = format!("\n### {}\n\n| target | ", first_upper(scenario));
    text.push_str(&titles.join(" | "));
    // Writing to a String cannot fail.
    let _ignored = writeln!(text, " |\n|---|{}", "---:|".repeat(titles.len()));
    for target in distinct(samples.iter().map(|sample| sample.target.as_str())) {
        let medians = figures.iter().map(|figure| figure_of(samples, target, figure));
        let compared = ratios
            .iter()
            .map(|(_, figure, base)| ratio(samples, target, figure, base));
        let cells: Vec<String> = medians
            .chain(compared)
            .map(|value| value.map_or("–".to_owned(), number))
            .collect();
        let _ignored = writeln!(text, "| {target} | {} |", cells.join(" | "));
    }
    text
}

fn figure_of(samples: &[&Sample], target: &str, figure: &str) -> Option<f64> {
    let own = samples.iter().filter(|sample| sample.target == target);
    median(own.filter_map(|sample| sample.figure(figure)).collect())
}

/// The median of the rounds' ratios to `base`, which with the same guest goes before `base` alone.
fn ratio(samples: &[&Sample], target: &str, figure: &str, base: &str) -> Option<f64> {
    let guest = target
        .find(" (")
        .and_then(|at| target.get(at..))
        .unwrap_or_default();
    let has = |name: &str| samples.iter().any(|sample| sample.target == name);
    let base = [format!("{base}{guest}"), base.to_owned()]
        .into_iter()
        .find(|name| has(name))?;
    let own = samples.iter().filter(|sample| sample.target == target);
    let ratios = own.filter_map(|sample| {
        let other = samples
            .iter()
            .find(|other| other.target == base && other.round == sample.round)?;
        Some(sample.figure(figure)? / other.figure(figure)?)
    });
    median(ratios.collect())
}

/// Three significant digits, as far as a table needs.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn first_upper(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map_or(String::new(), |first| first.to_uppercase().chain(rest).collect())
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(target: &str, round: usize, value: f64) -> Sample {
        Sample {
            scenario: "calls, one processor",
            target: target.to_owned(),
            round,
            figures: vec![("p50 µs", value)],
        }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios() {
        // The ratio of the medians would be 30 / 20.
        let rounds = [
            (10.0, 10.0),
            (30.0, 10.0),
            (80.0, 20.0),
            (40.0, 40.0),
            (20.0, 20.0),
        ];
        let samples: Vec<Sample> = rounds
            .iter()
            .enumerate()
            .flat_map(|(round, (ours, raw))| {
                [
                    sample("wassette (a)", round, *ours),
                    sample("raw:scan (a)", round, *raw),
                ]
            })
            .collect();
        let samples: Vec<&Sample> = samples.iter().collect();
        assert_eq!(ratio(&samples, "wassette (a)", "p50 µs", "raw:scan"), Some(1.0));
        assert_eq!(ratio(&samples, "wassette (a)", "p50 µs", "node-sdk"), None);
    }

    #[test]
    fn the_base_has_the_same_guest() {
        let samples = [
            sample("wassette (b)", 0, 30.0),
            sample("raw:scan (a)", 0, 1.0),
            sample("raw:scan (b)", 0, 10.0),
        ];
        let samples: Vec<&Sample> = samples.iter().collect();
        assert_eq!(ratio(&samples, "wassette (b)", "p50 µs", "raw:scan"), Some(3.0));
    }

    #[test]
    fn a_promise_that_is_not_kept_is_said() {
        let text = promises(&[sample("wassette (a)", 0, 30.0), sample("raw:scan (a)", 0, 10.0)]);
        let row = "| calls, one processor | wassette (a) | p50 µs, ratio to raw:scan | ≤ 2 | 3.00 | **no** |";
        assert_eq!(text.lines().last(), Some(row));
    }

    #[test]
    fn quantiles_of_few_values() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 50), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 99), 2.0);
        assert_eq!(quantile(&[], 50), 0.0);
    }
}
