//! Whose directory it is.

use super::disk::{Disk, replace};
use super::error::OpenFailure;
use crate::contact::{ClusterId, NodeId};
use bytes::{Buf, BufMut};
use std::io;

const NAME: &str = "identity";
const MAGIC: &[u8; 8] = b"RVNODE\r\n";
/// What this build writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
const BLOCK: usize = 64;
/// Where the second copy stands: in another sector.
const COPY: usize = 512;

/// Binds a directory to a node, a cluster and a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Its cluster, once it has one.
    pub cluster: Option<ClusterId>,
    /// What its batches are marked with.
    pub mark: u64,
}

impl Identity {
    /// Reads it; nothing if the directory has none.
    pub(super) fn read(disk: &dyn Disk) -> Result<Option<Identity>, OpenFailure> {
        let bytes = match disk.read(NAME) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenFailure::Io { file: NAME.to_owned(), error }),
        };
        // One damaged copy is no damage.
        let copies = [bytes.get(..BLOCK), bytes.get(COPY..COPY + BLOCK)];
        let mut newer = None;
        for (version, identity) in copies.into_iter().flatten().filter_map(decode) {
            match identity {
                Some(identity) if version <= VERSION => return Ok(Some(identity)),
                _ => newer = Some(version),
            }
        }
        Err(match newer {
            Some(found) => OpenFailure::Newer { found, known: VERSION },
            None => OpenFailure::Identity,
        })
    }

    /// Writes it, in place of what was there.
    pub(super) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let mut file = vec![0; COPY + BLOCK];
        let block = self.encode();
        file[..BLOCK].copy_from_slice(&block);
        file[COPY..].copy_from_slice(&block);
        replace(disk, NAME, &file)
    }

    fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut rest = &mut block[..BLOCK - 4];
        rest.put_slice(MAGIC);
        rest.put_u32_le(VERSION);
        rest.put_u64_le(self.mark);
        rest.put_u128(self.node.0);
        rest.put_u128(self.cluster.map_or(0, |cluster| cluster.0));
        let checksum = crc32c::crc32c(&block[..BLOCK - 4]);
        block[BLOCK - 4..].copy_from_slice(&checksum.to_le_bytes());
        block
    }
}

/// The version of a sound block, and what it says if that can be read. Magic, version and checksum stay where they are
/// in every version.
fn decode(block: &[u8]) -> Option<(u32, Option<Identity>)> {
    let (mut fields, mut checksum) = block.split_at(BLOCK - 4);
    if crc32c::crc32c(fields) != checksum.get_u32_le() || !fields.starts_with(MAGIC) {
        return None;
    }
    fields.advance(MAGIC.len());
    let version = fields.get_u32_le();
    if version > VERSION {
        return Some((version, None));
    }
    let mark = fields.get_u64_le();
    let (node, cluster) = (NodeId(fields.get_u128()), fields.get_u128());
    let cluster = (cluster != 0).then_some(ClusterId(cluster));
    Some((version, Some(Identity { node, cluster, mark })))
}
