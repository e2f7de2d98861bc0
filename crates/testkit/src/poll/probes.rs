//! Requests that no player makes, or makes seldom.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::http::Ask;
use super::{Config, Run};
use crate::lint::{Directives, Probe};

/// What is published is known after so long.
const SEEN: Duration = Duration::from_millis(300);

pub(super) async fn run(run: &Run, playlists: &[String], config: &Config) {
    let mut every = interval(config.probe_every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every.tick().await;
    for playlist in playlists.iter().cycle() {
        every.tick().await;
        index(run, config).await;
        refusals(run, playlist).await;
        old(run, playlist).await;
        same(run, playlist).await;
        classic(run, playlist).await;
        range(run, playlist).await;
    }
}

async fn index(run: &Run, config: &Config) {
    let answer = run.http.get(config.index(), Ask::default()).await;
    run.linter().multivariant(config.index(), &answer);
}

async fn refusals(run: &Run, playlist: &str) {
    let Some((msn, part)) = run.linter().next(playlist) else {
        return;
    };
    let far = Directives {
        msn: Some(msn + 5),
        ..Directives::default()
    };
    for (query, probe) in [
        ("_HLS_part=0".to_owned(), Probe::PartAlone),
        (far.query(), Probe::TooFar),
        (Directives::part(msn, part + 500).query(), Probe::TooFar),
    ] {
        let answer = run
            .http
            .get(
                playlist,
                Ask {
                    query: &query,
                    ..Ask::default()
                },
            )
            .await;
        // The segment may have ended since, and what lies behind its end is the next one's first part.
        let served = answer.status == Some(200);
        if served && probe == Probe::TooFar && moved_on(run, playlist, msn).await {
            continue;
        }
        // A server that is away refuses everything; that is another rule's.
        if answer.status.is_some_and(|s| s != 404) {
            run.linter().probe(playlist, probe, &answer);
        }
    }
    for uri in unknown(run, playlist) {
        let answer = run.http.get(&uri, Ask::default()).await;
        if answer.status.is_some() {
            run.linter().probe(playlist, Probe::Unknown, &answer);
        }
    }
}

async fn moved_on(run: &Run, playlist: &str, msn: u64) -> bool {
    tokio::time::sleep(SEEN).await;
    run.linter()
        .next(playlist)
        .is_none_or(|(now, _)| now != msn)
}

/// Names that never were, and one that will be some day.
fn unknown(run: &Run, playlist: &str) -> Vec<String> {
    let linter = run.linter();
    let newest = linter.current(playlist).and_then(|l| l.newest_part());
    let ahead = newest.and_then(|uri| ahead(uri, 40));
    ["no-such-thing.m4s".to_owned()]
        .into_iter()
        .chain(ahead)
        .collect()
}

/// The URI whose last number is so much higher.
fn ahead(uri: &str, by: u64) -> Option<String> {
    let (stem, extension) = uri.rsplit_once('.')?;
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (head, number) = stem.split_at(stem.len() - digits);
    let number: u64 = number.parse().ok()?;
    Some(format!("{head}{}.{extension}", number + by))
}

async fn old(run: &Run, playlist: &str) {
    let first = run
        .linter()
        .current(playlist)
        .and_then(|l| l.first_number());
    let Some(msn) = first else {
        return;
    };
    let query = Directives {
        msn: Some(msn),
        ..Directives::default()
    }
    .query();
    let answer = run
        .http
        .get(
            playlist,
            Ask {
                query: &query,
                ..Ask::default()
            },
        )
        .await;
    if answer.status == Some(200) {
        run.linter().old(playlist, &answer);
    }
}

/// The same future state for three who ask differently.
async fn same(run: &Run, playlist: &str) {
    let Some((msn, part)) = run.linter().next(playlist) else {
        return;
    };
    let directives = Directives::part(msn, part);
    let query = directives.query();
    let skip = Directives {
        skip: true,
        ..directives
    }
    .query();
    let plain = Ask {
        query: &query,
        ..Ask::default()
    };
    let delta = Ask {
        query: &skip,
        ..Ask::default()
    };
    let (plain, gzip, delta) = tokio::join!(
        run.http.get(playlist, plain),
        run.http.get(
            playlist,
            Ask {
                gzip: true,
                ..plain
            }
        ),
        run.http.get(playlist, delta),
    );
    run.linter().same(playlist, [&plain, &gzip, &delta]);
}

async fn classic(run: &Run, playlist: &str) {
    let answer = run
        .http
        .get(
            playlist,
            Ask {
                query: "ll=0",
                ..Ask::default()
            },
        )
        .await;
    run.linter().classic(playlist, &answer);
}

async fn range(run: &Run, playlist: &str) {
    let newest = {
        let linter = run.linter();
        linter
            .current(playlist)
            .and_then(|l| l.newest_part())
            .map(str::to_owned)
    };
    let Some(uri) = newest else {
        return;
    };
    let whole = run.http.get(&uri, Ask::default()).await;
    if whole.status == Some(200) {
        let ask = Ask {
            range: Some("bytes=0-99"),
            ..Ask::default()
        };
        let answer = run.http.get(&uri, ask).await;
        run.linter().range(&uri, &answer, &whole.body);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_that_will_be() {
        assert_eq!(
            super::ahead("v0_17.3.m4s", 40).as_deref(),
            Some("v0_17.43.m4s")
        );
        assert_eq!(super::ahead("v0_17.m4s", 40).as_deref(), Some("v0_57.m4s"));
        assert_eq!(super::ahead("init.mp4", 40), None);
    }
}
