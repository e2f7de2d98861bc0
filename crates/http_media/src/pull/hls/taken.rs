//! How far a pull came, for the next one of the same source: one that stands still has nothing new.

use std::sync::{Arc, Mutex, PoisonError};

use super::follow::Piece;
use super::playlist::{Resource, Segment};

/// What was played last, of pictures and of sound that is apart. Clones share it: a source's pulls,
/// one after the other, are each given the same, so that none plays again what is listed still.
#[derive(Debug, Clone, Default)]
pub struct Played(Arc<Mutex<Last>>);

/// Of each rendition.
pub(super) type Last = [Option<Taken>; 2];

impl Played {
    pub(super) fn last(&self) -> Last {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    pub(super) fn set(&self, last: Last) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

/// A segment, or a part of one, that was fetched and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(super) number: u64,
    pub(super) part: Option<usize>,
    /// Tells it from one of another run of the packager.
    file: String,
}

impl Taken {
    pub(super) fn of(piece: &Piece) -> Self {
        Self {
            number: piece.number,
            part: piece.part,
            file: file(&piece.at).to_owned(),
        }
    }

    /// Whether it is, or was a part of, the segment that now has its number.
    pub(super) fn is_of(&self, segment: &Segment) -> bool {
        let parts = segment.parts.iter().map(|p| &p.at);
        let listed = segment
            .at
            .iter()
            .chain(parts)
            .any(|at| file(at) == self.file);
        // Of older segments parts are not listed.
        listed || self.part.is_some() && segment.parts.is_empty()
    }
}

/// The name of a file: hosts, folders and queries may be another session's.
fn file(at: &Resource) -> &str {
    let path = at.uri.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}
