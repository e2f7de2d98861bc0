//! Addresses of streams elsewhere:
//! `srt://host:port[?streamid=…&passphrase=…&pbkeylen=16|24|32&latency=MS&mode=caller]`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::cipher::{KeyLength, Passphrase};
use crate::handshake::STREAM_ID;

const LONGEST: usize = 2048;

/// Where to call, and with what.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port; there is none by default.
    pub port: u16,
    /// What is wanted there.
    pub stream_id: String,
    /// Encrypts with this.
    pub passphrase: Option<Passphrase>,
    /// By so long a key.
    pub key_length: KeyLength,
    /// Latency in both directions, where it is said.
    pub latency: Option<Duration>,
}

/// What is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not an address at all, or of another scheme.
    #[error("not srt://host:port")]
    Address,
    /// SRT has none.
    #[error("SRT knows neither paths nor users")]
    Path,
    /// Escapes that make no text.
    #[error("not UTF-8")]
    Text,
    /// An empty stream id, or one of more than 512 bytes.
    #[error("streamid has 1 to {STREAM_ID} bytes")]
    StreamId,
    /// Too short or too long a passphrase.
    #[error("a passphrase has 10 to 79 bytes")]
    Passphrase,
    /// No length of a key.
    #[error("pbkeylen is 16, 24 or 32")]
    KeyLength,
    /// Not a number of milliseconds.
    #[error("latency is a number of milliseconds, 65535 at most")]
    Latency,
    /// Listening and rendezvous are no calls.
    #[error("mode can only be caller")]
    Mode,
    /// What cannot be done.
    #[error("only live mode (transtype=live) without packet filters")]
    Unsupported,
    /// An option that nobody knows.
    #[error("an option that is not known, or not done here")]
    Unknown,
}

/// Secrets stay out of logs.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "srt://{}:{}", self.host, self.port)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = url::Url::parse(text).ok().filter(|_| text.len() <= LONGEST);
        let url = url
            .filter(|u| u.scheme() == "srt")
            .ok_or(UrlError::Address)?;
        let host = url
            .host_str()
            .filter(|h| !h.is_empty())
            .ok_or(UrlError::Address)?;
        let mut found = Self {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: url.port().filter(|p| *p != 0).ok_or(UrlError::Address)?,
            stream_id: String::new(),
            passphrase: None,
            key_length: KeyLength::default(),
            latency: None,
        };
        if !matches!(url.path(), "" | "/") || !url.username().is_empty() {
            return Err(UrlError::Path);
        }
        let pairs = url.query().into_iter().flat_map(|query| query.split('&'));
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A plus is one: stream ids may have it.
            let value = percent_decode_str(value).decode_utf8();
            found.option(name, &value.map_err(|_| UrlError::Text)?)?;
        }
        Ok(found)
    }
}

/// What libsrt's programs and ffmpeg tune by, and what holds here anyway.
const IGNORED: [&str; 33] = [
    "connect_timeout",
    "conntimeo",
    "enforced_encryption",
    "fc",
    "ffs",
    "inputbw",
    "iptos",
    "ipttl",
    "kmpreannounce",
    "kmrefreshrate",
    "linger",
    "lossmaxttl",
    "maxbw",
    "messageapi",
    "mininputbw",
    "minversion",
    "mss",
    "nakreport",
    "oheadbw",
    "payload_size",
    "payloadsize",
    "peeridletimeo",
    "pkt_size",
    "rcvbuf",
    "recv_buffer_size",
    "retransmitalgo",
    "rw_timeout",
    "send_buffer_size",
    "sndbuf",
    "snddropdelay",
    "timeout",
    "tlpktdrop",
    "tsbpd",
];

impl Url {
    /// Names as libsrt's programs and ffmpeg have them.
    fn option(&mut self, name: &str, value: &str) -> Result<(), UrlError> {
        match name {
            "streamid" | "srt_streamid" => {
                if !(1..=STREAM_ID).contains(&value.len()) {
                    return Err(UrlError::StreamId);
                }
                value.clone_into(&mut self.stream_id);
            }
            "passphrase" if value.is_empty() => {}
            "passphrase" => {
                let passphrase = Passphrase::new(value).ok_or(UrlError::Passphrase)?;
                self.passphrase = Some(passphrase);
            }
            // Zero is libsrt's word for its default.
            "pbkeylen" if value == "0" => {}
            "pbkeylen" => {
                let bytes = value.parse().ok().and_then(KeyLength::from_bytes);
                self.key_length = bytes.ok_or(UrlError::KeyLength)?;
            }
            "latency" => {
                let millis = value.parse::<u16>().map_err(|_| UrlError::Latency)?;
                self.latency = Some(Duration::from_millis(millis.into()));
            }
            "mode" if value != "caller" => return Err(UrlError::Mode),
            "mode" => {}
            "transtype" if value == "live" => {}
            "packetfilter" if value.is_empty() => {}
            "transtype" | "packetfilter" => return Err(UrlError::Unsupported),
            name if IGNORED.contains(&name) => {}
            _ => return Err(UrlError::Unknown),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_how() {
        let url: Url = "srt://[::1]:8890?streamid=%23!::r=news,m=request&passphrase=0123456789&pbkeylen=32&latency=500"
            .parse()
            .unwrap();
        assert_eq!((url.host.as_str(), url.port), ("::1", 8890));
        assert_eq!(url.stream_id, "#!::r=news,m=request");
        assert_eq!(
            (url.key_length, url.latency),
            (KeyLength::Aes256, Some(Duration::from_millis(500)))
        );
        assert!(!format!("{url:?}").contains("0123"));
        assert!(
            "srt://host:1?mode=caller&transtype=live&pbkeylen=0&passphrase=&kmrefreshrate=9"
                .parse::<Url>()
                .is_ok()
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, why) in [
            ("srt://host", UrlError::Address),
            ("udp://host:1", UrlError::Address),
            ("srt://:1", UrlError::Address),
            ("srt://h:1?passphrase=short", UrlError::Passphrase),
            ("srt://h:1?pbkeylen=17", UrlError::KeyLength),
            ("srt://h:1?latency=-1", UrlError::Latency),
            ("srt://h:1?mode=listener", UrlError::Mode),
            ("srt://h:1?transtype=file", UrlError::Unsupported),
            ("srt://h:1?packetfilter=fec", UrlError::Unsupported),
            ("srt://h:1?stream_id=x", UrlError::Unknown),
            ("srt://h:1?streamid=", UrlError::StreamId),
            ("srt://h:1?streamid=%ff", UrlError::Text),
            ("srt://h:1/x", UrlError::Path),
            ("srt://u@h:1", UrlError::Path),
        ] {
            assert_eq!(text.parse::<Url>(), Err(why), "{text}");
        }
        let long = format!("srt://h:1?streamid={}", "x".repeat(513));
        assert_eq!(long.parse::<Url>(), Err(UrlError::StreamId));
    }
}
