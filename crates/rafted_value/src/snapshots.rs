//! Values on their way from a leader to a member that cannot be helped with entries: in pieces, apart from the loop.

use crate::applier::Machine;
use crate::contact::{Contact, GroupId};
use crate::host::Host;
use crate::mailbox::Event;
use crate::packet::Chunk;
use bytes::Bytes;
use rafted_value_core::{Body, InstallSnapshot, LogIndex, MemberId, Message, SnapshotMeta, Term};
use std::io;
use std::sync::Arc;

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

/// Sends the value as of now, and tells the loop what became of it.
pub(crate) fn send(route: Route, machine: Arc<dyn Machine>, host: Arc<Host>) {
    host.runtime.clone().spawn(async move {
        let last_included = match send_value(&route, machine, &host).await {
            Ok(last_included) => Some(last_included),
            Err(error) => {
                tracing::warn!(to = %route.contact, %error, "a value could not be sent");
                None
            }
        };
        let Route { group, from: member, to, .. } = route;
        host.mailbox.post(Event::SnapshotSent { group, member, to, last_included });
    });
}

async fn send_value(route: &Route, machine: Arc<dyn Machine>, host: &Host) -> io::Result<LogIndex> {
    let encoded = tokio::task::spawn_blocking(move || machine.snapshot()).await;
    let (snapshot, value) = encoded.map_err(io::Error::other)?.map_err(io::Error::other)?;
    let total = value.len() as u64;
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
        match machine.decode(snapshot.clone(), bytes) {
            Ok(state) => {
                let body = Body::InstallSnapshot(InstallSnapshot { snapshot });
                let message = Message { from, to, term, body };
                host.mailbox.post(Event::SnapshotDecoded { group, message, state });
            }
            Err(error) => tracing::error!(%error, "a value that arrived cannot be used"),
        }
    });
}
