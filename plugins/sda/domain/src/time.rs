//! Times as whole nanoseconds since the Unix epoch, UTC, and their text (RFC 3339).
//!
//! Never as a floating Julian date: one of those is decimetres wrong at orbital speed.

use std::fmt::Write;

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;

/// Nanoseconds in a millisecond.
pub const MILLISECOND_NS: i64 = 1_000_000;

/// The millisecond in which a time lies: the event time of what happened then.
pub fn floor_to_ms(time_ns: i64) -> i64 {
    time_ns.div_euclid(MILLISECOND_NS)
}

/// Reads RFC 3339 with up to nine decimals of the second, for the years 1700 to 2200.
///
/// A leap second is refused: Unix time has no place for it, and a second is eight kilometres. The
/// error says what is wrong.
pub fn parse(text: &str) -> Result<i64, &'static str> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !bytes.is_ascii() {
        return Err("should be RFC 3339, such as 2009-02-10T16:55:59.795Z");
    }
    let (date, rest) = bytes.split_at(19);
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| date[*at] != *mark) || !matches!(date[10], b'T' | b't' | b' ')
    {
        return Err("should be RFC 3339, such as 2009-02-10T16:55:59.795Z");
    }
    let (year, month, day) = (digits(&date[0..4])?, digits(&date[5..7])?, digits(&date[8..10])?);
    let clock = (digits(&date[11..13])?, digits(&date[14..16])?, digits(&date[17..19])?);
    if !(1700..=2200).contains(&year) {
        return Err("should lie in the years 1700 to 2200");
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err("has a day that is not in the calendar");
    }
    if clock.0 > 23 || clock.1 > 59 || clock.2 > 59 {
        return Err("has a time of day that Unix time does not have");
    }
    let (fraction_ns, offset) = fraction(rest)?;
    let day_seconds = clock.0 * 3600 + clock.1 * 60 + clock.2;
    let seconds = days_from_civil(year, month, day) * 86_400 + day_seconds;
    Ok((seconds - offset_seconds(offset)?) * SECOND_NS + fraction_ns)
}

/// Writes RFC 3339 in UTC with `decimals` (1 to 9) decimals of the second; further ones are cut.
pub fn format(time_ns: i64, decimals: usize) -> String {
    let seconds = time_ns.div_euclid(SECOND_NS);
    let fraction = time_ns.rem_euclid(SECOND_NS);
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.");
    write!(text, "{fraction:09}").expect("writing to a string does not fail");
    text.truncate(20 + decimals.clamp(1, 9));
    text.push('Z');
    text
}

fn digits(bytes: &[u8]) -> Result<i64, &'static str> {
    let mut value = 0;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return Err("has a letter where a digit should be");
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Ok(value)
}

/// Nanoseconds of the decimals at the front, and what comes behind them.
fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), &'static str> {
    let Some(behind) = rest.strip_prefix(b".") else {
        return Ok((0, rest));
    };
    let count = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 9 {
        return Err("should have one to nine decimals of the second");
    }
    let (decimals, offset) = behind.split_at(count);
    let scale = 10_i64.pow(9 - count as u32);
    Ok((digits(decimals)? * scale, offset))
}

fn offset_seconds(offset: &[u8]) -> Result<i64, &'static str> {
    match offset {
        b"Z" | b"z" => Ok(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (digits(&[*h0, *h1])?, digits(&[*m0, *m1])?);
            if hours > 23 || minutes > 59 {
                return Err("has an offset from UTC that does not exist");
            }
            let seconds = hours * 3600 + minutes * 60;
            Ok(if *sign == b'+' { seconds } else { -seconds })
        }
        _ => Err("should end in Z or an offset from UTC"),
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the Unix epoch. Years are taken to begin in March, so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The opposite of `days_from_civil`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_write_to_the_nanosecond() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(parse("2009-02-10T16:55:59.795784Z"), Ok(1_234_284_959_795_784_000));
        assert_eq!(parse("2009-02-10T18:55:59.5+02:00"), Ok(1_234_284_959_500_000_000));
        assert_eq!(parse("1969-12-31T23:59:59.999999999Z"), Ok(-1));
        assert_eq!(format(1_234_284_959_795_784_999, 6), "2009-02-10T16:55:59.795784Z");
        assert_eq!(format(-1, 9), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn every_day_of_five_centuries_comes_back() {
        let first = days_from_civil(1700, 1, 1);
        let last = days_from_civil(2200, 12, 31);
        for day in first..=last {
            let noon = day * 86_400 * SECOND_NS + 43_200 * SECOND_NS + 1;
            // The outer years do not fit into 64 bits of nanoseconds around 1970 by much.
            assert_eq!(parse(&format(noon, 9)), Ok(noon));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2009-02-10",
            "2009-02-10T16:55:59",
            "2009-02-30T16:55:59Z",
            "2009-13-10T16:55:59Z",
            "2009-02-10T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2009-02-10T16:55:59.Z",
            "2009-02-10T16:55:59.1234567890Z",
            "2009-02-10T16:55:59+2:00",
            "9999-02-10T16:55:59Z",
            "2009-02-10T16:55:5\u{e9}Z",
            "2009-02-10T16:55:-9Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
