//! Dates of EXT-X-PROGRAM-DATE-TIME: ISO 8601, with the liberties that servers take.

use media::{Span, Timestamp};

/// Nanoseconds since the Unix epoch. A date without a zone is taken for UTC.
pub(super) fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(at);
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let mut clock = clock.splitn(3, ':').map(number);
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().unwrap_or(Some(0))?;
    let sane = year <= 9999
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour <= 24
        && minute < 60
        && second <= 60;
    if !sane {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let instant = Timestamp::ZERO + Span::from_secs(seconds - offset(zone)?);
    Some(instant + nanos(fraction)?)
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn nanos(fraction: &str) -> Option<Span> {
    let mut value = 0_i64;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(9) {
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(Span::from_nanos(value))
}

/// Seconds east of UTC: `Z`, `+hh:mm`, `+hhmm`, `+hh`.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first() {
        None | Some(b'Z' | b'z') => return Some(0),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let hours = number(digits.get(..2)?)?;
    let minutes = digits.get(2..4).map_or(Some(0), number)?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

/// Days since 1970-01-01 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the day that comes and goes is the last one.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    y * 365 + leaps + (m * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_write() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-21T11:42:02.250Z", 1_795_261_322_250),
            ("2026-11-21T11:42:02.250+0000", 1_795_261_322_250),
            ("2026-11-21T13:42:02.25+02:00", 1_795_261_322_250),
            ("2026-11-21T06:42:02.250-05", 1_795_261_322_250),
            ("2024-02-29 12:00:00", 1_709_208_000_000),
            ("1969-12-31T23:59:59.999Z", -1),
        ] {
            assert_eq!(
                parse(text.as_bytes()).map(Timestamp::as_millis),
                Some(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn garbage_is_no_date() {
        for text in [
            "",
            "T",
            "2026-13-01T00:00:00Z",
            "2026-11-21",
            "x-y-zTa:b:c",
            "2026-11-21T1:2:3.xZ",
            "99999-1-1T0:0Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
