//! Values on their way from a leader to a member that cannot be helped with entries: in pieces, apart from the loop.

use crate::applier::Machine;
use crate::contact::{Contact, GroupId};
use crate::host::Host;
use crate::mailbox::Event;
use crate::packet::Chunk;
use crate::report::Transfer;
use bytes::Bytes;
use rafted_value_core::{Body, InstallSnapshot, LogIndex, MemberId, Message, SnapshotMeta, Term};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long a piece is.
const CHUNK_BYTES: usize = 256 << 10;

/// From whom to whom a value goes.
pub(crate) struct Route {
    pub(crate) group: GroupId,
    pub(crate) from: MemberId,
    pub(crate) to: MemberId,
    pub(crate) term: Term,
    pub(crate) contact: Contact,
}

/// How much of a value has been sent: counted where it is sent, looked at by the loop.
#[derive(Default)]
pub(crate) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    pub(crate) fn transfer(&self) -> Transfer {
        Transfer { done: self.done.load(Ordering::Relaxed), total: self.total.load(Ordering::Relaxed) }
    }
}

/// Sends the value as of now, and tells the loop what became of it.
pub(crate) fn send(route: Route, machine: Arc<dyn Machine>, host: Arc<Host>) -> Arc<Progress> {
    let progress = Arc::new(Progress::default());
    let counted = progress.clone();
    host.runtime.clone().spawn(async move {
        let last_included = match send_value(&route, machine, &host, &counted).await {
            Ok(last_included) => Some(last_included),
            Err(error) => {
                tracing::warn!(to = %route.contact, %error, "a value could not be sent");
                None
            }
        };
        let Route { group, from: member, to, .. } = route;
        host.mailbox.post(Event::SnapshotSent { group, member, to, last_included });
    });
    progress
}

async fn send_value(
    route: &Route,
    machine: Arc<dyn Machine>,
    host: &Host,
    progress: &Progress,
) -> io::Result<LogIndex> {
    let encoded = tokio::task::spawn_blocking(move || machine.snapshot()).await;
    let (snapshot, value) = encoded.map_err(io::Error::other)?.map_err(io::Error::other)?;
    let total = value.len() as u64;
    progress.total.store(total, Ordering::Relaxed);
    let mut offset = 0;
    // An empty value is one empty piece.
    while offset == 0 || offset < value.len() {
        let end = value.len().min(offset + CHUNK_BYTES);
        let chunk = Chunk {
            group: route.group,
            from: route.from,
            to: route.to,
            term: route.term,
            snapshot: snapshot.clone(),
            total,
            offset: offset as u64,
            data: value.slice(offset..end),
        };
        host.network.send_chunk(&route.contact, chunk).await?;
        progress.done.store(end as u64, Ordering::Relaxed);
        offset = end.max(1);
    }
    Ok(snapshot.index())
}

/// A value of which not every piece is here yet.
pub(crate) struct Arriving {
    first: Chunk,
    bytes: Vec<u8>,
}

/// A value of which every piece is here.
pub(crate) struct Whole {
    from: MemberId,
    to: MemberId,
    term: Term,
    snapshot: SnapshotMeta,
    bytes: Bytes,
}

impl Arriving {
    /// Adds a piece. A piece at the beginning begins anew; one that does not follow the last is of no use. Memory
    /// grows with what arrives, not with what is announced.
    pub(crate) fn add(arriving: &mut Option<Arriving>, chunk: Chunk) -> Option<Whole> {
        if chunk.offset == 0 {
            *arriving = Some(Arriving { first: Chunk { data: Bytes::new(), ..chunk.clone() }, bytes: Vec::new() });
        }
        let current = arriving.as_mut()?;
        if !current.continues_with(&chunk) {
            return None;
        }
        current.bytes.extend_from_slice(&chunk.data);
        if (current.bytes.len() as u64) < chunk.total {
            return None;
        }
        let Arriving { first, bytes } = arriving.take()?;
        let Chunk { from, to, term, snapshot, .. } = first;
        Some(Whole { from, to, term, snapshot, bytes: bytes.into() })
    }

    pub(crate) fn transfer(&self) -> Transfer {
        Transfer { done: self.bytes.len() as u64, total: self.first.total }
    }

    fn continues_with(&self, chunk: &Chunk) -> bool {
        let same = |chunk: &Chunk| (chunk.from, chunk.to, chunk.term, chunk.total, chunk.snapshot.last_included);
        let end = chunk.offset.checked_add(chunk.data.len() as u64);
        same(&self.first) == same(chunk)
            && chunk.offset == self.bytes.len() as u64
            && end.is_some_and(|end| end <= chunk.total)
    }
}

/// Makes a state of a value that arrived, and tells the loop if it is sound: what the core accepts can be installed.
pub(crate) fn check(whole: Whole, group: GroupId, machine: Arc<dyn Machine>, host: Arc<Host>) {
    host.runtime.clone().spawn_blocking(move || {
        let Whole { from, to, term, snapshot, bytes } = whole;
        let decoded = machine.decode(snapshot.clone(), bytes.clone()).and_then(|state| {
            // Before the core hears of it: what it accepts is on disk already.
            if let Some(storage) = &host.storage {
                storage.keep_value(group, &snapshot, &bytes).map_err(|error| error.to_string())?;
            }
            Ok(state)
        });
        match decoded {
            Ok(state) => {
                let body = Body::InstallSnapshot(InstallSnapshot { snapshot });
                let message = Message { from, to, term, body };
                host.mailbox.post(Event::SnapshotDecoded { group, message, state });
            }
            Err(error) => tracing::error!(%error, "a value that arrived cannot be used"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, length: usize) -> Chunk {
        Chunk {
            group: GroupId(1),
            from: MemberId(1),
            to: MemberId(2),
            term: Term(3),
            snapshot: SnapshotMeta::empty(),
            total: 10,
            offset,
            data: Bytes::from(vec![7; length]),
        }
    }

    #[test]
    fn pieces_are_put_together_in_order_and_what_does_not_follow_is_dropped() {
        let mut arriving = None;
        assert!(Arriving::add(&mut arriving, piece(4, 6)).is_none() && arriving.is_none(), "without its beginning");
        let mut add = |offset, length| {
            let whole = Arriving::add(&mut arriving, piece(offset, length)).map(|whole| whole.bytes.len());
            (whole, arriving.as_ref().map(|arriving| arriving.transfer().done))
        };
        assert_eq!(add(0, 4), (None, Some(4)));
        assert_eq!(add(5, 2), (None, Some(4)), "a hole");
        assert_eq!(add(0, 3), (None, Some(3)), "a new beginning");
        assert_eq!(add(3, 8), (None, Some(3)), "longer than announced");
        assert_eq!(add(u64::MAX, 2), (None, Some(3)));
        assert_eq!(add(3, 7), (Some(10), None));
    }
}
