//! Makes a run that went wrong as short as it can be, and tells it as a scenario that goes wrong in the same way.
//!
//! A run is a list of commands, and each of them may be left out: what is then impossible is passed over. First whole
//! kinds of commands go, then nodes, then halves, quarters, eighths and so on of what is left (Zeller's delta
//! debugging, 2002), until nothing more can go.

use super::Failure;
use crate::cluster::Cluster;
use crate::script::{Told, command_of, founding_of, plays};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many commands are played at most before what is found so far must do.
const EFFORT: usize = 3_000_000;

/// A run as short as it could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The scenario.
    pub text: String,
    /// How many commands it has.
    pub commands: usize,
    /// How many there were at first.
    pub of: usize,
}

/// Shrinks a run; nothing if its commands alone do not lead to the same failure, which would be a fault of this crate.
pub fn shrink(failure: &Failure) -> Option<Shrunk> {
    let mut attempt = Attempt { lines: transcript(failure), property: property_of(&failure.what), effort: 0 };
    let of = attempt.lines.len();
    let told = plays(&attempt.lines);
    if !attempt.fails(&told) {
        return None;
    }
    attempt.lines.truncate(told.played);
    attempt.drop_kinds();
    attempt.drop_nodes();
    attempt.drop_chunks();
    attempt.drop_impossible();
    let what = plays(&attempt.lines).broken.unwrap_or_default();
    Some(Shrunk { text: scenario(failure.seed, &what, &attempt.lines), commands: attempt.lines.len(), of })
}

/// The property in `BROKEN property: how`.
pub fn property_of(what: &str) -> String {
    what.split(':').next().unwrap_or_default().to_owned()
}

/// Every action of the run as a command, the first founds the cluster, the last lets it heal.
fn transcript(failure: &Failure) -> Vec<String> {
    let founding = &failure.swarm.founding;
    let mut lines = vec![founding_of(founding)];
    lines.extend(failure.watch.never.map(|text| format!("never {text}")));
    let Ok(mut cluster) = Cluster::found(founding) else { return lines };
    for action in &failure.actions {
        lines.extend(command_of(action, &cluster));
        match catch_unwind(AssertUnwindSafe(|| cluster.perform(action.clone()))) {
            Ok(Ok(_)) => {}
            _ => return lines,
        }
    }
    lines.push("heal-everything".to_owned());
    lines
}

fn scenario(seed: u64, what: &str, lines: &[String]) -> String {
    let commands: String = lines.iter().map(|line| format!("> {line}\n")).collect();
    format!("# Seed {seed}, shrunk. {what}\n\n{commands}")
}

struct Attempt {
    lines: Vec<String>,
    property: String,
    effort: usize,
}

impl Attempt {
    fn fails(&self, told: &Told) -> bool {
        told.broken.as_ref().is_some_and(|what| property_of(what) == self.property)
    }

    /// Takes `lines` instead if they still lead to the same failure.
    fn try_instead(&mut self, lines: Vec<String>) -> bool {
        if self.effort > EFFORT || lines.len() >= self.lines.len() {
            return false;
        }
        let told = plays(&lines);
        self.effort += told.played;
        let fails = self.fails(&told);
        if fails {
            self.lines = lines;
            self.lines.truncate(told.played);
        }
        fails
    }

    fn without(&self, goes: impl Fn(&str) -> bool) -> Vec<String> {
        let keeps = |(at, line): &(usize, &String)| *at == 0 || !goes(line);
        self.lines.iter().enumerate().filter(keeps).map(|(_, line)| line.clone()).collect()
    }

    fn drop_kinds(&mut self) {
        let verb = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let mut verbs: Vec<String> = self.lines.iter().skip(1).map(|line| verb(line)).collect();
        verbs.sort();
        verbs.dedup();
        for kind in verbs {
            let lines = self.without(|line| verb(line) == kind);
            self.try_instead(lines);
        }
    }

    fn drop_nodes(&mut self) {
        for node in 'A'..='Z' {
            let about = |word: &str| word.split("->").any(|part| part.starts_with(node));
            let mut lines = self.without(|line| line.split(' ').skip(1).any(about));
            if let Some(first) = lines.first_mut() {
                let rest: Vec<&str> = first.split(' ').filter(|word| *word != node.to_string()).collect();
                *first = rest.join(" ");
            }
            let founded = lines.first().is_some_and(|first| first.split(' ').any(|word| word.len() == 1));
            if founded {
                self.try_instead(lines);
            }
        }
    }

    fn drop_chunks(&mut self) {
        let mut size = self.lines.len() / 2;
        while size > 0 {
            let before = self.lines.len();
            // From the end: what comes late is seldom needed, and cheap to do without.
            let mut end = self.lines.len();
            while end > 1 {
                let start = end.saturating_sub(size).max(1);
                let mut lines = self.lines.clone();
                lines.drain(start..end.min(lines.len()));
                self.try_instead(lines);
                end = start.min(self.lines.len());
            }
            if size == 1 && self.lines.len() < before && self.effort < EFFORT {
                continue;
            }
            size /= 2;
        }
    }

    fn drop_impossible(&mut self) {
        let told = plays(&self.lines);
        let last = told.played - 1;
        let mut possible = told.possible.iter().enumerate().map(|(at, possible)| *possible || at == last);
        self.lines.truncate(told.played);
        self.lines.retain(|_| possible.next().unwrap_or(false));
    }
}
