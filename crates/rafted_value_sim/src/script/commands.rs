//! Commands that change something.

use super::stage::{Stage, describe};
use super::words::{Said, after, ask, call, duration, link, member, node, number, settings};
use super::{expect, show};
use crate::action::Action;
use crate::clock::RIGHT;
use crate::cluster::{Cluster, Founding};
use crate::disk::Durability;
use crate::heal;
use crate::name::Node;
use crate::network::PacketNo;
use crate::value::note;
use bytes::Bytes;
use rafted_value_core::{
    Change, Config, Entry, EntryId, HardState, MemberId, Payload, Promotion, Proposal, RoleKind, Term,
};
use std::time::Duration;

/// Longer than any promise of a voter lasts with the settings of most scenarios.
const LONG_SILENCE: Duration = Duration::from_secs(3);

/// Above the numbers of notes in logs that are made up.
const FIRST_NOTE: u64 = 8000;

type Lines = Vec<String>;

/// Performs one command and adds what is worth recording to `lines`.
pub(super) fn perform(stage: &mut Stage, command: &str, lines: &mut Lines) -> Said<()> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let Some((verb, rest)) = words.split_first() else { return Ok(()) };
    match *verb {
        "cluster" | "bootstrap" => found(stage, verb, rest),
        "log" => make_up_log(stage, rest),
        "elect" | "fire" | "beat" | "pass" | "wait" | "settle" | "clock" => time(stage, verb, rest, lines),
        "propose" | "read" | "transfer" | "configure" | "add" | "remove" | "voters" | "recover" => {
            wish(stage, verb, rest, lines)
        }
        "cut" | "mend" | "isolate" | "rejoin" | "heal" => links(stage, verb, rest, lines),
        "hold" | "release" => hold(stage, *verb == "hold", rest),
        "deliver" | "drop" | "duplicate" | "misroute" => packets(stage, verb, rest, lines),
        "save" | "persist" | "flush" | "fail" | "crash" | "restart" | "start" | "quiesce" | "wake" => {
            process(stage, verb, rest, lines)
        }
        "call" | "again" | "forget" => client(stage, verb, rest, lines),
        "heal-everything" => heal::heal(&mut stage.cluster).map(drop),
        "never" => {
            stage.never.push(rest.join(" "));
            Ok(())
        }
        "mark" => {
            stage.told.clear();
            Ok(())
        }
        "logs" | "show" | "packets" | "values" => show::show(stage, verb, rest, lines),
        "expect" => expect::expect(stage, rest),
        _ => Err(format!("no such command: {verb}")),
    }
}

/// `cluster A B C [durable] [begun] [key=value ..]`, `bootstrap A [durable] [key=value ..]`
fn found(stage: &mut Stage, verb: &str, words: &[&str]) -> Said<()> {
    let letters = words.iter().filter(|word| word.len() == 1);
    let members: Vec<MemberId> = letters.map(|word| Ok(node(word)?.member(1))).collect::<Said<_>>()?;
    let durability = if words.contains(&"durable") { Durability::Durable } else { Durability::Memory };
    let begun = words.contains(&"begun");
    let founding = Founding { members, config: settings(Config::default(), words)?, durability, begun };
    let cluster = match (verb, founding.members.first()) {
        ("bootstrap", Some(first)) => Cluster::bootstrap(*first, &founding),
        _ => Cluster::found(&founding),
    };
    *stage = Stage { cluster: cluster.map_err(|broken| broken.to_string())?, ..Stage::default() };
    stage.cluster.conform();
    stage.founding = Some(founding);
    Ok(())
}

/// `log A 1 1 2 [term 3] [vote B]`: a history that is made up, before anything happened.
fn make_up_log(stage: &mut Stage, words: &[&str]) -> Said<()> {
    let Some(founding) = stage.founding.clone() else { return Err("no cluster yet".to_owned()) };
    let id = member(&stage.cluster, first(words)?)?;
    let terms: Vec<u64> = words[1..].iter().map_while(|word| word.parse().ok()).collect();
    let entry = |(index, term): (usize, &u64)| Entry {
        id: EntryId::new(*term, index as u64 + 1),
        payload: Payload::Commands(note(&format!("t{term}i{}", index + 1), 0, term * 100 + index as u64)),
    };
    let entries: Vec<Entry> = terms.iter().enumerate().map(entry).collect();
    let term = after(words, "term").map(number).transpose()?;
    let vote = after(words, "vote").map(|word| member(&stage.cluster, word)).transpose()?;
    let hard_state = HardState::new(Term(term.or(terms.last().copied()).unwrap_or(0)), vote);
    stage.cluster.place(id, &founding, hard_state, entries).map_err(|broken| broken.to_string())
}

/// `elect A`, `fire A`, `beat A` (fire, then settle), `pass 1s`, `wait 1s`, `settle`, `clock A 105%`
fn time(stage: &mut Stage, verb: &str, words: &[&str], lines: &mut Lines) -> Said<()> {
    match verb {
        "settle" => return stage.settle(lines),
        "pass" => return stage.act(Action::Pass(duration(first(words)?)?), lines),
        "wait" => return stage.wait(duration(first(words)?)?, lines),
        _ => {}
    }
    let id = member(&stage.cluster, first(words)?)?;
    match verb {
        "clock" => {
            let rate = nth(words, 1)?;
            let rate = match (rate.strip_suffix('%'), rate.strip_suffix("ppm")) {
                (Some(percent), _) => number(percent)? as u32 * (RIGHT / 100),
                (_, Some(parts)) => number(parts)? as u32,
                _ => return Err("clock A 105%".to_owned()),
            };
            stage.act(Action::Drift(id, rate), lines)
        }
        "fire" => stage.act(Action::Fire(id), lines),
        "beat" => {
            stage.act(Action::Fire(id), lines)?;
            stage.settle(lines)
        }
        _ => {
            let mut election = Lines::new();
            stage.act(Action::Pass(LONG_SILENCE), &mut election)?;
            stage.act(Action::Fire(id), &mut election)?;
            stage.settle(&mut election)?;
            // How elections go is told by scenarios that fire timers; others only need a leader.
            lines.extend(election.into_iter().filter(|line| line.contains(" leads ") || line.contains("no longer")));
            let portrait = &stage.cluster.portraits()[&id];
            match portrait.role {
                RoleKind::Leader => Ok(()),
                role => Err(format!("{} was not elected: {role:?}", words[0])),
            }
        }
    }
}

/// `call c1.5 A put 1 17 [held]` (see [`words::ask`](super::words::ask)), `again c1.5 B`, `forget c1.5`
fn client(stage: &mut Stage, verb: &str, words: &[&str], lines: &mut Lines) -> Said<()> {
    let id = call(first(words)?)?;
    if verb == "forget" {
        return stage.act(Action::GiveUp(id), lines);
    }
    let at = member(&stage.cluster, nth(words, 1)?)?;
    if verb == "again" {
        return stage.act(Action::CallAgain { id, at }, lines);
    }
    let held = words.last() == Some(&"held");
    let ask = ask(&words[2..words.len() - usize::from(held)])?;
    stage.act(Action::Call { id, at, ask, held }, lines)
}

/// What clients and operators want: `propose A x y [size=100]`, `read A r`, `transfer A B`, `configure A key=value`,
/// `recover A without C D E`, and changes of membership (see [`change`]).
fn wish(stage: &mut Stage, verb: &str, words: &[&str], lines: &mut Lines) -> Said<()> {
    let word = first(words)?;
    if matches!(verb, "add" | "remove" | "voters") {
        return change(stage, verb, words, lines);
    }
    let at = member(&stage.cluster, word)?;
    match verb {
        "propose" => {
            let size = words.iter().find_map(|word| word.strip_prefix("size=")).map(number).transpose()?.unwrap_or(0);
            for name in words[1..].iter().filter(|word| !word.contains('=')) {
                stage.notes += 1;
                let proposal = Proposal::Commands(note(name, size as usize, FIRST_NOTE + stage.notes));
                stage.act(Action::Propose { at, label: (*name).to_owned(), proposal }, lines)?;
            }
            Ok(())
        }
        "configure" => {
            let config = stage.cluster.members()[&at].raft.as_ref().ok_or("it is down")?.config();
            let proposal = Proposal::Config(settings((**config).clone(), words)?);
            stage.act(Action::Propose { at, label: format!("configure {}", words[1..].join(" ")), proposal }, lines)
        }
        "recover" => {
            let lost = words.iter().skip_while(|word| **word != "without").skip(1);
            let lost = lost.map(|word| member(&stage.cluster, word)).collect::<Said<_>>()?;
            stage.act(Action::Recover { at, label: format!("recover {}", words.join(" ")), lost }, lines)
        }
        "read" => stage.act(Action::Read { at, label: nth(words, 1)?.to_owned() }, lines),
        _ => {
            let to = nth(words, 1)?;
            let label = format!("transfer to {to}");
            let to = if to == "none" { None } else { Some(member(&stage.cluster, to)?) };
            stage.act(Action::Transfer { at, label, to }, lines)
        }
    }
}

/// `add D [learner] [replacing C] [at A]`, `remove B [at A]`, `voters A B D [at A]`; `at` the leader unless said.
fn change(stage: &mut Stage, verb: &str, words: &[&str], lines: &mut Lines) -> Said<()> {
    let at = match after(words, "at") {
        Some(word) => member(&stage.cluster, word)?,
        None => stage.leader().ok_or("nobody leads")?,
    };
    let id = member(&stage.cluster, first(words)?)?;
    let said = words.split(|word| *word == "at").next().unwrap_or_default();
    let label = format!("{verb} {}", said.join(" "));
    let change = match verb {
        "add" => {
            if !stage.cluster.members().contains_key(&id) {
                stage.act(Action::Join(id), lines)?;
            }
            let promotion = match after(words, "replacing") {
                Some(old) => Promotion::Replacing(replaced(stage, old, id)?),
                None if words.contains(&"learner") => Promotion::Never,
                None => Promotion::WhenCaughtUp,
            };
            Change::AddLearner { id, contact: Bytes::new(), promotion }
        }
        "remove" => Change::Remove(id),
        _ => Change::SetVoters(said.iter().map(|word| member(&stage.cluster, word)).collect::<Said<_>>()?),
    };
    stage.act(Action::Propose { at, label, proposal: Proposal::Membership(change) }, lines)
}

/// `add B replacing B`: the life before this one.
fn replaced(stage: &Stage, word: &str, new: MemberId) -> Said<MemberId> {
    let old = member(&stage.cluster, word)?;
    if old != new {
        return Ok(old);
    }
    let life = crate::name::life_of(new);
    Ok(crate::name::node_of(new).member(life.checked_sub(1).ok_or("it had no life before this")?))
}

/// `cut A B`, `cut A->B`, `mend A B`, `mend A->B`, `isolate A`, `rejoin A`, `heal`
fn links(stage: &mut Stage, verb: &str, words: &[&str], lines: &mut Lines) -> Said<()> {
    if verb == "heal" {
        return stage.act(Action::Heal, lines);
    }
    let cuts = matches!(verb, "cut" | "isolate");
    for (from, to) in ends(words, &everybody(stage))? {
        let action = if cuts { Action::Cut(from, to) } else { Action::Mend(from, to) };
        stage.act(action, lines)?;
    }
    Ok(())
}

/// The directed links that words name: `A->B` one, `A B` all between A and B (or `A B C`: between A and each of the
/// others), `A` all of A.
fn ends(words: &[&str], everybody: &[Node]) -> Said<Vec<(Node, Node)>> {
    if let Some(one) = words.first().and_then(|word| link(word)) {
        return Ok(vec![one?]);
    }
    let one = node(first(words)?)?;
    let others: Vec<Node> = match &words[1..] {
        [] => everybody.iter().copied().filter(|other| *other != one).collect(),
        others => others.iter().map(|word| node(word)).collect::<Said<_>>()?,
    };
    Ok(others.into_iter().flat_map(|other| [(one, other), (other, one)]).collect())
}

fn everybody(stage: &Stage) -> Vec<Node> {
    let founders = stage.cluster.members().keys().map(|id| crate::name::node_of(*id).0).max().unwrap_or(0);
    // And those that may yet join.
    (0..=founders.max(6)).map(Node).collect()
}

/// `hold A->B`, `hold A B`, `hold A`, `hold writes A`; `release` likewise, or everything.
fn hold(stage: &mut Stage, holds: bool, words: &[&str]) -> Said<()> {
    if words.is_empty() {
        stage.calm.held_links.clear();
        stage.calm.held_disks.clear();
        return Ok(());
    }
    if let ["writes", letters @ ..] = words {
        for letter in letters {
            let node = node(letter)?;
            let _ = if holds { stage.calm.held_disks.insert(node) } else { stage.calm.held_disks.remove(&node) };
        }
        return Ok(());
    }
    for end in ends(words, &everybody(stage))? {
        let _ = if holds { stage.calm.held_links.insert(end) } else { stage.calm.held_links.remove(&end) };
    }
    Ok(())
}

/// Which of several packets.
enum Which {
    /// So many have been on the link for longer, and itself; from 1.
    Nth(usize),
    Last,
}

/// `deliver|drop|duplicate [first|last|2] A->B [words of its description]`, `misroute A->B to C`
fn packets(stage: &mut Stage, verb: &str, words: &[&str], lines: &mut Lines) -> Said<()> {
    let (which, words) = match words {
        ["first", rest @ ..] => (Some(Which::Nth(1)), rest),
        ["last", rest @ ..] => (Some(Which::Last), rest),
        [nth, rest @ ..] if nth.bytes().all(|byte| byte.is_ascii_digit()) => {
            (Some(Which::Nth(number(nth)? as usize)), rest)
        }
        rest => (None, rest),
    };
    let ends = words.first().and_then(|word| link(word)).ok_or("name a link: A->B")??;
    let astray = after(words, "to").filter(|_| verb == "misroute");
    let astray = astray.map(|word| member(&stage.cluster, word)).transpose()?;
    let filter = if astray.is_some() { String::new() } else { words[1..].join(" ") };
    let found = stage.packets_on(ends, &filter);
    let chosen: Vec<PacketNo> = match which {
        Some(Which::Nth(nth)) => found.into_iter().skip(nth.saturating_sub(1)).take(1).collect(),
        Some(Which::Last) => found.into_iter().rev().take(1).collect(),
        None => found,
    };
    if chosen.is_empty() {
        return Err(format!("nothing like that is on its way: {}", words.join(" ")));
    }
    for no in chosen {
        if let Some(packet) = stage.cluster.network().get(no) {
            lines.push(describe(packet));
        }
        let action = match (verb, astray) {
            ("deliver", _) => Action::Deliver(no),
            ("drop", _) => Action::Drop(no),
            ("misroute", Some(to)) => Action::Misroute(no, to),
            _ => Action::Duplicate(no),
        };
        stage.act(action, lines)?;
    }
    Ok(())
}

/// `save A` (its own value), `crash A after 2` (of its writes were synced), `persist A [all]` (its oldest write, or one
/// after the other), `flush A` (all as one), `fail A`, `crash A`, `restart A`, `start D` (a new member), `quiesce A`, `wake B`
fn process(stage: &mut Stage, verb: &str, words: &[&str], lines: &mut Lines) -> Said<()> {
    if verb == "persist" && words.contains(&"all") {
        let id = member(&stage.cluster, first(words)?)?;
        while stage.cluster.members()[&id].disk.is_busy() {
            stage.act(Action::Sync(id), lines)?;
        }
        return Ok(());
    }
    if let [word, "after", writes] = words {
        let id = member(&stage.cluster, word)?;
        return stage.act(Action::CrashAfter(id, number(writes)? as usize), lines);
    }
    for word in words {
        let id = member(&stage.cluster, word)?;
        let action = match verb {
            "save" => Action::Save(id),
            "persist" => Action::Sync(id),
            "flush" => Action::Flush(id),
            "fail" => Action::FailDisk(id),
            "crash" => Action::Crash(id),
            "quiesce" => Action::Quiesce(id),
            "wake" => Action::Wake(id),
            "restart" => Action::Restart(id),
            _ => Action::Join(id),
        };
        stage.act(action, lines)?;
    }
    Ok(())
}

fn first<'a>(words: &[&'a str]) -> Said<&'a str> {
    nth(words, 0)
}

fn nth<'a>(words: &[&'a str], at: usize) -> Said<&'a str> {
    words.get(at).copied().ok_or_else(|| "a word is missing".to_owned())
}
