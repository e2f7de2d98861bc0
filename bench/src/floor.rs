//! The least that a server can do over RTMP: shake hands, write each frame to each player. What
//! it costs is what the kernel takes; a server is compared with it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::BytesMut;
use clap::Args;
use container::flv::Mux;
use media::Span;
use rtmp::chunk::Writer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::interval;

use crate::picture::{Sizes, h264};
use crate::stamp;

const HANDSHAKE: usize = 1536;
const CHUNK_SIZE: u32 = 65_536;

#[derive(Debug, Args)]
pub(crate) struct Floor {
    /// HOST:PORT
    listen: String,
    #[arg(long, default_value_t = 4000)]
    kbps: u32,
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    gop: u32,
}

type Players = Rc<RefCell<Vec<TcpStream>>>;

pub(crate) async fn run(args: Floor) -> anyhow::Result<Value> {
    let listener = TcpListener::bind(&args.listen).await?;
    let mut term = signal(SignalKind::terminate())?;
    let (local, players) = (LocalSet::new(), Players::default());
    let serve = async {
        spawn_local(accept(listener, Rc::clone(&players)));
        send(&args, &players).await
    };
    tokio::select! {
        sent = local.run_until(serve) => sent?,
        _ = term.recv() => {}
    }
    Ok(json!({ "players": players.borrow().len() }))
}

async fn accept(listener: TcpListener, players: Players) {
    while let Ok((stream, _)) = listener.accept().await {
        let players = Rc::clone(&players);
        spawn_local(async move {
            if let Ok(stream) = greet(stream).await {
                players.borrow_mut().push(stream);
            }
        });
    }
}

async fn greet(mut stream: TcpStream) -> anyhow::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let mut hello = vec![0; 1 + HANDSHAKE];
    stream.read_exact(&mut hello).await?;
    hello.extend_from_within(1..);
    stream.write_all(&hello).await?;
    let mut out = BytesMut::new();
    Writer::default().write(&mut out, 2, (1, 0, 0), &CHUNK_SIZE.to_be_bytes());
    stream.write_all(&out).await?;
    Ok(stream)
}

async fn send(args: &Floor, players: &Players) -> anyhow::Result<()> {
    let sizes = Sizes::new(args.kbps, args.fps, args.gop);
    let mux = Mux::new(&h264()?, 0).context("H.264 over RTMP")?;
    let mut writer = Writer::default();
    writer.set_chunk_size(CHUNK_SIZE as usize);
    let mut pace = interval(Duration::from_secs(1) / args.fps);
    for n in 0.. {
        pace.tick().await;
        let head = mux.frame(sizes.is_key(n), Span::ZERO);
        let body = [head.as_slice(), &sizes.access_unit(n, stamp::now())].concat();
        let mut out = BytesMut::new();
        let time = u64::from(n) * 1000 / u64::from(args.fps);
        let time = u32::try_from(time & u64::from(u32::MAX))?;
        writer.write(&mut out, 6, (9, time, 1), &body);
        // Taken out while they are written to: others may come meanwhile.
        let mut writing = players.take();
        let mut kept = Vec::with_capacity(writing.len());
        for mut player in writing.drain(..) {
            if player.write_all(&out).await.is_ok() {
                kept.push(player);
            }
        }
        players.borrow_mut().extend(kept);
    }
    Ok(())
}
