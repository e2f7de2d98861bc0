//! What this machine has: found out by trying.

use std::ffi::CString;
use std::ptr;

use ffmpeg_next::codec::Id;
use ffmpeg_next::ffi::{av_buffer_unref, av_hwdevice_ctx_create, av_hwdevice_find_type_by_name};
use ffmpeg_next::{Error, decoder};

/// Hardware that is looked for.
pub(crate) const DEVICES: [&str; 3] = ["vaapi", "cuda", "qsv"];

/// Opens a hardware device of a kind.
pub(crate) fn device(kind: &str) -> Result<(), String> {
    let name = CString::new(kind).map_err(|e| e.to_string())?;
    // SAFETY: the name lives until after the call; what was created is let go at once.
    unsafe {
        let kind = av_hwdevice_find_type_by_name(name.as_ptr());
        let mut device = ptr::null_mut();
        let made = av_hwdevice_ctx_create(&raw mut device, kind, ptr::null(), ptr::null_mut(), 0);
        if made < 0 {
            let why = Error::from(made).to_string();
            let nothing = why.is_empty();
            return Err(if nothing {
                "does not open".to_owned()
            } else {
                why
            });
        }
        av_buffer_unref(&raw mut device);
    }
    Ok(())
}

/// The codecs that can be decoded, by their short names.
pub(crate) fn decoders() -> Vec<String> {
    let all = [
        ("h264", Id::H264),
        ("h265", Id::HEVC),
        ("av1", Id::AV1),
        ("vp9", Id::VP9),
        ("mpeg2", Id::MPEG2VIDEO),
        ("aac", Id::AAC),
        ("mp3", Id::MP3),
        ("mp2", Id::MP2),
        ("ac3", Id::AC3),
        ("eac3", Id::EAC3),
        ("opus", Id::OPUS),
        ("flac", Id::FLAC),
    ];
    let found = all
        .into_iter()
        .filter(|(_, id)| decoder::find(*id).is_some());
    found.map(|(name, _)| name.to_owned()).collect()
}

/// libavcodec, as it names itself.
pub(crate) fn version() -> String {
    let version = ffmpeg_next::codec::version();
    format!(
        "{}.{}.{}",
        version >> 16,
        version >> 8 & 0xff,
        version & 0xff
    )
}
