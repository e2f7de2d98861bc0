//! Fuzz targets: what must hold whatever a player asks for. `crates/testkit/fuzz` runs them under
//! an engine, the tests below over the kept corpora.

use http::{HeaderMap, HeaderValue, header};
use packager::Skip;

use crate::headers::{range, takes_gzip};
use crate::resource::{Directives, Resource};

/// Paths of media: a name has one way to be written, so that caches hold it once.
pub fn path(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else {
        return;
    };
    let Some((stream, resource)) = Resource::parse(path) else {
        return;
    };
    let file = match resource {
        Resource::Multivariant => "index.m3u8".to_owned(),
        Resource::Manifest => "index.mpd".to_owned(),
        Resource::Playlist { media } => format!("{media}.m3u8"),
        Resource::Init { media, hash } => format!("{media}_init_{hash}.mp4"),
        Resource::Segment { media, number } => format!("{media}_{number}.m4s"),
        Resource::Part { media, name } => format!("{media}_{name}.m4s"),
        Resource::TsMultivariant => "ts.m3u8".to_owned(),
        Resource::TsPlaylist { media } => format!("{media}.ts.m3u8"),
        Resource::TsSegment { media, number } => format!("{media}_{number}.ts"),
    };
    assert_eq!(format!("{stream}/{file}"), path);
}

/// Delivery directives.
pub fn query(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else {
        return;
    };
    let Some(d) = Directives::parse(query) else {
        return;
    };
    let mut again = String::new();
    if let Some(msn) = d.msn {
        again.push_str(&format!("_HLS_msn={msn}&"));
    }
    if let Some(part) = d.part {
        again.push_str(&format!("_HLS_part={part}&"));
    }
    if d.form.skip == Skip::Yes {
        again.push_str("_HLS_skip=YES&");
    }
    if !d.form.low_latency {
        again.push_str("ll=0&");
    }
    assert_eq!(Directives::parse(&again), Some(d));
}

/// `Range` of something whose length the first two bytes tell, and `Accept-Encoding`.
pub fn headers(data: &[u8]) {
    let Some((len, text)) = data.split_first_chunk() else {
        return;
    };
    let Ok(value) = HeaderValue::from_bytes(text) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::RANGE, value.clone());
    headers.insert(header::ACCEPT_ENCODING, value);
    let len = usize::from(u16::from_be_bytes(*len));
    if let Ok(Some((start, end))) = range(&headers, len) {
        assert!(start < end && end <= len);
    }
    let _ = takes_gzip(&headers);
}

/// Playlists that a pull follows, parted by form feeds.
pub fn pull_playlist(data: &[u8]) {
    crate::pull::hls::fuzz::playlists(data);
}

#[cfg(test)]
mod tests {
    use testkit::fuzz::replay;

    #[test]
    fn kept_corpora() {
        replay("media_path", super::path);
        replay("media_query", super::query);
        replay("media_headers", super::headers);
        replay("pull_playlist", super::pull_playlist);
    }
}
