//! Bytes that are counted and never copied: Linux drops them in the kernel (`MSG_TRUNC`, tcp(7)).

use std::io;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

const MSG_TRUNC: i32 = 0x20;
const AT_ONCE: usize = 512 << 10;

/// Drops up to `most` bytes, as many as there are; waits for the first.
pub(crate) async fn discard(stream: &TcpStream, most: usize) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        let dropped = stream.try_io(Interest::READABLE, || {
            // Only its length counts: the pages are never touched.
            let mut room = Vec::<u8>::with_capacity(most.min(AT_ONCE));
            SockRef::from(stream).recv_with_flags(room.spare_capacity_mut(), MSG_TRUNC)
        });
        match dropped {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}
