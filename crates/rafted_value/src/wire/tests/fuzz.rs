//! Bytes of a stranger: under `cargo test` what is in `__fuzz__` and a second of random bytes; under libFuzzer as long
//! as one likes. CONTRIBUTING says how.

use super::*;
use crate::wire::HELLO_LIMIT;
use allocation_counter::measure;

/// How much memory decoding may take for each byte that is there. Two bytes can be an entry, which takes a hundred in
/// memory, and a vector that grows holds its elements twice and has room for twice as many.
const PER_BYTE: u64 = 512;
/// And for nothing at all: a read has room for many small frames.
const ALWAYS: u64 = 256 << 10;

fn in_proportion<T>(input: usize, what: impl FnOnce() -> T) -> T {
    let mut result = None;
    let used = measure(|| result = Some(what())).bytes_max;
    assert!(used <= ALWAYS + PER_BYTE * input as u64, "{used} bytes for {input}");
    result.expect("it ran")
}

/// A stream: whatever it claims, it costs no more than what is there, and what is read is what was sent.
#[test]
fn any_stream() {
    bolero::check!().with_iterations(2000).for_each(|bytes: &[u8]| {
        for limit in [HELLO_LIMIT, LIMIT] {
            let Ok(read) = in_proportion(bytes.len(), || frames(bytes, limit)) else { continue };
            let bodies: usize = read.iter().map(|frame| frame.body.len()).sum();
            assert!(bodies <= bytes.len());
        }
    });
}

/// A body whose checksums hold: the first byte is the kind, the rest the body. What is understood is said again in the
/// same bytes by everybody who understood it.
#[test]
fn any_body() {
    bolero::check!().with_iterations(2000).for_each(|bytes: &[u8]| {
        let Some((kind, body)) = bytes.split_first() else { return };
        let route = (kind & 0x80 != 0).then(|| Route { group: group(), from: member(1), to: member(2) });
        let frame = Frame { kind: *kind, route, body: Bytes::copy_from_slice(body) };
        let _ = in_proportion(bytes.len(), || decode_hello(frame.clone()));
        let Ok(packet) = in_proportion(bytes.len(), || decode(frame)) else { return };
        let said = encode(&packet, LIMIT).expect("what was received fits");
        let again = receive(&said).expect("what is said is understood").remove(0);
        assert!(again == packet && encode(&again, LIMIT).as_ref() == Ok(&said), "{packet:?} became {again:?}");
    });
}
