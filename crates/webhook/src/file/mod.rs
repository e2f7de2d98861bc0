//! Lines into a file: whole, on the disk before anybody is told, rotated.

mod place;
mod tail;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::{FlockOperation, flock};

use crate::error::Error;
use place::{Directory, Place};

/// When a file is put aside, and how many of those stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// A file ends before it is longer than this, unless a single append is; 0: never.
    pub bytes: u64,
    /// `x` becomes `x.1`, that one `x.2`, up to `x.{keep}`; 0: it is removed.
    pub keep: u32,
}

/// A file of lines, with one writer. Made with mode 0600 in directories of 0700.
#[derive(Debug)]
pub struct Sink {
    // Shared with a write that goes on when nobody waits for it any more.
    writer: Arc<Mutex<Writer>>,
}

impl Sink {
    /// Opens a file below `root`, or makes it. `path` is relative: `[A-Za-z0-9._-]+` with `/` between,
    /// none of them with a dot in front, the last not with a number at its end, which rotated files
    /// have. Below the root no link is followed.
    ///
    /// # Errors
    /// A path of another kind, another writer, or what the system says.
    pub async fn open(root: &Path, path: &str, limits: Rotation) -> Result<Self, Error> {
        let place = Place::new(root, path)?;
        let open = None;
        let writer = Writer {
            place,
            limits,
            open,
        };
        let writer = Arc::new(Mutex::new(writer));
        let sink = Self { writer };
        sink.run(|writer| {
            let open = writer.current()?;
            writer.open = Some(open);
            Ok(())
        })
        .await?;
        Ok(sink)
    }

    /// Whether [`Sink::open`] takes a path.
    #[must_use]
    pub fn is_path(path: &str) -> bool {
        place::is_path(path)
    }

    /// Adds lines, which come without line breaks, and returns when they are on the disk: all of
    /// them, or on failure none. A file that was moved away or removed is made anew.
    ///
    /// # Errors
    /// A line that is several, another writer, or what the system says.
    pub async fn append(&mut self, lines: &[Bytes]) -> Result<(), Error> {
        let text = joined(lines)?;
        self.run(move |writer| writer.append(&text)).await
    }

    async fn run<F>(&self, work: F) -> Result<(), Error>
    where
        F: FnOnce(&mut Writer) -> Result<(), Error> + Send + 'static,
    {
        let writer = Arc::clone(&self.writer);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await.unwrap_or_else(|panicked| {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            Err(writer.place.failed("write", io::Error::other(panicked)))
        })
    }
}

fn joined(lines: &[Bytes]) -> Result<Vec<u8>, Error> {
    let mut text = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for line in lines {
        if line.contains(&b'\n') {
            return Err(Error::Line);
        }
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    Ok(text)
}

#[derive(Debug)]
struct Writer {
    place: Place,
    limits: Rotation,
    /// `None` after a failure: what is there then is looked at anew.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    directory: Directory,
    file: File,
    /// In bytes.
    length: u64,
}

impl Writer {
    fn append(&mut self, text: &[u8]) -> Result<(), Error> {
        let mut open = self.current()?;
        let bytes = self.limits.bytes;
        let added = text.len() as u64;
        if bytes > 0 && open.length > 0 && open.length.saturating_add(added) > bytes {
            open = self.rotate(&open)?;
        }
        if let Err(error) = open.write(text) {
            // Whole lines of it would come twice, as all of it is written again. Where this fails,
            // too, the torn line at least is cut off when the file is opened next.
            let _ = open.file.set_len(open.length);
            return Err(self.place.failed("write", error));
        }
        open.length += added;
        self.open = Some(open);
        Ok(())
    }

    /// The file that has the name now.
    fn current(&mut self) -> Result<Open, Error> {
        let open = self.open.take();
        // What is another file by now is closed first: its lock would keep us out.
        let open = open.filter(|open| open.is_at(&self.place.path));
        open.map_or_else(|| self.open(), Ok)
    }

    fn open(&self) -> Result<Open, Error> {
        let directory = self.place.directory()?;
        let file = self.place.file(&directory)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Error::Busy(self.place.path.clone()));
        }
        // A line without an end was never said to be written: it comes again, and readers of lines
        // could not read what stands before it.
        let length = tail::cut(&file).map_err(|error| self.place.failed("mend", error))?;
        let kept = directory.sync();
        kept.map_err(|error| self.place.failed("make", error))?;
        Ok(Open {
            directory,
            file,
            length,
        })
    }

    fn rotate(&self, old: &Open) -> Result<Open, Error> {
        let rotated = self.place.rotate(&old.directory, self.limits.keep);
        rotated.map_err(|error| self.place.failed("rotate", error))?;
        self.open()
    }
}

impl Open {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.file.sync_data()
    }

    /// Whether the name still means this file, as long as it was left.
    fn is_at(&self, path: &Path) -> bool {
        let (Ok(named), Ok(own)) = (path.symlink_metadata(), self.file.metadata()) else {
            return false;
        };
        let same = named.dev() == own.dev() && named.ino() == own.ino();
        same && own.len() == self.length
    }
}

impl Drop for Open {
    /// Closing is not enough: a process that is being started has a copy until it runs its program.
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}
