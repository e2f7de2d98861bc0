//! What must hold whatever a server sends as a playlist.

use media::{Span, Timestamp};

use super::follow::Follow;
use super::playlist::{Playlist, parse};

/// Playlists one after the other, parted by a form feed, each two seconds after the last: whatever
/// they say, each is taken to its end, and reloads keep their distance.
pub(crate) fn playlists(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut follow = Follow::new(true, 0);
    let mut now = Timestamp::ZERO;
    for text in text.split('\u{c}').take(16) {
        now += Span::from_secs(2);
        match parse(text) {
            Ok(Playlist::Media(media)) => {
                let most = media
                    .segments
                    .iter()
                    .map(|s| s.parts.len() + 1)
                    .sum::<usize>();
                follow.playlist(media, now);
                let mut taken = 0;
                while follow.next().is_some() {
                    follow.advance();
                    taken += 1;
                    assert!(taken <= most, "{taken} of {most}");
                }
                let _ = follow.hint();
            }
            Ok(Playlist::Multivariant(playlist)) => {
                assert!(playlist.pick(super::Choice::MaxKbps(1_000)).is_some());
            }
            Err(_) => follow.failed(now),
        }
        if let Some(reload) = follow.reload() {
            let most = Span::from_secs(3_600);
            assert!(reload.at >= Timestamp::ZERO && reload.at <= now + most);
        }
    }
}
