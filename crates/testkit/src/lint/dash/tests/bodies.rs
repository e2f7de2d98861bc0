//! Rules over bytes.

use bytes::Bytes;

use super::programme::{boxed, moof, opening};
use super::*;

/// Media time of where number 2 begins: of pictures, in ticks.
const TICK: u64 = (FIRST + 2) * 180_000;

/// What is broken where number 2 of the pictures is made of these pieces, each of which comes when
/// the one that it stands for would.
fn made(edit: impl Fn(&mut Vec<Vec<u8>>) + 'static) -> Vec<Rule> {
    broken(&World::default().answered(move |w, a| {
        if w.representation != "v0" || w.number != FIRST + 2 || w.what == What::Far {
            return;
        }
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut from = 0;
        let elsewhere = matches!(w.what, What::Hls | What::Peer);
        let ends: Vec<_> = if elsewhere {
            vec![a.body.len()]
        } else {
            a.reads.iter().map(|(_, end)| *end).collect()
        };
        for end in &ends {
            pieces.push(a.body[from..*end].to_vec());
            from = *end;
        }
        if elsewhere {
            pieces = (0..20).map(plain).collect();
        }
        edit(&mut pieces);
        a.body = pieces.concat().into();
        let mut length = 0;
        for (read, piece) in a.reads.iter_mut().zip(&pieces) {
            length += piece.len();
            read.1 = length;
        }
        a.reads.last_mut().unwrap().1 = a.body.len();
    }))
}

/// Frame `i` as it is.
fn plain(i: u64) -> Vec<u8> {
    let opening = if i == 0 {
        opening(4_000, TICK)
    } else {
        Vec::new()
    };
    [opening, moof(TICK + i * 9_000, &[(9_000, i == 0)])].concat()
}

#[test]
fn pieces_put_together_again() {
    assert_eq!(made(|_| ()), []);
}

#[test]
fn d4_the_first_chunk_tells_the_time() {
    let first = |opening: Vec<u8>| {
        move |p: &mut Vec<Vec<u8>>| p[0] = [&opening[..], &moof(TICK, &[(9_000, true)])].concat()
    };
    assert_eq!(
        made(first(opening(4_020, TICK))),
        [Rule::D4],
        "another time"
    );
    assert_eq!(
        made(first(opening(4_000, TICK + 9_000))),
        [Rule::D4],
        "of another frame"
    );
    assert_eq!(
        made(first(opening(4_000, TICK)[..24].to_vec())),
        [Rule::D4],
        "no prft"
    );
    assert_eq!(
        made(first(opening(4_000, TICK)[24..].to_vec())),
        [Rule::D6],
        "no styp"
    );
}

#[test]
fn d5_segments_keep_to_their_numbers() {
    // Sound and pictures of a whole run shifted; then one that begins where it should not.
    let shifted = |ms: u64| {
        made(move |p| {
            for (i, piece) in (0..).zip(p) {
                let tick = TICK + i * 9_000 + ms * 90;
                let opening = if i == 0 {
                    opening(4_000 + ms as i64, tick)
                } else {
                    Vec::new()
                };
                *piece = [opening, moof(tick, &[(9_000, i == 0)])].concat();
            }
        })
    };
    let far = shifted(1_010);
    assert!(far.contains(&Rule::D5), "{far:?}");
    let near = shifted(30);
    assert!(!near.contains(&Rule::D5), "{near:?}");
}

#[test]
fn d6_chunks() {
    let one = made(|p| {
        let samples: Vec<_> = (0..20).map(|i| (9_000, i == 0)).collect();
        let all = [opening(4_000, TICK), moof(TICK, &samples)].concat();
        p.iter_mut().for_each(Vec::clear);
        p[19] = all;
    });
    assert!(one.contains(&Rule::D6), "one chunk: {one:?}");
    assert_eq!(
        made(|p| p[3] = [boxed(b"sidx", &[]), plain(3)].concat()),
        [Rule::D6]
    );
    let overlap = made(|p| p[3] = moof(TICK + 27_000 - 300, &[(9_000, false)]));
    assert_eq!(overlap, [Rule::D6]);
    let cut = made(|p| p[19].truncate(50));
    assert!(cut.contains(&Rule::D6), "{cut:?}");
    let back = made(|p| {
        for (i, piece) in (0..).zip(p) {
            let tick = TICK + i * 9_000 - 9_000;
            let opening = if i == 0 {
                opening(3_900, tick)
            } else {
                Vec::new()
            };
            *piece = [opening, moof(tick, &[(9_000, i == 0)])].concat();
        }
    });
    assert!(back.contains(&Rule::D6), "decode times go back: {back:?}");
}

#[test]
fn d11_no_events() {
    assert_eq!(
        made(|p| p[3] = [boxed(b"emsg", &[]), plain(3)].concat()),
        [Rule::D11]
    );
}

#[test]
fn holes_within_a_segment() {
    let hole = made(|p| {
        p[19].clear();
        p[18] = [plain(18), Vec::new()].concat();
    });
    assert_eq!(hole, [Rule::Media]);
}

#[test]
fn segments_begin_with_a_keyframe() {
    let without = made(|p| p[0] = [opening(4_000, TICK), moof(TICK, &[(9_000, false)])].concat());
    assert_eq!(without, [Rule::D9, Rule::Sap]);
}

#[test]
fn numbers_mean_one_time() {
    let world = World {
        apart: 6,
        ..World::default()
    };
    assert_eq!(broken(&world), [Rule::Aligned]);
}

#[test]
fn d10_an_initialisation_that_nobody_needs() {
    let world = World::default().answered(|w, a| {
        if is(w, What::Segment, "v0", 2) {
            let init = programme::init("v0_init_b");
            a.reads.iter_mut().for_each(|r| r.1 += init.len());
            a.body = Bytes::from([init, a.body.clone()].concat());
        }
    });
    assert_eq!(broken(&world), [Rule::D10]);
}
