//! Amounts as people write them: `512Mi`, `500ms`, `0.5`, `60/min`.
//!
//! Everything is exact: an amount that is not whole in its base unit is refused instead of rounded, because
//! a limit that means something else than what is written is worse than none. Units are those of Kubernetes;
//! the one that fools people (`m` for memory is a thousandth of a byte) is refused with a hint.

use crate::document::shown;
use crate::error::ParseLimitError;
use crate::rate::Rate;
use std::time::Duration;

/// Digits before the point; 10^15 of the largest unit still fits the arithmetic.
const WHOLE_DIGITS_MAX: usize = 15;
/// Digits after the point.
const FRACTION_DIGITS_MAX: usize = 9;

const BYTE_UNITS: [(&str, u128); 9] = [
    ("", 1),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// In milliseconds. `min` is there because `m` means a thousandth of a core next to `cpu`.
const DURATION_UNITS: [(&str, u128); 4] = [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

/// In seconds.
const RATE_UNITS: [(&str, u64); 7] = [
    ("s", 1),
    ("sec", 1),
    ("second", 1),
    ("min", 60),
    ("minute", 60),
    ("h", 3_600),
    ("hour", 3_600),
];

/// Reads a number of bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, ParseLimitError> {
    let (number, unit) = split(text)?;
    let Some(scale) = scale_of(&BYTE_UNITS, unit) else {
        return Err(match unit {
            "m" => wrong(
                format!("`{}` means thousandths of a byte", shown(text)),
                "for mebibytes write `Mi`, for megabytes `M`",
            ),
            _ => wrong(
                format!("`{}` is not a unit of bytes", shown(unit)),
                "the units are `Ki`, `Mi`, `Gi`, `Ti`, `k`, `M`, `G`, `T`, or none for bytes",
            ),
        });
    };
    number.times(scale, text, "bytes")
}

/// Reads a whole number.
pub(crate) fn count(text: &str) -> Result<u64, ParseLimitError> {
    let (number, unit) = split(text)?;
    let scale = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        _ => {
            return Err(wrong(
                format!("`{}` is not a unit of a plain number", shown(unit)),
                "write the number alone, or with `k` or `M`",
            ));
        }
    };
    number.times(scale, text, "things")
}

/// Reads a span of time, in milliseconds. `m` is minutes.
pub(crate) fn milliseconds(text: &str) -> Result<u64, ParseLimitError> {
    let (number, unit) = split(text)?;
    let scale = if unit == "m" {
        Some(60_000)
    } else {
        scale_of(&DURATION_UNITS, unit)
    };
    let Some(scale) = scale else {
        return Err(wrong(
            if unit.is_empty() {
                format!("`{}` has no unit of time", shown(text))
            } else {
                format!("`{}` is not a unit of time", shown(unit))
            },
            "the units are `ms`, `s`, `m` (minutes) and `h`, for example `30s`",
        ));
    };
    number.times(scale, text, "milliseconds")
}

/// What a `cpu` limit can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cpu {
    /// Time of one call, in milliseconds.
    Time(u64),
    /// A share of wall time, in thousandths of a core.
    Share(u64),
}

/// Reads processor time (`2s`) or a share of cores (`500m`, `0.5`). Here `m` is a thousandth of a core.
pub(crate) fn cpu(text: &str) -> Result<Cpu, ParseLimitError> {
    let (number, unit) = split(text)?;
    match unit {
        "" => return number.times(1_000, text, "thousandths of a core").map(Cpu::Share),
        "m" => return number.times(1, text, "thousandths of a core").map(Cpu::Share),
        _ => {}
    }
    let Some(scale) = scale_of(&DURATION_UNITS, unit) else {
        return Err(wrong(
            format!("`{}` is not a unit of processor time", shown(unit)),
            "write time as `2s` or `500ms`, or a share as `500m` (half a core) or `0.5`",
        ));
    };
    number.times(scale, text, "milliseconds").map(Cpu::Time)
}

/// Reads a share of one core in percent, in thousandths of a core.
pub(crate) fn percent(text: &str) -> Result<u64, ParseLimitError> {
    let (number, unit) = split(text)?;
    if !unit.is_empty() {
        return Err(wrong(
            format!("`{}` is not a percentage", shown(text)),
            "here `cpu` is a plain number, percent of one core; units are read in `limits`",
        ));
    }
    number.times(10, text, "thousandths of a core")
}

/// Reads a number of mebibytes, in bytes.
pub(crate) fn mebibytes(text: &str) -> Result<u64, ParseLimitError> {
    let (number, unit) = split(text)?;
    if !unit.is_empty() {
        return Err(wrong(
            format!("`{}` is not a plain number", shown(text)),
            "here `memory` is a plain number of megabytes; units are read in `limits`",
        ));
    }
    number.times(1 << 20, text, "bytes")
}

/// Reads calls over time.
pub(crate) fn rate(text: &str) -> Result<Rate, ParseLimitError> {
    const HINT: &str = "write a number and a span: `60/min`, `5/s` or `1000/hour`";
    let Some((calls, span)) = text.split_once('/') else {
        return Err(wrong(format!("`{}` does not say in how long", shown(text)), HINT));
    };
    let Some((_, seconds)) = RATE_UNITS.into_iter().find(|(unit, _)| *unit == span.trim()) else {
        return Err(wrong(
            format!("`{}` is not a span of a rate", shown(span.trim())),
            HINT,
        ));
    };
    let calls = count(calls.trim())?;
    let Ok(calls) = u32::try_from(calls) else {
        return Err(too_large(text));
    };
    Ok(Rate {
        calls,
        per: Duration::from_secs(seconds),
    })
}

/// The shortest exact text of a number of bytes.
pub(crate) fn bytes_text(bytes: u64) -> String {
    let units = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    for (unit, bits) in units {
        if bytes.trailing_zeros() >= bits {
            return format!("{}{unit}", bytes >> bits);
        }
    }
    bytes.to_string()
}

/// A span of time as text that means the same for `time` and for `cpu`.
pub(crate) fn milliseconds_text(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1_000) {
        return format!("{}s", milliseconds / 1_000);
    }
    format!("{milliseconds}ms")
}

/// A rate as text.
pub(crate) fn rate_text(rate: Rate) -> String {
    let span = match rate.per.as_secs() {
        60 => "min",
        3_600 => "hour",
        _ => "s",
    };
    format!("{}/{span}", rate.calls)
}

/// A decimal number, exactly.
struct Decimal {
    digits: u128,
    /// What `digits` must be divided by; a power of ten.
    divisor: u128,
}

impl Decimal {
    fn times(&self, scale: u128, text: &str, what: &str) -> Result<u64, ParseLimitError> {
        let scaled = self.digits * scale;
        if !scaled.is_multiple_of(self.divisor) {
            return Err(wrong(
                format!("`{}` is not a whole number of {what}", shown(text)),
                "round it; nothing smaller is counted",
            ));
        }
        u64::try_from(scaled / self.divisor).map_err(|_| too_large(text))
    }
}

fn split(text: &str) -> Result<(Decimal, &str), ParseLimitError> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(ParseLimitError {
            message: format!("`{}` is not an amount", shown(text)),
            hint: "an amount is a number and a unit, for example `512Mi`, `30s` or `100`",
        });
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(wrong(
            format!("`{}` begins with a zero", shown(text)),
            "leave the leading zero out",
        ));
    }
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > WHOLE_DIGITS_MAX {
        return Err(too_large(text));
    }
    if fraction.len() > FRACTION_DIGITS_MAX {
        return Err(ParseLimitError {
            message: format!("`{}` has too many digits", shown(text)),
            hint: "write at most nine digits after the point, or a smaller unit",
        });
    }
    let digits = whole.bytes().chain(fraction.bytes());
    let number = Decimal {
        digits: digits.fold(0, |number, digit| number * 10 + u128::from(digit - b'0')),
        divisor: fraction.bytes().fold(1, |divisor, _| divisor * 10),
    };
    Ok((number, unit))
}

fn scale_of(units: &[(&str, u128)], unit: &str) -> Option<u128> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
}

fn wrong(message: String, hint: &'static str) -> ParseLimitError {
    ParseLimitError { message, hint }
}

fn too_large(text: &str) -> ParseLimitError {
    ParseLimitError {
        message: format!("`{}` is too large", shown(text)),
        hint: "no policy can ask for so much",
    }
}
