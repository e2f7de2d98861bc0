//! The rules of the window, one by one.

use hub::{EndReason, Join, Limits, Options, Refused};
use media::{Span, TrackKind};

use crate::fixture::{AUDIO, Seen, Stage, delta, drain, frame, key, stage, tracks};

fn limits(seconds: i64, frames: usize) -> Limits {
    Limits {
        duration: Span::from_secs(seconds),
        bytes: frames * Limits::cost(&key(0)),
    }
}

fn patient(ms: i64) -> Options {
    Options {
        max_latency: Span::from_millis(ms),
        ..Options::default()
    }
}

const NEXT: Options = Options {
    join: Join::Next,
    max_latency: Span::from_secs(10),
    wanted: true,
};

/// Groups of four frames, one second each.
fn push_groups(stage: &mut Stage, seconds: std::ops::Range<i64>) {
    for second in seconds {
        stage.publisher.push(key(second * 1000)).unwrap();
        for quarter in 1..4 {
            let ms = second * 1000 + quarter * 250;
            stage.publisher.push(delta(ms)).unwrap();
        }
    }
}

#[test]
fn nothing_before_a_keyframe_is_taken() {
    let mut s = stage(Limits::default());
    assert_eq!(s.publisher.push(delta(0)), Err(Refused::MissingKeyframe));
    let sound = frame(AUDIO, 0, true, 0, 0);
    assert_eq!(s.publisher.push(sound), Err(Refused::MissingKeyframe));
    assert_eq!(s.publisher.push(key(40)), Ok(()));
    assert_eq!(s.publisher.push(delta(80)), Ok(()));
    let counters = s.publisher.counters();
    assert_eq!((counters.refused, counters.frames), (2, 2));
}

#[test]
fn what_the_source_lost_is_known() {
    let mut s = stage(Limits::default());
    s.publisher.note_loss();
    s.publisher.push(key(0)).unwrap();
    s.publisher.note_loss();
    let broadcast = s.publisher.broadcast();
    assert_eq!((broadcast.losses(), broadcast.counters().losses), (2, 2));
}

#[test]
fn joining_the_newest_group_or_the_next() {
    let mut s = stage(Limits::default());
    let broadcast = s.publisher.broadcast();
    push_groups(&mut s, 0..2);
    let mut newest = broadcast.subscribe(Options::default());
    let mut next = broadcast.subscribe(NEXT);
    assert_eq!(
        drain(&mut newest)[..2],
        [Seen::Group(1000, 0), Seen::Frame(1000)]
    );
    assert_eq!(drain(&mut next), []);
    s.publisher.push(key(2000)).unwrap();
    let group = [Seen::Group(2000, 0), Seen::Frame(2000)];
    assert_eq!(drain(&mut newest), group);
    assert_eq!(drain(&mut next), group);
}

#[test]
fn a_late_reader_is_moved_on_once_and_told_how_far() {
    let mut s = stage(limits(60, 1000));
    push_groups(&mut s, 0..1);
    let mut reader = s.publisher.broadcast().subscribe(patient(1500));
    assert_eq!(drain(&mut reader).len(), 5);
    push_groups(&mut s, 1..4);
    let seen = drain(&mut reader);
    assert_eq!(seen[..2], [Seen::Skipped(3, 8), Seen::Group(3000, 0)]);
    assert_eq!(seen.len(), 6);
    let counters = s.publisher.counters();
    assert_eq!((counters.skips, counters.skipped_frames), (1, 8));
    assert_eq!(reader.counters().skipped_groups, 3);
}

#[test]
fn a_late_reader_stays_where_no_newer_group_is() {
    let mut s = stage(limits(60, 1000));
    s.publisher.push(key(0)).unwrap();
    let mut reader = s.publisher.broadcast().subscribe(patient(100));
    for ms in 1..200 {
        s.publisher.push(delta(ms * 100)).unwrap();
    }
    let seen = drain(&mut reader);
    assert_eq!(seen.len(), 201);
    assert!(!seen.iter().any(|e| matches!(e, Seen::Skipped(..))));
}

#[test]
fn one_that_waits_and_comes_late_begins_where_it_is_not_too_late() {
    let mut s = stage(limits(60, 1000));
    let [mut in_time, mut late] = [1750, 1749].map(|ms| {
        let options = Options {
            max_latency: Span::from_millis(ms),
            ..NEXT
        };
        s.publisher.broadcast().subscribe(options)
    });
    push_groups(&mut s, 0..2);
    assert_eq!(drain(&mut in_time)[0], Seen::Group(0, 0));
    assert_eq!(drain(&mut late)[0], Seen::Group(1000, 0));
}

#[test]
fn whole_groups_leave_by_time() {
    let mut s = stage(limits(2, 1000));
    push_groups(&mut s, 0..3);
    assert_eq!(s.publisher.counters().evicted, 4);
    push_groups(&mut s, 3..4);
    assert_eq!(s.publisher.counters().evicted, 8);
}

#[test]
fn whole_groups_leave_by_size() {
    let mut s = stage(limits(60, 9));
    push_groups(&mut s, 0..2);
    assert_eq!(s.publisher.counters().evicted, 0);
    push_groups(&mut s, 2..3);
    assert_eq!(s.publisher.counters().evicted, 4);
}

#[test]
fn a_group_over_the_cap_loses_its_beginning_and_cannot_be_joined() {
    let mut s = stage(limits(60, 3));
    let broadcast = s.publisher.broadcast();
    s.publisher.push(key(0)).unwrap();
    let mut present = broadcast.subscribe(patient(60_000));
    assert_eq!(drain(&mut present).len(), 2);
    for ms in 1..5 {
        s.publisher.push(delta(ms)).unwrap();
    }
    let counters = s.publisher.counters();
    assert_eq!((counters.evicted, counters.torn), (2, 1));
    let mut late = broadcast.subscribe(Options::default());
    assert_eq!(drain(&mut late), []);
    assert_eq!(drain(&mut present), [], "waits: it lost frame 1");
    s.publisher.push(key(5)).unwrap();
    let group = [Seen::Group(5, 0), Seen::Frame(5)];
    assert_eq!(drain(&mut late), group);
    let skipped = [Seen::Skipped(1, 4)];
    assert_eq!(drain(&mut present), [&skipped[..], &group].concat());
}

#[test]
fn a_reader_inside_a_torn_group_reads_on() {
    let mut s = stage(limits(60, 3));
    s.publisher.push(key(0)).unwrap();
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    assert_eq!(drain(&mut reader).len(), 2);
    for ms in 1..50 {
        s.publisher.push(delta(ms)).unwrap();
        assert_eq!(drain(&mut reader), [Seen::Frame(ms.unsigned_abs())]);
    }
}

#[test]
fn one_frame_over_the_cap_is_held() {
    let mut s = stage(limits(60, 1));
    s.publisher
        .push(frame(crate::fixture::VIDEO, 0, true, 7, 100_000))
        .unwrap();
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    assert_eq!(drain(&mut reader), [Seen::Group(0, 0), Seen::Frame(7)]);
}

#[test]
fn tracks_change_at_a_groups_edge_only() {
    let mut s = stage(Limits::default());
    let broadcast = s.publisher.broadcast();
    assert!(broadcast.tracks().is_empty());
    let mut reader = broadcast.subscribe(Options::default());
    s.publisher.push(key(0)).unwrap();
    s.publisher.set_tracks(tracks(2));
    s.publisher.push(delta(40)).unwrap();
    assert_eq!(broadcast.tracks(), tracks(0));
    s.publisher.push(key(80)).unwrap();
    assert_eq!(broadcast.tracks(), tracks(2));
    let groups = [Seen::Group(0, 0), Seen::Group(80, 2)];
    let seen = drain(&mut reader);
    assert_eq!([seen[0], seen[3]], groups);
}

#[test]
fn sound_alone_is_grouped_on_a_grid_of_a_second() {
    let mut s = stage(Limits::default());
    assert!(tracks(1).iter().all(|t| t.kind == TrackKind::Audio));
    s.publisher.set_tracks(tracks(1));
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    for n in 0..150 {
        let ms = 500 + n * 20;
        s.publisher.push(frame(AUDIO, ms, true, 0, 0)).unwrap();
    }
    let mut seen = drain(&mut reader);
    seen.retain(|e| matches!(e, Seen::Group(..)));
    let ids = [500, 1000, 2000, 3000].map(|ms| Seen::Group(ms, 1));
    assert_eq!(seen, ids);
}

#[test]
fn leading_pictures_are_for_those_who_were_there_before() {
    let mut s = stage(Limits::default());
    let broadcast = s.publisher.broadcast();
    s.publisher.push(key(0)).unwrap();
    let mut present = broadcast.subscribe(Options::default());
    s.publisher.push(key(80)).unwrap();
    let mut leading = delta(40);
    leading.leading = true;
    s.publisher.push(leading).unwrap();
    s.publisher.push(delta(120)).unwrap();
    let mut joined = broadcast.subscribe(Options::default());
    let group = Seen::Group(80, 0);
    let [first, lead, last] = [80, 40, 120].map(Seen::Frame);
    assert_eq!(drain(&mut present)[2..], [group, first, lead, last]);
    assert_eq!(drain(&mut joined), [group, first, last]);
    assert_eq!(
        (joined.counters().leading, joined.counters().frames),
        (1, 2)
    );
}

#[test]
fn the_rest_then_the_end() {
    let mut s = stage(Limits::default());
    push_groups(&mut s, 0..1);
    let broadcast = s.publisher.broadcast();
    let mut reader = broadcast.subscribe(Options::default());
    let mut waiting = broadcast.subscribe(NEXT);
    s.publisher.end(EndReason::Finished);
    let end = Seen::End(EndReason::Finished);
    assert_eq!(drain(&mut reader)[4..], [Seen::Frame(750), end]);
    assert_eq!(drain(&mut reader), []);
    assert_eq!(drain(&mut waiting), [end]);
    let mut late = broadcast.subscribe(Options::default());
    assert_eq!(drain(&mut late).len(), 6);
    assert_eq!(broadcast.ended(), Some(EndReason::Finished));
}

#[test]
fn a_read_is_bounded() {
    let mut s = stage(Limits::default());
    s.publisher.push(key(0)).unwrap();
    let mut reader = s.publisher.broadcast().subscribe(Options::default());
    for ms in 1..130 {
        s.publisher.push(delta(ms)).unwrap();
    }
    let mut batch = Vec::new();
    let sizes = [65, 64, 2].map(|_| {
        batch.clear();
        assert!(reader.try_next(&mut batch));
        batch.len()
    });
    assert_eq!(sizes, [65, 64, 2]);
    assert!(!reader.try_next(&mut batch));
}
