use super::*;

/// Three entries, of which one registered a session with a result.
fn example() -> StateMachine<Tape> {
    let mut machine = machine(OnPanic::Keep);
    let _ = machine.apply(&commands(1, vec![register()]));
    let _ = machine.apply(&commands(2, vec![say(0, Fate::Fine)]));
    let _ = machine.apply(&entry(3, Payload::Noop));
    machine
}

fn restore(bytes: &[u8]) -> Result<StateMachine<Tape>, SnapshotError> {
    StateMachine::restore(example().snapshot_meta(), Bytes::copy_from_slice(bytes))
}

/// The bytes with a checksum that holds.
fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes[9..]);
    bytes[5..9].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[test]
fn the_bytes_never_change() {
    // version, checksum, header length, "tape", term 1, index 3, 20 ms, session (1,0) used at (2,0) with result 0,
    // the session's nonce, used at 20 ms
    let header = b"\x0a\x04tape\x10\x01\x18\x03\x20\x14\x2a\x14\x08\x01\x18\x02\x32\x03\x12\x01\x01\
        \x39\xc1\x5c\x02\x89\xec\x2d\x0a\x91\x40\x14";
    let value = b"\x81\xa4said\x91\x92\xa10\xcf\x97\x58\x35\xde\x2b\xe8\x41\x23";
    let mut bytes = example().encode_snapshot().unwrap().to_vec();
    let seed = bytes.split_off(bytes.len() - 8);
    assert_eq!(seed, example().value.said[0].1.to_be_bytes());
    let expected = [b"RVSN\x01".as_slice(), &bytes[5..9], &[header.len() as u8], header, &value[..value.len() - 8]];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn a_retry_after_a_restore_gets_its_first_result() {
    let mut restored = restore(&example().encode_snapshot().unwrap()).unwrap();
    assert_eq!(restored.apply(&commands(4, vec![say(0, Fate::Fine)])).responses, [count(1)]);
    assert_eq!(words(&restored), ["0"]);
}

#[test]
fn errors_name_what_is_wrong() {
    let good = example().encode_snapshot().unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (Vec::new(), "not a snapshot"),
        (good[..8].to_vec(), "not a snapshot"),
        (with(0, b'X'), "not a snapshot"),
        (with(4, 2), "a snapshot of version 2, this build knows version 1"),
        (checked(with(12, b'T')), "a snapshot of a value named \"Tape\", this group's is named \"tape\""),
        (checked(with(19, 2)), "a snapshot up to entry (1,2), announced was (1,3)"),
        (checked(good[..good.len() - 1].to_vec()), "the value cannot be decoded: "),
        (checked([&good, b"\x00".as_slice()].concat()), "the value cannot be decoded: something follows at the end"),
        (checked(good[..20].to_vec()), "a snapshot with a malformed header: "),
    ];
    for (bytes, message) in cases {
        let error = restore(&bytes).err().unwrap().to_string();
        assert!(error.starts_with(message), "{error} instead of {message}");
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = example().encode_snapshot().unwrap();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(restore(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn settings_that_cannot_be_read_are_an_error() {
    let config = CoreConfig { extra: Bytes::from_static(b"\x07"), ..CoreConfig::default() };
    let meta = SnapshotMeta { config: Arc::new(config), ..example().snapshot_meta() };
    let error = StateMachine::<Tape>::restore(meta, example().encode_snapshot().unwrap()).err().unwrap();
    assert_eq!(error.to_string(), "settings of version 7, this build knows version 1");
}

/// Panics in the one thing that it is made for.
#[derive(PartialEq)]
enum Cursed {
    Clone,
    Encode,
    Fail,
}

impl Clone for Cursed {
    fn clone(&self) -> Cursed {
        panic!("cloned")
    }
}

impl Serialize for Cursed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cursed::Clone => serializer.serialize_unit(),
            Cursed::Encode => panic!("encoded"),
            Cursed::Fail => Err(serde::ser::Error::custom("failed")),
        }
    }
}

impl<'de> Deserialize<'de> for Cursed {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Cursed, D::Error> {
        panic!("decoded")
    }
}

impl Value for Cursed {
    const NAME: &'static str = "cursed";
    type Command = ();
    type Reply = ();
    type Query = ();
    type Answer = ();
    fn new() -> Cursed {
        Cursed::Clone
    }
    fn command(&mut self, (): (), _: &Context) {}
    fn query(&self, (): ()) {}
}

#[test]
fn a_value_that_panics_is_an_error() {
    let cases = [
        (Cursed::Encode, SnapshotError::Panicked("encoded".into())),
        (Cursed::Fail, SnapshotError::Unencodable("failed".into())),
    ];
    for (value, error) in cases {
        let machine = StateMachine::new(value, SnapshotMeta::empty()).unwrap();
        assert_eq!(machine.encode_snapshot(), Err(error));
    }
    let machine = StateMachine::new(Cursed::new(), SnapshotMeta::empty()).unwrap();
    assert_eq!(machine.freeze().err(), Some(SnapshotError::Panicked("cloned".into())));
    let restored = StateMachine::<Cursed>::restore(SnapshotMeta::empty(), machine.encode_snapshot().unwrap());
    assert_eq!(restored.err(), Some(SnapshotError::Panicked("decoded".into())));
}

#[test]
fn a_value_that_cannot_be_cloned_is_kept_as_it_is() {
    let config = Config::builder().on_panic(OnPanic::Restore).build().unwrap();
    let base = SnapshotMeta { config: Arc::new(config.to_core()), ..SnapshotMeta::empty() };
    let mut machine = StateMachine::new(Cursed::new(), base).unwrap();
    let envelopes = vec![register(), command((1, 0), 0, 0, encode(&()).unwrap())];
    assert_eq!(machine.apply(&commands(1, envelopes)).responses[1], panicked("cloned"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), keep in 0..64_usize) {
        let good = example().encode_snapshot().unwrap();
        let mut all = good[..keep.min(good.len())].to_vec();
        all.extend(bytes);
        let _ = restore(&all);
        if all.len() >= 9 {
            let _ = restore(&checked(all));
        }
    }
}
