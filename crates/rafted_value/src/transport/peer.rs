//! One node that this node sends to: a control and a bulk connection, dialled when there is something to send.

use super::Inbox;
use super::connection::{self, exchange};
use super::dialler::{AbortOnDrop, Dialler};
use super::queue::{Bounds, NotQueued, Queue};
use crate::contact::Contact;
use crate::packet::Packet;
use crate::timers;
use crate::wire::Purpose;
use bytes::Bytes;
use rafted_value_core::Body;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// Small messages of ten thousand groups; what is lost is repeated.
const CONTROL: Bounds = Bounds { messages: 16_384, bytes: 8 << 20 };
/// Some windows of entries in flight; what is lost is sent again.
const BULK: Bounds = Bounds { messages: 4_096, bytes: 32 << 20 };
/// Pieces of values wait while this much waits already, so that they never crowd out entries.
const CHUNK_WINDOW: usize = 1 << 20;
/// After how long without a byte written a piece of a value is given up.
const CHUNK_PATIENCE: Duration = Duration::from_secs(10);

const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A node that is sent to. Its connections end when this is dropped.
pub(super) struct Peer {
    control: Line,
    bulk: Line,
}

struct Line {
    queue: Arc<Queue>,
    link: Arc<Link>,
    _task: AbortOnDrop,
}

/// How a line stands.
#[derive(Default)]
struct Link(AtomicU8);

impl Link {
    const NONE: u8 = 0;
    const UP: u8 = 1;
    /// The last attempt failed, and the next is not due yet.
    const DOWN: u8 = 2;

    fn set(&self, now: u8) {
        self.0.store(now, Ordering::Relaxed);
    }

    fn is(&self, what: u8) -> bool {
        self.0.load(Ordering::Relaxed) == what
    }
}

/// Which connection a packet travels on.
pub(super) fn purpose(packet: &Packet) -> Purpose {
    match packet {
        Packet::Chunk(_) => Purpose::Bulk,
        Packet::Raft { message, .. } => match &message.body {
            Body::AppendEntries(append) if !append.entries.is_empty() => Purpose::Bulk,
            _ => Purpose::Control,
        },
        Packet::Request { .. } | Packet::Response { .. } => Purpose::Control,
    }
}

impl Peer {
    pub(super) fn new(contact: &Contact, dialler: &Dialler, inbox: &Arc<dyn Inbox>, runtime: &Handle) -> Peer {
        let line = |purpose, bounds| {
            let queue = Arc::new(Queue::new(bounds));
            let link = Arc::new(Link::default());
            let (contact, dialler) = (contact.clone(), dialler.clone());
            let line =
                keep_connected((contact, purpose), dialler, Arc::clone(&queue), Arc::clone(&link), Arc::clone(inbox));
            Line { queue, link, _task: AbortOnDrop(runtime.spawn(line)) }
        };
        Peer { control: line(Purpose::Control, CONTROL), bulk: line(Purpose::Bulk, BULK) }
    }

    /// Whether waiting for an answer is of no use.
    pub(super) fn is_down(&self) -> bool {
        self.control.link.is(Link::DOWN)
    }

    /// Whether nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        [&self.control, &self.bulk].iter().all(|line| !line.link.is(Link::UP) && line.queue.is_empty())
    }

    pub(super) fn push(&self, purpose: Purpose, frame: Bytes) -> Result<(), NotQueued> {
        match purpose {
            Purpose::Control => self.control.queue.push(frame),
            Purpose::Bulk => self.bulk.queue.push(frame),
        }
    }

    /// Returns once the piece is with the kernel.
    pub(super) async fn push_chunk(&self, frame: Bytes) -> io::Result<()> {
        let queue = &self.bulk.queue;
        let sent = queue.push_and_write(frame, CHUNK_WINDOW);
        tokio::pin!(sent);
        loop {
            let before = queue.written();
            match timeout(CHUNK_PATIENCE, &mut sent).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the connection failed")),
                Err(_) if queue.written() == before => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
impl Peer {
    pub(super) fn waiting(&self, purpose: Purpose) -> (usize, usize) {
        match purpose {
            Purpose::Control => self.control.queue.waiting(),
            Purpose::Bulk => self.bulk.queue.waiting(),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.control.queue.close();
        self.bulk.queue.close();
    }
}

/// Dials when something waits, at once after a connection that lasted, and less and less often while it fails.
async fn keep_connected(
    (contact, purpose): (Contact, Purpose),
    dialler: Dialler,
    queue: Arc<Queue>,
    link: Arc<Link>,
    inbox: Arc<dyn Inbox>,
) {
    // Only requests are answered, and only they are told; they travel on the control connection.
    let lost = |inbox: &dyn Inbox| {
        if purpose == Purpose::Control {
            inbox.lost(&contact);
        }
    };
    let mut backoff = Backoff::default();
    while queue.filled().await {
        match dialler.connect(&contact, purpose).await {
            Ok(connection) => {
                link.set(Link::UP);
                let began = timers::now();
                let origin = connection::origin(&connection.theirs, &queue, dialler.limit);
                let why = exchange(connection, &queue, &*inbox, &origin, &dialler.local.cluster).await;
                tracing::debug!(to = ?contact.address, ?purpose, %why, "a connection ended");
                link.set(Link::NONE);
                lost(&*inbox);
                if timers::now().since(began) > LONGEST_WAIT {
                    backoff = Backoff::default();
                    continue;
                }
            }
            Err(why) => {
                if backoff.failures == 0 {
                    tracing::warn!(?purpose, %why, "will try again");
                }
                queue.clear(); // stale by the time it could be sent
                lost(&*inbox);
            }
        }
        link.set(Link::DOWN);
        sleep(backoff.next()).await;
        link.set(Link::NONE);
    }
}

/// Doubles up to a bound; jittered, so that a thousand clients of a node that starts again do not come at once.
#[derive(Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let wait = SHORTEST_WAIT.saturating_mul(1 << self.failures.min(6)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        timers::jittered(wait)
    }
}
