//! Expectations: the point of a scenario, which no rewriting of recorded output can hide.

use super::show::terms;
use super::stage::Stage;
use super::words::{Said, after, duration, link, member, names, number};
use crate::history::{Fate, Outcome};
use crate::name::Name;
use crate::portrait::Portrait;
use crate::tale::members;
use rafted_value_core::LogIndex;

/// `expect ..`
pub(super) fn expect(stage: &Stage, words: &[&str]) -> Said<()> {
    let Some((what, rest)) = words.split_first() else { return Err("expect what?".to_owned()) };
    match *what {
        "leader" => leader(stage, rest),
        "no" => none(stage, rest),
        "done" | "unknown" | "refused" | "open" => fate(stage, what, rest),
        "read" => read(stage, rest),
        "said" | "unsaid" => said(stage, *what == "said", &rest.join(" ")),
        "times" => times(stage, rest),
        "flying" => flying(stage, rest),
        "same" => same(stage),
        "linearizable" => crate::linearizable::check_all(stage.cluster.clients(), &stage.cluster.seen.ran).map(drop),
        "value" => {
            let member =
                stage.cluster.members().get(&member(&stage.cluster, nth(rest, 0)?)?).ok_or("no such member")?;
            equal(&member.notes().join(" "), &right_side(rest)?)
        }
        _ => about(stage, what, rest),
    }
}

/// What one member is.
fn about(stage: &Stage, what: &str, words: &[&str]) -> Said<()> {
    let portrait = portrait(stage, nth(words, 0)?)?;
    match what {
        "log" => equal(&terms(portrait), &right_side(words)?),
        "members" => equal(&members(&portrait.membership), &right_side(words)?),
        "commit" => equal(&portrait.commit, &LogIndex(number(nth(words, 1)?)?)),
        "durable" => equal(&portrait.durable.log.last().index, &LogIndex(number(nth(words, 1)?)?)),
        "base" => equal(&portrait.base, &LogIndex(number(nth(words, 1)?)?)),
        "term" => equal(&portrait.term().0, &number(nth(words, 1)?)?),
        "vote" => {
            let vote = portrait.hard_state.voted_for().map_or("none".to_owned(), |id| Name(id).to_string());
            equal(&vote.as_str(), &nth(words, 1)?)
        }
        "role" => equal(&format!("{:?}", portrait.role).as_str(), &nth(words, 1)?),
        "match" => {
            let of = member(&stage.cluster, nth(words, 1)?)?;
            let matched = portrait.matched.iter().find(|(id, _)| *id == of).map(|(_, matched)| *matched);
            equal(&matched, &Some(LogIndex(number(nth(words, 2)?)?)))
        }
        "lease" => {
            let until = portrait.lease.ok_or("it has no lease")?;
            let left = until.saturating_sub(stage.cluster.now());
            after(words, "for").map_or(Ok(()), |word| equal(&left, &duration(word)?))
        }
        "halted" => {
            let raft = stage.cluster.members().get(&portrait.id).and_then(|member| member.raft.as_ref());
            require(raft.is_some_and(|raft| raft.is_halted()), || "it did not halt".to_owned())
        }
        _ => Err(format!("no such expectation: {what}")),
    }
}

/// `expect leader A [term 3]`: nobody leads a later term.
fn leader(stage: &Stage, words: &[&str]) -> Said<()> {
    let expected = member(&stage.cluster, nth(words, 0)?)?;
    let Some(leader) = stage.leader() else { return Err("nobody leads".to_owned()) };
    require(leader == expected, || format!("{} leads", Name(leader)))?;
    let term = stage.cluster.portraits()[&leader].term().0;
    after(words, "term").map_or(Ok(()), |word| equal(&term, &number(word)?))
}

/// `expect no leader [among A B]`, `expect no lease A`
fn none(stage: &Stage, words: &[&str]) -> Said<()> {
    if words.first() == Some(&"lease") {
        let portrait = portrait(stage, nth(words, 1)?)?;
        let lease = portrait.lease.filter(|until| *until > stage.cluster.now());
        return require(lease.is_none(), || "it has a lease".to_owned());
    }
    let among = words.iter().position(|word| *word == "among").map(|at| &words[at + 1..]);
    let asked = |id| among.is_none_or(|among| among.iter().any(|word| *word == Name(id).to_string()));
    let leaders = stage.cluster.portraits().values().filter(|portrait| portrait.leads() && asked(portrait.id));
    let leaders: Vec<_> = leaders.map(|portrait| portrait.id).collect();
    require(leaders.is_empty(), || format!("{} leads", names(leaders.clone())))
}

/// `expect done x y`, `expect unknown x`, `expect open x`, `expect refused x [: why]`
fn fate(stage: &Stage, what: &str, words: &[&str]) -> Said<()> {
    let text = words.join(" ");
    let (labels, why) = text.split_once(": ").unwrap_or((&text, ""));
    // A label may be several words ("add D"), or several labels may be listed.
    let whole = stage.cluster.history().fate(labels).is_some();
    let labels: Vec<&str> = if whole { vec![labels] } else { labels.split(' ').collect() };
    for label in labels {
        let fate = stage.cluster.history().fate(label).ok_or_else(|| format!("nobody asked for {label}"))?;
        let fits = match what {
            "done" => matches!(fate, Fate::Done(_) | Fate::HandedOver(_)),
            "unknown" => matches!(fate, Fate::Unknown),
            "open" => matches!(fate, Fate::Asked | Fate::Appended(_)),
            _ => matches!(fate, Fate::Refused(_)) && fate.to_string().contains(why),
        };
        require(fits, || format!("{label}: {fate}"))?;
    }
    Ok(())
}

/// `expect read r = x y`, `expect read r waits`, `expect read r refused [why]`
fn read(stage: &Stage, words: &[&str]) -> Said<()> {
    let label = nth(words, 0)?;
    let read = stage.cluster.history().read(label).ok_or_else(|| format!("nobody read {label}"))?;
    let fits = match (nth(words, 1)?, &read.outcome) {
        ("=", Outcome::Served(_, commands)) => commands.join(" ") == words[2..].join(" "),
        ("waits", Outcome::Waiting | Outcome::Confirmed(_)) => true,
        ("refused", Outcome::Refused(_)) => read.outcome.to_string().contains(&words[2..].join(" ")),
        _ => false,
    };
    require(fits, || format!("{label}: {}", read.outcome))
}

/// `expect said ..`, `expect unsaid ..`: since the last `mark`
fn said(stage: &Stage, expected: bool, text: &str) -> Said<()> {
    let found = stage.told.iter().any(|line| line.contains(text));
    require(found == expected, || if expected { "nobody said so".to_owned() } else { "somebody said so".to_owned() })
}

/// `expect times 2 ..`: how often it was said since the last `mark`
fn times(stage: &Stage, words: &[&str]) -> Said<()> {
    let text = words[1..].join(" ");
    let count = stage.told.iter().filter(|line| line.contains(&text)).count() as u64;
    equal(&count, &number(nth(words, 0)?)?)
}

/// `expect flying 3 A->B [words of their description]`
fn flying(stage: &Stage, words: &[&str]) -> Said<()> {
    let ends = link(nth(words, 1)?).ok_or("name a link: A->B")??;
    let found = stage.packets_on(ends, &words[2..].join(" "));
    equal(&(found.len() as u64), &number(nth(words, 0)?)?)
}

/// `expect same logs`: everybody that runs has the same log, commit index and value.
fn same(stage: &Stage) -> Said<()> {
    let running = || stage.cluster.latest().filter(|member| member.raft.is_some());
    let summary = |id| {
        let portrait = &stage.cluster.portraits()[&id];
        (portrait.log.last(), portrait.log.hash_at(portrait.log.last().index), portrait.commit)
    };
    let Some(first) = running().next() else { return Err("nobody runs".to_owned()) };
    let other = running().find(|member| summary(member.id) != summary(first.id) || member.machine != first.machine);
    require(other.is_none(), || {
        let other = other.map(|member| Name(member.id).to_string()).unwrap_or_default();
        format!("{other} differs from {}", Name(first.id))
    })
}

fn portrait<'a>(stage: &'a Stage, word: &str) -> Said<&'a Portrait> {
    let id = member(&stage.cluster, word)?;
    stage.cluster.portraits().get(&id).map(|portrait| &**portrait).ok_or_else(|| format!("{word} never was"))
}

fn right_side(words: &[&str]) -> Said<String> {
    let at = words.iter().position(|word| *word == "=").ok_or("an = is missing")?;
    Ok(words[at + 1..].join(" "))
}

fn nth<'a>(words: &[&'a str], at: usize) -> Said<&'a str> {
    words.get(at).copied().ok_or_else(|| "a word is missing".to_owned())
}

fn equal<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Said<()> {
    require(found == expected, || format!("it is {found:?}, not {expected:?}"))
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Said<()> {
    if holds { Ok(()) } else { Err(what()) }
}
