//! AAC in LATM elements (ISO/IEC 14496-3 1.7.3): one programme, one layer, one frame in each.

use bytes::Bytes;
use media::CodecConfig;
use media::bits::Bits;
use media::codec::AacConfig;

/// What the last `StreamMuxConfig` told.
#[derive(Debug)]
pub(super) struct Latm {
    config: Option<CodecConfig>,
}

const CUT_SHORT: &str = "LATM cut short";

impl Latm {
    pub(super) const fn new() -> Self {
        Self { config: None }
    }

    /// The frame in an `AudioMuxElement`.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn read(&mut self, element: &[u8]) -> Result<(CodecConfig, Bytes), &'static str> {
        let mut bits = Bits::new(element);
        let same = bits.bit().ok_or(CUT_SHORT)?;
        if !same {
            // One that is not understood makes what follows not understood either.
            self.config = None;
            let config = stream_mux_config(&mut bits, element)?;
            self.config = Some(CodecConfig::Aac(config));
        }
        let config = self.config.clone().ok_or("AAC before its configuration")?;
        let frame = payload(&mut bits).ok_or(CUT_SHORT)?;
        Ok((config, frame))
    }
}

fn stream_mux_config(bits: &mut Bits<'_>, element: &[u8]) -> Result<AacConfig, &'static str> {
    let second = bits.bit().ok_or(CUT_SHORT)?;
    let version_a = second && bits.bit().ok_or(CUT_SHORT)?;
    if second {
        value(bits).ok_or(CUT_SHORT)?;
    }
    bits.skip(1).ok_or(CUT_SHORT)?;
    // Frames, programmes and layers, each less one.
    if version_a || bits.bits(6 + 4 + 3).ok_or(CUT_SHORT)? != 0 {
        return Err("LATM with more than one frame or programme");
    }
    let record = if second {
        let len = value(bits).ok_or(CUT_SHORT)?;
        let start = bits.position();
        bits.skip(len).ok_or(CUT_SHORT)?;
        copy(element, start, len)
    } else {
        let start = bits.position();
        specific_config(bits)?;
        let len = bits.position() - start;
        copy(element, start, u32::try_from(len).unwrap_or(0))
    };
    let config = AacConfig::parse(record.ok_or(CUT_SHORT)?);
    let config = config.map_err(|_| "unreadable AAC configuration")?;
    tail(bits, second)?;
    Ok(config)
}

/// Walks over an `AudioSpecificConfig`, which does not tell its length.
fn specific_config(bits: &mut Bits<'_>) -> Result<(), &'static str> {
    const SBR: u32 = 5;
    const PS: u32 = 29;
    let mut object = bits.bits(5).ok_or(CUT_SHORT)?;
    rate(bits).ok_or(CUT_SHORT)?;
    let channels = bits.bits(4).ok_or(CUT_SHORT)?;
    if object == SBR || object == PS {
        rate(bits).ok_or(CUT_SHORT)?;
        object = bits.bits(5).ok_or(CUT_SHORT)?;
    }
    if !(1..=4).contains(&object) || channels == 0 {
        return Err("AAC of a kind that is not read");
    }
    bits.skip(1).ok_or(CUT_SHORT)?;
    if bits.bit().ok_or(CUT_SHORT)? {
        bits.skip(14).ok_or(CUT_SHORT)?;
    }
    bits.skip(1).ok_or(CUT_SHORT)
}

fn rate(bits: &mut Bits<'_>) -> Option<()> {
    match bits.bits(4)? {
        15 => bits.skip(24),
        _ => Some(()),
    }
}

/// From `frameLengthType` to `crcCheckSum`.
fn tail(bits: &mut Bits<'_>, second: bool) -> Result<(), &'static str> {
    if bits.bits(3).ok_or(CUT_SHORT)? != 0 {
        return Err("LATM with frames of one length");
    }
    let rest = |bits: &mut Bits<'_>| {
        bits.skip(8)?;
        if bits.bit()? {
            if second {
                value(bits)?;
            } else {
                while bits.bits(9)? & 0x100 != 0 {}
            }
        }
        if bits.bit()? { bits.skip(8) } else { Some(()) }
    };
    rest(bits).ok_or(CUT_SHORT)
}

/// `LatmGetValue`.
fn value(bits: &mut Bits<'_>) -> Option<u32> {
    let bytes = bits.bits(2)? + 1;
    bits.bits(8 * bytes)
}

/// The frame's length in steps of 255, and the frame at any bit.
fn payload(bits: &mut Bits<'_>) -> Option<Bytes> {
    let mut len = 0;
    loop {
        let step = bits.bits(8)?;
        len += usize::try_from(step).ok()?;
        if step != 255 {
            break;
        }
    }
    let bytes = (0..len).map(|_| u8::try_from(bits.bits(8)?).ok());
    bytes.collect::<Option<Vec<u8>>>().map(Bytes::from)
}

/// Bits from anywhere, to the beginning of bytes.
fn copy(element: &[u8], start: usize, len: u32) -> Option<Bytes> {
    let mut bits = Bits::new(element.get(start / 8..)?);
    bits.skip(u32::try_from(start % 8).ok()?)?;
    let whole = (0..len / 8).map(|_| u8::try_from(bits.bits(8)?).ok());
    let mut out = whole.collect::<Option<Vec<u8>>>()?;
    let odd = len % 8;
    if odd > 0 {
        out.push(u8::try_from(bits.bits(odd)? << (8 - odd)).ok()?);
    }
    Some(out.into())
}
