//! Durations, as text and between two moments.

use crate::Unit;
use crate::moment::Zoned;
use chrono::{DateTime, Datelike as _, Days, Months, NaiveDateTime, TimeDelta, Utc};
use std::fmt::Write as _;

const SECOND_NANOS: i128 = 1_000_000_000;

/// A duration: calendar units, which have no fixed length, apart from exact time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Duration {
    months: i64,
    days: i64,
    nanoseconds: i128,
}

impl Duration {
    /// Reads `P1Y2M3DT4H5M6.7S` or `1 year 2 months`, with `-` before or `ago` after it for the past.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (text, ago) = text
            .strip_suffix("ago")
            .map_or((text.as_str(), false), |rest| (rest.trim(), true));
        let (text, minus) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text.strip_prefix('+').unwrap_or(text), false),
        };
        let sum = match text.strip_prefix('p') {
            Some(iso) => Self::parse_iso(iso)?,
            None => Self::parse_words(text)?,
        };
        if minus == ago { Some(sum) } else { sum.times(-1) }
    }

    fn parse_iso(text: &str) -> Option<Self> {
        let (date, time) = text
            .split_once('t')
            .map_or((text, None), |(date, time)| (date, Some(time)));
        let date = Self::sum(date, |unit| {
            matches!(unit, "y" | "w" | "d")
                .then_some(unit)
                .or((unit == "m").then_some("mo"))
        });
        let time = time.map(|time| Self::sum(time, |unit| matches!(unit, "h" | "m" | "s").then_some(unit)));
        match (date?, time) {
            ((sum, count), None) if count > 0 => Some(sum),
            ((date, _), Some(Some((time, count)))) if count > 0 => date.plus(time),
            _ => None,
        }
    }

    fn parse_words(text: &str) -> Option<Self> {
        let (sum, count) = Self::sum(text, |unit| Some(unit))?;
        (count > 0).then_some(sum)
    }

    /// Adds up pairs of a number and a unit; returns how many there were, too.
    fn sum(text: &str, unit: impl Fn(&str) -> Option<&str>) -> Option<(Self, usize)> {
        let (mut sum, mut count) = (Self::default(), 0);
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = rest
                .find(|character: char| !character.is_ascii_digit() && character != '.')
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at_checked(end)?;
            let after = after.trim_start();
            let end = after
                .find(|character: char| !character.is_ascii_alphabetic())
                .unwrap_or(after.len());
            let (name, after) = after.split_at_checked(end)?;
            sum = sum.plus(Self::of(number, unit(name)?)?)?;
            count += 1;
            rest = after.trim_start_matches([' ', ',', '\t']).trim_start();
            rest = rest.strip_prefix("and ").unwrap_or(rest);
        }
        Some((sum, count))
    }

    /// A number of one unit; only exact units take decimals.
    fn of(number: &str, unit: &str) -> Option<Self> {
        let exact = |nanos: i128| {
            decimal(number, nanos).map(|nanoseconds| Self {
                nanoseconds,
                ..Self::default()
            })
        };
        let days = |each: i64| {
            Some(Self {
                days: number.parse::<i64>().ok()?.checked_mul(each)?,
                ..Self::default()
            })
        };
        let months = |each: i64| {
            Some(Self {
                months: number.parse::<i64>().ok()?.checked_mul(each)?,
                ..Self::default()
            })
        };
        match unit {
            "y" | "yr" | "yrs" | "year" | "years" => months(12),
            "mo" | "mos" | "month" | "months" => months(1),
            "w" | "wk" | "wks" | "week" | "weeks" => days(7),
            "d" | "day" | "days" => days(1),
            "h" | "hr" | "hrs" | "hour" | "hours" => exact(3600 * SECOND_NANOS),
            "m" | "min" | "mins" | "minute" | "minutes" => exact(60 * SECOND_NANOS),
            "s" | "sec" | "secs" | "second" | "seconds" => exact(SECOND_NANOS),
            "ms" | "millisecond" | "milliseconds" => exact(SECOND_NANOS / 1000),
            _ => None,
        }
    }

    fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            months: self.months.checked_add(other.months)?,
            days: self.days.checked_add(other.days)?,
            nanoseconds: self.nanoseconds.checked_add(other.nanoseconds)?,
        })
    }

    fn times(self, factor: i64) -> Option<Self> {
        Some(Self {
            months: self.months.checked_mul(factor)?,
            days: self.days.checked_mul(factor)?,
            nanoseconds: self.nanoseconds.checked_mul(i128::from(factor))?,
        })
    }

    /// Moves a moment: first on the calendar and by the clocks of its zone, then by exact time.
    pub(crate) fn after(self, start: &Zoned) -> Option<Zoned> {
        let moved = if self.months == 0 && self.days == 0 {
            start.moment
        } else {
            start
                .zone
                .moment(on_calendar(start.local(), self.months, self.days)?)?
        };
        let seconds = i64::try_from(self.nanoseconds.div_euclid(SECOND_NANOS)).ok()?;
        let nanoseconds = u32::try_from(self.nanoseconds.rem_euclid(SECOND_NANOS)).ok()?;
        let moment = moved.checked_add_signed(TimeDelta::new(seconds, nanoseconds)?)?;
        Some(Zoned {
            moment,
            zone: start.zone.clone(),
        })
    }
}

/// Reads a number with decimals as a multiple of `unit` nanoseconds.
fn decimal(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i128 = whole.parse::<u64>().ok()?.into();
    let mut nanos = whole.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(i128::from(digit.to_digit(10)?).checked_mul(place)?)?;
    }
    Some(nanos)
}

/// Moves a local time by months (the day is cut to the month's last) and days.
fn on_calendar(local: NaiveDateTime, months: i64, days: i64) -> Option<NaiveDateTime> {
    let size = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let local = if months < 0 {
        local.checked_sub_months(size)?
    } else {
        local.checked_add_months(size)?
    };
    let size = Days::new(days.unsigned_abs());
    if days < 0 {
        local.checked_sub_days(size)
    } else {
        local.checked_add_days(size)
    }
}

/// The time between two moments, in the units it is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between {
    is_negative: bool,
    /// Years, months, weeks, days, hours, minutes.
    counts: [i64; 6],
    seconds: i64,
    nanoseconds: u32,
}

const LETTERS: [char; 6] = ['Y', 'M', 'W', 'D', 'H', 'M'];
const NAMES: [&str; 6] = ["year", "month", "week", "day", "hour", "minute"];

impl Between {
    /// Counts by the calendar and the clocks of the zone of `start`.
    pub(crate) fn count(start: &Zoned, end: DateTime<Utc>, largest: Unit) -> Option<Self> {
        if end < start.moment {
            let swapped = Zoned {
                moment: end,
                zone: start.zone.clone(),
            };
            return Some(Self {
                is_negative: true,
                ..Self::count(&swapped, start.moment, largest)?
            });
        }
        let (months, days, rest) = match largest {
            Unit::Years | Unit::Months => calendar(start, end, true)?,
            Unit::Weeks | Unit::Days => calendar(start, end, false)?,
            Unit::Hours | Unit::Minutes | Unit::Seconds => (0, 0, end.signed_duration_since(start.moment)),
        };
        let seconds = rest.num_seconds();
        let (years, months) = if largest == Unit::Years {
            (months / 12, months % 12)
        } else {
            (0, months)
        };
        let (weeks, days) = if largest == Unit::Weeks {
            (days / 7, days % 7)
        } else {
            (0, days)
        };
        let (hours, minutes, seconds) = match largest {
            Unit::Seconds => (0, 0, seconds),
            Unit::Minutes => (0, seconds / 60, seconds % 60),
            Unit::Years | Unit::Months | Unit::Weeks | Unit::Days | Unit::Hours => {
                (seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
        };
        let nanoseconds = u32::try_from(rest.subsec_nanos()).unwrap_or_default();
        Some(Self {
            is_negative: false,
            counts: [years, months, weeks, days, hours, minutes],
            seconds,
            nanoseconds,
        })
    }

    /// The form of ISO 8601.
    pub(crate) fn iso(&self) -> String {
        let mut text = if self.is_negative {
            "-P".to_owned()
        } else {
            "P".to_owned()
        };
        let mut time = String::new();
        for (number, (count, letter)) in self.counts.iter().zip(LETTERS).enumerate() {
            if *count != 0 {
                let part = if number < 4 { &mut text } else { &mut time };
                // Writing to a string cannot fail.
                let _ = write!(part, "{count}{letter}");
            }
        }
        if self.seconds != 0 || self.nanoseconds != 0 {
            let _ = write!(time, "{}S", self.seconds_text());
        }
        if text.ends_with('P') && time.is_empty() {
            time.push_str("0S");
        }
        if !time.is_empty() {
            text.push('T');
        }
        text + &time
    }

    /// The same in English.
    pub(crate) fn words(&self) -> String {
        let counts = self.counts.iter().zip(NAMES).filter(|(count, _)| **count != 0);
        let mut words: Vec<String> = counts
            .map(|(count, name)| plural(&count.to_string(), name))
            .collect();
        if self.seconds != 0 || self.nanoseconds != 0 || words.is_empty() {
            words.push(plural(&self.seconds_text(), "second"));
        }
        let text = words.join(" ");
        if self.is_negative {
            format!("{text} earlier")
        } else {
            text
        }
    }

    fn seconds_text(&self) -> String {
        if self.nanoseconds == 0 {
            return self.seconds.to_string();
        }
        format!("{}.{:09}", self.seconds, self.nanoseconds)
            .trim_end_matches('0')
            .to_owned()
    }
}

fn plural(count: &str, name: &str) -> String {
    if count == "1" {
        format!("1 {name}")
    } else {
        format!("{count} {name}s")
    }
}

/// How many months (if wanted), then days, fit between two moments, and what is left.
fn calendar(start: &Zoned, end: DateTime<Utc>, with_months: bool) -> Option<(i64, i64, TimeDelta)> {
    let (first, last) = (
        start.local(),
        Zoned {
            moment: end,
            zone: start.zone.clone(),
        }
        .local(),
    );
    let reach = |months: i64, days: i64| start.zone.moment(on_calendar(first, months, days)?);
    let month = |local: NaiveDateTime| i64::from(local.year()) * 12 + i64::from(local.month0());
    // An estimate, at most one too large.
    let mut months = if with_months {
        month(last) - month(first)
    } else {
        0
    };
    if months > 0 && reach(months, 0)? > end {
        months -= 1;
    }
    let mut days = last
        .date()
        .signed_duration_since(on_calendar(first, months, 0)?.date())
        .num_days();
    while days > 0 && reach(months, days)? > end {
        days -= 1;
    }
    // Where clocks were put back in between, the local time may be earlier than the start's.
    let days = days.max(0);
    let reached = if months == 0 && days == 0 {
        start.moment
    } else {
        reach(months, days)?
    };
    Some((months, days, end.signed_duration_since(reached)))
}
