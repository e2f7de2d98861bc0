//! Attacks, each for as long as it takes; what came back is counted. Blocking.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::handmade::{
    Attack, Caller, Shake, Twist, conclusions, control, data, keys, request, standing, strays,
};

/// Datagrams between two breaths: more at once would only fill buffers.
const BURST: usize = 64;
const BREATH: Duration = Duration::from_millis(2);
/// Sockets that are open at the same time.
const HELD: usize = 1_000;

/// What an attack came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) heard: u64,
    /// What was made of it, in words.
    pub(super) verdict: String,
}

/// Somebody who wishes the server ill.
#[derive(Debug, Clone)]
pub(super) struct Raider {
    pub(super) target: SocketAddr,
    pub(super) seed: u64,
    /// What it would play, and what publish, were it honest.
    pub(super) play: String,
    pub(super) publish: String,
    /// The same of a stream that has a passphrase.
    pub(super) secret: String,
}

/// One thing to do to a server.
pub(super) type Deed = Box<dyn FnOnce(&Raider) -> anyhow::Result<Tally> + Send>;

impl Raider {
    /// Everything, one after the other; so many half-open ones.
    pub(super) fn deeds(&self, half_open: usize) -> Vec<(String, Deed)> {
        let mut all: Vec<(String, Deed)> = Vec::new();
        for attack in strays(self.seed) {
            all.push((attack.name.to_owned(), Box::new(move |r| r.stray(&attack))));
        }
        let name = format!("{half_open} half-open handshakes");
        all.push((name, Box::new(move |r| r.half_open(half_open))));
        all.push((
            "200 callers that say nothing more".to_owned(),
            Box::new(Self::silent),
        ));
        for (name, twist) in conclusions() {
            let deed = move |r: &Self| r.conclude(&r.play, twist);
            all.push((name.to_owned(), Box::new(deed)));
        }
        for (name, twist) in keys() {
            let deed = move |r: &Self| r.conclude(&r.play, twist);
            all.push((format!("in the clear: {name}"), Box::new(deed)));
            let deed = move |r: &Self| r.conclude(&r.secret, twist);
            all.push((format!("encrypted: {name}"), Box::new(deed)));
        }
        for (stream, who) in [
            (self.play.clone(), "player"),
            (self.publish.clone(), "publisher"),
        ] {
            for (at, name) in names().into_iter().enumerate() {
                let stream = stream.clone();
                all.push((
                    format!("{who}: {name}"),
                    Box::new(move |r| r.standing(&stream, at)),
                ));
            }
        }
        all.push((
            "goodbyes in others' names".to_owned(),
            Box::new(Self::forged),
        ));
        all.push((
            "a thousand refused in ten seconds".to_owned(),
            Box::new(Self::insistent),
        ));
        all
    }

    fn caller(&self, n: usize) -> anyhow::Result<Caller> {
        let id = u32::try_from(n % 0x3fff_ffff)? + 1;
        // The whole of 127/8 is ours where the server is on it.
        let loopback = self.target.ip().is_loopback();
        let [a, b] = [n / 200 % 200, n % 200].map(|v| v as u8 + 2);
        let from = if loopback {
            Ipv4Addr::new(127, 0, a, b)
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        Ok(Caller::from(IpAddr::V4(from), self.target, id)?)
    }

    fn stray(&self, attack: &Attack) -> anyhow::Result<Tally> {
        let callers: Vec<_> = (0..20).map(|n| self.caller(n)).collect::<Result<_, _>>()?;
        for (n, datagram) in attack.datagrams.iter().enumerate() {
            callers[n % callers.len()].say(datagram);
            breathe(n);
        }
        sleep(Duration::from_millis(300));
        Ok(Tally {
            sent: attack.datagrams.len() as u64,
            heard: callers.iter().map(Caller::heard).sum(),
            verdict: String::new(),
        })
    }

    fn half_open(&self, most: usize) -> anyhow::Result<Tally> {
        let mut held = Vec::new();
        let mut heard = 0;
        for n in 0..most {
            let caller = self.caller(n)?;
            caller.say(&Shake::induction(u32::try_from(n)? + 1).bytes());
            held.push(caller);
            breathe(n);
            if held.len() == HELD {
                heard += held.drain(..).map(|c| c.heard()).sum::<u64>();
            }
        }
        heard += held.iter().map(Caller::heard).sum::<u64>();
        Ok(Tally {
            sent: most as u64,
            heard,
            verdict: String::new(),
        })
    }

    /// They are accepted, or wait to be, and are never heard of again.
    fn silent(&self) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut in_ = 0;
        // One that answers nobody would take a second for each.
        for n in 0..if self.caller(0)?.induct().is_some() {
            200
        } else {
            0
        } {
            tally.sent += 2;
            let Some(induction) = self.caller(n).ok().and_then(|c| c.induct().map(|a| (c, a)))
            else {
                continue;
            };
            let (caller, answer) = induction;
            tally.heard += 1;
            caller
                .say(&Shake::conclusion(u32::try_from(n)? + 1, answer.cookie, &self.play).bytes());
            in_ += 1;
        }
        tally.verdict = format!("{in_} had a cookie");
        Ok(tally)
    }

    fn conclude(&self, stream: &str, twist: Twist) -> anyhow::Result<Tally> {
        let mut chance = StdRng::seed_from_u64(self.seed);
        let caller = self.caller(chance.random_range(0..10_000))?;
        let answer = caller.conclude(stream, |shake| twist(shake, &mut chance));
        let verdict = match answer {
            None => "no answer".to_owned(),
            Some(a) if a.request == request::CONCLUSION => "accepted".to_owned(),
            Some(a) if a.request >= request::REFUSED => format!("refused: {}", a.request),
            Some(a) => format!("answered {:#x}", a.request),
        };
        Ok(Tally {
            sent: 2,
            heard: 1 + u64::from(answer.is_some()),
            verdict,
        })
    }

    fn standing(&self, stream: &str, at: usize) -> anyhow::Result<Tally> {
        let caller = self.caller(at + 300)?;
        let Some(stands) = caller.stand(stream) else {
            return Ok(Tally {
                verdict: "not let in".to_owned(),
                ..Tally::default()
            });
        };
        let attack = standing(stands, self.seed).swap_remove(at);
        let mut heard = 0;
        for (n, datagram) in attack.datagrams.iter().enumerate() {
            caller.say(datagram);
            breathe(n);
            if n % BURST == 0 {
                heard += caller.heard();
            }
        }
        sleep(Duration::from_millis(300));
        heard += caller.heard();
        let lives = caller.lives(&stands);
        // It leaves, so that the next one of the same name may come.
        caller.say(&control(5, 0, 0, stands.socket, &[0; 4]));
        Ok(Tally {
            sent: attack.datagrams.len() as u64,
            heard,
            verdict: if lives { "stays" } else { "is out" }.to_owned(),
        })
    }

    /// Somebody else says goodbye, and worse, to a connection whose number he guessed.
    fn forged(&self) -> anyhow::Result<Tally> {
        let (victim, stranger) = (self.caller(401)?, self.caller(402)?);
        let Some(stands) = victim.stand(&self.publish) else {
            return Ok(Tally {
                verdict: "not let in".to_owned(),
                ..Tally::default()
            });
        };
        let to = stands.socket;
        for kind in 1..=8 {
            stranger.say(&control(kind, 0, 0, to, &[0; 28]));
        }
        stranger.say(&data(stands.ours + 1_000, 0, to, &[0x47; 188]));
        sleep(Duration::from_millis(300));
        let lives = victim.lives(&stands);
        victim.say(&control(5, 0, 0, to, &[0; 4]));
        Ok(Tally {
            sent: 9,
            heard: stranger.heard(),
            verdict: if lives {
                "the victim stays"
            } else {
                "THE VICTIM IS OUT"
            }
            .to_owned(),
        })
    }

    fn insistent(&self) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        for n in 0..1_000 {
            let caller = self.caller(n % 4)?;
            let answer = caller.conclude("publish:nothing-of-that-name:wrong", |mut shake| {
                // A key that nobody asked for is refused whatever is asked for.
                shake.blocks.clear();
                shake
            });
            tally.sent += 2;
            tally.heard += 1 + u64::from(answer.is_some());
            sleep(Duration::from_millis(8));
        }
        Ok(tally)
    }
}

/// Of what [`standing`] has, which follows from no connection.
fn names() -> Vec<&'static str> {
    let none = crate::handmade::Standing {
        socket: 0,
        theirs: 0,
        ours: 0,
    };
    standing(none, 0).iter().map(|a| a.name).collect()
}

fn breathe(n: usize) {
    if n % BURST == BURST - 1 {
        sleep(BREATH);
    }
}
