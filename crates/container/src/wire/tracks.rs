//! A set of tracks.

use bytes::{Buf as _, BufMut, BytesMut};
use media::{Role, Track, TrackId};

use super::cut::Cut;
use super::{Error, config};

/// Tracks of a codec that does not travel are left out.
pub(super) fn put(tracks: &[Track], out: &mut BytesMut) {
    for track in tracks {
        let Some((codec, record)) = config::write(&track.config) else {
            continue;
        };
        out.put_u16(track.id.0);
        out.put_u8(codec);
        out.put_u8(role_number(track.role));
        put_text(track.language.as_deref(), out);
        put_text(track.label.as_deref(), out);
        put_bytes(&record, out);
    }
}

/// As many as there are.
pub(super) fn read(cut: &mut Cut) -> Result<Vec<Track>, Error> {
    let mut tracks = Vec::new();
    while cut.0.has_remaining() {
        tracks.push(read_one(cut)?);
    }
    Ok(tracks)
}

fn read_one(cut: &mut Cut) -> Result<Track, Error> {
    let id = TrackId(cut.u16()?);
    let codec = cut.u8()?;
    let role = role(cut.u8()?)?;
    let (language, label) = (cut.text()?, cut.text()?);
    let config = config::read(codec, cut.bytes()?)?;
    Ok(Track {
        role,
        language,
        label,
        ..Track::new(id, config)
    })
}

const fn role_number(role: Role) -> u8 {
    match role {
        Role::Alternate => 1,
        Role::Commentary => 2,
        Role::Description => 3,
        _ => 0,
    }
}

const fn role(number: u8) -> Result<Role, Error> {
    Ok(match number {
        0 => Role::Main,
        1 => Role::Alternate,
        2 => Role::Commentary,
        3 => Role::Description,
        _ => return Err(Error::Unknown("role")),
    })
}

fn put_text(text: Option<&str>, out: &mut BytesMut) {
    out.put_u8(text.is_some().into());
    if let Some(text) = text {
        put_bytes(text.as_bytes(), out);
    }
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}
