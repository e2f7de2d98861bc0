//! Follows one media playlist by blocking reloads.

use std::time::Duration;

use super::Run;
use super::http::Ask;
use crate::lint::Directives;

/// A playlist that does not advance, or is not there, is asked for again after this.
const PAUSE: Duration = Duration::from_millis(150);

pub(super) async fn follow(run: &Run, playlist: &str) {
    let mut known = None;
    loop {
        let asked = known.map_or_else(Directives::default, |(msn, part)| {
            Directives::part(msn, part)
        });
        let query = asked.query();
        let ask = Ask {
            query: &query,
            gzip: true,
            ..Ask::default()
        };
        let answer = run.http.get(playlist, ask).await;
        let served = answer.text().is_some();
        let (wanted, next, ended) = {
            let mut linter = run.linter();
            let wanted = linter.playlist(playlist, asked, &answer);
            (wanted, linter.next(playlist), linter.ended(playlist))
        };
        run.want(wanted);
        if ended {
            return after_the_end(run, playlist).await;
        }
        if !served || next == known {
            tokio::time::sleep(PAUSE).await;
        }
        known = next.filter(|_| served);
    }
}

/// Directives mean nothing any more (H14).
async fn after_the_end(run: &Run, playlist: &str) {
    let Some((msn, part)) = run.linter().next(playlist) else {
        return;
    };
    let query = Directives::part(msn + 10, part).query();
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
    run.linter().old(playlist, &answer);
    // What was listed has to be there for a while.
    tokio::time::sleep(Duration::from_secs(2)).await;
}
