//! Whether every line came out once, and in its caller's order.

use crate::demo::feed::Line;
use crate::demo::fleet::Reports;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many wrong lines a report names.
const NAMED: usize = 10;

#[derive(Serialize)]
pub(crate) struct Verdict {
    commands: usize,
    lost: usize,
    duplicated: usize,
    reordered: usize,
    kills: usize,
    failover_ms: Vec<u64>,
    commands_per_second: u64,
    members: Vec<Member>,
    #[serde(skip)]
    wrong: Vec<String>,
}

#[derive(Serialize)]
struct Member {
    address: String,
    role: String,
    term: u64,
    commit: u64,
}

impl Verdict {
    pub(crate) fn new(
        put: &[Line],
        taken: &[String],
        failovers: &[Duration],
        took: Duration,
        members: Reports,
    ) -> Verdict {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for line in taken {
            *times.entry(line).or_default() += 1;
        }
        let wanted: BTreeSet<String> = put.iter().map(Line::tagged).collect();
        let lost: Vec<&String> = wanted.iter().filter(|line| !times.contains_key(line.as_str())).collect();
        let repeated: Vec<&str> = times.iter().filter(|(_, times)| **times > 1).map(|(line, _)| *line).collect();
        let strange: Vec<&str> = times.keys().copied().filter(|line| !wanted.contains(*line)).collect();
        let reordered = out_of_order(taken);
        let named = |what: &str, lines: Vec<&str>| {
            lines.into_iter().take(NAMED).map(|line| format!("{what}: {line}")).collect::<Vec<_>>()
        };
        let wrong = [
            named("lost", lost.iter().map(|line| line.as_str()).collect()),
            named("duplicated", repeated.clone()),
            named("never put in", strange.clone()),
            named("out of order", reordered.iter().map(String::as_str).collect()),
        ];
        Verdict {
            commands: put.len(),
            lost: lost.len(),
            // A line that nobody put in came from nowhere: as bad as one that came twice.
            duplicated: repeated.len() + strange.len(),
            reordered: reordered.len(),
            kills: failovers.len(),
            failover_ms: failovers.iter().map(|took| took.as_millis() as u64).collect(),
            commands_per_second: (put.len() as f64 / took.as_secs_f64()) as u64,
            members: members.into_iter().flatten().map(Member::from).collect(),
            wrong: wrong.concat(),
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered == 0
    }

    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    pub(crate) fn report(&self) -> String {
        let mut report = format!(
            "{} commands, {} lost, {} duplicated, {} reordered; {} kills, failover {:?} ms; {} commands/s while there was a leader",
            self.commands,
            self.lost,
            self.duplicated,
            self.reordered,
            self.kills,
            self.failover_ms,
            self.commands_per_second,
        );
        for line in &self.wrong {
            report.push_str("\n  ");
            report.push_str(line);
        }
        let outcome = match self.is_clean() {
            true => "\nEvery line is there exactly once, in its caller's order.",
            false => "\nThis must not happen.",
        };
        report.push_str(outcome);
        report
    }
}

/// Lines that came out before an earlier one of the same caller.
fn out_of_order(taken: &[String]) -> Vec<String> {
    let mut next: BTreeMap<u16, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in taken.iter().filter_map(|tagged| Line::parse(tagged)) {
        let expected = next.entry(line.caller).or_default();
        if line.number < *expected {
            wrong.push(line.tagged());
        }
        *expected = (*expected).max(line.number + 1);
    }
    wrong
}

impl From<rafted_value::StatusReport> for Member {
    fn from(report: rafted_value::StatusReport) -> Member {
        let me = report.members.iter().find(|member| member.id == report.member);
        Member {
            address: me.map(|me| me.contact.address.clone()).unwrap_or_default(),
            role: report.role,
            term: report.term.0,
            commit: report.commit.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(caller: u16, number: usize) -> Line {
        Line { caller, number, text: "a:b".to_owned() }
    }

    fn judge(taken: &[Line]) -> Verdict {
        let put = [line(0, 0), line(0, 1), line(1, 0)];
        let taken: Vec<String> = taken.iter().map(Line::tagged).collect();
        Verdict::new(&put, &taken, &[], Duration::from_secs(1), Vec::new())
    }

    #[test]
    fn every_line_once_and_in_order_is_clean() {
        assert!(judge(&[line(1, 0), line(0, 0), line(0, 1)]).is_clean());
    }

    #[test]
    fn a_lost_a_repeated_a_strange_and_a_reordered_line_are_each_found() {
        assert_eq!(judge(&[line(0, 0), line(1, 0)]).lost, 1);
        assert_eq!(judge(&[line(0, 0), line(0, 1), line(1, 0), line(1, 0)]).duplicated, 1);
        assert_eq!(judge(&[line(0, 0), line(0, 1), line(1, 0), line(9, 9)]).duplicated, 1);
        assert_eq!(judge(&[line(0, 1), line(0, 0), line(1, 0)]).reordered, 1);
    }
}
