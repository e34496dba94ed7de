//! What is sent arrives as it was; what was damaged or invented never does, and never panics.

mod fuzz;
mod golden;
mod samples;

use super::frame::Route;
use super::*;
use crate::command_id::CommandId;
use crate::contact::GroupId;
use crate::packet::{Chunk, Envelope, Freshness, Request, Response, Session, SessionId};
use bytes::BufMut as _;
use proptest::prelude::*;
use rafted_value_core::{
    AppendEntries, Body, Entry, EntryId, LogIndex, MemberId, Message, Payload, SnapshotMeta, Term, Time,
};
use samples::{group, member, raft};
use std::sync::Arc;

const LIMIT: u32 = 64 << 20;

fn frames(bytes: &[u8], limit: u32) -> Result<Vec<Frame>, Malformed> {
    let mut reader = FrameReader::new(limit);
    reader.buffer().put_slice(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = reader.next()? {
        frames.push(frame);
    }
    Ok(frames)
}

/// What a receiver makes of bytes: packets, or why it closes the connection.
fn receive(bytes: &[u8]) -> Result<Vec<Packet>, Malformed> {
    frames(bytes, LIMIT)?.into_iter().map(decode).collect()
}

#[test]
fn every_sample_arrives_as_it_was() {
    for (name, packet) in samples::packets() {
        let bytes = encode(&packet, LIMIT).unwrap();
        assert_eq!(receive(&bytes).unwrap(), [packet], "{name}");
    }
}

#[test]
fn the_settings_in_a_status_arrive_and_those_of_a_newer_build_are_none() {
    let config = crate::Config { leader_hook: Some("mail".into()), ..crate::Config::default() };
    let report = crate::StatusReport { config: Some(Box::new(config)), ..samples::full_status() };
    let packet = Packet::Response { number: 1, response: Response::Status(Box::new(report)) };
    let bytes = encode(&packet, LIMIT).unwrap();
    assert_eq!(receive(&bytes).unwrap(), [packet]);

    // Field 12, a config whose field 11, the settings that are not the core's, is of version 99.
    let frame = frames(&bytes, LIMIT).unwrap().remove(0);
    let newer = Bytes::from([&frame.body[..], b"\x62\x04\x5a\x02\x63\x00"].concat());
    let Packet::Response { response: Response::Status(report), .. } = decode(Frame { body: newer, ..frame }).unwrap()
    else {
        panic!("another kind")
    };
    assert_eq!((report.config, report.lease_ms), (None, Some(700)));
}

#[test]
fn a_payload_is_a_slice_of_what_was_received() {
    let commands = Bytes::from(vec![7; 1000]);
    let entry = Entry { id: EntryId::new(1, 1), payload: Payload::Commands(commands) };
    let packet = raft(Body::AppendEntries(AppendEntries {
        prev: EntryId::ZERO,
        entries: vec![entry],
        commit: LogIndex(0),
        round: 0,
        sent: Time(0),
        keep: LogIndex(0),
        quiesce: false,
    }));
    let frame = frames(&encode(&packet, LIMIT).unwrap(), LIMIT).unwrap().remove(0);
    let received = frame.body.as_ptr_range();
    let Packet::Raft { message, .. } = decode(frame).unwrap() else { panic!("another kind") };
    let Body::AppendEntries(append) = message.body else { panic!("another body") };
    let Payload::Commands(commands) = &append.entries[0].payload else { panic!("another payload") };
    assert!(received.contains(&commands.as_ptr()));
}

#[test]
fn frames_may_be_cut_anywhere_and_glued_together() {
    let packets: Vec<Packet> = samples::packets().into_iter().map(|(_, packet)| packet).collect();
    let bytes: Vec<u8> = packets.iter().flat_map(|packet| encode(packet, LIMIT).unwrap()).collect();
    for step in [1, 2, 3, 7, 63, bytes.len()] {
        let mut reader = FrameReader::new(LIMIT);
        let mut received = Vec::new();
        for piece in bytes.chunks(step) {
            reader.buffer().put_slice(piece);
            while let Some(frame) = reader.next().unwrap() {
                received.push(decode(frame).unwrap());
            }
        }
        assert_eq!(received, packets, "in pieces of {step}");
    }
}

#[test]
fn a_truncated_frame_delivers_nothing() {
    for (name, packet) in samples::packets() {
        let bytes = encode(&packet, LIMIT).unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(receive(&bytes[..cut]).unwrap(), [], "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed() {
    for (name, packet) in samples::packets() {
        let bytes = encode(&packet, LIMIT).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let received = receive(&damaged);
            // A kind that now claims a route has a longer header, which may not have arrived in full.
            assert!(received.is_err() || received == Ok(vec![]), "{name}, bit {bit}: {received:?}");
        }
    }
}

/// Damage that checksums do not see, because the sender itself is wrong: decoding bodies directly.
#[test]
fn a_body_that_a_wrong_sender_checksummed_never_panics() {
    for (_, packet) in samples::packets() {
        let frame = frames(&encode(&packet, LIMIT).unwrap(), LIMIT).unwrap().remove(0);
        for bit in 0..frame.body.len() * 8 {
            let mut body = frame.body.to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            let _ = decode(Frame { body: body.into(), ..frame.clone() });
        }
        for cut in 0..frame.body.len() {
            let _ = decode(Frame { body: frame.body.slice(..cut), ..frame.clone() });
        }
    }
}

#[test]
fn a_length_allocates_nothing() {
    for length in [LIMIT, LIMIT + 1, u32::MAX] {
        let head = frame::testing::header(kind::APPLIED, length, 0);
        let mut reader = FrameReader::new(LIMIT);
        reader.buffer().put_slice(&head);
        let read = reader.next();
        if length > LIMIT {
            assert_eq!(read.err(), Some(Malformed::TooLong { length: length.into(), limit: LIMIT.into() }));
        } else {
            assert!(read.unwrap().is_none());
        }
        assert!(reader.buffer().capacity() <= 256 << 10, "grew to {}", reader.buffer().capacity());
    }
}

#[test]
fn lengths_and_counts_inside_a_body_are_checked_against_what_is_there() {
    let route = Route { group: group(), from: member(1), to: member(2) };
    // Field 7, entries, of 2^64-1 bytes.
    let endless = [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let body = Bytes::copy_from_slice(&endless);
    assert!(decode(Frame { kind: kind::APPEND_ENTRIES, route: Some(route), body }).is_err());

    let empty_entries = Bytes::from([0x3a, 0x00].repeat((1 << 16) + 1));
    let read = decode(Frame { kind: kind::APPEND_ENTRIES, route: Some(route), body: empty_entries });
    assert_eq!(read, Err(Malformed::TooMany { what: "entries", limit: 1 << 16 }));
}

#[test]
fn a_packet_that_is_too_long_is_not_sent() {
    let packet = Packet::Response { number: 1, response: Response::Applied(vec![0; 100].into()) };
    assert!(matches!(encode(&packet, 99), Err(Malformed::TooLong { limit: 99, .. })));
}

#[test]
fn numbers_from_two_to_the_63rd_are_refused() {
    let too_large = 1 << 63;
    for body in [
        Body::InstallSnapshotReply(rafted_value_core::InstallSnapshotReply { matched: LogIndex(too_large) }),
        Body::RequestVote(rafted_value_core::RequestVote {
            ballot: rafted_value_core::Ballot::Vote,
            last: EntryId::new(too_large, 1),
            campaign: 1,
        }),
    ] {
        let bytes = encode(&raft(body), LIMIT).unwrap();
        assert!(matches!(receive(&bytes), Err(Malformed::NumberTooLarge { .. })));
    }
}

#[test]
fn an_unknown_kind_is_named_and_an_unknown_field_is_skipped() {
    let frame = |kind, body: &'static [u8]| Frame { kind, route: None, body: Bytes::from_static(body) };
    let unknown = decode(frame(0x3f, &[])).unwrap_err();
    assert_eq!(unknown.to_string(), "unknown kind of frame 0x3f");
    assert!(unknown.is_unknown_frame());

    let with_field_100 = decode(frame(kind::DONE, &[0x08, 5, 0xa0, 0x06, 1])).unwrap();
    assert_eq!(with_field_100, Packet::Response { number: 5, response: Response::Done });

    let reason_99 = decode(frame(kind::REFUSED, &[0x10, 99])).unwrap_err();
    assert!(!reason_99.is_unknown_frame());
}

#[test]
fn what_is_printed_never_shows_the_users_bytes() {
    let secret = Bytes::from_static(b"hunter2");
    let names = || ("g".to_owned(), "v".to_owned());
    let ((group, value), (of_group, of_value)) = (names(), names());
    let envelope = Envelope { session: Session::Register, id: None, command: secret.clone() };
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        Request::Command { group, value, envelope },
        Request::Query { group: of_group, value: of_value, query: secret.clone(), freshness: Freshness::Linearizable },
        Response::Applied(secret.clone()),
        Response::Answered { answer: secret.clone(), applied: LogIndex(1) },
        samples::chunk(secret),
    );
    assert!(!shown.contains("hunter2") && shown.contains("7 bytes"), "{shown}");
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..1000_u64, 0..(1_u64 << 63)]
}

fn payload() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn an_append() -> impl Strategy<Value = Packet> {
    let entry = (number(), number(), payload()).prop_map(|(term, index, commands)| Entry {
        id: EntryId::new(term, index),
        payload: if commands.is_empty() { Payload::Noop } else { Payload::Commands(commands) },
    });
    let entries = proptest::collection::vec(entry, 0..20);
    let numbers = (number(), number(), number(), number(), any::<u64>(), any::<u64>());
    (any::<(u128, u128, u128)>(), numbers, entries).prop_map(|(ids, numbers, entries)| {
        let (term, prev_term, prev_index, commit, round, sent) = numbers;
        let prev = EntryId::new(prev_term, prev_index);
        let append = AppendEntries {
            prev,
            entries,
            commit: LogIndex(commit),
            round,
            sent: Time(sent),
            keep: LogIndex(commit),
            quiesce: term % 2 == 0,
        };
        let (from, to) = (MemberId(ids.1), MemberId(ids.2));
        let message = Message { from, to, term: Term(term), body: Body::AppendEntries(append) };
        Packet::Raft { group: GroupId(ids.0), message }
    })
}

fn a_command() -> impl Strategy<Value = Packet> {
    let session = prop_oneof![
        Just(Session::Register),
        (number(), any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(index, offset, number, unacknowledged)| {
            Session::Command { id: SessionId { index: LogIndex(index), offset, nonce: number }, number, unacknowledged }
        })
    ];
    let id = proptest::option::of((".{1,40}", ".{1,40}").prop_map(|(client, id)| Arc::new(CommandId::new(client, id))));
    let envelope = (session, id, payload()).prop_map(|(session, id, command)| Envelope { session, id, command });
    (any::<u64>(), ".{0,40}", ".{0,40}", envelope).prop_map(|(number, group, value, envelope)| Packet::Request {
        number,
        request: Request::Command { group, value, envelope },
    })
}

fn a_chunk() -> impl Strategy<Value = Packet> {
    (number(), number(), 0..1000_u64, payload()).prop_map(|(term, index, offset, data)| {
        let snapshot = SnapshotMeta { last_included: EntryId::new(term, index), ..SnapshotMeta::empty() };
        let total = offset + data.len() as u64;
        Packet::Chunk(Chunk { offset, total, snapshot, ..samples::chunk(data) })
    })
}

proptest! {
    #[test]
    fn every_packet_arrives_as_it_was(packet in prop_oneof![an_append(), a_command(), a_chunk()]) {
        let bytes = encode(&packet, LIMIT).unwrap();
        prop_assert_eq!(receive(&bytes).unwrap(), vec![packet]);
    }

    #[test]
    fn no_bytes_panic(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let route = (kind & 0x80 != 0).then(|| Route { group: group(), from: member(1), to: member(2) });
        let frame = Frame { kind, route, body: body.clone().into() };
        let _ = decode_hello(frame.clone());
        let _ = decode(frame);
        let _ = receive(&body);
    }
}

#[test]
fn a_hello_arrives_as_it_was() {
    let hello = samples::hello();
    let frame = frames(&hello.encode().unwrap(), HELLO_LIMIT).unwrap().remove(0);
    assert_eq!(decode_hello(frame), Ok(Ok(hello)));
    let refusal = Refusal::new(Reason::Cluster, "why");
    let frame = frames(&refusal.encode(), HELLO_LIMIT).unwrap().remove(0);
    assert_eq!(decode_hello(frame), Ok(Err(refusal)));
    assert!(Refusal::new(Reason::Node, "long ".repeat(1000)).encode().len() <= HELLO_LIMIT as usize);
    let long = Hello { address: "a".repeat(2000), ..samples::hello() };
    assert!(long.encode().is_err());
}
