//! Attribute lists, decimal seconds and dates, as strictly as RFC 8216bis 4.2 has them.

use media::{Span, Timestamp};

/// `NAME=value,NAME="value"`, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes<'a>(Vec<(&'a str, &'a str, bool)>);

impl<'a> Attributes<'a> {
    /// # Errors
    /// What is no attribute list.
    pub(crate) fn parse(mut text: &'a str) -> Result<Self, String> {
        let mut all: Vec<(&str, &str, bool)> = Vec::new();
        while !text.is_empty() {
            let (name, rest) = text
                .split_once('=')
                .ok_or_else(|| format!("no value: {text}"))?;
            let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || !name.chars().all(legal) {
                return Err(format!("no attribute name: `{name}`"));
            }
            if all.iter().any(|(n, ..)| *n == name) {
                return Err(format!("{name} twice"));
            }
            let (value, quoted, after) = value(rest)?;
            all.push((name, value, quoted));
            text = match after.strip_prefix(',') {
                Some("") => return Err("a comma at the end".to_owned()),
                Some(more) => more,
                None if after.is_empty() => after,
                None => return Err(format!("no comma before `{after}`")),
            };
        }
        Ok(Self(all))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(n, ..)| *n == name).map(|(_, v, _)| *v)
    }

    /// A value that has to be in quotes.
    pub(crate) fn quoted(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(n, _, quoted)| *n == name && *quoted)
            .map(|(_, v, _)| *v)
    }

    pub(crate) fn is_yes(&self, name: &str) -> bool {
        self.get(name) == Some("YES")
    }

    pub(crate) fn seconds(&self, name: &str) -> Option<Span> {
        seconds(self.get(name)?)
    }

    pub(crate) fn integer(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

fn value(text: &str) -> Result<(&str, bool, &str), String> {
    if let Some(inner) = text.strip_prefix('"') {
        let (value, after) = inner.split_once('"').ok_or("an open quote")?;
        return Ok((value, true, after));
    }
    let end = text.find(',').unwrap_or(text.len());
    let (value, after) = text.split_at(end);
    if value.is_empty() || value.contains(['"', ' ']) {
        return Err(format!("a bare value `{value}`"));
    }
    Ok((value, false, after))
}

/// Decimal seconds, exact to the nanosecond.
pub(crate) fn seconds(text: &str) -> Option<Span> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let padded = format!("{fraction:0<9}");
    let nanos: i64 = padded.get(..9)?.parse().ok()?;
    Some(Span::from_secs(whole.parse().ok()?) + Span::from_nanos(nanos))
}

/// ISO 8601 as `EXT-X-PROGRAM-DATE-TIME` has it, to the nanosecond since the Unix epoch.
pub(crate) fn date(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once('T')?;
    let mut ymd = day.splitn(3, '-').map(|n| n.parse::<i64>().ok());
    let (year, month, day) = (ymd.next()??, ymd.next()??, ymd.next()??);
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let mut hms = time.splitn(3, ':');
    let (hour, minute) = (
        hms.next()?.parse::<i64>().ok()?,
        hms.next()?.parse::<i64>().ok()?,
    );
    let in_minute = seconds(hms.next()?)?;
    let days = days_from_civil(year, month, day)?;
    let whole = days * 86_400 + hour * 3_600 + minute * 60 - offset(zone)?;
    Some(Timestamp::ZERO + Span::from_secs(whole) + in_minute)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.get(1..)?.chars().filter(|c| *c != ':').collect();
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = digits.get(2..4).map_or(Some(0), |m| m.parse().ok())?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day comes last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let in_year = (153 * month + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leaps + in_year - 719_468)
}

/// The attributes of `EXT-X-DATERANGE` (4.4.5.1).
///
/// # Errors
/// What is missing or of another kind.
pub(crate) fn daterange(value: &str) -> Result<(), String> {
    let a = Attributes::parse(value)?;
    for (name, needed) in [("ID", true), ("START-DATE", true), ("END-DATE", false)] {
        let found = a.quoted(name);
        let dated = name == "ID" || found.is_none_or(|text| date(text).is_some());
        if found.is_none() && (needed || a.get(name).is_some()) || !dated {
            return Err(format!("no {name}"));
        }
    }
    for name in ["DURATION", "PLANNED-DURATION"] {
        if a.get(name).is_some() && a.seconds(name).is_none() {
            return Err(format!("{name} is no number of seconds"));
        }
    }
    for name in ["SCTE35-CMD", "SCTE35-OUT", "SCTE35-IN"] {
        let section = a.get(name).map(|v| v.strip_prefix("0x").unwrap_or(""));
        let hex = |t: &str| t.len() > 2 && t.bytes().all(|b| b.is_ascii_hexdigit());
        if a.quoted(name).is_some() || section.is_some_and(|t| !hex(t)) {
            return Err(format!("{name} is no hexadecimal sequence"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let a = Attributes::parse("TYPE=PART,URI=\"a,b.m4s\",BYTERANGE-START=7").unwrap();
        assert_eq!(
            (a.get("TYPE"), a.quoted("URI")),
            (Some("PART"), Some("a,b.m4s"))
        );
        assert_eq!(
            (a.quoted("TYPE"), a.integer("BYTERANGE-START")),
            (None, Some(7))
        );
        for bad in ["A", "A=", "a=1", "A=1,", "A=\"x", "A=1,A=2", "A=\"x\"B=1"] {
            assert!(Attributes::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dateranges() {
        const GOOD: &str =
            "ID=\"a-1\",START-DATE=\"2026-11-21T02:20:44.087Z\",DURATION=2.5,SCTE35-OUT=0xFC30";
        assert_eq!(daterange(GOOD), Ok(()));
        for (from, to) in [
            ("ID=\"a-1\",", ""),
            ("START-DATE=\"2026", "START-DATE=\"soon"),
            ("\"2026-11-21T02:20:44.087Z\"", "1"),
            ("2.5", "-1"),
            ("0xFC30", "\"0xFC30\""),
            ("0xFC30", "FC30"),
        ] {
            assert!(daterange(&GOOD.replace(from, to)).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn numbers_and_dates() {
        assert_eq!(seconds("2.00200"), Some(Span::from_millis(2_002)));
        assert_eq!(seconds("6"), Some(Span::from_secs(6)));
        assert_eq!(seconds("-1.0"), None);
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00.123Z", 951_782_400_123),
            ("2026-11-21T02:20:44.087+01:00", 1_795_224_044_087),
            ("2099-12-31T23:59:59.999Z", 4_102_444_799_999),
        ] {
            assert_eq!(date(text), Some(Timestamp::from_millis(millis)), "{text}");
        }
        assert_eq!(date("2026-13-01T00:00:00Z"), None);
        assert_eq!(date("yesterday"), None);
    }
}
