//! Times, spans and names as a person writes them, and back. Never guesses what a text may mean.

use pawl_core::identity::{text_of_time, time_of_text};
use pawl_core::record::Timestamp;

/// A day in milliseconds.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Digits that milliseconds since the Unix epoch have at least: with fewer, a year or a day written
/// otherwise is meant.
const MILLISECONDS_DIGITS_MIN: usize = 12;

/// A time: RFC 3339, a day such as `2026-11-24` (its beginning, UTC), milliseconds since the Unix
/// epoch (12 digits or more), or how long before `now_ms`, such as `-2h`. Says what is wrong.
pub fn time_of(text: &str, now_ms: Timestamp) -> Result<Timestamp, String> {
    let time = match text.strip_prefix('-') {
        Some(before) => length_of(before).ok().map(|length| now_ms.saturating_sub(length)),
        None => {
            let day = time_of_text(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10);
            let is_short = text.len() < MILLISECONDS_DIGITS_MIN
                && text.bytes().all(|byte| byte.is_ascii_digit());
            day.or_else(|| time_of_text(text).filter(|_| !is_short))
        }
    };
    time.ok_or_else(|| {
        format!(
            "`{text}` is no time; should be RFC 3339 (2026-11-24T03:12:00Z), a day (2026-11-24), \
             milliseconds since 1970 (12 digits or more), or how long ago (-2h, -30m, -7d)"
        )
    })
}

/// A length of time in milliseconds: a number with `ms`, `s`, `m`, `h` or `d`. Says what is wrong.
pub fn length_of(text: &str) -> Result<i64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(DAY_MS),
        _ => None,
    };
    let length = number.parse::<i64>().ok().zip(unit);
    let length = length.and_then(|(number, unit)| number.checked_mul(unit));
    length
        .filter(|length| *length > 0)
        .ok_or_else(|| format!("`{text}` is no length of time; should be as in 30s, 15m, 2h or 7d"))
}

/// A length of time for people: the two largest units that are not zero.
pub fn text_of_length(length_ms: i64) -> String {
    let units = [("d", DAY_MS), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];
    let mut left = length_ms.max(0);
    let mut parts = Vec::new();
    for (name, unit) in units {
        let count = left / unit;
        left %= unit;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// A time to the second, for people.
pub fn text_of_second(time: Timestamp) -> String {
    let text = text_of_time(time);
    match text.get(..19) {
        Some(second) if text.ends_with('Z') => format!("{second}Z"),
        _ => text,
    }
}

/// A number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes of unknown origin as a short text on one line.
pub(crate) fn shown(bytes: &[u8], characters_max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == characters_max {
            shown.push_str("...");
            break;
        }
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_or_so_long_ago() {
        let now = 1_764_000_000_000;
        assert_eq!(time_of("-2h", now), Ok(now - 7_200_000));
        assert_eq!(time_of("-7d", now), Ok(now - 7 * DAY_MS));
        assert_eq!(time_of("1970-01-02", now), Ok(DAY_MS));
        assert_eq!(time_of("1970-01-01T00:00:01Z", now), Ok(1000));
        assert_eq!(time_of("1764000000000", now), Ok(now));
        for wrong in [
            "2026",
            "20261124",
            "1500",
            "yesterday",
            "-2",
            "-2w",
            "2h",
            "",
            "1970-01-32",
            "-9999999999999999h",
        ] {
            assert!(time_of(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_and_counts_are_shown_as_people_read_them() {
        assert_eq!(text_of_length(3_600_000 + 120_000 + 5), "1 h 2 min");
        assert_eq!(text_of_length(DAY_MS), "1 d");
        assert_eq!(text_of_length(1_500), "1 s 500 ms");
        assert_eq!(text_of_length(0), "0 s");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(shown(b"a\nb\xff", 10), "a\\nb\u{fffd}");
    }
}
