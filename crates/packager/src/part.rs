//! The open part: samples become chunks, chunks become the part. Each sample's bytes are held once.

use bytes::Bytes;
use container::fmp4::{self, Opening};
use media::Span;

use crate::segment::{Part, PartName};

/// One sample as it will be written, in ticks of the track's timescale.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) dts: i64,
    pub(crate) duration: i64,
    pub(crate) composition: i64,
    pub(crate) random_access: bool,
    pub(crate) payload: Bytes,
}

impl Sample {
    fn to_fmp4(&self) -> fmp4::Sample {
        fmp4::Sample {
            size: u32::try_from(self.payload.len()).unwrap_or(u32::MAX),
            duration: u32::try_from(self.duration.max(0)).unwrap_or(u32::MAX),
            composition: i32::try_from(self.composition).unwrap_or(0),
            random_access: self.random_access,
        }
    }
}

/// What is there of a part that is not whole yet.
#[derive(Debug, Default)]
pub(crate) struct OpenPart {
    /// Of the open chunk.
    samples: Vec<Sample>,
    /// Of the chunks that are whole.
    buffers: Vec<Bytes>,
    /// DTS and duration of the latest sample.
    last: Option<(i64, i64)>,
    ticks: i64,
    chunk_ticks: i64,
    independent: bool,
}

impl OpenPart {
    pub(crate) const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    pub(crate) fn push(&mut self, sample: Sample) {
        self.last = Some((sample.dts, sample.duration));
        self.ticks += sample.duration;
        self.chunk_ticks += sample.duration;
        self.independent |= sample.random_access;
        self.samples.push(sample);
    }

    /// From the first sample to the end of the latest.
    pub(crate) const fn ticks(&self) -> i64 {
        self.ticks
    }

    /// The same of the open chunk.
    pub(crate) const fn chunk_ticks(&self) -> i64 {
        self.chunk_ticks
    }

    /// Whether the next sample begins a chunk.
    pub(crate) const fn begins_chunk(&self) -> bool {
        self.samples.is_empty()
    }

    /// DTS and duration of the latest sample.
    pub(crate) const fn last(&self) -> Option<(i64, i64)> {
        self.last
    }

    /// So many ticks lie between the latest sample and the next one. Where it is out already, that
    /// is told by the next `tfdt`.
    pub(crate) fn stretch_last(&mut self, lasts: i64) {
        let Some((_, was)) = self.last.as_mut() else {
            return;
        };
        let more = lasts - std::mem::replace(was, lasts);
        self.ticks += more;
        if let Some(last) = self.samples.last_mut() {
            last.duration = lasts;
            self.chunk_ticks += more;
        }
    }

    /// Ends the chunk; what it adds to the part. `opening` stands before the first one of a segment.
    pub(crate) fn close_chunk(
        &mut self,
        sequence: u32,
        opening: impl FnOnce(&Sample) -> Option<Opening>,
    ) -> &[Bytes] {
        let from = self.buffers.len();
        self.chunk_ticks = 0;
        if let Some(first) = self.samples.first() {
            let table: Vec<_> = self.samples.iter().map(Sample::to_fmp4).collect();
            let base = u64::try_from(first.dts).unwrap_or(0);
            let header = fmp4::chunk_header(sequence, base, &table, opening(first));
            self.buffers.push(header);
            self.buffers
                .extend(self.samples.drain(..).map(|s| s.payload));
        }
        &self.buffers[from..]
    }

    /// The part, made of the chunks that are whole.
    pub(crate) fn finish(&mut self, name: PartName, timescale: u32) -> Part {
        let part = Part {
            name,
            duration: Span::from_ticks(self.ticks, timescale),
            independent: self.independent,
            len: self.buffers.iter().map(Bytes::len).sum(),
            buffers: std::mem::take(&mut self.buffers),
        };
        self.clear();
        part
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
