//! Snapshot files: a value with what belongs to it, on its own. `docs/disk_format.md` draws the bytes.
//!
//! A file is written aside, synced, read back, and only then given its name; one that is in place is whole.

use super::disk::{ASIDE, Disk, write_all};
use super::error::Damage;
use crate::contact::GroupId;
use crate::wire::WireSnapshot;
use bytes::{Buf, BufMut, Bytes};
use prost::Message as _;
use rafted_value_core::{EntryId, SnapshotMeta};
use std::io;

const MAGIC: &[u8; 8] = b"RVSNAP\r\n";
const VERSION: u32 = 1;
const HEADER: usize = 44;
const PIECE_HEADER: usize = 12;
/// How many bytes of a value are compressed and checked at a time.
const PIECE: usize = 1 << 20;
const SUFFIX: &str = ".snapshot";

/// The name of the file for what the group was at `base`.
pub(super) fn name(group: GroupId, base: EntryId) -> String {
    format!("{:032x}-{:016x}-{:016x}{SUFFIX}", group.0, base.term.0, base.index.0)
}

/// Whose snapshot a file of this name is, and of when.
pub(super) fn parse(name: &str) -> Option<(GroupId, EntryId)> {
    let mut parts = name.strip_suffix(SUFFIX)?.split('-');
    let group = u128::from_str_radix(parts.next()?, 16).ok()?;
    let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
    let base = EntryId::new(number()?, number()?);
    Some((GroupId(group), base)).filter(|(group, base)| self::name(*group, *base) == name)
}

/// Writes a file, durable when this returns. If it fails there is none of its name, or the one that was.
pub(super) fn write(disk: &dyn Disk, group: GroupId, meta: &SnapshotMeta, value: &[u8]) -> io::Result<()> {
    let name = name(group, meta.last_included);
    let aside = format!("{name}{ASIDE}");
    disk.create(&aside, 0)?;
    let head = head(group, meta, value.len());
    write_all(disk, &aside, 0, &head)?;
    let mut offset = head.len() as u64;
    for piece in value.chunks(PIECE) {
        let bytes = encode_piece(piece);
        write_all(disk, &aside, offset, &bytes)?;
        offset += bytes.len() as u64;
    }
    disk.sync(&aside)?;
    disk.close(&aside);
    let written = decode(&aside, group, disk.read(&aside)?).map_err(io::Error::other)?;
    if written.0 != *meta || written.1 != value {
        return Err(io::Error::other(format!("{aside} does not read as it was written")));
    }
    disk.rename(&aside, &name)?;
    disk.sync_dir()
}

/// Reads a file; the value is what was written or there is damage.
pub(super) fn read(disk: &dyn Disk, group: GroupId, base: EntryId) -> Result<(SnapshotMeta, Bytes), Damage> {
    let name = name(group, base);
    let damaged = |what: String| Damage { file: name.clone(), offset: 0, what, group: Some(group) };
    let bytes = disk.read(&name).map_err(|error| damaged(format!("it cannot be read: {error}")))?;
    let (meta, value) = decode(&name, group, bytes)?;
    if meta.last_included != base {
        return Err(damaged(format!("it is of {:?}, not {base:?}", meta.last_included)));
    }
    Ok((meta, value))
}

fn head(group: GroupId, meta: &SnapshotMeta, length: usize) -> Vec<u8> {
    let meta = WireSnapshot::of(meta).encode_to_vec();
    let mut head = Vec::with_capacity(HEADER + meta.len());
    head.put_slice(&[0; 4]);
    head.put_slice(MAGIC);
    head.put_u32_le(VERSION);
    head.put_u128(group.0);
    head.put_u64_le(length as u64);
    head.put_u32_le(meta.len() as u32);
    head.put_slice(&meta);
    let checksum = crc32c::crc32c(&head[4..]);
    head[..4].copy_from_slice(&checksum.to_le_bytes());
    head
}

fn encode_piece(piece: &[u8]) -> Vec<u8> {
    let compressed = lz4_flex::block::compress(piece);
    let stored = if compressed.len() < piece.len() { &compressed[..] } else { piece };
    let mut bytes = Vec::with_capacity(PIECE_HEADER + stored.len());
    bytes.put_slice(&[0; 4]);
    bytes.put_u32_le(stored.len() as u32);
    bytes.put_u32_le(piece.len() as u32);
    bytes.put_slice(stored);
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What is in a file of that name. Nothing is allocated because a length says so.
pub(super) fn decode(name: &str, group: GroupId, bytes: Vec<u8>) -> Result<(SnapshotMeta, Bytes), Damage> {
    let whole = bytes.len();
    let mut rest = Bytes::from(bytes);
    let damaged = |rest: &Bytes, what: &str| Damage {
        file: name.to_owned(),
        offset: (whole - rest.len()) as u64,
        what: what.to_owned(),
        group: Some(group),
    };
    let Some((meta, length)) = decode_head(group, &mut rest).map_err(|what| damaged(&rest, &what))? else {
        return Err(damaged(&rest, "its head is damaged or cut off"));
    };
    let mut value = Vec::new();
    while (value.len() as u64) < length {
        let piece = decode_piece(&mut rest).ok_or_else(|| damaged(&rest, "a piece is damaged or cut off"))?;
        value.extend_from_slice(&piece);
    }
    if value.len() as u64 != length || !rest.is_empty() {
        return Err(damaged(&rest, "it goes on behind its end"));
    }
    Ok((meta, value.into()))
}

fn decode_head(group: GroupId, rest: &mut Bytes) -> Result<Option<(SnapshotMeta, u64)>, String> {
    let Some(mut head) = rest.get(..HEADER) else { return Ok(None) };
    let checksum = head.get_u32_le();
    let starts = head.starts_with(MAGIC);
    head.advance(MAGIC.len());
    let (version, owner) = (head.get_u32_le(), GroupId(head.get_u128()));
    let (length, meta) = (head.get_u64_le(), head.get_u32_le() as usize);
    let Some(checked) = rest.get(4..HEADER.saturating_add(meta)).filter(|_| starts) else { return Ok(None) };
    if crc32c::crc32c(checked) != checksum {
        return Ok(None);
    }
    if version > VERSION {
        return Err(format!("its format is version {version}, this build knows version {VERSION}"));
    }
    if owner != group {
        return Err(format!("it is of group {owner:?}"));
    }
    rest.advance(HEADER);
    let fields = WireSnapshot::decode(rest.split_to(meta)).map_err(|error| error.to_string())?;
    let meta = WireSnapshot::read(Some(fields)).map_err(|error| error.to_string())?;
    Ok(Some((meta, length)))
}

fn decode_piece(rest: &mut Bytes) -> Option<Bytes> {
    let mut header = rest.get(..PIECE_HEADER)?;
    let (checksum, stored, length) = (header.get_u32_le(), header.get_u32_le() as usize, header.get_u32_le() as usize);
    let checked = rest.get(4..PIECE_HEADER.checked_add(stored)?)?;
    if crc32c::crc32c(checked) != checksum || length > PIECE || length == 0 {
        return None;
    }
    rest.advance(PIECE_HEADER);
    let bytes = rest.split_to(stored);
    match stored == length {
        true => Some(bytes),
        false => lz4_flex::block::decompress(&bytes, length).ok().filter(|it| it.len() == length).map(Bytes::from),
    }
}
