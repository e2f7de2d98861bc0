//! What the server hears, and what must hold of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use container::wire::{self, Message, Reader};
use ladder::{Output, Report};
use media::Frame;

/// Pictures that one message may bring: held over two seconds at the highest rate, in each rung.
const EACH: u64 = 2 * 240 * 16;

/// Reads what the worker writes.
#[derive(Clone)]
pub(super) struct Listener(Arc<Mutex<Heard>>);

struct Heard {
    reader: Reader,
    /// Outputs whose tracks were told, and whether a frame of those came.
    told: BTreeMap<Output, bool>,
    frames: u64,
}

impl Default for Listener {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Heard {
            reader: Reader::new(wire::LONGEST),
            told: BTreeMap::new(),
            frames: 0,
        })))
    }
}

impl Listener {
    /// The worker has ended, after so many messages.
    pub(super) fn hear_end(&self, asked: u64) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(heard.reader.space().is_empty(), "half a message");
        let frames = heard.frames;
        assert!(
            frames <= asked * EACH,
            "{frames} frames of {asked} messages"
        );
    }
}

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.reader.space().extend_from_slice(bytes);
        while let Some(message) = heard.reader.take().expect("readable") {
            heard.note(message);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Heard {
    fn note(&mut self, message: Message) {
        match message {
            Message::Tracks { rendition, tracks } => {
                assert_eq!(tracks.len(), 1);
                let output = Output::of(rendition).expect("an output");
                self.told.insert(output, false);
            }
            Message::Frame { rendition, frame } => {
                let output = Output::of(rendition).expect("an output");
                self.frame(output, &frame);
            }
            Message::Control(text) => {
                Report::of_control(&text).expect("a report");
            }
            Message::Group { .. } => panic!("workers open no groups"),
        }
    }

    fn frame(&mut self, output: Output, frame: &Frame) {
        self.frames += 1;
        let begun = self.told.get_mut(&output).expect("tracks come first");
        assert!(*begun || frame.random_access, "of an encoder before");
        *begun = true;
        assert!(frame.dts <= frame.pts, "{frame:?}");
        assert!(!frame.payload.is_empty());
    }
}
