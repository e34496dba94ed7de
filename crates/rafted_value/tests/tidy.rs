//! Rules of the house that no compiler checks: who imports whom, who may read a clock or throw dice, how long a function
//! may be.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer functions hide their route. What is in the way here may be split, or stand in a table of its own.
const LONGEST: usize = 70;

/// Tables: one row after the other, nothing to follow.
const TABLES: [&str; 1] = ["pub fn models("];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file below `folder` with its path from there, without tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = crates().join(folder);
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            if entry.is_dir() {
                folders.push(entry);
            } else if name.ends_with(".rs") && !name.contains("tests") {
                let text = fs::read_to_string(&entry).unwrap();
                // Unit tests at the end of a file may do what the file may not.
                let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
                found.push((name, text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// Lines of `folder` that hold one of `words`, comments aside, in files for which `concerns` holds.
fn lines_with(folder: &str, concerns: impl Fn(&str) -> bool, words: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, text) in sources(folder).into_iter().filter(|(name, _)| concerns(name)) {
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                lines.push(format!("{folder}/{name}:{number}: {}", line.trim()));
            }
        }
    }
    lines
}

fn none(what: &str, lines: Vec<String>) {
    assert!(lines.is_empty(), "{what}:\n{}", lines.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let words = ["std::", "tokio", "serde", "rafted_value::", "fastrand", "Instant", "SystemTime"];
    none("the core knows no clock, dice, IO, async, serde or user type", {
        lines_with("rafted_value_core/src", |_| true, &words)
    });
}

#[test]
fn storage_and_transport_keep_to_themselves() {
    let upwards = ["crate::member", "crate::shard", "crate::value", "crate::applier", "crate::group"];
    let storage = |name: &str| name.starts_with("storage");
    none("storage sees no member, no value, no network", {
        lines_with("rafted_value/src", storage, &[&upwards[..], &["crate::transport", "tokio"]].concat())
    });
    let transport = |name: &str| name.starts_with("transport");
    none("transport sees no member, no value, no storage", {
        lines_with("rafted_value/src", transport, &[&upwards[..], &["crate::storage"]].concat())
    });
}

#[test]
fn what_the_simulator_runs_is_synchronous() {
    let runs = ["batch.rs", "sessions.rs", "state_machine.rs", "state_machine/snapshot.rs", "remembered.rs"];
    none(
        "no tokio in what the simulator runs",
        lines_with("rafted_value/src", |name| runs.contains(&name), &["tokio"]),
    );
}

#[test]
fn only_timers_read_a_clock_or_throw_dice() {
    let words = ["fastrand::", "Instant::now", "SystemTime::now", "clock_gettime"];
    let elsewhere = |name: &str| !["timers.rs", "transport/loopback.rs"].contains(&name);
    let testing = |name: &str| name.starts_with("testing");
    none("only timers.rs; the loopback's faults are seeded, and so are users' checks", {
        lines_with("rafted_value/src", |name| elsewhere(name) && !testing(name), &words)
    });
}

#[test]
fn functions_fit_on_a_page() {
    let mut long = Vec::new();
    for folder in ["rafted_value_core/src", "rafted_value/src", "rafted_value_sim/src", "rafted_value_cli/src"] {
        for (name, text) in sources(folder) {
            let lines: Vec<&str> = text.lines().collect();
            for (start, line) in lines.iter().enumerate() {
                let code = line.trim_start();
                let indent = &line[..line.len() - code.len()];
                let is_function = code.starts_with("fn ")
                    || (code.starts_with("pub") || code.starts_with("async")) && code.contains("fn ");
                if !is_function || code.ends_with(';') || code.ends_with('}') {
                    continue;
                }
                let end = format!("{indent}}}");
                let length = lines[start..].iter().position(|line| *line == end).unwrap_or(0) + 1;
                if length > LONGEST && !TABLES.iter().any(|table| code.starts_with(table)) {
                    long.push(format!("{folder}/{name}:{}: {length} lines: {code}", start + 1));
                }
            }
        }
    }
    none("functions of more than 70 lines", long);
}
