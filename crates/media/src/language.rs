//! Languages: tags of BCP 47 within, as playlists need them; containers hold three letters.

use isolang::Language;

/// Where ISO 639-2 has a code of its own for libraries, and the one that everybody else writes.
const LIBRARIES: [(&str, &str); 20] = [
    ("alb", "sqi"),
    ("arm", "hye"),
    ("baq", "eus"),
    ("bur", "mya"),
    ("chi", "zho"),
    ("cze", "ces"),
    ("dut", "nld"),
    ("fre", "fra"),
    ("geo", "kat"),
    ("ger", "deu"),
    ("gre", "ell"),
    ("ice", "isl"),
    ("mac", "mkd"),
    ("mao", "mri"),
    ("may", "msa"),
    ("per", "fas"),
    ("rum", "ron"),
    ("slo", "slk"),
    ("tib", "bod"),
    ("wel", "cym"),
];

/// The tag of what a container or a publisher tells, a code of ISO 639 or a tag; its language in
/// the shortest form (RFC 5646 2.2.1). `None` where that is undetermined, or no tag.
#[must_use]
pub fn tag(told: &str) -> Option<String> {
    let mut subtags = told.split('-');
    let language = subtags.next()?.to_ascii_lowercase();
    let letters = language.bytes().all(|b| b.is_ascii_lowercase());
    if !letters || !(2..=8).contains(&language.len()) || language == "und" {
        return None;
    }
    let library = LIBRARIES.iter().find(|(code, _)| *code == language);
    let usual = library.map_or(&*language, |(_, usual)| usual);
    let short = Language::from_639_3(usual).and_then(|l| l.to_639_1());
    let mut tag = short.unwrap_or(usual).to_owned();
    for subtag in subtags {
        let alphanumeric = subtag.bytes().all(|b| b.is_ascii_alphanumeric());
        if !alphanumeric || !(1..=8).contains(&subtag.len()) {
            return None;
        }
        tag.push('-');
        tag.push_str(subtag);
    }
    Some(tag)
}

/// The three letters of a tag's language (ISO 639-2/T).
#[must_use]
pub fn three_letters(tag: &str) -> Option<String> {
    let language = tag.split('-').next()?;
    match language.len() {
        2 => Language::from_639_1(language).map(|l| l.to_639_3().to_owned()),
        3 => Some(language.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_the_shortest_tag() {
        for (told, wanted) in [
            ("eng", "en"),
            ("GER", "de"),
            ("deu", "de"),
            ("en-GB", "en-GB"),
            ("fre-CA", "fr-CA"),
            ("gsw", "gsw"),
            ("qaa", "qaa"),
            ("mul", "mul"),
        ] {
            assert_eq!(tag(told).as_deref(), Some(wanted), "{told}");
        }
    }

    #[test]
    fn what_is_no_language_has_no_tag() {
        for told in [
            "",
            "und",
            "e",
            "e1",
            "en-",
            "en_GB",
            "-",
            "as-it-is-pronounced",
        ] {
            assert_eq!(tag(told), None, "{told}");
        }
    }

    #[test]
    fn three_letters_of_a_tag() {
        for (tag, wanted) in [("de", "deu"), ("en-GB", "eng"), ("gsw", "gsw")] {
            assert_eq!(three_letters(tag).as_deref(), Some(wanted));
        }
        assert_eq!(three_letters("xx"), None);
    }

    #[test]
    fn every_code_for_libraries_has_a_short_tag() {
        for (code, _) in LIBRARIES {
            assert_eq!(tag(code).map(|t| t.len()), Some(2), "{code}");
        }
    }
}
