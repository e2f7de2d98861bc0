//! What an outcome means for what was sent.

use std::time::Duration;

use http::StatusCode;

use crate::client::Answer;
use crate::error::Error;

/// What becomes of what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Taken,
    /// It is sent again.
    Again {
        /// Not before this has passed, where the receiver says so.
        after: Option<Duration>,
    },
    /// The receiver does not want it, now or later.
    Never,
}

/// Reads an outcome. All that somebody can mend is tried again: a receiver that is away, a redirect
/// (a setting that points to the old place), an address that policy forbids.
#[must_use]
pub fn verdict(outcome: &Result<Answer, Error>) -> Verdict {
    outcome
        .as_ref()
        .map_or(Verdict::Again { after: None }, Answer::verdict)
}

impl Answer {
    /// What its status means. A receiver in trouble has not decided yet.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let after = self.retry_after;
        match self.status {
            status if status.is_success() => Verdict::Taken,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Verdict::Again { after }
            }
            status if status.is_client_error() => Verdict::Never,
            _ => Verdict::Again { after },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn of(status: u16) -> Verdict {
        verdict(&Ok(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some(Duration::from_secs(7)),
            body: Bytes::new(),
        }))
    }

    #[test]
    fn each_class_has_its_meaning() {
        let after = Some(Duration::from_secs(7));
        for status in [200, 202, 204] {
            assert_eq!(of(status), Verdict::Taken, "{status}");
        }
        for status in [301, 307, 308, 408, 425, 429, 500, 503, 599] {
            assert_eq!(of(status), Verdict::Again { after }, "{status}");
        }
        for status in [400, 401, 404, 410, 413, 422] {
            assert_eq!(of(status), Verdict::Never, "{status}");
        }
        assert_eq!(
            verdict(&Err(Error::Address)),
            Verdict::Again { after: None }
        );
    }
}
