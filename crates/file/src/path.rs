//! Which file is meant: one below the root, whatever the path says and whatever links there are.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;

/// The file that a path means: relative to `root`, with or without `file://` before it. Links are
/// followed as long as they stay below the root.
///
/// # Errors
/// A path that leads elsewhere or names no regular file; a file or root that is not there.
pub async fn resolve(root: &Path, path: &str) -> Result<PathBuf, Error> {
    let relative = path.strip_prefix("file://").unwrap_or(path);
    let relative = Path::new(relative.trim_start_matches('/'));
    let mut parts = relative.components();
    let plain = parts.all(|part| matches!(part, Component::Normal(_)));
    if !plain || relative.as_os_str().is_empty() {
        return Err(Error::Outside(path.to_owned()));
    }
    let root = tokio::fs::canonicalize(root).await.map_err(Error::Root)?;
    let found = tokio::fs::canonicalize(root.join(relative)).await;
    let found = found.map_err(|source| unreadable(path, source))?;
    if !found.starts_with(&root) {
        return Err(Error::Outside(path.to_owned()));
    }
    let told = tokio::fs::metadata(&found).await;
    let told = told.map_err(|source| unreadable(path, source))?;
    // A pipe or a device would hold a thread for as long as it likes.
    if !told.is_file() {
        return Err(Error::Outside(path.to_owned()));
    }
    Ok(found)
}

pub(crate) fn unreadable(path: &str, source: std::io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NotFound(path),
        ErrorKind::UnexpectedEof => Error::CutShort(path),
        ErrorKind::InvalidInput => Error::Outside(path),
        _ => Error::Unreadable { path, source },
    }
}
