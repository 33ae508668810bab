//! Parses the dates and times that numpy accepts as text. Never reads the clock.

use chrono::{Datelike, NaiveDate};

/// The number of attoseconds in a day.
pub(super) const ATTOSECONDS_PER_DAY: i128 = 86_400 * 1_000_000_000_000_000_000;

/// A point in time in UTC.
pub(super) struct Moment {
    pub(super) year: i32,
    /// The month, from 1 to 12.
    pub(super) month: u32,
    /// The number of days since 1970-01-01.
    pub(super) day: i32,
    /// The number of attoseconds since midnight.
    pub(super) attoseconds: i128,
}

/// The maximum number of digits in a fraction of a second. The last digit counts attoseconds.
const MAX_FRACTION: usize = 18;

/// The time of day: hours, minutes, seconds and attoseconds.
type Time = (u32, u32, u32, i128);

/// Parses `YEAR[-MM[-DD[Thh[:mm[:ss[.fraction]]]]]]`, with `Z` or an offset after a time. The year may have a sign and any
/// number of digits, and a space may replace the `T`.
pub(super) fn moment(text: &str) -> Option<Moment> {
    let text = text.trim_start();
    let is_time = |letter| matches!(letter, 'T' | ' ');
    let (date, time) = text.split_once(is_time).map_or((text, None), |(date, time)| (date, Some(time)));
    let (year, rest) = date
        .char_indices()
        .skip(1)
        .find(|(_, letter)| *letter == '-')
        .map_or((date, None), |(at, _)| (&date[..at], Some(&date[at + 1..])));
    let (month, day) =
        match rest.map(|rest| rest.split_once('-').map_or((rest, None), |(month, day)| (month, Some(day)))) {
            None => (1, None),
            Some((month, day)) => (two_digits(month)?, day.map(two_digits)),
        };
    let day = match day {
        None if time.is_some() => return None,
        None => 1,
        Some(day) => day?,
    };
    let (sign, digits) =
        year.strip_prefix('-').map_or((1, year.strip_prefix('+').unwrap_or(year)), |digits| (-1, digits));
    let year = sign * number(digits)?;
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    let ((hours, minutes, seconds, attoseconds), offset) = time.map_or(Some(((0, 0, 0, 0), 0)), time_and_offset)?;
    let seconds = i128::from(hours * 3600 + minutes * 60 + seconds) - i128::from(offset) * 60;
    let since_midnight = seconds * 1_000_000_000_000_000_000 + attoseconds;
    let day = i128::from(date.to_epoch_days()) + since_midnight.div_euclid(ATTOSECONDS_PER_DAY);
    let date = NaiveDate::from_epoch_days(i32::try_from(day).ok()?)?;
    Some(Moment {
        year: date.year(),
        month: date.month(),
        day: date.to_epoch_days(),
        attoseconds: since_midnight.rem_euclid(ATTOSECONDS_PER_DAY),
    })
}

/// Parses a time of day with an optional offset from UTC. Returns the time, and the offset in minutes.
fn time_and_offset(text: &str) -> Option<(Time, i32)> {
    let at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (time, offset) = text.split_at(at);
    let offset = match offset.strip_prefix(['+', '-']) {
        None if offset.is_empty() || offset == "Z" => 0,
        None => return None,
        Some(parts) => {
            let (hours, minutes) = match parts.len() {
                2 => (parts, "00"),
                4 => parts.split_at_checked(2)?,
                _ => parts.split_once(':')?,
            };
            let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
            let minutes = i32::try_from(hours * 60 + minutes).ok().filter(|_| hours < 24 && minutes < 60)?;
            if offset.starts_with('-') { -minutes } else { minutes }
        }
    };
    let mut parts = time.split(':');
    let hours = parts.next().and_then(two_digits).filter(|hours| *hours < 24)?;
    let minutes = parts.next().map_or(Some(0), two_digits).filter(|minutes| *minutes < 60)?;
    let (seconds, fraction) = parts.next().map_or(("00", ""), |part| part.split_once('.').unwrap_or((part, "")));
    let seconds = two_digits(seconds).filter(|seconds| *seconds < 60 && parts.next().is_none())?;
    if fraction.len() > MAX_FRACTION || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let attoseconds = format!("{fraction:0<MAX_FRACTION$}").parse().ok()?;
    Some(((hours, minutes, seconds, attoseconds), offset))
}

fn two_digits(text: &str) -> Option<u32> {
    if text.len() == 2 { number(text).and_then(|number| u32::try_from(number).ok()) } else { None }
}

/// Parses a number that consists of ASCII digits, without a sign.
fn number(digits: &str) -> Option<i32> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}
