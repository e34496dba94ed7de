//! Bytes of a stranger, or of another build: see CONTRIBUTING for how to run this under libFuzzer.

use super::*;
use crate::batch::Batch;
use allocation_counter::measure;

fn in_proportion<T>(input: usize, what: impl FnOnce() -> T) -> T {
    let mut result = None;
    let used = measure(|| result = Some(what())).bytes_max;
    assert!(used <= (64 << 10) + 512 * input as u64, "{used} bytes for {input}");
    result.expect("it ran")
}

/// What commands travel in: no bytes panic, no count costs memory, and what is read is written in one way only.
#[test]
fn any_batch() {
    bolero::check!().with_iterations(2000).for_each(|bytes: &[u8]| {
        let Ok(batch) = in_proportion(bytes.len(), || Batch::decode(Bytes::copy_from_slice(bytes))) else { return };
        let written = batch.encode();
        assert!(written.len() <= bytes.len(), "no shorter way than the one that is written");
        assert_eq!(Batch::decode(written), Ok(batch));
    });
}

/// A batch in the log: whatever it holds, a member goes on, or halts; it never panics, and a copy does the same.
#[test]
fn any_entry() {
    bolero::check!().with_iterations(1000).for_each(|bytes: &[u8]| {
        let payload = Payload::Commands(Bytes::copy_from_slice(bytes));
        let (mut one, mut other) = (machine(OnPanic::Keep), machine(OnPanic::Keep));
        let said = one.apply(&entry(1, payload.clone()));
        assert_eq!(said.responses, other.apply(&entry(1, payload)).responses);
        if one.value().is_ok() {
            assert_eq!(one.encode_snapshot(), other.encode_snapshot());
        }
    });
}

/// A snapshot whose checksum holds, after magic, version and checksum: what is restored is written again as it was read
/// by everybody.
#[test]
fn any_snapshot() {
    let meta = machine_of_three().snapshot_meta();
    bolero::check!().with_iterations(2000).for_each(|bytes: &[u8]| {
        let checksum = crc32fast::hash(bytes).to_le_bytes();
        let all = Bytes::from([b"RVSN\x01".as_slice(), &checksum, bytes].concat());
        let restored = in_proportion(all.len(), || StateMachine::<Tape>::restore(meta.clone(), all));
        let Ok(restored) = restored else { return };
        let written = restored.encode_snapshot().expect("what was read");
        let again = StateMachine::<Tape>::restore(meta.clone(), written.clone()).expect("what was written");
        assert_eq!(again.encode_snapshot(), Ok(written));
    });
}

fn machine_of_three() -> StateMachine<Tape> {
    let mut machine = machine(OnPanic::Keep);
    for index in 1..=3 {
        let _ = machine.apply(&entry(index, Payload::Noop));
    }
    machine
}
