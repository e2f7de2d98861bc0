use std::sync::Arc;

use ::media::{Span, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::pull::hls::Choice;

fn media(text: &str) -> Media {
    match parse(text) {
        Ok(Playlist::Media(media)) => media,
        other => panic!("{other:?}"),
    }
}

/// As ffmpeg 5.1 writes it, `-hls_flags single_file`, encrypted, with dates.
#[test]
fn ranges_keys_dates() {
    let m = media(
        "#EXTM3U\r\n#EXT-X-VERSION:4\r\n#EXT-X-TARGETDURATION:2\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:3\r\n\
         #EXT-X-KEY:METHOD=AES-128,URI=\"k.bin\",IV=0x00000000000000000000000000000aff\r\n\
         #EXTINF:2.000000,\r\n#EXT-X-BYTERANGE:1000@188\r\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:42:02.250+0000\r\nall.ts\r\n\
         #EXT-X-DISCONTINUITY\r\n#EXTINF:1.5,title\r\n#EXT-X-BYTERANGE:500\r\nall.ts\r\n\
         #EXT-X-KEY:METHOD=NONE\r\n#EXT-X-GAP\r\n#EXTINF:bad\r\nb.ts\r\n#EXT-X-ENDLIST\r\n",
    );
    assert_eq!((m.target, m.first, m.ended), (Span::from_secs(2), 7, true));
    let [a, b, c] = &m.segments[..] else {
        panic!("{m:?}")
    };
    assert_eq!(a.at.as_ref().unwrap().range, Some(188..1188));
    assert_eq!(a.utc, Some(Timestamp::from_millis(1_795_261_322_250)));
    let mut iv = [0; 16];
    (iv[14], iv[15]) = (0x0a, 0xff);
    let key = Key::Aes128 {
        uri: "k.bin".into(),
        iv: Some(iv),
    };
    assert_eq!(a.key.as_deref(), Some(&key));
    assert_eq!((a.region, b.region, c.region), (3, 4, 4));
    assert_eq!(b.at.as_ref().unwrap().range, Some(1188..1688));
    assert_eq!(b.duration, Span::from_millis(1_500));
    assert_eq!((c.key.clone(), c.gap, c.duration), (None, true, m.target));
}

#[test]
fn parts_hints_and_maps() {
    let m = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.215\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.645\n\
         #EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"100@0\"\n\
         #EXTINF:2.0,\n10.m4s\n#EXT-X-PART:DURATION=0.2,URI=\"11.0.m4s\",INDEPENDENT=YES\n\
         #EXT-X-PART:DURATION=0.2,URI=\"11.m4s\",BYTERANGE=\"50@200\"\n\
         #EXT-X-PART:DURATION=0.2,URI=\"11.m4s\",BYTERANGE=\"60\",GAP=YES\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"11.3.m4s\"\n#EXT-X-RENDITION-REPORT:URI=\"a\"\n",
    );
    assert!(m.can_block && !m.ended);
    assert_eq!(m.part_target, Some(Span::from_millis(215)));
    let open = &m.segments[1];
    assert_eq!((&open.at, open.parts.len()), (&None, 3));
    assert!(open.parts[0].independent && open.parts[2].gap);
    assert_eq!(open.parts[2].at.range, Some(250..310));
    assert_eq!(open.map.as_ref().unwrap().at.range, Some(0..100));
    assert!(Arc::ptr_eq(
        open.map.as_ref().unwrap(),
        m.segments[0].map.as_ref().unwrap()
    ));
    assert_eq!(m.hint.unwrap().uri, "11.3.m4s");
}

const MASTER: &str = "#EXTM3U\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\",AUTOSELECT=YES,URI=\"en.m3u8\"\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,URI=\"de.m3u8\"\n\
    #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"x\",URI=\"s.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\naudio.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,AUDIO=\"a\"\nlow.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=3000000,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"a\"\nhigh.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=3000000,CODECS=\"avc1.64001f\"\nbackup.m3u8\n";

#[test]
fn one_variant_by_rule() {
    let Ok(Playlist::Multivariant(m)) = parse(MASTER) else {
        panic!("multivariant")
    };
    let pick = |choice| {
        let (variant, sound) = m.pick(choice).unwrap();
        (
            variant.uri.as_str(),
            sound.and_then(|s| s.language.as_deref()),
        )
    };
    assert_eq!(pick(Choice::Highest), ("high.m3u8", Some("de")));
    assert_eq!(pick(Choice::Lowest), ("low.m3u8", Some("de")));
    assert_eq!(pick(Choice::MaxKbps(1_000)), ("low.m3u8", Some("de")));
    assert_eq!(pick(Choice::MaxKbps(10)), ("low.m3u8", Some("de")));
    assert_eq!(pick(Choice::MaxKbps(u32::MAX)), ("high.m3u8", Some("de")));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    for text in [
        "",
        "<html>404</html>",
        "#EXTM3U",
        "#EXTM3U\n#EXTINF:2,\na.ts\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-I-FRAMES-ONLY\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n#EXTINF:1,\na\n",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    let m = media(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\"\n#EXTINF:1,\na.ts\n",
    );
    assert!(matches!(m.segments[0].key.as_deref(), Some(Key::Other(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn anything_is_followed_or_refused(lines in prop::collection::vec(prop_oneof![
        Just("#EXTM3U".to_owned()),
        Just("a.ts".to_owned()),
        Just("\u{c}#EXTM3U".to_owned()),
        "#EXT-X-TARGETDURATION:[0-9]{1,2}",
        "#EXT-X-MEDIA-SEQUENCE:[0-9]{1,20}",
        "#EXT-X-PART:DURATION=0.[0-9],URI=\"[a-c]\"(,INDEPENDENT=YES)?(,BYTERANGE=\"[0-9]{1,20}(@[0-9]{1,20})?\")?",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"[a-c]\"",
        "#EXT-X-PART-INF:PART-TARGET=[0-9.]{1,3}",
        Just("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES".to_owned()),
        "#EXTINF:[0-9.eE+-]{0,9},",
        "#EXT-X-(TARGETDURATION|MEDIA-SEQUENCE|DISCONTINUITY-SEQUENCE|BYTERANGE|GAP|PROGRAM-DATE-TIME|PLAYLIST-TYPE)(:[0-9@TZ:+.-]{0,24})?",
        "#EXT-X-(PART|KEY|MAP|PRELOAD-HINT|SERVER-CONTROL|PART-INF|STREAM-INF|MEDIA):[A-Z]{2,9}=\"?[0-9a-z@.,=\"-]{0,20}",
        "[ -~\u{e9}\u{1F600}]{0,20}",
    ], 0..60)) {
        let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n{}", lines.join("\n"));
        crate::pull::hls::fuzz::playlists(text.as_bytes());
    }
}
