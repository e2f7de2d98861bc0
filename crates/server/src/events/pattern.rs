//! What somebody wants to hear: types of events and names of streams, with `*`.

/// `*` is any run of characters without a slash, `**` any run at all.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == text;
    }
    let pattern = pattern.as_bytes();
    // Every place of the pattern that what was read so far may have led to.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    skip_stars(pattern, &mut places);
    for byte in text.bytes() {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|at| places[*at]) {
            match pattern[at] {
                b'*' if byte != b'/' || is_deep(pattern, at) => next[at] = true,
                b if b == byte => next[at + 1] = true,
                _ => {}
            }
        }
        skip_stars(pattern, &mut next);
        places = next;
    }
    places[pattern.len()]
}

fn is_deep(pattern: &[u8], at: usize) -> bool {
    pattern.get(at + 1) == Some(&b'*') || (at > 0 && pattern[at - 1] == b'*')
}

/// A star may stand for nothing.
fn skip_stars(pattern: &[u8], places: &mut [bool]) {
    for at in 0..pattern.len() {
        places[at + 1] |= places[at] && pattern[at] == b'*';
    }
}

/// Whether one of several fits; none at all stand for everything.
pub(crate) fn any_fits(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_stand_for_runs() {
        for (pattern, text) in [
            ("stream.*", "stream.created"),
            ("*", "news"),
            ("**", "a/b/c"),
            ("a/*", "a/b"),
            ("a/**", "a/b/c"),
            ("**/c", "a/b/c"),
            ("*.created", "stream.created"),
            ("a*b*c", "aXbYbZc"),
            ("", ""),
            ("a/*/c", "a/b/c"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("*", "a/b"),
            ("a/*", "a/b/c"),
            ("stream.*", "input.up"),
            ("a", "ab"),
            ("ab", "a"),
            ("", "a"),
            ("a*/d", "a/b/d"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    /// The plain way: every split of the text.
    fn slowly(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=text.len()).any(|n| slowly(rest, &text[n..])),
            [b'*', rest @ ..] => (0..=text.len())
                .take_while(|n| !text[..*n].contains(&b'/'))
                .any(|n| slowly(rest, &text[n..])),
            [b, rest @ ..] => text.first() == Some(b) && slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_the_plain_way_says(pattern in "[ab/]{0,3}(\\*{1,2}[ab/]{0,2}){0,3}", text in "[ab/]{0,8}") {
            prop_assert_eq!(fits(&pattern, &text), slowly(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
