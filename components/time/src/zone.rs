//! Time zones: an offset, or a table of the IANA database.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use miniz_oxide::inflate::decompress_to_vec;

/// The packed database; `build.rs` says how.
static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.deflate"));

const DAY_SECONDS: i64 = 86_400;

/// A time zone.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// The IANA name, or the offset.
    pub(crate) name: String,
    rules: Rules,
}

#[derive(Clone, Debug)]
enum Rules {
    Fixed(i32),
    Table(tz::TimeZone),
}

/// What the clocks of a zone show at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// Seconds to add to UTC.
    pub(crate) offset: i32,
    pub(crate) is_daylight_saving: bool,
    pub(crate) abbreviation: String,
}

impl Zone {
    pub(crate) fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: Rules::Fixed(0),
        }
    }

    pub(crate) fn fixed(offset: i32) -> Self {
        Self {
            name: offset_text(offset),
            rules: Rules::Fixed(offset),
        }
    }

    /// Finds a zone by its name, or makes one of an offset.
    pub(crate) fn named(text: &str) -> Result<Self, String> {
        let name = text.trim();
        if ["utc", "z"].iter().any(|utc| name.eq_ignore_ascii_case(utc)) {
            return Ok(Self::utc());
        }
        if let Some(offset) = read_offset(name) {
            return Ok(Self::fixed(offset));
        }
        let name = name.replace(' ', "_");
        let database = Database::unpack()?;
        let found = database
            .names()?
            .into_iter()
            .find(|(other, _, _)| other.eq_ignore_ascii_case(&name));
        let (name, place, length) = found.ok_or_else(|| {
            format!("there is no time zone `{text}`: the tool `zones` lists the names; an offset such as `+05:30` is one, too")
        })?;
        let table = database
            .0
            .get(place..place.saturating_add(length))
            .unwrap_or_default();
        let table =
            tz::TimeZone::from_tz_data(table).map_err(|error| format!("the time zone `{name}`: {error}"))?;
        Ok(Self {
            name,
            rules: Rules::Table(table),
        })
    }

    /// What the clocks show at a moment.
    pub(crate) fn local(&self, moment: DateTime<Utc>) -> Local {
        let fixed = |offset, abbreviation: &str| Local {
            offset,
            is_daylight_saving: false,
            abbreviation: abbreviation.to_owned(),
        };
        match &self.rules {
            Rules::Fixed(offset) => fixed(*offset, &self.name),
            Rules::Table(table) => match table.find_local_time_type(moment.timestamp()) {
                Ok(kind) => Local {
                    offset: kind.ut_offset(),
                    is_daylight_saving: kind.is_dst(),
                    abbreviation: kind.time_zone_designation().to_owned(),
                },
                // Only before the first and after the last entry of a table without rules.
                Err(_) => fixed(0, "-00"),
            },
        }
    }

    /// The moment at which the clocks show a local time.
    ///
    /// A time that comes twice, when clocks are put back, is the first; one that is left out, when they are
    /// put forward, is as much later (RFC 5545 does the same).
    pub(crate) fn moment(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let local = local.and_utc();
        let offset_near = |days: i64| {
            let near = local
                .checked_add_signed(TimeDelta::seconds(days * DAY_SECONDS))
                .unwrap_or(local);
            self.local(near).offset
        };
        let candidate = |offset: i32| local.checked_sub_signed(TimeDelta::seconds(i64::from(offset)));
        let (before, after) = (offset_near(-1), offset_near(1));
        let fits = |offset: i32| candidate(offset).filter(|moment| self.local(*moment).offset == offset);
        fits(before).or_else(|| fits(after)).or_else(|| candidate(before))
    }
}

/// The names of all zones.
pub(crate) fn names() -> Vec<String> {
    let names = Database::unpack().and_then(|database| database.names());
    names
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _, _)| name)
        .collect()
}

/// Writes an offset as `+02:00`, with seconds where old tables have them.
pub(crate) fn offset_text(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let size = offset.unsigned_abs();
    let (hours, minutes, seconds) = (size / 3600, size / 60 % 60, size % 60);
    if seconds == 0 {
        return format!("{sign}{hours:02}:{minutes:02}");
    }
    format!("{sign}{hours:02}:{minutes:02}:{seconds:02}")
}

/// Reads `+05:30`, `-0800` or `+5`.
fn read_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() <= 2).map(i32::from);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The unpacked database.
struct Database(Vec<u8>);

impl Database {
    fn unpack() -> Result<Self, String> {
        decompress_to_vec(PACKED)
            .map(Self)
            .map_err(|error| format!("the time zone database is damaged: {error}"))
    }

    /// Every name, with the place and the length of its table.
    fn names(&self) -> Result<Vec<(String, usize, usize)>, String> {
        self.index()
            .ok_or_else(|| "the time zone database is damaged".to_owned())
    }

    fn index(&self) -> Option<Vec<(String, usize, usize)>> {
        let (count, mut rest) = self.0.split_first_chunk::<2>()?;
        let mut names = Vec::new();
        for _ in 0..u16::from_le_bytes(*count) {
            let (length, after) = rest.split_first()?;
            let (name, after) = after.split_at_checked(usize::from(*length))?;
            let (place, after) = after.split_first_chunk::<4>()?;
            let (length, after) = after.split_first_chunk::<4>()?;
            let number = |bytes: [u8; 4]| usize::try_from(u32::from_le_bytes(bytes)).ok();
            names.push((
                String::from_utf8_lossy(name).into_owned(),
                number(*place)?,
                number(*length)?,
            ));
            rest = after;
        }
        // Places count from after the index.
        let start = self.0.len().checked_sub(rest.len())?;
        Some(
            names
                .into_iter()
                .map(|(name, place, length)| (name, place.saturating_add(start), length))
                .collect(),
        )
    }
}
