//! Rules over answers.

use super::programme::FILLER;
use super::world::{date, reply};
use super::*;
use crate::lint::tests::header;

#[test]
fn d3_the_time() {
    let other = |body: fn(i64) -> String| {
        answered(move |w, a| {
            if w.what == What::Time {
                a.body = body(a.sent.as_millis()).into();
            }
        })
    };
    assert_eq!(other(|ms| date(ms + 30)), []);
    assert_eq!(other(|ms| date(ms + 80)), [Rule::D3]);
    assert_eq!(other(|ms| date(ms - 80)), [Rule::D3]);
    assert_eq!(other(|ms| date(ms).replace(".", "Z.")), [Rule::D3]);
    assert_eq!(other(|ms| date(ms).replace('Z', "")), [Rule::D3]);
}

#[test]
fn d12_what_is_promised_is_there() {
    let go = |what, number| {
        answered(move |w, a| {
            if is(w, what, "v0", number) {
                *a = reply(Some(404), &[(a.sent, "".into())], a.sent);
            }
        })
    };
    assert_eq!(go(What::Segment, 3), [Rule::D12]);
    let ahead = answered(|w, a| {
        if w.what == What::Ahead {
            *a = reply(Some(404), &[(a.sent, "".into())], a.sent);
        }
    });
    assert_eq!(ahead, [Rule::D12]);
    let far = answered(|w, a| {
        if w.what == What::Far {
            *a = header(
                reply(Some(200), &[(a.sent, FILLER.into())], a.sent),
                "cache-control",
                "no-store",
            );
        }
    });
    assert_eq!(far, [Rule::D12]);
}

#[test]
fn who_joins() {
    let slow = answered(|w, a| {
        if w.what == What::Join {
            a.last = a.sent + Span::from_millis(700);
        }
    });
    assert_eq!(slow, [Rule::Join]);
    assert_eq!(told("<Location>index.mpd?r=1</Location>", ""), [Rule::Join]);
}

#[test]
fn refreshes_come_at_once() {
    let slow = answered(|w, a| {
        if w.what == What::Mpd && a.sent > at(3_000) {
            a.last = a.sent + Span::from_millis(700);
        }
    });
    assert_eq!(slow, [Rule::Mpd]);
    let refused = answered(|w, a| {
        if w.what == What::Mpd && a.sent > at(3_000) {
            a.status = Some(503);
        }
    });
    assert_eq!(refused, [Rule::Mpd]);
}

#[test]
fn chunks_come_as_they_are_made() {
    let go = |edit: fn(&mut Answer)| {
        rules(&watch(
            &World::default().answered(move |w, a| {
                if is(w, What::Segment, "v0", 2) {
                    edit(a);
                    a.first = a.reads[0].0;
                    a.last = a.reads[a.reads.len() - 1].0;
                }
            }),
            12_000,
            &[],
        ))
    };
    assert_eq!(
        go(|a| a
            .reads
            .iter_mut()
            .for_each(|r| r.0 += Span::from_millis(200))),
        []
    );
    let late = go(|a| {
        a.reads
            .iter_mut()
            .for_each(|r| r.0 += Span::from_millis(300))
    });
    assert_eq!(late, [Rule::Pace]);
    let by_two = go(|a| {
        for i in (0..a.reads.len()).step_by(2) {
            a.reads[i].0 = a.reads[i + 1].0;
        }
    });
    assert_eq!(by_two, [Rule::Pace], "two at a time");
    let pause = go(|a| a.reads[10].0 += Span::from_millis(80));
    assert_eq!(pause, [Rule::Pace], "one late");
}

#[test]
fn every_number_has_media() {
    let world = || World {
        hole: Some((4_000, 8_000)),
        ..World::default()
    };
    assert_eq!(broken(&world()), [Rule::Media]);
}

#[test]
fn fillers_are_for_ever() {
    let later = answered(|w, a| {
        if is(w, What::Segment, "a1", 1) {
            *a = header(
                reply(Some(200), &[(a.last, FILLER.into())], a.sent),
                "cache-control",
                "no-store",
            );
        }
    });
    assert_eq!(later, [Rule::Media], "nobody asked again");
    let world = World::default().answered(|w, a| {
        let filler = |a: &Answer| reply(Some(200), &[(a.last, FILLER.into())], a.sent);
        if is(w, What::Again, "a1", 1) {
            *a = header(filler(a), "cache-control", "no-store");
        }
    });
    assert_eq!(
        rules(&watch(&world, 16_000, &[])),
        [Rule::Filler],
        "there was media"
    );
    let world = World::default().answered(|w, a| {
        if is(w, What::Segment, "a1", 1) {
            *a = header(
                reply(Some(200), &[(a.last, FILLER.into())], a.sent),
                "cache-control",
                "no-store",
            );
        }
    });
    assert_eq!(
        rules(&watch(&world, 16_000, &[])),
        [Rule::Media, Rule::Filler],
        "there is media"
    );
}

#[test]
fn fillers_come_in_time() {
    let world = World {
        hole: Some((4_000, 8_000)),
        ..World::default()
    };
    let world = world.answered(|w, a| {
        if is(w, What::Segment, "a1", 2) {
            a.last += Span::from_millis(2_000);
        }
    });
    assert_eq!(broken(&world), [Rule::Media, Rule::Filler]);
}

#[test]
fn the_window_can_be_downloaded() {
    let go = |what: What, number: u64| {
        let world = World::default().answered(move |w, a| {
            if w.what == what && (number == 0 || w.number == FIRST + number) {
                *a = reply(Some(404), &[(a.sent, "".into())], a.sent);
            }
        });
        rules(&watch(&world, 16_000, &[]))
    };
    assert_eq!(go(What::Again, 1), [Rule::Expiry]);
    assert_eq!(go(What::Init, 0), [Rule::Expiry]);
    let asked = std::cell::RefCell::new(Vec::new());
    let asked = std::rc::Rc::new(asked);
    let noted = std::rc::Rc::clone(&asked);
    let world = World::default().answered(move |w, a| {
        if w.what == What::Again && w.representation == "v0" {
            noted
                .borrow_mut()
                .push((w.number as i64 - FIRST as i64, a.sent.as_millis()));
        }
    });
    watch(&world, 15_000, &[]);
    // What was there before us, then each number half a second before it is too late.
    assert_eq!(
        *asked.borrow(),
        [
            (-4, 2),
            (-3, 2),
            (-2, 2),
            (-1, 9_500),
            (0, 11_500),
            (1, 13_500)
        ]
    );
}

#[test]
fn headers() {
    let go = |what, name: &'static str, value: &'static str| {
        answered(move |w, a| {
            if w.what == what {
                *a = header(a.clone(), name, value);
            }
        })
    };
    assert_eq!(go(What::Mpd, "cache-control", "max-age=60"), [Rule::Cache]);
    assert_eq!(go(What::Mpd, "cache-control", "no-store"), []);
    assert_eq!(go(What::Mpd, "content-type", "text/xml"), [Rule::Cache]);
    assert_eq!(go(What::Init, "cache-control", "no-store"), [Rule::Cache]);
    assert_eq!(
        go(What::Segment, "content-type", "video/mp4"),
        [Rule::Cache],
        "sound"
    );
    assert_eq!(
        go(What::Segment, "access-control-allow-origin", "null"),
        [Rule::Cache]
    );
    assert_eq!(go(What::Far, "cache-control", "max-age=60"), [Rule::Cache]);
    assert_eq!(go(What::Time, "cache-control", "max-age=1"), [Rule::Cache]);
    assert_eq!(go(What::Segment, "age", "3"), [Rule::Cache]);
    let world = World {
        hole: Some((4_000, 8_000)),
        ..World::default()
    };
    let world = world.answered(|w, a| {
        if w.what == What::Segment {
            *a = header(a.clone(), "cache-control", "max-age=3600");
        }
    });
    assert_eq!(
        broken(&world),
        [Rule::Media, Rule::Cache],
        "a filler is not kept"
    );
}

#[test]
fn hls_and_a_peer_have_the_same_bytes() {
    for (what, rule) in [(What::Hls, Rule::Same), (What::Peer, Rule::D13)] {
        let go = |edit: fn(&mut Answer)| {
            answered(move |w, a| {
                if w.what == what {
                    edit(a);
                }
            })
        };
        assert_eq!(go(|a| a.body = a.body.slice(1..)), [rule]);
        assert_eq!(go(|a| a.status = Some(404)), [rule]);
    }
}

#[test]
fn a_number_is_the_same_bytes_for_ever() {
    let world = World::default().answered(|w, a| {
        if is(w, What::Again, "v0", 1) {
            let mut bytes = a.body.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            a.body = bytes.into();
        }
    });
    assert_eq!(rules(&watch(&world, 15_000, &[])), [Rule::Reuse]);
}
