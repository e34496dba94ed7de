//! Connections: one that is dialled, and dialled again, and fed from a bounded queue; and one that was accepted.

use super::tcp::{FRAME_LIMIT, Shared};
use super::{Inbox, Origin};
use crate::contact::{Contact, NodeId};
use crate::packet::Packet;
use crate::timers;
use crate::wire::{self, FrameReader, HELLO_LIMIT, Hello, Purpose, Reason, Refusal, Role, kind};
use bytes::{Bytes, BytesMut};
use rafted_value_core::Time;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How much may wait for a connection, in bytes and in frames. What comes then is dropped.
const QUEUE_BYTES: usize = 16 << 20;
const QUEUE_FRAMES: usize = 8192;
/// How much of it a value may fill: entries and votes keep their room.
const CHUNK_BYTES: usize = 1 << 20;
/// How long connecting, shaking hands, or a write without progress may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often each side says that it is there. Whoever is silent for [`PATIENCE`] is not.
const ALIVE: Duration = Duration::from_secs(1);
/// Between attempts to connect, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Frames on their way to one node, over one connection after the other.
pub(super) struct Line {
    queue: Arc<Queue>,
    task: JoinHandle<()>,
}

struct Queue {
    frames: Mutex<Frames>,
    pushed: Notify,
    taken: Notify,
}

#[derive(Default)]
struct Frames {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// Counts connections that were lost or could not be made.
    failures: u64,
    connected: bool,
    /// The last attempt failed, and the next is not due yet.
    down: bool,
}

impl Line {
    pub(super) fn open(to: Contact, purpose: Purpose, shared: Arc<Shared>, runtime: &Handle) -> Arc<Line> {
        let queue = Arc::new(Queue { frames: Mutex::default(), pushed: Notify::new(), taken: Notify::new() });
        let task = runtime.spawn(keep_connected(to, purpose, shared, queue.clone()));
        Arc::new(Line { queue, task })
    }

    /// Never waits: what does not fit is dropped.
    pub(super) fn push(&self, frame: Bytes) {
        self.queue.push(frame);
    }

    /// Whether waiting for it is of no use: whoever asks had better ask somebody else.
    pub(super) fn is_down(&self) -> bool {
        self.queue.frames().down
    }

    /// Whether nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        let frames = self.queue.frames();
        !frames.connected && frames.waiting.is_empty()
    }

    pub(super) async fn push_when_there_is_room(&self, frame: Bytes) -> io::Result<()> {
        let failures = self.queue.frames().failures;
        loop {
            let taken = self.queue.taken.notified();
            {
                let mut frames = self.queue.frames();
                if frames.failures != failures {
                    return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the connection was lost"));
                }
                if frames.bytes < CHUNK_BYTES {
                    frames.push(frame);
                    drop(frames);
                    self.queue.pushed.notify_one();
                    return Ok(());
                }
            }
            timeout(2 * PATIENCE, taken).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Frames {
    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.waiting.push_back(frame);
    }
}

impl Queue {
    fn frames(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what does not fit.
    fn push(&self, frame: Bytes) {
        let mut frames = self.frames();
        if frames.waiting.len() < QUEUE_FRAMES && frames.bytes + frame.len() <= QUEUE_BYTES {
            frames.push(frame);
            drop(frames);
            self.pushed.notify_one();
        }
    }

    /// Everything that waits, as one buffer for one write.
    async fn take(&self, buffer: &mut BytesMut) {
        loop {
            {
                let mut frames = self.frames();
                if !frames.waiting.is_empty() {
                    frames.bytes = 0;
                    frames.waiting.drain(..).for_each(|frame| buffer.extend_from_slice(&frame));
                    drop(frames);
                    self.taken.notify_waiters();
                    return;
                }
            }
            self.pushed.notified().await;
        }
    }

    /// What waited is of no use to whoever is there next.
    fn connection_lost(&self) {
        let mut frames = self.frames();
        *frames = Frames { failures: frames.failures + 1, ..Frames::default() };
        drop(frames);
        self.taken.notify_waiters();
    }
}

// ---- the side that dials ----

async fn keep_connected(to: Contact, purpose: Purpose, shared: Arc<Shared>, queue: Arc<Queue>) {
    let mut back_off = BACK_OFF.0;
    loop {
        // Nobody is dialled before there is something to say.
        while queue.frames().waiting.is_empty() {
            queue.pushed.notified().await;
        }
        let began = timers::now();
        match dial(&to, purpose, &shared).await {
            Ok(connection) => {
                queue.frames().connected = true;
                let ended = talk(connection, &shared, &queue).await;
                tracing::debug!(%to, ?purpose, ?ended, "a connection ended");
                if lasted(began) {
                    back_off = BACK_OFF.0;
                }
            }
            Err(error) => tracing::debug!(%to, ?purpose, %error, "no connection"),
        }
        queue.connection_lost();
        if purpose == Purpose::Control {
            shared.inbox.lost(&to);
        }
        queue.frames().down = true;
        tokio::time::sleep(timers::jittered(back_off)).await;
        queue.frames().down = false;
        back_off = (back_off * 2).min(BACK_OFF.1);
    }
}

fn lasted(began: Time) -> bool {
    timers::now().since(began) > BACK_OFF.1
}

/// A connection after the handshake.
struct Connection {
    reader: OwnedReadHalf,
    frames: FrameReader,
    writer: OwnedWriteHalf,
    other: Hello,
}

async fn dial(to: &Contact, purpose: Purpose, shared: &Shared) -> io::Result<Connection> {
    let stream = timeout(PATIENCE, TcpStream::connect(&to.address)).await??;
    let hello = shared.hello(Some(to), purpose).encode().map_err(io::Error::other)?;
    timeout(PATIENCE, async {
        let mut connection = introduce(stream, hello).await?;
        let wrong = to.node.is_some_and(|expected| expected != connection.other.node);
        if wrong {
            let refusal = Refusal::new(Reason::Node, "another node is there now");
            connection.writer.write_all(&refusal.encode()).await?;
            return Err(io::Error::other(refusal));
        }
        Ok(connection)
    })
    .await?
}

/// Says hello, and hears who is there.
async fn introduce(stream: TcpStream, hello: Bytes) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(&hello).await?;
    hear(reader, writer).await
}

async fn hear(mut reader: OwnedReadHalf, writer: OwnedWriteHalf) -> io::Result<Connection> {
    let mut frames = FrameReader::new(HELLO_LIMIT);
    loop {
        if let Some(frame) = frames.next().map_err(io::Error::other)? {
            let other = wire::decode_hello(frame).map_err(io::Error::other)?.map_err(io::Error::other)?;
            frames.set_limit(FRAME_LIMIT);
            return Ok(Connection { reader, frames, writer, other });
        }
        if reader.read_buf(frames.buffer()).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Until either direction ends.
async fn talk(connection: Connection, shared: &Shared, queue: &Arc<Queue>) -> io::Result<()> {
    let Connection { reader, frames, writer, other } = connection;
    let answers = queue.clone();
    let reply: Arc<dyn Fn(Packet) + Send + Sync> = Arc::new(move |packet| match wire::encode(&packet, FRAME_LIMIT) {
        Ok(frame) => answers.push(frame),
        Err(error) => tracing::error!(%error, "an answer cannot be sent"),
    });
    let origin = Origin { node: other.node, reply };
    tokio::select! {
        ended = read(reader, frames, &*shared.inbox, origin, other.role) => ended,
        ended = write(writer, queue) => ended,
        ended = stay_alive(queue) => ended,
    }
}

/// A connection that ended without a word, as when a machine is gone, is noticed by its silence.
async fn stay_alive(queue: &Queue) -> io::Result<()> {
    loop {
        tokio::time::sleep(ALIVE).await;
        queue.push(wire::alive());
    }
}

async fn write(mut writer: OwnedWriteHalf, queue: &Queue) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        queue.take(&mut buffer).await;
        while !buffer.is_empty() {
            // Progress, not completion: a slow link may take its time.
            timeout(PATIENCE, writer.write_buf(&mut buffer)).await??;
        }
    }
}

async fn read(
    mut reader: OwnedReadHalf,
    mut frames: FrameReader,
    inbox: &dyn Inbox,
    origin: Origin,
    role: Role,
) -> io::Result<()> {
    loop {
        while let Some(frame) = frames.next().map_err(io::Error::other)? {
            if frame.kind == kind::ALIVE {
                continue;
            }
            match wire::decode(frame) {
                Ok(packet) if role == Role::Client && !matches!(packet, Packet::Request { .. }) => {
                    return Err(io::Error::other("a client may only ask"));
                }
                Ok(packet) => inbox.deliver(origin.clone(), packet),
                Err(error) if error.is_unknown_frame() => tracing::debug!(%error, "a frame was passed over"),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        if timeout(PATIENCE, reader.read_buf(frames.buffer())).await?? == 0 {
            return Ok(());
        }
    }
}

// ---- the side that was dialled ----

/// Hears who is there, says who is here, and then everything that comes.
pub(super) async fn serve(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let connection = match timeout(PATIENCE, welcome(stream, &shared)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::info!(%from, %error, "a connection was refused"),
        Err(_) => return tracing::info!(%from, "a connection was silent"),
    };
    let queue = Arc::new(Queue { frames: Mutex::default(), pushed: Notify::new(), taken: Notify::new() });
    let ended = talk(connection, &shared, &queue).await;
    tracing::debug!(%from, ?ended, "an accepted connection ended");
}

async fn welcome(stream: TcpStream, shared: &Shared) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let mut connection = hear(reader, writer).await?;
    let answer = match refusal(&connection.other, shared) {
        Some(refusal) => {
            connection.writer.write_all(&refusal.encode()).await?;
            return Err(io::Error::other(refusal));
        }
        None => shared.hello(None, connection.other.purpose).encode().map_err(io::Error::other)?,
    };
    connection.writer.write_all(&answer).await?;
    Ok(connection)
}

/// Why this node does not talk to whoever introduced itself so.
fn refusal(other: &Hello, shared: &Shared) -> Option<Refusal> {
    let here: NodeId = shared.local.node;
    let ours = shared.local.cluster.get();
    if other.newest < wire::OLDEST_PROTOCOL || other.oldest > wire::PROTOCOL {
        return Some(Refusal::new(Reason::Version, "no common version"));
    }
    if other.node == here {
        return Some(Refusal::new(Reason::Itself, "this is the same node"));
    }
    if other.expected.is_some_and(|expected| expected != here) {
        return Some(Refusal::new(Reason::Node, "another node is here now"));
    }
    match (other.cluster, ours) {
        (Some(theirs), Some(ours)) if theirs != *ours => {
            Some(Refusal::new(Reason::Cluster, "this node belongs to another cluster"))
        }
        _ => None,
    }
}
