//! Times as whole nanoseconds since the Unix epoch, UTC, and their text.
//!
//! Never as a floating Julian date: one of those is decimetres wrong at orbital speed.

use crate::Error;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;

/// Nanoseconds in a millisecond.
pub const MILLISECOND_NS: i64 = 1_000_000;

/// Reads RFC 3339, or (as element sets have it) a date and time without an offset, then UTC.
pub fn parse(text: &str) -> Result<i64, Error> {
    let bad = |error: jiff::Error| Error::Time(format!("{text:?}: {error}"));
    let timestamp = match text.parse::<Timestamp>() {
        Ok(timestamp) => timestamp,
        Err(_) => {
            let civil: DateTime = text.parse().map_err(bad)?;
            civil.to_zoned(TimeZone::UTC).map_err(bad)?.timestamp()
        }
    };
    i64::try_from(timestamp.as_nanosecond())
        .map_err(|_| Error::Time(format!("{text:?} lies outside the years 1678 to 2261")))
}

/// Writes RFC 3339 in UTC with as many decimals of the second as there are.
pub fn format(time_ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(time_ns))
        .expect("every i64 of nanoseconds lies between the years 1677 and 2262")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_nanosecond_and_print_no_idle_zeros() {
        for (text, back) in [
            ("2009-02-10T16:55:59.795784123Z", "2009-02-10T16:55:59.795784123Z"),
            ("2009-02-10T16:55:59.500Z", "2009-02-10T16:55:59.5Z"),
            ("2009-02-10T16:55:59", "2009-02-10T16:55:59Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(format(parse(text).unwrap()), back);
        }
        assert!(parse("yesterday").is_err());
        assert!(parse("3000-01-01T00:00:00Z").is_err());
    }
}
