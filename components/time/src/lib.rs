//! The starter component `time`: the current time, and calculations with dates, times and time zones.
//!
//! The time zone database is inside, so that nothing but the wall clock is imported.

mod duration;
mod moment;
mod zone;

use chrono::DateTime;
use duration::{Between, Duration};
use moment::{Zoned, zone_or_utc};
use zone::Zone;

wit_bindgen::generate!({ world: "time", path: "wit" });

struct Component;
export!(Component);

impl Guest for Component {
    fn now(zone: Option<String>) -> Result<Moment, String> {
        let now = wasip2::clocks::wall_clock::now();
        let seconds = i64::try_from(now.seconds).ok();
        let moment = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, now.nanoseconds));
        let moment = moment.ok_or("the clock is beyond the calendar")?;
        Ok(Zoned {
            moment,
            zone: zone_or_utc(zone.as_deref())?,
        }
        .describe())
    }

    fn convert(time: String, from_zone: Option<String>, to_zone: String) -> Result<Moment, String> {
        let zoned = Zoned::read(&time, from_zone.as_deref())?;
        Ok(Zoned {
            zone: Zone::named(&to_zone)?,
            ..zoned
        }
        .describe())
    }

    fn parse(text: String, format: Option<String>, zone: Option<String>) -> Result<Moment, String> {
        let zoned = match format {
            Some(format) => Zoned::read_formatted(&text, &format, zone.as_deref())?,
            None => match Zoned::read_mail(&text) {
                Some(zoned) => zoned,
                None => Zoned::read(&text, zone.as_deref())?,
            },
        };
        Ok(zoned.describe())
    }

    fn format(time: String, format: String, zone: Option<String>) -> Result<String, String> {
        Zoned::read_into(&time, zone.as_deref())?.format(&format)
    }

    fn add(time: String, duration: String, zone: Option<String>) -> Result<Moment, String> {
        let zoned = Zoned::read_into(&time, zone.as_deref())?;
        let parsed = Duration::parse(&duration).ok_or_else(|| {
            format!(
                "cannot read the duration `{duration}`: it must look like `P1M`, `PT36H` or `1 day 2 hours`"
            )
        })?;
        let moved = parsed
            .after(&zoned)
            .ok_or_else(|| format!("`{time}` and `{duration}` leave the calendar"))?;
        Ok(moved.describe())
    }

    fn difference(
        start: String,
        end: String,
        largest_unit: Option<Unit>,
        zone: Option<String>,
    ) -> Result<Span, String> {
        let from = Zoned::read_into(&start, zone.as_deref())?;
        // An end without a zone is in that of the start.
        let to = Zoned::read(&end, zone.as_deref().or(Some(&from.zone.name)))?;
        let between = Between::count(&from, to.moment, largest_unit.unwrap_or(Unit::Days))
            .ok_or_else(|| format!("`{start}` and `{end}` leave the calendar"))?;
        let seconds = to.moment.signed_duration_since(from.moment).as_seconds_f64();
        Ok(Span {
            duration: between.iso(),
            words: between.words(),
            seconds,
        })
    }

    fn zones(search: Option<String>) -> Vec<String> {
        // A name is written with underscores, and asked for with blanks.
        let search = search
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
            .replace(' ', "_");
        let names = zone::names().into_iter();
        names
            .filter(|name| name.to_ascii_lowercase().contains(&search))
            .collect()
    }
}
