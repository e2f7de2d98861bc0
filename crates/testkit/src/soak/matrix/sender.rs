//! Programs that publish.

use anyhow::Context as _;
use tokio::process::Child;

use super::content::Content;
use super::ground::{Ground, NAME, PASSPHRASE};
use super::{Codec, Row, Sender, Transport};
use crate::actors::{free_udp, in_repository, program};

/// They are killed when this is dropped.
pub(super) type Programs = Vec<Child>;

pub(super) fn start(row: Row, ground: &Ground, content: &Content) -> anyhow::Result<Programs> {
    let file = content.file(row.codec).display().to_string();
    let current = in_repository(".tools/ffmpeg").display().to_string();
    let copy = |to: &str| format!("-v error -re -i {file} -map 0:v -map 0:a -c copy {to}");
    let lines = match row.sender {
        Sender::Ffmpeg5 => vec![("ffmpeg".to_owned(), copy(&target(row.transport, ground)?))],
        Sender::Ffmpeg9 => vec![(current, copy(&target(row.transport, ground)?))],
        Sender::Gstreamer => vec![("gst-launch-1.0".to_owned(), pipeline(row, ground, &file)?)],
        Sender::Libsrt => {
            let port = free_udp()?.port();
            let udp = format!("-f mpegts udp://127.0.0.1:{port}?pkt_size=1316");
            let srt = format!(
                "udp://:{port}?rcvbuf=4194304 {}",
                srt(row.transport, ground, ('?', 200))
            );
            vec![("srt-live-transmit".to_owned(), srt), (current, copy(&udp))]
        }
    };
    let start =
        |(name, words): &(String, String)| program(name, words).spawn().context("`make setup`");
    lines.iter().map(start).collect()
}

/// The end of ffmpeg's command line.
fn target(transport: Transport, ground: &Ground) -> anyhow::Result<String> {
    Ok(match transport {
        Transport::Rtmp => format!("-f flv {}", ground.weir.publish_url(NAME)?),
        // It counts latency in microseconds.
        _ => format!(
            "-f mpegts {}&pkt_size=1316",
            srt(transport, ground, ('?', 200_000))
        ),
    })
}

fn srt(transport: Transport, ground: &Ground, (mark, latency): (char, u32)) -> String {
    let at = ground.weir.srt;
    let key = match transport {
        Transport::Srt128 => format!("&passphrase={PASSPHRASE}&pbkeylen=16"),
        Transport::Srt256 => format!("&passphrase={PASSPHRASE}&pbkeylen=32"),
        Transport::Rtmp | Transport::Srt => String::new(),
    };
    format!("srt://{at}{mark}mode=caller&latency={latency}&streamid=publish:{NAME}{key}")
}

fn pipeline(row: Row, ground: &Ground, file: &str) -> anyhow::Result<String> {
    let parse = match row.codec {
        Codec::H264 => "h264parse",
        Codec::Hevc => "h265parse",
    };
    let (mux, sink) = match row.transport {
        Transport::Rtmp => {
            let url = ground.weir.publish_url(NAME)?;
            (
                "flvmux streamable=true",
                format!("rtmp2sink sync=true location={url}"),
            )
        }
        transport => {
            let uri = srt(transport, ground, ('?', 200));
            (
                "mpegtsmux alignment=7",
                format!("srtsink sync=true wait-for-connection=false uri={uri}"),
            )
        }
    };
    Ok(format!(
        "-q {mux} name=m ! queue ! {sink} filesrc location={file} ! tsdemux name=d \
         d. ! queue ! {parse} config-interval=-1 ! m. d. ! queue ! aacparse ! m."
    ))
}
