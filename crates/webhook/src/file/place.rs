//! Which file is meant: one below the root, whatever links there are.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::error::Error;

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::CLOEXEC)
    .union(OFlags::RDONLY);
// Non-blocking: a pipe of that name would hold a thread until somebody reads it.
const FILE: OFlags = OFlags::RDWR
    .union(OFlags::CREATE)
    .union(OFlags::APPEND)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const OWNER: u32 = 0o700;

/// A path below a root.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    relative: String,
    /// All of it.
    pub(super) path: PathBuf,
}

/// The directory that a file is in, open.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

pub(super) fn is_path(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name =
        |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain);
    let is_rotated = path
        .rsplit_once('.')
        .is_some_and(|(_, end)| !end.is_empty() && end.chars().all(|c| c.is_ascii_digit()));
    path.split('/').all(is_name) && !is_rotated
}

impl Place {
    pub(super) fn new(root: &Path, path: &str) -> Result<Self, Error> {
        if !is_path(path) {
            return Err(Error::Path(path.to_owned()));
        }
        Ok(Self {
            root: root.to_owned(),
            relative: path.to_owned(),
            path: root.join(path),
        })
    }

    /// Goes down from the root one name at a time, each of them no link, and makes what is missing.
    pub(super) fn directory(&self) -> Result<Directory, Error> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(OWNER).create(&self.root);
        made.map_err(|error| self.failed("make the root", error))?;
        let root = openat(CWD, &self.root, DIRECTORY, Mode::empty());
        let mut at = root.map_err(|errno| self.refused("open the root", errno))?;
        let folders = self.relative.rsplit_once('/').map_or("", |(f, _)| f);
        for folder in folders.split_terminator('/') {
            match mkdirat(&at, folder, Mode::from_raw_mode(OWNER)) {
                Ok(()) => fsync(&at).map_err(|errno| self.refused("make", errno))?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.refused("make", errno)),
            }
            let below = openat(&at, folder, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
            at = below.map_err(|errno| self.refused("open", errno))?;
        }
        Ok(Directory(at))
    }

    /// The file, made where it is missing.
    pub(super) fn file(&self, directory: &Directory) -> Result<File, Error> {
        let opened = openat(&directory.0, self.name(), FILE, Mode::RUSR | Mode::WUSR);
        let file = File::from(opened.map_err(|errno| self.refused("open", errno))?);
        let told = file.metadata();
        if !told.map_err(|error| self.failed("open", error))?.is_file() {
            return Err(Error::Path(self.relative.clone()));
        }
        Ok(file)
    }

    fn name(&self) -> &str {
        let last = self.relative.rsplit_once('/');
        last.map_or(&self.relative, |(_, name)| name)
    }

    /// Puts the file aside, and those before it one further.
    pub(super) fn rotate(&self, directory: &Directory, keep: u32) -> io::Result<()> {
        let name = self.name();
        let numbered = |number: u32| format!("{name}.{number}");
        let remove = |name: &str| unlinkat(&directory.0, name, AtFlags::empty());
        for number in (1..keep).rev() {
            directory.rename(&numbered(number), &numbered(number + 1))?;
        }
        match keep {
            0 => remove(name)?,
            _ => directory.rename(name, &numbered(1))?,
        }
        // More were kept once.
        let mut beyond = keep.saturating_add(1)..;
        while beyond.next().is_some_and(|n| remove(&numbered(n)).is_ok()) {}
        directory.sync()
    }

    pub(super) fn failed(&self, doing: &'static str, error: io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            doing,
            error: Arc::new(error),
        }
    }

    /// A link, or something that is no file or no directory, is the path's fault.
    fn refused(&self, doing: &'static str, errno: Errno) -> Error {
        match errno {
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => {
                Error::Path(self.relative.clone())
            }
            errno => self.failed(doing, errno.into()),
        }
    }
}

impl Directory {
    /// What was made or renamed in it outlives a power cut after this.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.0)?)
    }

    /// What is not there needs no other name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match renameat(&self.0, from, &self.0, to) {
            Err(errno) if errno != Errno::NOENT => Err(errno.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_a_grammar() {
        for path in ["events.jsonl", "a/b-c_d/e.jsonl", "x", "7"] {
            assert!(is_path(path), "{path}");
        }
        for path in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            ".",
            "..",
            "a/../b",
            "./a",
            ".hidden",
            "a/.b",
            "a b",
            "a\\b",
            "a\0",
            "ä",
            "x.jsonl.1",
            "a\nb",
        ] {
            assert!(!is_path(path), "{path}");
        }
    }
}
