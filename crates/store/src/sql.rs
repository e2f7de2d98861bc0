//! Statements about many rows: as few texts as can be, because databases prepare each of them once.

use std::fmt::Write as _;

/// So many rows are one statement; those left over are one each.
const ROWS: usize = 50;

/// An insertion of rows, as the text for one and the text for many.
pub(crate) struct Rows {
    one: String,
    many: String,
}

impl Rows {
    /// `head` ends before `VALUES`; what `tail` says comes after it.
    pub(crate) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let text = |rows: usize| {
            let rows = (0..rows).map(|row| places(row * columns + 1, columns));
            format!(
                "{head} VALUES {} {tail}",
                rows.collect::<Vec<_>>().join(", ")
            )
        };
        let (one, many) = (text(1), text(ROWS));
        Self { one, many }
    }

    /// Each statement to run, with its rows.
    pub(crate) fn parts<'a, T>(
        &'static self,
        rows: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> {
        let (many, rest) = rows.as_chunks::<ROWS>();
        let many = many.iter().map(|rows| (&*self.many, rows.as_slice()));
        many.chain(rest.chunks(1).map(|row| (&*self.one, row)))
    }
}

/// A statement that ends with the values of [`parts`], the first of them being `$from`.
pub(crate) fn among(head: &str, from: usize) -> String {
    format!("{head} {}", places(from, ROWS))
}

/// Values for [`among`], each once; the last part is filled up with those it has.
pub(crate) fn parts(ids: &[i64]) -> Vec<Vec<i64>> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let filled = |ids: &[i64]| ids.iter().copied().cycle().take(ROWS).collect();
    ids.chunks(ROWS).map(filled).collect()
}

/// `($3, $4)`: two places from 3 on.
fn places(from: usize, count: usize) -> String {
    let mut text = String::new();
    for place in from..from + count {
        let comma = if text.is_empty() { "(" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}${place}");
    }
    text + ")"
}
