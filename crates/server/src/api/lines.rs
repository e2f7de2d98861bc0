//! On which line of a document a member of it stands.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The line, from 1, of the member that a path like `streams[3].inputs[0].url` names, or of the
/// innermost one around it that is there.
pub(super) fn line_of(text: &str, path: &str) -> Option<u32> {
    let mut here: &RawValue = serde_json::from_str(text).ok()?;
    for step in steps(path) {
        match child(here, step) {
            Some(inner) => here = inner,
            None => break,
        }
    }
    // A raw value is a part of the text it was read from.
    let before = here.get().as_ptr().addr() - text.as_ptr().addr();
    u32::try_from(1 + text.get(..before)?.matches('\n').count()).ok()
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    let parts = path.split(['.', '[', ']']).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().map_or(Step::Member(part), Step::Item))
}

fn child<'a>(value: &'a RawValue, step: Step<'_>) -> Option<&'a RawValue> {
    match step {
        Step::Member(name) => {
            let members: BTreeMap<String, &RawValue> = read(value)?;
            members.get(name).copied()
        }
        Step::Item(at) => {
            let items: Vec<&RawValue> = read(value)?;
            items.get(at).copied()
        }
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found() {
        let text = "{\n \"streams\": [\n  {\"name\": \"a\"},\n  {\"name\": \"b\",\n   \"hls\":\n {\"part_ms\": 1}}\n ]\n}";
        for (path, line) in [
            ("", 1),
            ("streams", 2),
            ("streams[0].name", 3),
            ("streams[1]", 4),
            ("streams[1].hls.part_ms", 6),
            ("streams[1].nope", 4),
            ("streams[7].name", 2),
        ] {
            assert_eq!(line_of(text, path), Some(line), "{path}");
        }
        assert_eq!(line_of("{", "a"), None);
    }
}
