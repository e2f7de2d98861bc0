//! Tags as encoders send them, and bytes as nobody should.

use proptest::prelude::*;

use super::*;

const AVCC: &[u8] = &[
    0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xbf,
    0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x58, 0xba,
    0x80, 0x01, 0x00, 0x04, 0x68, 0xce, 0x0f, 0xc8,
];
const VIDEO: TrackId = TrackId(0);
const AUDIO: TrackId = TrackId(1);

fn avc(kind: u8, payload: &[u8]) -> Bytes {
    [&[0x17, kind, 0, 0, 66], payload].concat().into()
}

fn configured() -> Demux {
    let mut d = Demux::new();
    let mut out = Vec::new();
    d.video(avc(0, AVCC), &mut out).unwrap();
    d.audio(Bytes::from_static(&[0xaf, 0, 0x11, 0x90]), &mut out)
        .unwrap();
    assert!(matches!(
        out[..],
        [Item::Config(VIDEO, _), Item::Config(AUDIO, _)]
    ));
    d
}

fn video(d: &mut Demux, body: Bytes) -> Vec<Item> {
    let mut out = Vec::new();
    d.video(body, &mut out).unwrap();
    out
}

#[test]
fn a_keyframe_is_what_its_nal_units_say() {
    let mut d = configured();
    let idr = [0, 0, 0, 2, 0x65, 1];
    let [Item::Frame(unit)] = &video(&mut d, avc(1, &idr))[..] else {
        panic!("one frame");
    };
    assert!(unit.random_access);
    assert_eq!(unit.composition, Span::from_millis(66));
    assert_eq!(unit.payload[..], idr);
    let flagged = [0, 0, 0, 2, 0x41, 1];
    let [Item::Frame(unit)] = &video(&mut d, avc(1, &flagged))[..] else {
        panic!("one frame");
    };
    assert!(!unit.random_access);
}

#[test]
fn a_picture_may_be_shown_before_it_is_decoded() {
    let mut body = Bytes::from_static(&[0xff, 0xff, 0xfe]);
    assert_eq!(take_composition(&mut body), Ok(Span::from_millis(-2)));
}

#[test]
fn parameter_sets_in_band_leave_the_payload() {
    let mut d = configured();
    let same_sps = &AVCC[8..33];
    let same_pps = &AVCC[36..40];
    let mut body = vec![0, 0, 0, 25];
    body.extend_from_slice(same_sps);
    body.extend_from_slice(&[0, 0, 0, 4]);
    body.extend_from_slice(same_pps);
    body.extend_from_slice(&[0, 0, 0, 2, 0x65, 1]);
    let items = video(&mut d, avc(1, &body));
    let [Item::Frame(unit)] = &items[..] else {
        panic!("the sets are the known ones: {items:?}");
    };
    assert_eq!(unit.payload[..], [0, 0, 0, 2, 0x65, 1]);
    // Another PPS is another configuration.
    let at = 4 + 25 + 4 + 3;
    body[at] ^= 0x10;
    let items = video(&mut d, avc(1, &body));
    assert!(
        matches!(items[..], [Item::Config(VIDEO, _), Item::Frame(_)]),
        "{items:?}"
    );
}

#[test]
fn lengths_of_two_bytes_become_four_in_samples_and_configuration() {
    let mut record = AVCC.to_vec();
    record[4] = 0xfd;
    let mut d = Demux::new();
    let items = video(&mut d, avc(0, &record));
    let [Item::Config(VIDEO, config)] = &items[..] else {
        panic!("{items:?}");
    };
    assert_eq!(config.nal_length_size(), 4);
    for _ in 0..2 {
        let items = video(&mut d, avc(1, &[0, 2, 0x65, 1]));
        let [Item::Frame(unit)] = &items[..] else {
            panic!("{items:?}");
        };
        assert_eq!(unit.payload[..], [0, 0, 0, 2, 0x65, 1]);
        // Another PPS in band: what follows on the wire is as it was.
        let sets = [
            &[0, 25],
            &AVCC[8..33],
            &[0, 4, 0x68, 0xde, 0x0f, 0xc8, 0, 2, 0x65, 1],
        ]
        .concat();
        let items = video(&mut d, avc(1, &sets));
        assert!(matches!(items.last(), Some(Item::Frame(_))), "{items:?}");
    }
}

#[test]
fn enhanced_multitrack_audio_is_told_apart() {
    let mut d = Demux::new();
    let body: Bytes = [&[0x95, 0x00][..], b"mp4a", &[1, 0x11, 0x90]]
        .concat()
        .into();
    let mut out = Vec::new();
    d.audio(body, &mut out).unwrap();
    assert!(matches!(out[..], [Item::Config(TrackId(3), _)]));
}

#[test]
fn modifiers_are_skipped() {
    let mut d = configured();
    let mut body = vec![0x97, 2, 0, 0, 9, 0x01];
    body.extend_from_slice(b"avc1");
    body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 2, 0x65, 1]);
    assert!(matches!(video(&mut d, body.into())[..], [Item::Frame(_)]));
}

#[test]
fn sound_without_configuration_is_ignored() {
    let mut d = Demux::new();
    let mut out = Vec::new();
    d.audio(Bytes::from_static(&[0xaf, 1, 1, 2]), &mut out)
        .unwrap();
    assert_eq!(out, [Item::Ignored("audio before its configuration")]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_bytes_are_read_or_refused(
        bodies in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..40),
        heads in prop::collection::vec(prop_oneof![Just(0x17_u8), Just(0x90), Just(0x96), Just(0x97), Just(0xaf), Just(0x95)], 40),
    ) {
        let mut d = configured();
        let mut out = Vec::new();
        for ((is_video, mut body), head) in bodies.into_iter().zip(heads) {
            body.insert(0, head);
            let _ = if is_video { d.video(body.into(), &mut out) } else { d.audio(body.into(), &mut out) };
        }
    }
}
