//! One established connection: frames in, frames out, and how it is noticed that nobody is there any more.
//!
//! Both sides say something at least every second, if only that they are alive. A side that hears nothing for five
//! seconds, or cannot write for as long, gives the connection up: a peer that vanished without a word is noticed
//! without the kernel's help.

use super::queue::Queue;
use super::{Inbox, Origin};
use crate::contact::ClusterId;
use crate::packet::Packet;
use crate::wire::{self, Frame, FrameReader, Hello, Role, kind};
use std::io::{self, IoSlice};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// After how long without a byte a connection is given up.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// After how long without anything to say a side says that it is alive.
const ALIVE: Duration = Duration::from_secs(1);
/// How many frames go into one write.
const FRAMES_PER_WRITE: usize = 256;

/// A connection after both sides said hello.
pub(super) struct Connection<R, W> {
    pub(super) reader: Reader<R>,
    pub(super) writer: W,
    pub(super) theirs: Hello,
}

/// The reading half.
pub(super) struct Reader<R> {
    half: R,
    frames: FrameReader,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(half: R, limit: u32) -> Reader<R> {
        Reader { half, frames: FrameReader::new(limit) }
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.frames.set_limit(limit);
    }

    /// The next frame of any kind. May be dropped half-way and called again: nothing is lost.
    pub(super) async fn frame(&mut self) -> io::Result<Frame> {
        loop {
            if let Some(frame) = self.frames.next().map_err(malformed)? {
                return Ok(frame);
            }
            let read = self.half.read_buf(self.frames.buffer());
            match timeout(SILENCE, read).await {
                Ok(Ok(0)) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other side closed it")),
                Ok(read) => read?,
                Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the other side went silent")),
            };
        }
    }

    /// The next packet. Signs of life and what a newer build invented are passed over.
    pub(super) async fn packet(&mut self) -> io::Result<Packet> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == kind::ALIVE {
                continue;
            }
            match wire::decode(frame) {
                Ok(packet) => return Ok(packet),
                Err(why) if why.is_unknown_frame() => tracing::warn!(%why, "dropped a frame"),
                Err(why) => return Err(malformed(why)),
            }
        }
    }
}

fn malformed(why: wire::Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Writes what is queued, everything that waits in as few writes as possible, until the queue is closed.
pub(super) async fn write(writer: &mut (impl AsyncWrite + Unpin), queue: &Queue) -> io::Result<()> {
    loop {
        match timeout(ALIVE, queue.filled()).await {
            Ok(true) => write_batch(writer, queue).await?,
            Ok(false) => return within(writer.shutdown()).await,
            Err(_) => within(writer.write_all(&wire::alive())).await?,
        }
    }
}

async fn write_batch(writer: &mut (impl AsyncWrite + Unpin), queue: &Queue) -> io::Result<()> {
    let mut batch = queue.take();
    while !batch.is_empty() {
        let written = {
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
            let filled = batch.slices(&mut slices);
            within(writer.write_vectored(&slices[..filled])).await?
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        batch.advance(written);
    }
    within(writer.flush()).await
}

async fn within<T>(write: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let stalled = |_| io::Error::new(io::ErrorKind::TimedOut, "the other side does not read");
    timeout(SILENCE, write).await.map_err(stalled)?
}

/// Delivers what arrives and writes what is queued, until the connection ends; says why it did.
pub(super) async fn exchange<R, W>(
    connection: Connection<R, W>,
    queue: &Queue,
    inbox: &dyn Inbox,
    origin: &Origin,
    cluster: &OnceLock<ClusterId>,
) -> io::Error
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Connection { mut reader, mut writer, theirs } = connection;
    let read = async {
        loop {
            let packet = reader.packet().await?;
            check(&theirs, cluster, &packet)?;
            inbox.deliver(origin.clone(), packet);
        }
    };
    let ended: io::Result<()> = tokio::select! {
        read = read => read,
        written = write(&mut writer, queue) => written,
    };
    ended.err().unwrap_or_else(|| io::Error::new(io::ErrorKind::ConnectionAborted, "closed by this side"))
}

/// A client may only ask; and two nodes that joined different clusters since they met no longer talk.
fn check(theirs: &Hello, cluster: &OnceLock<ClusterId>, packet: &Packet) -> io::Result<()> {
    let refuse = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if theirs.role == Role::Client && !matches!(packet, Packet::Request { .. }) {
        return refuse("a client speaks as if it were a node");
    }
    match (theirs.cluster, cluster.get()) {
        (Some(theirs), Some(ours)) if theirs != *ours => refuse("it belongs to another cluster"),
        _ => Ok(()),
    }
}

/// Where things come from that arrive on the connection that `queue` belongs to.
pub(super) fn origin(theirs: &Hello, queue: &Arc<Queue>, limit: u32) -> Origin {
    let queue = Arc::clone(queue);
    let reply = move |packet| match wire::encode(&packet, limit) {
        Ok(frame) => {
            let _ = queue.push(frame); // full or closed: whoever asked asks again
        }
        Err(why) => tracing::warn!(%why, "cannot send an answer"),
    };
    Origin { node: theirs.node, reply: Arc::new(reply) }
}
