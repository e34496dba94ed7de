//! The demonstration itself, on other input than its own, and what it says to bad input.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn demo(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rafted"))
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let written = child.stdin.take().expect("its input").write_all(input.as_bytes());
    // It may refuse its arguments before it reads.
    drop(written);
    child.wait_with_output().expect("its end")
}

#[test]
fn lines_from_standard_input_survive_a_kill() {
    survive(&[]);
}

#[test]
fn lines_survive_a_kill_on_disk() {
    survive(&["--durable"]);
}

fn survive(more: &[&str]) {
    let text: String = (0..500).map(|n| format!("line {n}: colons, and \"quotes\"\n")).collect();
    let arguments = [&["--input", "-", "--callers", "3", "--kills", "1", "--json"], more].concat();
    let output = demo(&arguments, &text);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let last = said.lines().last().unwrap_or_default();
    let verdict: serde_json::Value = serde_json::from_str(last).expect("a JSON object");
    for (key, expected) in [("commands", 500), ("lost", 0), ("duplicated", 0), ("reordered", 0), ("kills", 1)] {
        assert_eq!(verdict[key], expected, "{key} in {verdict}");
    }
    assert_eq!(verdict["failover_ms"].as_array().map(Vec::len), Some(1));
    assert_eq!(verdict["members"].as_array().map(Vec::len), Some(3));
}

#[test]
fn bad_input_is_named() {
    for (arguments, named) in [
        (&["--input", "no/such/file"][..], "no/such/file"),
        (&["--callers", "0"][..], "--callers"),
        (&["--input", "-"][..], "no lines"),
    ] {
        let output = demo(arguments, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains(named), "{said}");
    }
}
