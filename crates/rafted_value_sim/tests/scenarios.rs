//! Runs every scenario and compares what happens with what is recorded. `UPDATE=1` records anew; what changed is
//! then read in review. Expectations hold either way.

use rafted_value_sim::script;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(folder).expect("the folder of scenarios");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

/// What is wrong with a file, if something is. Rewrites it if `update`.
fn play(file: &Path, update: bool) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    states_its_point(&text)?;
    // A panic is the core's own invariants at work: the story that led there is told like any other failure.
    let run = panic::catch_unwind(|| script::run(&text)).map_err(|_| "the core panicked, see above".to_owned())?;
    let recorded = run.map_err(|failure| format!("{failure}\n{}", tail(&failure.so_far)))?;
    if recorded == text {
        return Ok(());
    }
    if update {
        return fs::write(file, recorded).map_err(|error| error.to_string());
    }
    let mut lines = recorded.lines().zip(text.lines()).enumerate();
    let (at, (new, old)) = lines.find(|(_, (new, old))| new != old).unwrap_or((0, ("", "")));
    Err(format!("line {}: recorded  {old}\n        happened  {new}", at + 1))
}

fn states_its_point(text: &str) -> Result<(), String> {
    let expects = text.lines().filter(|line| line.starts_with("> ") && line.contains("expect ")).count();
    match (text.starts_with("# "), expects) {
        (false, _) => Err("it does not begin with what it shows".to_owned()),
        (true, 0 | 1) => Err("it expects too little".to_owned()),
        _ => Ok(()),
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

#[test]
fn every_scenario_is_as_recorded() {
    let update = std::env::var_os("UPDATE").is_some();
    let wrong: Vec<String> = scenarios()
        .iter()
        .filter_map(|file| play(file, update).err().map(|what| format!("{}: {what}", file.display())))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
