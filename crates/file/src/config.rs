use std::path::PathBuf;

/// What to play, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    /// Files are played from below here alone.
    pub root: PathBuf,
    /// The file, relative to the root; `file://` before it is allowed.
    pub path: String,
    /// Whether it begins again when it ends.
    pub repeat: bool,
    /// Of an MPEG-TS, the programme's number; the first one where none is given.
    pub programme: Option<u16>,
}
