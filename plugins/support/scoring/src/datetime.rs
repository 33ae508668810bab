//! Parses dates and times as pandas does: in ISO 8601, as a date without a time, or with the month first. Rejects time
//! zones, as MLflow does.

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time};

use crate::cell_error::{CellError, CellResult};

const UNREADABLE: CellError = CellError::Invalid("is not a time such as `2024-01-02T03:04:05`");

/// Parses a date and time. Returns the nanoseconds since 1970-01-01.
pub(crate) fn nanoseconds(text: &str) -> CellResult<i64> {
    let text = text.trim();
    let (date, time) = match text.find(['T', ' ']) {
        None => (text, None),
        Some(at) => (&text[..at], Some(&text[at + 1..])),
    };
    let date = date_of(date).ok_or(UNREADABLE)?;
    let time = match time {
        None => Time::MIDNIGHT,
        Some(time) if time.ends_with(['Z', 'z']) || time.contains(['+', '-']) => {
            return Err(CellError::TimeZone);
        }
        Some(time) => time_of(time).ok_or(UNREADABLE)?,
    };
    let nanoseconds = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp_nanos();
    i64::try_from(nanoseconds).map_err(|_out_of_range| CellError::Invalid("is not between 1678 and 2261"))
}

fn date_of(text: &str) -> Option<Date> {
    const FORMATS: [&[BorrowedFormatItem<'_>]; 3] = [
        format_description!("[year]-[month]-[day]"),
        format_description!("[year][month][day]"),
        format_description!("[month padding:none]/[day padding:none]/[year]"),
    ];
    FORMATS.into_iter().find_map(|format| Date::parse(text, format).ok())
}

fn time_of(text: &str) -> Option<Time> {
    const FORMATS: [&[BorrowedFormatItem<'_>]; 3] = [
        format_description!("[hour]:[minute]:[second].[subsecond]"),
        format_description!("[hour]:[minute]:[second]"),
        format_description!("[hour]:[minute]"),
    ];
    FORMATS.into_iter().find_map(|format| Time::parse(text, format).ok())
}
