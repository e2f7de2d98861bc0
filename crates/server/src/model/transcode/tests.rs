use ladder::{AudioCodec, Capabilities, Encoder, Fit, From, Ladder, Rate, RateControl, VideoCodec};
use serde_json::{Value, json};

use super::check::check_capabilities;
use crate::api::Problem;
use crate::model::{Definition, Template, Templates};

fn accept(body: Value) -> Result<Definition, Problem> {
    Definition::accept(body, None, &Templates::default())
}

fn stream(transcode: &Value) -> Definition {
    accept(json!({"name": "a", "transcode": transcode})).unwrap()
}

fn effective(transcode: &Value) -> Value {
    stream(transcode).effective(false)["transcode"].clone()
}

fn ladder(transcode: &Value) -> Option<Ladder> {
    stream(transcode).config().ladder()
}

fn refused(more: &Value) -> (String, String) {
    let mut body = json!({"name": "a"});
    crate::model::merge(&mut body, more);
    let problem = accept(body).unwrap_err();
    (problem.code, problem.field.unwrap_or_default())
}

/// What a rung of the pictures, named `a` where it has no name, is refused for.
fn video_refused(mut rung: Value) -> (String, String) {
    if rung.get("name").is_none() {
        rung["name"] = json!("a");
    }
    let (code, field) = refused(&json!({"transcode": {"video": [rung]}}));
    let field = field.strip_prefix("transcode.video[0]").unwrap_or(&field);
    (code, field.trim_start_matches('.').to_owned())
}

fn audio_refused(rung: &Value) -> (String, String) {
    refused(&json!({"transcode": {"audio": [rung]}}))
}

#[test]
fn every_default_is_written_out() {
    let all = json!({
        "gop_ms": 2000, "deinterlace": "auto",
        "video": [
            {"name": "720p", "codec": "h264", "height": 720, "fit": "fit", "fps": "source",
                "bitrate_kbps": 2500, "max_bitrate_kbps": 3750, "buffer_kbits": 5000, "preset": "veryfast"},
            {"name": "best", "codec": "av1", "fit": "fit", "fps": "source", "crf": 30,
                "max_bitrate_kbps": 6000, "buffer_kbits": 12000, "preset": "10"},
            {"name": "small", "codec": "h265", "width": 640, "fit": "fit", "fps": "half",
                "bitrate_kbps": 490, "max_bitrate_kbps": 735, "buffer_kbits": 980, "preset": "fast"},
        ],
        "audio": [{"name": "audio", "codec": "aac", "from": "*", "bitrate_kbps": 128}],
    });
    let written = json!({"video": [
        {"name": "720p", "height": 720},
        {"name": "best", "codec": "av1", "crf": 30, "max_bitrate_kbps": 6000},
        {"name": "small", "codec": "h265", "width": 640, "fps": "half", "preset": "fast"},
    ]});
    assert_eq!(effective(&written), all);
    assert_eq!(effective(&all), all, "what holds may be written");
    assert_eq!(ladder(&all), ladder(&written));
    assert_eq!(stream(&written).shown(false)["transcode"], written);
}

#[test]
fn a_rung_is_what_a_worker_is_told() {
    let rung = json!({
        "name": "x", "width": 1280, "height": 720, "fit": "pad", "fps": 25, "bitrate_kbps": 3000,
        "max_bitrate_kbps": 3000, "buffer_kbits": 1500, "preset": "faster", "tune": "film",
        "profile": "high", "level": "4.0", "b_frames": 2, "refs": 3,
    });
    let made = ladder(&json!({
        "gop_ms": 1000, "deinterlace": "always", "video": [rung],
        "audio": [{"name": "en", "codec": "opus", "from": "en", "channels": 1}, {"name": "b", "from": 2}],
    }));
    let made = made.unwrap();
    assert_eq!(made.gop_ms, 1_000);
    assert_eq!(made.deinterlace, ladder::Deinterlace::Always);
    let expected = ladder::VideoRung {
        name: "x".to_owned(),
        number: 0,
        codec: VideoCodec::H264,
        width: Some(1_280),
        height: Some(720),
        fit: Fit::Pad,
        rate: Rate::Fixed(ladder::FrameRate::whole(25)),
        control: RateControl::Bitrate {
            kbps: 3_000,
            max_kbps: 3_000,
            buffer_kbits: 1_500,
        },
        preset: "faster".to_owned(),
        tune: Some("film".to_owned()),
        profile: Some("high".to_owned()),
        level: Some("4.0".to_owned()),
        b_frames: Some(2),
        refs: Some(3),
    };
    assert_eq!(made.video, [expected]);
    let [en, b] = &made.audio[..] else {
        panic!("{:?}", made.audio);
    };
    assert_eq!(
        (en.codec, en.kbps, en.channels),
        (AudioCodec::Opus, 96, Some(1))
    );
    assert_eq!(en.from, From::Language("en".to_owned()));
    assert_eq!(
        (b.codec, b.kbps, &b.from),
        (AudioCodec::Aac, 128, &From::Track(2))
    );
}

#[test]
fn a_quality_has_a_cap_or_none() {
    let control = |rung: Value| ladder(&json!({"video": [rung]})).unwrap().video[0].control;
    let crf = json!({"name": "a", "crf": 23.5});
    let free = RateControl::Crf {
        crf: 23.5,
        max: None,
    };
    assert_eq!(control(crf), free);
    let capped = json!({"name": "a", "crf": 20, "max_bitrate_kbps": 4000});
    let max = Some((4_000, 8_000));
    assert_eq!(control(capped), RateControl::Crf { crf: 20.0, max });
}

#[test]
fn what_is_usual_goes_by_the_shorter_side() {
    let kbps = |mut rung: Value| {
        rung["name"] = json!("a");
        effective(&json!({"video": [rung]}))["video"][0]["bitrate_kbps"].clone()
    };
    for (rung, usual) in [
        (json!({}), 4_500),
        (json!({"height": 360}), 700),
        (json!({"height": 361}), 1_200),
        (json!({"height": 2160}), 16_000),
        (json!({"width": 1280}), 2_500),
        (json!({"width": 1080, "height": 1920}), 4_500),
        (json!({"height": 1080, "codec": "h265"}), 3_150),
        (json!({"height": 1080, "codec": "av1"}), 2_700),
    ] {
        assert_eq!(kbps(rung.clone()), usual, "{rung}");
    }
}

#[test]
fn what_is_not_written_of_either_kind() {
    let sound = json!({"audio": [{"name": "o", "codec": "opus"}]});
    let made = ladder(&sound).unwrap();
    assert_eq!(made.video, [ladder::VideoRung::copy("source".to_owned())]);
    let shown = effective(&sound);
    assert_eq!(shown["video"], json!([{"name": "source", "codec": "copy"}]));
    assert_eq!(shown["gop_ms"], Value::Null, "the source decides");

    let pictures = ladder(&json!({"video": [{"name": "a"}], "audio": []})).unwrap();
    assert_eq!(pictures.audio[0].name, "audio");
    assert_eq!(pictures.audio[0].codec, AudioCodec::Aac);
}

#[test]
fn nothing_is_asked_or_nothing_is_encoded() {
    let copies = json!({
        "video": [{"name": "a", "codec": "copy"}], "audio": [{"name": "b", "codec": "copy"}],
    });
    for nothing in [
        json!({}),
        json!({"gop_ms": 1000}),
        json!({"video": [], "audio": []}),
        copies,
    ] {
        assert_eq!(ladder(&nothing), None, "{nothing}");
    }
    let bare = accept(json!({"name": "a"})).unwrap();
    assert_eq!(bare.config().ladder(), None);
    assert_eq!(bare.effective(false).get("transcode"), None);
}

#[test]
fn keyframes_come_where_segments_begin() {
    let gop_ms = |hls: Value| {
        let body = json!({"name": "a", "hls": hls, "transcode": {"preset": "default"}});
        accept(body).unwrap().config().ladder().unwrap().gop_ms
    };
    assert_eq!(gop_ms(json!({})), 2_000);
    assert_eq!(gop_ms(json!({"segment_ms": 6000})), 6_000);
    let refused = |segment_ms: u32, gop_ms: Value| {
        let transcode = json!({"preset": "default", "gop_ms": gop_ms});
        refused(&json!({"hls": {"segment_ms": segment_ms}, "transcode": transcode}))
    };
    let at = |code: &str| (code.to_owned(), "transcode.gop_ms".to_owned());
    assert_eq!(refused(2_000, json!(1_500)), at("gop_invalid"));
    assert_eq!(refused(2_000, json!(4_000)), at("gop_invalid"));
    assert_eq!(refused(2_000, json!(200)), at("out_of_range"));
    assert_eq!(refused(12_000, Value::Null), at("out_of_range"));
}

#[test]
fn a_ladder_has_a_name() {
    let made = ladder(&json!({"preset": "default"})).unwrap();
    let names = made.video.iter().map(|rung| rung.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["1080p", "720p", "480p", "360p"]);
    assert_eq!(made.audio[0].codec, AudioCodec::Aac);
    let made = ladder(&json!({"preset": "H264_720P_30FPS_3_LAYERS"})).unwrap();
    let sizes = made.video.iter().map(|r| (r.width, r.height, r.control));
    let constant = |kbps| RateControl::Bitrate {
        kbps,
        max_kbps: kbps,
        buffer_kbits: kbps,
    };
    let expected = [
        (Some(1_280), Some(720), constant(1_900)),
        (Some(640), Some(360), constant(672)),
        (Some(320), Some(180), constant(238)),
    ];
    assert_eq!(sizes.collect::<Vec<_>>(), expected);
    let sound = &made.audio[0];
    assert_eq!(
        (sound.codec, sound.kbps, sound.channels),
        (AudioCodec::Opus, 96, Some(2))
    );
    let own = json!({"preset": "H264_720P_30FPS_1_LAYER", "audio": [{"name": "own"}]});
    assert_eq!(ladder(&own).unwrap().audio[0].name, "own");
}

#[test]
fn every_preset_may_be_written_out() {
    for name in super::preset::names() {
        let preset = json!({"preset": name});
        let all = effective(&preset);
        assert_eq!(all.get("preset"), None, "it is written out");
        assert_eq!(effective(&all), all);
        assert_eq!(ladder(&all), ladder(&preset));
    }
}

#[test]
fn a_ladder_that_cannot_be_is_refused() {
    let copy = json!({"name": "a", "codec": "copy"});
    let many: Vec<_> = (0..17).map(|i| json!({"name": format!("r{i}")})).collect();
    for (transcode, code, field) in [
        (json!([]), "not_an_object", ""),
        (json!({"nope": 1}), "unknown_field", ".nope"),
        (json!({"preset": "nope"}), "preset_unknown", ".preset"),
        (
            json!({"deinterlace": "yes"}),
            "invalid_field",
            ".deinterlace",
        ),
        (
            json!({"preset": "default", "video": [{"name": "a"}]}),
            "invalid_field",
            ".preset",
        ),
        (json!({"video": many}), "out_of_range", ".video"),
        (json!({"audio": many}), "out_of_range", ".audio"),
        (
            json!({"video": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}),
            "name_taken",
            ".video[2].name",
        ),
        (
            json!({"video": [copy, {"name": "b", "codec": "copy"}]}),
            "invalid_field",
            ".video[1].codec",
        ),
        (
            json!({"video": [copy, {"name": "b", "codec": "av1"}]}),
            "invalid_field",
            ".video[1].codec",
        ),
        (
            json!({"video": [copy, {"name": "b", "fps": 25}]}),
            "fps_invalid",
            ".video[1].fps",
        ),
        (
            json!({"video": [{"name": "a", "fps": 25}, {"name": "b", "fps": 29.97}]}),
            "fps_invalid",
            ".video[1].fps",
        ),
        (
            json!({"video": [{"name": "a", "fps": 29.97}, {"name": "b"}, {"name": "c", "fps": 30}]}),
            "fps_invalid",
            ".video[2].fps",
        ),
        (
            json!({"video": [{"name": "a", "fps": 12.5}], "gop_ms": 1000}),
            "fps_invalid",
            ".video[0].fps",
        ),
        (
            json!({"audio": [{"name": "a", "codec": "copy", "from": "en"}]}),
            "invalid_field",
            ".audio[0].from",
        ),
    ] {
        let expected = (code.to_owned(), format!("transcode{field}"));
        assert_eq!(
            refused(&json!({"transcode": transcode})),
            expected,
            "{transcode}"
        );
    }
    let uneven =
        json!({"hls": {"segment_ms": 1920}, "transcode": {"preset": "H264_540P_25FPS_2_LAYERS"}});
    assert!(
        accept(json!({"name": "a", "hls": uneven["hls"], "transcode": uneven["transcode"]}))
            .is_ok()
    );
    let uneven =
        json!({"hls": {"segment_ms": 1910}, "transcode": {"preset": "H264_540P_25FPS_2_LAYERS"}});
    let expected = ("fps_invalid".to_owned(), "transcode.preset".to_owned());
    assert_eq!(refused(&uneven), expected);
}

#[test]
fn rates_that_meet_are_taken() {
    for video in [
        json!([{"name": "a", "fps": 29.97}, {"name": "b", "fps": 59.94}, {"name": "c", "fps": 23.976}]),
        json!([{"name": "a", "fps": 50}, {"name": "b", "fps": 25}, {"name": "c", "fps": 12.5}]),
        json!([{"name": "a", "codec": "copy"}, {"name": "b", "fps": "half"}]),
    ] {
        assert!(ladder(&json!({"video": video})).is_some(), "{video}");
    }
}

#[test]
fn a_rung_of_the_pictures_that_no_encoder_takes_is_refused() {
    let long = "x".repeat(65);
    for (rung, code, field) in [
        (json!({"name": long}), "name_invalid", "name"),
        (json!({"name": ""}), "name_invalid", "name"),
        (json!({"name": "a_b"}), "name_invalid", "name"),
        (json!({"name": "a/b"}), "name_invalid", "name"),
        (json!({"name": "index"}), "name_reserved", "name"),
        (json!({"name": "v0"}), "name_reserved", "name"),
        (json!({"nope": 1}), "unknown_field", "nope"),
        (json!({"codec": "vp8"}), "invalid_field", "codec"),
        (
            json!({"codec": "copy", "height": 720}),
            "invalid_field",
            "height",
        ),
        (json!({"height": 63}), "out_of_range", "height"),
        (json!({"width": 8193}), "out_of_range", "width"),
        (json!({"height": 720, "fit": "pad"}), "invalid_field", "fit"),
        (json!({"fps": "fast"}), "invalid_field", "fps"),
        (json!({"fps": 0.5}), "out_of_range", "fps"),
        (json!({"fps": 240.5}), "out_of_range", "fps"),
        (json!({"fps": 33.333}), "fps_invalid", "fps"),
        (json!({"bitrate_kbps": 29}), "out_of_range", "bitrate_kbps"),
        (
            json!({"bitrate_kbps": u32::MAX}),
            "out_of_range",
            "bitrate_kbps",
        ),
        (json!({"bitrate_kbps": -1}), "invalid_field", "bitrate_kbps"),
        (
            json!({"bitrate_kbps": 500, "crf": 23}),
            "invalid_field",
            "crf",
        ),
        (json!({"crf": 0.5}), "out_of_range", "crf"),
        (json!({"crf": 52}), "out_of_range", "crf"),
        (json!({"crf": 64, "codec": "av1"}), "out_of_range", "crf"),
        (json!({"crf": 30.5, "codec": "av1"}), "invalid_field", "crf"),
        (
            json!({"crf": 23, "buffer_kbits": 500}),
            "invalid_field",
            "buffer_kbits",
        ),
        (
            json!({"bitrate_kbps": 500, "max_bitrate_kbps": 499}),
            "out_of_range",
            "max_bitrate_kbps",
        ),
        (
            json!({"bitrate_kbps": 500, "max_bitrate_kbps": 5001}),
            "out_of_range",
            "max_bitrate_kbps",
        ),
        (
            json!({"max_bitrate_kbps": 4499}),
            "out_of_range",
            "max_bitrate_kbps",
        ),
        (
            json!({"codec": "av1", "bitrate_kbps": 500, "max_bitrate_kbps": 500}),
            "out_of_range",
            "max_bitrate_kbps",
        ),
        (
            json!({"bitrate_kbps": 500, "buffer_kbits": 14}),
            "out_of_range",
            "buffer_kbits",
        ),
        (
            json!({"bitrate_kbps": 500, "buffer_kbits": 5001}),
            "out_of_range",
            "buffer_kbits",
        ),
        (json!({"preset": "10"}), "preset_unknown", "preset"),
        (
            json!({"codec": "av1", "preset": "veryfast"}),
            "preset_unknown",
            "preset",
        ),
        (
            json!({"codec": "h265", "tune": "film"}),
            "tune_unknown",
            "tune",
        ),
        (
            json!({"codec": "av1", "tune": "psnr"}),
            "tune_unknown",
            "tune",
        ),
        (json!({"profile": "high10"}), "profile_unknown", "profile"),
        (json!({"level": "4"}), "level_unknown", "level"),
        (
            json!({"codec": "h265", "level": "4.1"}),
            "level_unknown",
            "level",
        ),
        (json!({"b_frames": 17}), "out_of_range", "b_frames"),
        (
            json!({"codec": "h265", "b_frames": 5}),
            "out_of_range",
            "b_frames",
        ),
        (
            json!({"codec": "av1", "b_frames": 0}),
            "invalid_field",
            "b_frames",
        ),
        (
            json!({"profile": "baseline", "b_frames": 1}),
            "invalid_field",
            "b_frames",
        ),
        (
            json!({"tune": "zerolatency", "b_frames": 1}),
            "invalid_field",
            "b_frames",
        ),
        (json!({"refs": 0}), "out_of_range", "refs"),
        (json!({"codec": "h265", "refs": 7}), "out_of_range", "refs"),
        (json!({"codec": "av1", "refs": 1}), "invalid_field", "refs"),
    ] {
        let expected = (code.to_owned(), field.to_owned());
        assert_eq!(video_refused(rung.clone()), expected, "{rung}");
    }
    let nameless = refused(&json!({"transcode": {"video": [{"height": 720}]}}));
    assert_eq!(
        nameless,
        ("invalid_field".to_owned(), "transcode.video[0]".to_owned())
    );
}

#[test]
fn a_rung_of_the_sound_that_no_encoder_takes_is_refused() {
    for (rung, code, field) in [
        (json!({"name": "a.b"}), "name_invalid", "name"),
        (
            json!({"name": "a", "codec": "mp3"}),
            "invalid_field",
            "codec",
        ),
        (json!({"name": "a", "from": 16}), "invalid_field", "from"),
        (
            json!({"name": "a", "from": "english!"}),
            "invalid_field",
            "from",
        ),
        (
            json!({"name": "a", "codec": "copy", "channels": 2}),
            "invalid_field",
            "channels",
        ),
        (
            json!({"name": "a", "bitrate_kbps": 15}),
            "out_of_range",
            "bitrate_kbps",
        ),
        (
            json!({"name": "a", "codec": "opus", "bitrate_kbps": 257}),
            "out_of_range",
            "bitrate_kbps",
        ),
        (
            json!({"name": "a", "codec": "opus", "channels": 2, "bitrate_kbps": 511}),
            "out_of_range",
            "bitrate_kbps",
        ),
        (
            json!({"name": "a", "channels": 3}),
            "out_of_range",
            "channels",
        ),
        (
            json!({"name": "a", "sample_rate": 40000}),
            "out_of_range",
            "sample_rate",
        ),
        (
            json!({"name": "a", "codec": "opus", "sample_rate": 44100}),
            "out_of_range",
            "sample_rate",
        ),
    ] {
        let expected = (code.to_owned(), format!("transcode.audio[0].{field}"));
        assert_eq!(audio_refused(&rung), expected, "{rung}");
    }
}

#[test]
fn a_stream_has_the_ladder_of_its_template_list_by_list() {
    let rungs = json!([{"name": "720p", "height": 720}, {"name": "360p", "height": 360}]);
    let base = json!({"name": "t", "transcode": {"gop_ms": 1000, "video": rungs}});
    let template = Template::accept(base, None).unwrap();
    let templates = Templates::default().with(template);
    let made = |transcode: Value| {
        let body = json!({"name": "a", "template": "t", "transcode": transcode});
        Definition::accept(body, None, &templates)
    };
    let names = |transcode: Value| {
        let ladder = made(transcode).unwrap().config().ladder()?;
        let names = ladder.video.into_iter().map(|rung| rung.name);
        Some((ladder.gop_ms, names.collect::<Vec<_>>().join(" ")))
    };
    let is = |gop_ms, names: &str| Some((gop_ms, names.to_owned()));
    assert_eq!(names(json!({})), is(1_000, "720p 360p"));
    assert_eq!(names(json!({"gop_ms": 500})), is(500, "720p 360p"));
    assert_eq!(names(json!({"gop_ms": null})), is(2_000, "720p 360p"));
    assert_eq!(names(json!({"video": [{"name": "own"}]})), is(1_000, "own"));
    let preset = json!({"video": null, "preset": "H264_720P_30FPS_1_LAYER"});
    assert_eq!(names(preset), is(1_000, "720p"));
    assert_eq!(names(Value::Null), None);
    assert_eq!(names(json!({"video": null})), None);
    let both = made(json!({"preset": "default"})).unwrap_err();
    assert_eq!(both.field.as_deref(), Some("transcode.preset"));
}

fn capabilities(lacking: &[(&str, &str)]) -> Capabilities {
    let encoder = |codec: &str| Encoder {
        codec: codec.to_owned(),
        name: format!("lib{codec}"),
        unavailable: lacking
            .iter()
            .find(|(name, _)| *name == codec)
            .map(|(_, why)| (*why).to_owned()),
    };
    Capabilities {
        libavcodec: "59.37.100".to_owned(),
        encoders: ["h264", "h265", "aac"].map(encoder).into(),
        decoders: Vec::new(),
        devices: Vec::new(),
    }
}

#[test]
fn what_the_machine_cannot_encode_is_refused_with_the_reason() {
    let ladder = ladder(&json!({
        "video": [{"name": "source", "codec": "copy"}, {"name": "a", "codec": "h265"}],
        "audio": [{"name": "a"}, {"name": "b", "codec": "opus"}],
    }));
    let ladder = ladder.unwrap();
    let problem = |lacking| check_capabilities(&ladder, &capabilities(lacking)).unwrap_err();
    let lacks = problem(&[("h265", "libx265 does not open")]);
    assert_eq!(lacks.code, "encoder_unavailable");
    assert_eq!(lacks.field.as_deref(), Some("transcode.video[1].codec"));
    assert!(
        lacks.detail.ends_with("libx265 does not open"),
        "{}",
        lacks.detail
    );
    let unknown = problem(&[]);
    assert_eq!(unknown.field.as_deref(), Some("transcode.audio[1].codec"));

    let mut plain = ladder.clone();
    plain.audio.truncate(1);
    assert_eq!(check_capabilities(&plain, &capabilities(&[])), Ok(()));
}
