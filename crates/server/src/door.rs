//! Who comes in, whatever it speaks: what it wants, who decides, what it is told.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tracing::Span;

use crate::access::{Access, Action, Decision, Refused, Visitor};
use crate::metrics::Metrics;
use crate::model::{Callback, StreamConfig};
use crate::runtime::{Barren, Manager, Opened, Stream, check_key};

/// What a log line says of a name that is none.
const SHOWN: usize = 128;

/// What an encoder or a player wants.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// `rtmp` or `srt`.
    pub(crate) protocol: &'static str,
    /// The stream's name; of a player perhaps with `@` and a rendition.
    pub(crate) name: String,
    pub(crate) key: Option<String>,
    /// The input that an encoder is for.
    pub(crate) input: Option<String>,
    /// What else it brings, for callbacks.
    pub(crate) query: String,
}

/// Keys stay out of logs.
impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish")
            .field("protocol", &self.protocol)
            .field("name", &self.name)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

/// Why somebody is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reject {
    /// There is no such stream.
    NotFound,
    /// The key is missing or wrong.
    Unauthorised,
    /// Whoever decides on it says no.
    Denied,
    /// Somebody else publishes it.
    Busy,
    /// It is there, but takes nobody now.
    Disabled,
    /// The server has no room.
    Overload,
    /// This is not done here.
    Unsupported,
    /// What SRT has of its own: the passphrase is another one, or on one side alone.
    Secret(srt::Reject),
}

impl Reject {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Unauthorised => "unauthorised",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Disabled => "disabled",
            Self::Overload => "overload",
            Self::Unsupported => "unsupported",
            Self::Secret(why) => why.name(),
        }
    }
}

impl From<Reject> for rtmp::Reject {
    fn from(why: Reject) -> Self {
        match why {
            Reject::NotFound => Self::NotFound,
            Reject::Unauthorised | Reject::Secret(_) => Self::Unauthorised,
            Reject::Denied => Self::Denied,
            Reject::Busy => Self::Busy,
            Reject::Disabled => Self::Disabled,
            Reject::Overload => Self::Overload,
            Reject::Unsupported => Self::Unsupported,
        }
    }
}

impl From<Reject> for srt::Reject {
    fn from(why: Reject) -> Self {
        match why {
            Reject::NotFound => Self::NotFound,
            Reject::Unauthorised => Self::Unauthorised,
            Reject::Denied => Self::Denied,
            Reject::Busy => Self::Busy,
            Reject::Disabled => Self::Disabled,
            Reject::Overload => Self::Overload,
            Reject::Unsupported => Self::Unsupported,
            Reject::Secret(why) => why,
        }
    }
}

/// What a caller must know that only its protocol can look at, by the stream's configuration.
pub(crate) type Secret<'a> = &'a mut (dyn FnMut(&StreamConfig) -> Result<(), Reject> + Send);

/// Who is turned away hears why, and so do those who listen to events.
pub(crate) struct Refusal {
    pub(crate) why: Reject,
    /// In whose words, where they are not ours.
    pub(crate) words: Option<String>,
}

impl From<Reject> for Refusal {
    fn from(why: Reject) -> Self {
        Self { why, words: None }
    }
}

/// What decides on all who come.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) manager: Arc<Manager>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: Arc<Access>,
}

impl Door {
    /// The stream that an encoder may publish, with an input of it that is its own now. Nothing is
    /// made or taken from anybody for one that does not know the secret.
    pub(crate) async fn open(
        &self,
        wish: &Wish,
        peer: SocketAddr,
        secret: Secret<'_>,
    ) -> Result<(Arc<Stream>, Opened), Refusal> {
        let (stream, led) = self.admit(wish, peer, secret).await?;
        let opened = stream.open(wish, led).await?;
        Ok((stream, opened))
    }

    /// The stream that an encoder may publish, and whether it was led there: made now, where a
    /// template is for its name. Its key is looked at before anybody is asked.
    async fn admit(
        &self,
        wish: &Wish,
        peer: SocketAddr,
        secret: Secret<'_>,
    ) -> Result<(Arc<Stream>, bool), Refusal> {
        let manager = &self.manager;
        let (config, unborn) = match self.find(&wish.name) {
            Ok(stream) => (stream.config(), false),
            Err(Reject::NotFound) => {
                let unborn = manager.unborn(&wish.name).ok_or(Reject::NotFound)?;
                (unborn.config().clone(), true)
            }
            Err(why) => return Err(why.into()),
        };
        check_key(&config, wish)?;
        let callback = config.on_publish.as_ref();
        let led = self.ask(callback, Action::Publish, wish, peer).await?;
        if let Some(name) = led {
            let stream = manager.get(&name).ok_or(Reject::NotFound)?;
            secret(&stream.config())?;
            Span::current().record("stream", name);
            return Ok((stream, true));
        }
        secret(&config)?;
        if unborn {
            let address = peer.ip().to_canonical();
            let hatched = manager.hatch(&wish.name, address).await;
            Span::current().record("stream", shown(&wish.name));
            return hatched.map(|stream| (stream, false)).map_err(barren);
        }
        let stream = manager.get(&wish.name).ok_or(Reject::Disabled)?;
        Ok((stream, false))
    }

    /// The stream that a player gets, and which of its renditions: `name@rung` names one.
    pub(crate) async fn seat(
        &self,
        wish: &Wish,
        peer: SocketAddr,
    ) -> Result<(Arc<Stream>, Option<String>), Refusal> {
        let mut wish = wish.clone();
        let rung = match wish.name.split_once('@') {
            Some((name, rung)) => {
                let rung = rung.to_owned();
                wish.name = name.to_owned();
                Some(rung)
            }
            None => None,
        };
        let stream = self.find(&wish.name)?;
        let callback = stream.config().on_play;
        let led = self
            .ask(callback.as_ref(), Action::Play, &wish, peer)
            .await?;
        match led {
            Some(name) => Ok((self.manager.get(&name).ok_or(Reject::NotFound)?, rung)),
            None => Ok((stream, rung)),
        }
    }

    /// The stream that a request is for.
    fn find(&self, name: &str) -> Result<Arc<Stream>, Reject> {
        // What is no stream may hold a key that was mistyped into the name.
        if !self.manager.knows(name) {
            return Err(Reject::NotFound);
        }
        Span::current().record("stream", shown(name));
        self.manager.get(name).ok_or(Reject::Disabled)
    }

    /// Counts and tells of somebody who was turned away.
    pub(crate) fn note(&self, action: Action, wish: &Wish, peer: SocketAddr, refusal: &Refusal) {
        let reason = refusal.why.name();
        let words = refusal.words.as_deref();
        self.metrics.refused(wish.protocol, reason);
        // What is no stream may hold a key that was mistyped into the name.
        let known = self.manager.knows(&wish.name);
        let refused = Refused {
            action,
            protocol: wish.protocol,
            stream: if known { &wish.name } else { "" },
            peer,
            reason,
            detail: words,
        };
        tracing::info!(reason, words, "{} refused", action.name());
        self.access.tell_refused(&self.manager.events, &refused);
    }

    async fn ask(
        &self,
        callback: Option<&Callback>,
        action: Action,
        wish: &Wish,
        peer: SocketAddr,
    ) -> Result<Option<String>, Refusal> {
        let Some(callback) = callback else {
            return Ok(None);
        };
        let visitor = Visitor {
            action,
            stream: &wish.name,
            protocol: wish.protocol,
            peer,
            query: &wish.query,
            agent: None,
        };
        match self.access.decide(callback, &visitor).await {
            Decision::Allow => Ok(None),
            Decision::Redirect(to) => Ok(Some(to)),
            Decision::Deny(words) => Err(Refusal {
                why: Reject::Denied,
                words: Some(words),
            }),
        }
    }
}

fn barren(why: Barren) -> Refusal {
    match why {
        Barren::NoTemplate => Reject::NotFound.into(),
        Barren::Limit => Refusal {
            why: Reject::Overload,
            words: Some("no more streams may be made just now".to_owned()),
        },
        Barren::Failed => Reject::Overload.into(),
    }
}

fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(SHOWN)]
}
