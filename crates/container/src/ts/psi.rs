//! Programme tables (ITU-T H.222.0 2.4.4): which programme there is, and what is in it.

use mpeg2ts_reader::descriptor::CoreDescriptors;
use mpeg2ts_reader::descriptor::iso_639_language::AudioType;
use mpeg2ts_reader::packet::Packet;
use mpeg2ts_reader::psi::pat::{PatSection, ProgramDescriptor};
use mpeg2ts_reader::psi::pmt::{PmtSection, StreamInfo};

use super::continuity::{Continuity, Step};
use super::crc::crc;

/// Header of three bytes, five more of the long syntax, and the CRC.
const HEAD: usize = 8;
const CRC: usize = 4;
/// The longest of a PAT or PMT (2.4.4.4).
const LONGEST: usize = 1024;

/// Puts sections together. A section that is damaged is left out: it is sent again soon.
#[derive(Debug, Default)]
pub(super) struct Sections {
    continuity: Continuity,
    buf: Vec<u8>,
    open: bool,
}

impl Sections {
    pub(super) fn push(&mut self, packet: &Packet<'_>, mut each: impl FnMut(&[u8])) -> Step {
        let step = self.continuity.step(packet);
        if step == Step::Repeated {
            return step;
        }
        if step == Step::Lost {
            self.reset();
        }
        let Some(payload) = packet.payload() else {
            return step;
        };
        if !packet.payload_unit_start_indicator() {
            self.append(payload, &mut each);
            return step;
        }
        let (pointer, rest) = (usize::from(payload[0]), &payload[1..]);
        let Some((end, begin)) = rest.split_at_checked(pointer) else {
            self.reset();
            return step;
        };
        self.append(end, &mut each);
        self.buf.clear();
        self.open = true;
        self.append(begin, &mut each);
        step
    }

    fn append(&mut self, data: &[u8], each: &mut impl FnMut(&[u8])) {
        if !self.open {
            return;
        }
        self.buf.extend_from_slice(data);
        while let [id, high, low, ..] = self.buf[..] {
            let len = 3 + (usize::from(high & 0x0f) << 8 | usize::from(low));
            // Stuffing reaches to the end of the packet.
            if id == 0xff || len > LONGEST {
                return self.reset();
            }
            if self.buf.len() < len {
                return;
            }
            let section = &self.buf[..len];
            if len >= HEAD + CRC && high & 0x80 != 0 && is_whole(section) {
                each(section);
            }
            self.buf.drain(..len);
        }
    }

    fn reset(&mut self) {
        self.open = false;
        self.buf.clear();
    }
}

/// Whether the CRC is right; under the fuzzer, which cannot guess one, any will do.
fn is_whole(section: &[u8]) -> bool {
    cfg!(fuzzing) || crc(section) == 0
}

/// A PAT that holds now: its programmes, as number and PID of the PMT, and whether it is all.
pub(super) fn programmes(section: &[u8]) -> Option<(Vec<(u16, u16)>, bool)> {
    let is_pat = section[0] == 0x00 && section[5] & 1 == 1;
    let all = section[6] == 0 && section[7] == 0;
    let programme = |p| match p {
        ProgramDescriptor::Program {
            program_number,
            pid,
        } => Some((program_number, u16::from(pid))),
        ProgramDescriptor::Network { .. } => None,
    };
    let body = &section[HEAD..section.len() - CRC];
    let listed = PatSection::new(body).programs().filter_map(programme);
    is_pat.then(|| (listed.collect(), all))
}

/// One elementary stream, as the PMT tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) pid: u16,
    pub(super) stream_type: u8,
    /// `format_identifier` of a registration descriptor.
    pub(super) registration: Option<[u8; 4]>,
    /// Other descriptors that say what it is, by tag: DVB's of AC-3 and so on.
    pub(super) tags: Vec<u8>,
    /// `channel_config_code` of Opus.
    pub(super) opus: Option<u8>,
    pub(super) language: Option<String>,
    pub(super) described: bool,
}

/// A PMT of this programme that holds now.
pub(super) fn streams(section: &[u8], programme: u16) -> Option<Vec<Listed>> {
    let number = u16::from_be_bytes([section[3], section[4]]);
    if section[0] != 0x02 || section[5] & 1 != 1 || number != programme {
        return None;
    }
    let body = &section[HEAD..section.len() - CRC];
    let pmt = PmtSection::from_bytes(body).ok()?;
    Some(pmt.streams().map(|s| listed(&s)).collect())
}

fn listed(info: &StreamInfo<'_>) -> Listed {
    let mut stream = Listed {
        pid: info.elementary_pid().into(),
        stream_type: info.stream_type().0,
        registration: None,
        tags: Vec::new(),
        opus: None,
        language: None,
        described: false,
    };
    for descriptor in info.descriptors::<CoreDescriptors<'_>>().flatten() {
        match descriptor {
            CoreDescriptors::Registration(r) => {
                stream.registration = Some(r.format_identifier().0.0);
            }
            CoreDescriptors::ISO639Language(l) => {
                let Some(Ok(first)) = l.languages().next() else {
                    continue;
                };
                stream.language = media::language::tag(&first.code());
                stream.described = first.audio_type() == AudioType::VisualImpairedCommentary;
            }
            CoreDescriptors::UserPrivate(d) => {
                if let (0x7f, [0x80, code, ..]) = (d.tag, d.payload) {
                    stream.opus = Some(*code);
                }
                stream.tags.push(d.tag);
            }
            _ => {}
        }
    }
    stream
}
