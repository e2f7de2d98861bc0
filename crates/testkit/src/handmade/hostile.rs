//! Every way to be a bad peer that we could think of, as datagrams. Pure: what is left to chance follows
//! from a seed.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::packet::{MODULO, control, data, words};
use super::shake::{Block, Shake, extension, request};

/// Datagrams that belong together, in order.
#[derive(Debug, Clone)]
pub struct Attack {
    /// What it is.
    pub name: &'static str,
    /// What to send.
    pub datagrams: Vec<Vec<u8>>,
}

fn attack(name: &'static str, datagrams: Vec<Vec<u8>>) -> Attack {
    Attack { name, datagrams }
}

fn some(chance: &mut StdRng, length: usize) -> Vec<u8> {
    (0..length).map(|_| chance.random()).collect()
}

/// From somebody of whom the listener knows nothing.
#[must_use]
pub fn strays(seed: u64) -> Vec<Attack> {
    let chance = &mut StdRng::seed_from_u64(seed);
    let induction = Shake::induction(77).bytes();
    let cuts = (0..induction.len())
        .map(|n| induction[..n].to_vec())
        .collect();
    let long = [0, 1, 100, 1_000, 8_000].map(|n| [induction.clone(), some(chance, n)].concat());
    let mut bent = Vec::new();
    for _ in 0..2_000 {
        let mut bytes = induction.clone();
        for _ in 0..chance.random_range(1..6) {
            let at = chance.random_range(0..bytes.len());
            bytes[at] = chance.random();
        }
        bent.push(bytes);
    }
    let noise = (0..2_000).map(|_| {
        let length = chance.random_range(0..1_500);
        some(chance, length)
    });
    let noise = noise.collect();
    vec![
        attack("handshakes cut short", cuts),
        attack("handshakes that go on", long.to_vec()),
        attack("handshakes with wrong bytes", bent),
        attack("noise", noise),
        attack("conclusions without an induction", forgeries(chance)),
        attack("versions and requests that there are not", oddities()),
        attack("every control packet to nobody", to_nobody(chance)),
        attack(
            "data to nobody",
            (0..500)
                .map(|n| data(n, 0, n * 977 + 1, &[0x47; 1_316]))
                .collect(),
        ),
    ]
}

/// Cookies that nobody gave.
fn forgeries(chance: &mut StdRng) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = (0..500)
        .map(|n| Shake::conclusion(n + 1, chance.random(), "read:news").bytes())
        .collect();
    all.push(Shake::conclusion(1, 0, "read:news").bytes());
    all
}

fn oddities() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for version in [0, 1, 3, 4, 5, 6, u32::MAX] {
        for request in [
            0,
            1,
            2,
            1_000,
            1_002,
            0x7fff_ffff,
            0x8000_0000,
            u32::MAX - 1,
            u32::MAX,
        ] {
            for socket in [0, 1, u32::MAX] {
                let shake = Shake {
                    version,
                    request,
                    ..Shake::induction(socket)
                };
                all.push(shake.bytes());
            }
        }
    }
    all
}

fn to_nobody(chance: &mut StdRng) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for kind in (0..=16).chain([0x7ffe, 0x7fff]) {
        for subtype in [0, 1, 3, 4, 5, 0xffff] {
            for destination in [1, 0x1234_5678, u32::MAX] {
                let length = chance.random_range(0..64);
                let body = some(chance, length);
                all.push(control(kind, subtype, chance.random(), destination, &body));
            }
        }
    }
    all
}

/// Second handshakes of a caller that has a cookie: each is for a caller of its own.
#[must_use]
pub fn conclusions() -> Vec<(&'static str, Twist)> {
    vec![
        ("file transfer", |s, _| {
            s.with(Block::text(extension::CONGESTION, b"file"), 4)
        }),
        ("congestion control without a name", |s, _| {
            s.with(Block::new(extension::CONGESTION, vec![]), 4)
        }),
        ("forward error correction", |s, _| {
            s.with(Block::text(extension::FILTER, b"fec,cols:10,rows:5"), 4)
        }),
        ("a filter of noise", |s, c| {
            s.with(Block::new(extension::FILTER, some(c, 200)), 4)
        }),
        ("a group", |s, _| {
            s.with(
                Block::new(extension::GROUP, words(&[0x4000_0001, 0x0100_0000])),
                4,
            )
        }),
        ("extensions that there are not", |s, c| {
            let unknown = [9, 10, 99, 0x7fff, 0xffff].map(|k| Block::new(k, some(c, 40)));
            unknown.into_iter().fold(s, |s, block| s.with(block, 4))
        }),
        ("a thousand extensions", |s, _| {
            (0..340).fold(s, |s, n| s.with(Block::new(100 + n, vec![]), 4))
        }),
        ("the same extension again and again", |s, _| {
            (0..20).fold(s, |s, _| s.with(Block::abilities(120), 1))
        }),
        ("a length beyond the end", |s, _| {
            s.with(lie(extension::SID, 500, 8), 4)
        }),
        ("the largest length", |s, _| {
            s.with(lie(extension::SID, u16::MAX, 8), 4)
        }),
        ("a length of none", |s, _| {
            s.with(lie(extension::SID, 0, 8), 4)
        }),
        ("half a header of an extension", |mut s, _| {
            s.blocks.push(Block::new(extension::SID, vec![]));
            s.blocks.push(lie(0, 0, 2));
            s
        }),
        ("abilities cut short", |mut s, _| {
            s.blocks[0] = Block::new(extension::HSREQ, words(&[0x01_05_01]));
            s
        }),
        ("no abilities", |mut s, _| {
            s.blocks.clear();
            s
        }),
        ("an old version", |mut s, _| {
            s.blocks[0] = Block::new(extension::HSREQ, words(&[0x01_02_00, 0xbf, 0x0078_0078]));
            s
        }),
        ("a mode of streams", |mut s, _| {
            s.blocks[0] = Block::new(extension::HSREQ, words(&[0x01_05_01, 0xff, 0x0078_0078]));
            s
        }),
        ("the largest latency", |mut s, _| {
            s.blocks[0] = Block::abilities(u16::MAX);
            s
        }),
        ("a stream id of 512 bytes", |s, _| {
            s.with(Block::text(extension::SID, &[b'x'; 512]), 4)
        }),
        ("a stream id of 1200 bytes", |s, _| {
            s.with(Block::text(extension::SID, &[b'x'; 1_200]), 4)
        }),
        ("a stream id that is no text", |s, _| {
            s.with(Block::text(extension::SID, &[0xff; 60]), 4)
        }),
        ("a stream id of zeros", |s, _| {
            s.with(Block::text(extension::SID, &[0; 60]), 4)
        }),
        ("no packet fits", |s, _| Shake {
            mtu: 0,
            window: 0,
            ..s
        }),
        ("the largest packets", |s, _| Shake {
            mtu: u32::MAX,
            window: u32::MAX,
            ..s
        }),
        ("a first number out of range", |s, _| Shake {
            isn: u32::MAX,
            ..s
        }),
        ("no socket", |s, _| Shake { socket: 0, ..s }),
        ("a rendezvous", |s, _| Shake { request: 0, ..s }),
        ("a refusal", |s, _| Shake {
            request: request::REFUSED + 2,
            ..s
        }),
        ("a key length that there is not", |s, _| Shake {
            encryption: 7,
            ..s
        }),
        ("the largest key length", |s, _| Shake {
            encryption: u16::MAX,
            ..s
        }),
    ]
}

/// Makes a bad conclusion of a good one.
pub type Twist = fn(Shake, &mut StdRng) -> Shake;

fn lie(kind: u16, length: u16, really: usize) -> Block {
    let body = vec![b'x'; really];
    Block { kind, length, body }
}

/// Key material of sizes and contents that are wrong (§3.2.2), for a stream that has a passphrase and for
/// one that has none.
#[must_use]
pub fn keys() -> Vec<(&'static str, Twist)> {
    fn with(shake: Shake, body: Vec<u8>) -> Shake {
        let shake = Shake {
            encryption: 2,
            ..shake
        };
        shake.with(Block::new(extension::KMREQ, body), 2)
    }
    vec![
        ("key material of 16 bytes", |s, c| {
            with(s, material(c, 16, 4, 24))
        }),
        ("key material of 24 bytes", |s, c| {
            with(s, material(c, 24, 4, 32))
        }),
        ("key material of 32 bytes", |s, c| {
            with(s, material(c, 32, 4, 40))
        }),
        ("key material of 16 bytes that says 32", |s, c| {
            with(s, material(c, 32, 4, 24))
        }),
        ("key material of 32 bytes that says 16", |s, c| {
            with(s, material(c, 16, 4, 40))
        }),
        ("key material of 255 words", |s, c| {
            with(s, material(c, 1_020, 4, 40))
        }),
        ("key material of none", |s, c| with(s, material(c, 0, 4, 0))),
        ("salt of 255 words", |s, c| {
            with(s, material(c, 16, 255, 24))
        }),
        ("salt of none", |s, c| with(s, material(c, 16, 0, 24))),
        ("key material cut short", |s, c| {
            with(s, material(c, 16, 4, 4))
        }),
        ("no key material", |s, _| with(s, Vec::new())),
        ("key material of a word", |s, _| with(s, words(&[3]))),
        ("noise for key material", |s, c| {
            let noise = some(c, 72);
            with(s, noise)
        }),
        ("a thousand bytes for key material", |s, c| {
            let noise = some(c, 1_000);
            with(s, noise)
        }),
    ]
}

/// As a peer would write it, but for what it says of lengths.
fn material(chance: &mut StdRng, key: usize, salt_words: u8, wrapped: usize) -> Vec<u8> {
    let mut body = vec![0x12, 0x20, 0x29, 0x01];
    body.extend([0, 0, 0, 0]);
    // AES-CTR in TS over SRT.
    body.extend([2, 0, 2, 0]);
    body.extend([0, 0, salt_words, (key / 4) as u8]);
    body.extend(some(chance, 16));
    body.extend(some(chance, wrapped));
    body
}

/// What one knows of a connection that stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The other end's socket.
    pub socket: u32,
    /// The first number of what it sends.
    pub theirs: u32,
    /// The first number of what this end sends.
    pub ours: u32,
}

/// From a peer that was accepted.
#[must_use]
pub fn standing(at: Standing, seed: u64) -> Vec<Attack> {
    let chance = &mut StdRng::seed_from_u64(seed);
    let to = at.socket;
    let say = |kind, info, body: &[u32]| control(kind, 0, info, to, &words(body));
    let beyond = |n: u32| at.theirs.wrapping_add(n) % MODULO;
    let ranges = |pairs: &[(u32, u32)]| {
        let body: Vec<_> = pairs.iter().flat_map(|(a, b)| [a | 1 << 31, *b]).collect();
        say(3, 0, &body)
    };
    // Not a goodbye, which ends it.
    let unknown = [4, 8, 9, 12, 0x7ffe]
        .into_iter()
        .map(|k| say(k, 3, &[1, 2, 3, 4]));
    let extensions = [0, 1, 2, 5, 6, 99].map(|sub| control(0x7fff, sub, 0, to, &[7; 40]));
    let mut keys: Vec<_> = (0..200)
        .map(|n| control(0x7fff, 3, 0, to, &some(chance, n * 5)))
        .collect();
    keys.extend([0, 1, 2, 3, 4].map(|state| control(0x7fff, 4, 0, to, &words(&[state]))));
    for (key, salt, wrapped) in [
        (16, 4, 24),
        (32, 4, 24),
        (16, 4, 40),
        (1_020, 4, 24),
        (16, 255, 24),
    ] {
        keys.push(control(
            0x7fff,
            3,
            0,
            to,
            &material(chance, key, salt, wrapped),
        ));
    }
    let naks = vec![
        ranges(&[(0, MODULO - 1)]),
        ranges(&[(beyond(MODULO / 2), beyond(0))]),
        ranges(&[(beyond(1_000_000), beyond(2_000_000))]),
        ranges(&vec![(beyond(0), beyond(100_000)); 180]),
        say(3, 0, &[]),
        say(3, 0, &[beyond(0) | 1 << 31]),
        say(3, 0, &vec![beyond(5); 360]),
        control(3, 0, 0, to, &[1, 2, 3]),
    ];
    let acks = [
        beyond(1_000_000),
        beyond(MODULO / 2),
        beyond(MODULO - 5),
        u32::MAX,
    ]
    .into_iter();
    let acks = acks.flat_map(|n| {
        let full = [n, u32::MAX, u32::MAX, 0, u32::MAX, u32::MAX, u32::MAX];
        [
            say(2, 1, &full),
            say(2, 0, &[n]),
            say(2, 2, &full[..4]),
            say(2, 3, &[n, 0]),
        ]
    });
    let outside = [10_000, 1_000_000, MODULO / 2, MODULO / 2 + 1, MODULO - 100]
        .map(|n| at.ours.wrapping_add(n));
    let outside = outside
        .into_iter()
        .flat_map(|n| (0..20).map(move |k| n.wrapping_add(k) % MODULO));
    let flags = (0..8).map(|f| data(at.ours, f, to, &[0x47; 188]));
    let sizes =
        [0, 1, 187, 1_317, 1_456, 1_457, 9_000].map(|n| data(at.ours, 0, to, &vec![0x47; n]));
    let drops = [
        (0, MODULO - 1),
        (at.ours, at.ours + 1_000_000),
        (at.ours + 5, at.ours),
        (u32::MAX, 0),
    ];
    vec![
        attack("loss reports of absurd ranges", naks),
        attack("acknowledgements of what was not sent", acks.collect()),
        attack(
            "acknowledgements of none",
            (0..500).map(|n| say(6, n, &[0])).collect(),
        ),
        attack(
            "control packets that there are not",
            unknown.chain(extensions).collect(),
        ),
        attack("key refreshes of noise", keys),
        attack(
            "requests to drop all",
            drops.map(|(a, b)| say(7, u32::MAX, &[a, b])).to_vec(),
        ),
        attack(
            "data far outside the window",
            outside.map(|n| data(n, 0, to, &[0x47; 1_316])).collect(),
        ),
        attack("data under every key", flags.collect()),
        attack("data of every size", sizes.to_vec()),
        attack("ten thousand keep-alives", vec![say(1, 0, &[0]); 10_000]),
        attack(
            "ten thousand acknowledgements",
            vec![say(2, 1, &[at.theirs, 0, 0, 0, 0, 0, 0]); 10_000],
        ),
        attack(
            "the handshake again",
            vec![Shake::induction(77).bytes(); 200],
        ),
    ]
}
