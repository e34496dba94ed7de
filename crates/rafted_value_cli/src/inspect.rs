//! What is in a member's directory, and whether it is sound.

use rafted_value::{Inspection, StoredMember, inspect};
use serde::Serialize;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The directory given to `serve --data-dir`; no process may be using it
    directory: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    node: String,
    cluster: Option<String>,
    groups: Vec<Member>,
    damage: Vec<String>,
    unfinished: Option<(String, u64)>,
}

#[derive(Serialize)]
struct Member {
    name: String,
    value: String,
    group: String,
    member: String,
    term: u64,
    snapshot: u64,
    last: u64,
    damage: Option<String>,
}

/// Reads everything, changes nothing. The exit code says whether it is sound.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let report = Report::of(inspect(&options.directory)?);
    match options.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => report.print(),
    }
    Ok(if report.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    fn of(found: Inspection) -> Report {
        Report {
            node: format!("{:?}", found.node),
            cluster: found.cluster.map(|cluster| format!("{cluster:?}")),
            groups: found.groups.into_iter().map(Member::of).collect(),
            damage: found.damage,
            unfinished: found.unfinished,
        }
    }

    fn print(&self) {
        println!("node {}, cluster {}", self.node, self.cluster.as_deref().unwrap_or("none yet"));
        for Member { name, value, member, term, snapshot, last, .. } in &self.groups {
            println!("group {name:?}, a {value}: member {member}, term {term}, snapshot to {snapshot}, log to {last}");
        }
        if let Some((file, offset)) = &self.unfinished {
            println!("{file} ends at byte {offset} in a write that was not finished, which is no damage");
        }
        for damage in &self.damage {
            println!("DAMAGE: {damage}");
        }
        if self.damage.is_empty() {
            println!("everything is sound");
        }
    }
}

impl Member {
    fn of(stored: StoredMember) -> Member {
        Member {
            name: stored.name,
            value: stored.value,
            group: format!("{:?}", stored.group),
            member: format!("{:?}", stored.member),
            term: stored.term.0,
            snapshot: stored.base.0,
            last: stored.last.0,
            damage: stored.damage,
        }
    }
}
