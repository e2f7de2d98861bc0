//! Datagrams: many sessions on one socket, or one on its own.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use socket2::{MsgHdr, SockAddr, SockRef};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::batch::{Batch, MOST};
use crate::packet::HEAD;

/// Datagrams are read into blocks of this size, which many share.
const BLOCK: usize = 64 << 10;
/// Room for one datagram.
const DATAGRAM: usize = 2 << 10;
/// What the kernel is asked to hold; it takes as much as `net.core.[rw]mem_max` lets it.
const BUFFER: usize = 8 << 20;

/// `EIO`, `ENOPROTOOPT`, `EOPNOTSUPP`: nobody cuts writes into datagrams here.
const CANNOT: [i32; 3] = [5, 92, 95];

/// A socket, and what the kernel can do with it.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: UdpSocket,
    /// Whether it cuts one write into many datagrams (`UDP_SEGMENT`).
    segments: AtomicBool,
}

impl Wire {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        let raw = SockRef::from(&socket);
        // Less is no failure: it is what small systems have.
        let _ = raw.set_recv_buffer_size(BUFFER);
        let _ = raw.set_send_buffer_size(BUFFER);
        Self {
            socket,
            segments: AtomicBool::new(cfg!(target_os = "linux")),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next datagram, in a block that others share.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        block: &mut BytesMut,
    ) -> Poll<io::Result<(BytesMut, SocketAddr)>> {
        if block.capacity() < DATAGRAM {
            *block = BytesMut::with_capacity(BLOCK);
        }
        loop {
            match self.socket.try_recv_buf_from(block) {
                Ok((_, peer)) => return Poll::Ready(Ok((block.split(), peer))),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
            ready!(self.socket.poll_recv_ready(cx))?;
        }
    }

    /// Waits until the socket takes packets: tokio does not know that of a new one at once.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Sends one packet, if the socket takes it now.
    pub(crate) fn try_send(&self, packet: &[u8], peer: SocketAddr) {
        // What does not fit is lost, as on the way; peers ask again.
        let _ = self.socket.try_send_to(packet, peer);
    }

    /// Sends all of the batch and empties it. What the network does not take is lost, and asked
    /// for again.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        peer: &SockAddr,
        batch: &mut Batch,
    ) -> Poll<()> {
        let mut whole = self.segments.load(Relaxed);
        while !batch.is_empty() {
            if let Err(error) = ready!(self.socket.poll_send_ready(cx)) {
                tracing::debug!(%error, "datagrams lost");
                break;
            }
            let count = if whole { batch.bodies.len() } else { 1 };
            let send = || send(&SockRef::from(&self.socket), peer, batch, count);
            match self.socket.try_io(Interest::WRITABLE, send) {
                Ok(()) => batch.forget(count),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // One by one then; for good where the kernel or the device cannot.
                Err(error) if count > 1 => {
                    whole = false;
                    if error.raw_os_error().is_some_and(|e| CANNOT.contains(&e)) {
                        self.segments.store(false, Relaxed);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "datagram lost");
                    batch.forget(count);
                }
            }
        }
        batch.clear();
        Poll::Ready(())
    }
}

/// The first `count` packets in one write.
fn send(socket: &SockRef<'_>, peer: &SockAddr, batch: &Batch, count: usize) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); 2 * MOST];
    let packets = batch.heads.iter().zip(&batch.bodies).take(count);
    for (pair, (head, body)) in slices.chunks_exact_mut(2).zip(packets) {
        pair[0] = IoSlice::new(head);
        pair[1] = IoSlice::new(body);
    }
    let message = MsgHdr::new()
        .with_addr(peer)
        .with_buffers(&slices[..2 * count]);
    if count == 1 {
        return socket.sendmsg(&message, 0).map(drop);
    }
    let length = HEAD + batch.bodies.first().map_or(0, bytes::Bytes::len);
    let control = segment(u16::try_from(length).unwrap_or(u16::MAX));
    socket.sendmsg(&message.with_control(&control), 0).map(drop)
}

/// The size of a `cmsghdr`: a length, a level, a type.
const CONTROL: usize = size_of::<usize>() + 8;
/// Two bytes, padded.
const SPACE: usize = CONTROL + size_of::<usize>();

/// The control message that says where datagrams are cut (`UDP_SEGMENT`, udp(7)).
fn segment(length: u16) -> [u8; SPACE] {
    const SOL_UDP: i32 = 17;
    const UDP_SEGMENT: i32 = 103;
    let mut out = [0; SPACE];
    let (size, rest) = out.split_at_mut(size_of::<usize>());
    size.copy_from_slice(&(CONTROL + 2).to_ne_bytes());
    rest[..4].copy_from_slice(&SOL_UDP.to_ne_bytes());
    rest[4..8].copy_from_slice(&UDP_SEGMENT.to_ne_bytes());
    rest[8..10].copy_from_slice(&length.to_ne_bytes());
    out
}
