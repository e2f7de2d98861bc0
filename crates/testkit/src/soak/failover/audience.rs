//! Players that stay all the time and count every frame.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep, timeout};

use super::tally::{Count, Tally};
use crate::actors::{Kind, Numbers, Witness};
use crate::soak::stage::say;

const PATIENCE: Duration = Duration::from_secs(20);

/// One player of pictures and one of sound, so that neither waits for the other.
#[derive(Debug)]
pub(super) struct Audience {
    numbers: Numbers,
    players: [(Witness, Tally); 2],
    total: [Count; 2],
}

impl Audience {
    pub(super) fn play(url: &str, numbers: Numbers, clock: Instant) -> anyhow::Result<Self> {
        let player = |kind| anyhow::Ok((Witness::play(url, kind)?, Tally::new(kind, clock)));
        Ok(Self {
            numbers,
            players: [player(Kind::Video)?, player(Kind::Audio)?],
            total: [Count::default(); 2],
        })
    }

    /// Counts what came; whoever looks seldom calls this now and then.
    pub(super) fn gather(&mut self) -> anyhow::Result<()> {
        for (witness, tally) in &mut self.players {
            for seen in witness.take()? {
                let number = self.numbers.get(&seen.hash).copied();
                tally.add(seen, number);
            }
        }
        Ok(())
    }

    /// What pictures and sound did since this was asked last.
    pub(super) fn take(&mut self) -> anyhow::Result<[Count; 2]> {
        self.gather()?;
        let counts = [self.players[0].1.take(), self.players[1].1.take()];
        for (total, count) in self.total.iter_mut().zip(counts) {
            total.add(count);
        }
        Ok(counts)
    }

    /// That they knew every frame and no time went back.
    pub(super) fn clear(&mut self) -> anyhow::Result<()> {
        self.take()?;
        for (kind, count) in ["pictures", "sounds"].iter().zip(self.total) {
            say(&format!(
                "- one player all the time: {} {kind}, {} of them unknown, {} decoding times that did not grow",
                count.frames, count.unknown, count.backward
            ));
            ensure!(count.unknown == 0, "frames that no encoder sent");
            ensure!(count.backward == 0, "decoding times that did not grow");
        }
        Ok(())
    }

    /// Waits until so many pictures have come since [`Audience::take`].
    pub(super) async fn until_seen(&mut self, pictures: u64) -> anyhow::Result<()> {
        let seeing = async {
            while self.players[0].1.count().frames < pictures {
                sleep(Duration::from_millis(20)).await;
                self.gather()?;
            }
            anyhow::Ok(())
        };
        let seen = timeout(PATIENCE, seeing).await;
        seen.context("players see nothing")?
    }

    /// Waits until pictures and sound come, and for so long have.
    pub(super) async fn until_steady(&mut self) -> anyhow::Result<()> {
        self.take()?;
        self.until_seen(30).await?;
        let quiet = self.players.iter().find(|(_, t)| t.last().is_none());
        ensure!(quiet.is_none(), "players see no sound");
        Ok(())
    }
}

impl Count {
    fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.backward += other.backward;
        self.unknown += other.unknown;
        self.silence = self.silence.max(other.silence);
    }
}
