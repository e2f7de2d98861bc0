//! Every sender, over every transport that it has, with every codec that it can send there; of each, all
//! outputs are read at once by programs that are not ours.

mod content;
mod ground;
mod judge;
mod reader;
mod sender;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum;
use futures_util::future::join_all;

use self::content::Content;
use self::ground::Ground;
use self::judge::Verdict;
use super::stage::say;

/// What to send and how long to look.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Of each row.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Some rows, in which each sender, transport, codec and output is at least once.
    #[arg(long)]
    short: bool,
    /// All where none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    senders: Vec<Sender>,
    /// All where none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    transports: Vec<Transport>,
    /// All where none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    codecs: Vec<Codec>,
}

/// A program that publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sender {
    /// The distribution's.
    Ffmpeg5,
    /// A current one.
    Ffmpeg9,
    /// Its own muxers, `rtmp2sink` and `srtsink`.
    Gstreamer,
    /// srt-live-transmit, behind an ffmpeg.
    Libsrt,
}

/// What it goes by, with the bytes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// In the clear.
    Rtmp,
    /// In the clear.
    Srt,
    /// AES-128.
    Srt128,
    /// AES-256.
    Srt256,
}

/// Of the pictures; the sound is AAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Codec {
    /// With B-frames.
    H264,
    /// With B-frames.
    Hevc,
}

/// What is read, each by another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// By a current ffmpeg.
    Hls,
    /// By the distribution's ffmpeg.
    HlsTs,
    /// By a current ffmpeg.
    Dash,
    /// By a current ffmpeg.
    Rtmp,
    /// By the distribution's ffmpeg.
    Srt,
    /// By srt-live-transmit.
    SrtKey,
    /// By GStreamer.
    HttpTs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    sender: Sender,
    transport: Transport,
    codec: Codec,
}

impl Row {
    /// Whether its sender can do that.
    fn is_possible(self) -> bool {
        match (self.sender, self.transport, self.codec) {
            (Sender::Libsrt, Transport::Rtmp, _) => false,
            // FLV of its time has no H.265.
            (Sender::Ffmpeg5 | Sender::Gstreamer, Transport::Rtmp, codec) => codec == Codec::H264,
            _ => true,
        }
    }

    fn name(self) -> String {
        [word(&self.sender), word(&self.transport), word(&self.codec)].join(" ")
    }
}

/// As it is called on the command line.
fn word(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |v| v.get_name().to_owned())
}

const SHORT: [Row; 5] = [
    Row {
        sender: Sender::Ffmpeg9,
        transport: Transport::Rtmp,
        codec: Codec::Hevc,
    },
    Row {
        sender: Sender::Gstreamer,
        transport: Transport::Rtmp,
        codec: Codec::H264,
    },
    Row {
        sender: Sender::Ffmpeg5,
        transport: Transport::Srt128,
        codec: Codec::H264,
    },
    Row {
        sender: Sender::Gstreamer,
        transport: Transport::Srt256,
        codec: Codec::Hevc,
    },
    Row {
        sender: Sender::Libsrt,
        transport: Transport::Srt,
        codec: Codec::H264,
    },
];

impl Args {
    /// What tests of every change look at.
    pub(super) const SHORT: Self = Self {
        seconds: 8,
        short: true,
        senders: Vec::new(),
        transports: Vec::new(),
        codecs: Vec::new(),
    };

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for sender in Sender::value_variants() {
            for transport in Transport::value_variants() {
                rows.extend(Codec::value_variants().iter().map(|&codec| Row {
                    sender: *sender,
                    transport: *transport,
                    codec,
                }));
            }
        }
        let named = |row: &Row| {
            is_named(&self.senders, &row.sender)
                && is_named(&self.transports, &row.transport)
                && is_named(&self.codecs, &row.codec)
        };
        rows.retain(|row| row.is_possible() && named(row) && (!self.short || SHORT.contains(row)));
        rows
    }
}

fn is_named<T: PartialEq>(some: &[T], one: &T) -> bool {
    some.is_empty() || some.contains(one)
}

pub(super) async fn run(binary: PathBuf, args: Args) -> anyhow::Result<()> {
    let looks = Duration::from_secs(args.seconds);
    let content = Content::make(looks + ground::EARLY).await?;
    say(
        "\n| sender | output | read by | pictures | sounds | first picture ms | A/V offset ms, of the source | verdict |",
    );
    say("|---|---|---|--:|--:|--:|--:|---|");
    let mut wrong = Vec::new();
    for row in args.rows() {
        match one(&binary, row, &content, looks).await {
            Ok(bad) => wrong.extend(bad),
            Err(why) => {
                say(&format!(
                    "| {} | – | – | – | – | – | – | NOT OK: {why:#} |",
                    row.name()
                ));
                wrong.push(row.name());
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "not as it should be: {}",
        wrong.join(", ")
    );
    Ok(())
}

/// One row; what of it is wrong.
async fn one(
    binary: &Path,
    row: Row,
    content: &Content,
    looks: Duration,
) -> anyhow::Result<Vec<String>> {
    let ground = Ground::prepare(binary, row).await?;
    let _sender = sender::start(row, &ground, content)?;
    ground.until_live().await?;
    let reading = Output::value_variants().iter().map(async |output| {
        let address = ground.output(*output);
        (*output, reader::read(*output, &address, looks).await)
    });
    let source = content.offset(row.codec);
    let mut wrong = Vec::new();
    for (output, verdict) in join_all(reading).await {
        let place = format!(
            "{} | {} | {}",
            row.name(),
            word(&output),
            reader::program(output)
        );
        let verdict = verdict.and_then(|v: Verdict| v.hold(row.codec, looks, source).map(|()| v));
        match verdict {
            Ok(v) => say(&format!(
                "| {place} | {} | {} | {} | {:.1}, {source:.1} | ok |",
                v.pictures,
                v.sounds,
                v.first.as_millis(),
                v.offset
            )),
            Err(why) => {
                say(&format!("| {place} | – | – | – | – | NOT OK: {why:#} |"));
                wrong.push(format!("{} to {}", row.name(), word(&output)));
            }
        }
    }
    Ok(wrong)
}
