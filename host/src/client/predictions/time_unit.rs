//! The units of numpy's `datetime64` and `timedelta64`, as types.

use super::iso8601::{ATTOSECONDS_PER_DAY, Moment};

/// A unit of numpy's `datetime64` and `timedelta64`.
#[expect(private_bounds, reason = "the units are numpy's: other types cannot be units")]
pub trait TimeUnit: Count {
    /// numpy's code of the unit, such as `ns`.
    const CODE: &'static str;

    /// numpy's name of the dtype of points in time, such as `datetime64[ns]`.
    const DATETIME64: &'static str;

    /// numpy's name of the dtype of durations, such as `timedelta64[ns]`.
    const TIMEDELTA64: &'static str;
}

/// A unit that can count the time since 1970-01-01.
pub(super) trait Count {
    /// Returns the number of whole units from 1970-01-01 to the moment, rounded towards the past; `None` if it does not
    /// fit into 64 bits.
    fn count(moment: &Moment) -> Option<i64>;
}

macro_rules! units {
    ($($(#[$documentation:meta])* $name:ident $code:literal $count:expr;)*) => {
        $(
            $(#[$documentation])*
            #[derive(Clone, Copy, Debug)]
            #[non_exhaustive]
            pub struct $name;

            impl TimeUnit for $name {
                const CODE: &'static str = $code;
                const DATETIME64: &'static str = concat!("datetime64[", $code, "]");
                const TIMEDELTA64: &'static str = concat!("timedelta64[", $code, "]");
            }

            impl Count for $name {
                fn count(moment: &Moment) -> Option<i64> {
                    let count: fn(&Moment) -> i128 = $count;
                    // `i64::MIN` is `NaT`.
                    i64::try_from(count(moment)).ok().filter(|count| *count != i64::MIN)
                }
            }
        )*
    };
}

units! {
    /// Years.
    Year "Y" |moment| i128::from(moment.year) - 1970;
    /// Months.
    Month "M" |moment| (i128::from(moment.year) - 1970) * 12 + i128::from(moment.month) - 1;
    /// Weeks, from Thursday to Wednesday.
    Week "W" |moment| i128::from(moment.day.div_euclid(7));
    /// Days.
    Day "D" |moment| in_days(moment, 1);
    /// Hours.
    Hour "h" |moment| in_days(moment, 24);
    /// Minutes.
    Minute "m" |moment| in_days(moment, 1_440);
    /// Seconds.
    Second "s" |moment| in_days(moment, 86_400);
    /// Milliseconds.
    Millisecond "ms" |moment| in_days(moment, 86_400_000);
    /// Microseconds.
    Microsecond "us" |moment| in_days(moment, 86_400_000_000);
    /// Nanoseconds.
    Nanosecond "ns" |moment| in_days(moment, 86_400_000_000_000);
    /// Picoseconds.
    Picosecond "ps" |moment| in_days(moment, 86_400_000_000_000_000);
    /// Femtoseconds.
    Femtosecond "fs" |moment| in_days(moment, 86_400_000_000_000_000_000);
    /// Attoseconds.
    Attosecond "as" |moment| in_days(moment, ATTOSECONDS_PER_DAY);
}

/// Returns the number of whole units since 1970-01-01. A day has `per_day` units.
fn in_days(moment: &Moment, per_day: i128) -> i128 {
    i128::from(moment.day) * per_day + moment.attoseconds / (ATTOSECONDS_PER_DAY / per_day)
}
