//! The bytes of protocol 1, for ever: `UPDATE=1 cargo test golden` adds lines for new samples, and changes none.

use super::samples;
use super::{LIMIT, receive};
use crate::wire::{Reason, Refusal, alive, encode};
use bytes::Bytes;
use std::fmt::Write as _;
use std::path::Path;

const GOLDEN: &str = include_str!("golden.txt");

fn samples_as_bytes() -> Vec<(&'static str, Bytes)> {
    let packets = samples::packets().into_iter().map(|(name, packet)| (name, encode(&packet, LIMIT).unwrap()));
    let greetings = [
        ("hello", samples::hello().encode().unwrap()),
        ("refusal", Refusal::new(Reason::Version, "why").encode()),
        ("alive", alive()),
    ];
    packets.chain(greetings).collect()
}

fn golden() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let lines = GOLDEN.lines().filter(|line| !line.is_empty());
    lines.map(|line| {
        let (name, hex) = line.split_once(' ').unwrap();
        let digits = hex.as_bytes().chunks(2);
        let byte = |digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
        (name, digits.map(byte).collect())
    })
}

#[test]
fn golden_bytes_are_still_written() {
    let mut missing = String::new();
    for (name, bytes) in samples_as_bytes() {
        match golden().find(|(golden, _)| *golden == name) {
            Some((_, golden)) => assert_eq!(bytes, golden, "{name} is written in another way than before"),
            None => {
                let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
                writeln!(missing, "{name} {hex}").unwrap();
            }
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire/tests/golden.txt");
        std::fs::write(path, format!("{GOLDEN}{missing}")).unwrap();
    } else {
        assert!(missing.is_empty(), "no golden bytes yet, UPDATE=1 adds them:\n{missing}");
    }
}

#[test]
fn golden_bytes_are_still_read() {
    for (name, packet) in samples::packets() {
        let (_, bytes) = golden().find(|(golden, _)| *golden == name).unwrap();
        assert_eq!(receive(&bytes).unwrap(), [packet], "{name}");
    }
}
