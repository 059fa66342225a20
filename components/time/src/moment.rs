//! Points in time: reading, and showing them in a zone.

use crate::zone::{Zone, offset_text};
use crate::{Moment, Weekday};
use chrono::format::{DelayedFormat, Item, Parsed, StrftimeItems};
use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDateTime, NaiveTime, Offset, TimeDelta, Utc};
use std::fmt::{self, Write as _};

/// A point in time and the zone it is shown in.
#[derive(Clone, Debug)]
pub(crate) struct Zoned {
    pub(crate) moment: DateTime<Utc>,
    pub(crate) zone: Zone,
}

/// The forms of a date with or without a time, the more exact first; an offset is cut off before.
const FORMS: [&str; 3] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d"];

impl Zoned {
    /// Reads a point in time; `zone` is used when the text names none.
    pub(crate) fn read(text: &str, zone: Option<&str>) -> Result<Self, String> {
        let zone = zone_or_utc(zone)?;
        let text = text.trim();
        if let Some(seconds) = text.strip_prefix('@') {
            return Ok(Self {
                moment: read_seconds(seconds)?,
                zone,
            });
        }
        let unreadable = || {
            format!(
                "cannot read `{text}` as a point in time: it must look like `2026-03-29T14:30:00+02:00`, \
                 `2026-03-29T14:30`, `2026-03-29` or `@1774787400`; other forms need the tool `parse`"
            )
        };
        let (stamp, annotation) = text.split_once('[').unwrap_or((text, ""));
        let named = annotation
            .split(['[', ']'])
            .find(|part| !part.is_empty() && !part.contains('='));
        let (local, offset) = split_offset(stamp.trim_end());
        let local = read_local(local).ok_or_else(unreadable)?;
        let zone = match (named, offset) {
            (Some(name), _) => Zone::named(name)?,
            (None, Some(offset)) if offset.eq_ignore_ascii_case("z") => Zone::utc(),
            (None, Some(offset)) => Zone::named(offset)?,
            (None, None) => zone,
        };
        let moment = match offset {
            Some(offset) => Zone::named(offset)?.moment(local),
            None => zone.moment(local),
        };
        Ok(Self {
            moment: moment.ok_or_else(unreadable)?,
            zone,
        })
    }

    /// Reads a point in time and shows it in `zone`, if one is given.
    pub(crate) fn read_into(text: &str, zone: Option<&str>) -> Result<Self, String> {
        let zoned = Self::read(text, zone)?;
        match zone {
            Some(zone) => Ok(Self {
                zone: Zone::named(zone)?,
                ..zoned
            }),
            None => Ok(zoned),
        }
    }

    /// Reads a text in a form that codes describe.
    pub(crate) fn read_formatted(text: &str, format: &str, zone: Option<&str>) -> Result<Self, String> {
        let zone = zone_or_utc(zone)?;
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, text.trim(), items(format)?.iter())
            .map_err(|error| format!("`{text}` does not match the format `{format}`: {error}"))?;
        let incomplete = || format!("`{text}` in the format `{format}` is no complete date");
        if let Some(seconds) = parsed.timestamp() {
            return Ok(Self {
                moment: DateTime::from_timestamp(seconds, 0).ok_or_else(incomplete)?,
                zone,
            });
        }
        let date = parsed.to_naive_date().map_err(|_| incomplete())?;
        let has_time = parsed.hour_mod_12().is_some();
        let time = if has_time {
            parsed.to_naive_time().map_err(|_| incomplete())?
        } else {
            NaiveTime::MIN
        };
        let zone = parsed.offset().map_or(zone, Zone::fixed);
        Ok(Self {
            moment: zone.moment(date.and_time(time)).ok_or_else(incomplete)?,
            zone,
        })
    }

    /// Reads the form of e-mail: `Sun, 29 Mar 2026 14:30:00 +0200`.
    pub(crate) fn read_mail(text: &str) -> Option<Self> {
        let time = DateTime::parse_from_rfc2822(text.trim()).ok()?;
        Some(Self {
            moment: time.to_utc(),
            zone: Zone::fixed(time.offset().local_minus_utc()),
        })
    }

    /// What the clocks of the zone show.
    pub(crate) fn local(&self) -> NaiveDateTime {
        let offset = i64::from(self.zone.local(self.moment).offset);
        let local = self.moment.naive_utc();
        local
            .checked_add_signed(TimeDelta::seconds(offset))
            .unwrap_or(local)
    }

    /// Writes it in a form that codes describe.
    pub(crate) fn format(&self, format: &str) -> Result<String, String> {
        let shown = self.zone.local(self.moment);
        let offset = FixedOffset::east_opt(shown.offset).ok_or("the offset is beyond a day")?;
        let offset = Shown {
            offset,
            abbreviation: shown.abbreviation,
        };
        let (local, items) = (self.local(), items(format)?);
        let delayed =
            DelayedFormat::new_with_offset(Some(local.date()), Some(local.time()), &offset, items.iter());
        let mut text = String::new();
        write!(text, "{delayed}").map_err(|_| format!("cannot write the format `{format}`"))?;
        Ok(text)
    }

    /// Everything about it.
    pub(crate) fn describe(&self) -> Moment {
        let shown = self.zone.local(self.moment);
        let local = self.local();
        let offset = offset_text(shown.offset);
        let annotation = if self.zone.name == offset {
            String::new()
        } else {
            format!("[{}]", self.zone.name)
        };
        Moment {
            text: format!("{}{offset}{annotation}", local.format("%Y-%m-%dT%H:%M:%S%.f")),
            zone: self.zone.name.clone(),
            offset,
            abbreviation: shown.abbreviation,
            daylight_saving: shown.is_daylight_saving,
            unix_ms: self.moment.timestamp_millis(),
            weekday: weekday(local.weekday()),
            day_of_year: u16::try_from(local.ordinal()).unwrap_or_default(),
            iso_week: u8::try_from(local.iso_week().week()).unwrap_or_default(),
        }
    }
}

pub(crate) fn zone_or_utc(name: Option<&str>) -> Result<Zone, String> {
    name.map_or_else(|| Ok(Zone::utc()), Zone::named)
}

/// Cuts the offset off the end of a date with a time.
fn split_offset(text: &str) -> (&str, Option<&str>) {
    let Some(time) = text.find(['T', 't', ' ', ':']) else {
        return (text, None);
    };
    let clock = text.get(time..).unwrap_or_default();
    match clock
        .find(['+', '-', 'Z', 'z'])
        .and_then(|at| text.split_at_checked(time + at))
    {
        Some((local, offset)) => (local.trim_end(), Some(offset)),
        None => (text, None),
    }
}

fn read_local(text: &str) -> Option<NaiveDateTime> {
    let text = text.replacen(['t', ' '], "T", 1);
    FORMS.iter().find_map(|form| {
        let mut parsed = Parsed::new();
        chrono::format::parse(&mut parsed, &text, StrftimeItems::new(form)).ok()?;
        let time = if form.ends_with("%d") {
            NaiveTime::MIN
        } else {
            parsed.to_naive_time().ok()?
        };
        Some(parsed.to_naive_date().ok()?.and_time(time))
    })
}

/// Reads seconds since 1970, with decimals.
fn read_seconds(text: &str) -> Result<DateTime<Utc>, String> {
    let wrong = || format!("`@{text}` is no number of seconds within the calendar");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.trim().parse().map_err(|_| wrong())?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().map_err(|_| wrong())?;
    let size = TimeDelta::nanoseconds(i64::from(nanoseconds));
    let moment = DateTime::from_timestamp(seconds, 0).ok_or_else(wrong)?;
    let is_negative = whole.trim_start().starts_with('-');
    let moved = if is_negative {
        moment.checked_sub_signed(size)
    } else {
        moment.checked_add_signed(size)
    };
    moved.ok_or_else(wrong)
}

fn items(format: &str) -> Result<Vec<Item<'_>>, String> {
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(format!(
            "the format `{format}` has a code that is not known; `%%` is a percent sign"
        ));
    }
    Ok(items)
}

/// An offset with its abbreviation, as chrono wants it for `%Z`.
#[derive(Clone, Debug)]
struct Shown {
    offset: FixedOffset,
    abbreviation: String,
}

impl Offset for Shown {
    fn fix(&self) -> FixedOffset {
        self.offset
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.abbreviation)
    }
}

fn weekday(day: chrono::Weekday) -> Weekday {
    match day {
        chrono::Weekday::Mon => Weekday::Monday,
        chrono::Weekday::Tue => Weekday::Tuesday,
        chrono::Weekday::Wed => Weekday::Wednesday,
        chrono::Weekday::Thu => Weekday::Thursday,
        chrono::Weekday::Fri => Weekday::Friday,
        chrono::Weekday::Sat => Weekday::Saturday,
        chrono::Weekday::Sun => Weekday::Sunday,
    }
}
