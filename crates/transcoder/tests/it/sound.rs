//! Sound: codecs, languages, tracks.

use ladder::{AudioCodec, AudioRung, From, Output};
use media::{CodecConfig, TrackKind};

use crate::actor::Worker;
use crate::media::{ladder, pictures, sound};

#[test]
fn aac_becomes_aac_and_opus_without_pictures() {
    let source = pictures("320x180", 25, 4, "").only(TrackKind::Audio);
    let rungs = vec![
        sound("aac", AudioCodec::Aac),
        sound("opus", AudioCodec::Opus),
    ];
    let mut worker = Worker::with(ladder(vec![], rungs));
    let sent = source.send(&mut worker, 11, 0..4_000);
    worker.settle(sent);
    for (output, packet) in [(Output::Audio(0, 0), 1_024), (Output::Audio(1, 0), 960)] {
        let frames = worker.got.of(output);
        assert!(frames.len() > 180, "{}", frames.len());
        let steps = frames
            .windows(2)
            .map(|w| w[1].pts.to_ticks(48_000) - w[0].pts.to_ticks(48_000));
        assert!(steps.into_iter().all(|s| s == packet));
    }
    assert!(matches!(
        worker.got.track(Output::Audio(1, 0)).config,
        CodecConfig::Opus(_)
    ));
    assert!(
        worker.got.complaints.is_empty(),
        "{:?}",
        worker.got.complaints
    );
}

#[test]
fn two_languages_in_are_two_out_and_one_may_be_chosen() {
    let mut source = pictures("320x180", 25, 2, "").only(TrackKind::Audio);
    let mut tracks = source.tracks.to_vec();
    tracks[0].language = Some("en".to_owned());
    let mut german = tracks[0].clone();
    (german.id.0, german.language) = (3, Some("de".to_owned()));
    tracks.push(german);
    source.tracks = tracks.into();
    let doubled = source.frames.iter().flat_map(|f| {
        let mut other = f.clone();
        other.track.0 = 3;
        [f.clone(), other]
    });
    source.frames = doubled.collect();
    let german = AudioRung {
        from: From::Language("de-AT".to_owned()),
        ..sound("de", AudioCodec::Opus)
    };
    let mut worker = Worker::with(ladder(vec![], vec![sound("aac", AudioCodec::Aac), german]));
    let sent = source.send(&mut worker, 0, 0..2_000);
    worker.settle(sent);
    let language = |output| worker.got.track(output).language.clone();
    assert_eq!(language(Output::Audio(0, 0)).as_deref(), Some("en"));
    assert_eq!(language(Output::Audio(0, 1)).as_deref(), Some("de"));
    assert_eq!(language(Output::Audio(1, 1)).as_deref(), Some("de"));
    assert_eq!(worker.got.tracks.len(), 3);
    assert_eq!(
        worker.got.of(Output::Audio(0, 0)).len(),
        worker.got.of(Output::Audio(0, 1)).len()
    );
}
