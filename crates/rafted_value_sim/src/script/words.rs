//! Reads the words of commands.

use crate::clients::{Ask, CallId};
use crate::cluster::Cluster;
use crate::name::{Name, Node};
use rafted_value::simulation;
use rafted_value_core::{Config, MemberId};
use std::time::Duration;

/// What is wrong with a command, or with the cluster.
pub(super) type Said<T> = Result<T, String>;

/// A node, by its letter.
pub(super) fn node(word: &str) -> Said<Node> {
    let mut letters = word.chars();
    match (letters.next().and_then(Node::of_letter), letters.next()) {
        (Some(node), None) => Ok(node),
        _ => Err(format!("{word} is not a letter from A to Z")),
    }
}

/// A member: `B` is the latest life of B, `B1` the first, `B2` the second.
pub(super) fn member(cluster: &Cluster, word: &str) -> Said<MemberId> {
    let split = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    let (letter, life) = word.split_at(split);
    let node = node(letter)?;
    if life.is_empty() {
        let latest = cluster.latest().find(|member| crate::name::node_of(member.id) == node);
        return Ok(latest.map_or(node.member(1), |member| member.id));
    }
    Ok(node.member(number(life)? as u32))
}

/// A call of a client: `c1.5`.
pub(super) fn call(word: &str) -> Said<CallId> {
    let parts = word.strip_prefix('c').and_then(|rest| rest.split_once('.'));
    let parsed = parts.and_then(|(client, number)| Some(CallId(client.parse().ok()?, number.parse().ok()?)));
    parsed.ok_or_else(|| format!("{word} is not a call, such as c1.5"))
}

/// What a client asks for: `register`, `put 1 17`, `replace 1 none 17`, `replace 1 17 18`, `get 1`, `peek 1`.
pub(super) fn ask(words: &[&str]) -> Said<Ask> {
    let register = |word: &str| Ok::<u8, String>(number(word)? as u8);
    match *words {
        ["register"] => Ok(Ask::Register),
        ["put", at, item] => Ok(Ask::Put(register(at)?, number(item)?)),
        ["replace", at, "none", item] => Ok(Ask::Replace(register(at)?, None, number(item)?)),
        ["replace", at, old, item] => Ok(Ask::Replace(register(at)?, Some(number(old)?), number(item)?)),
        ["get", at] => Ok(Ask::Get(register(at)?)),
        ["peek", at] => Ok(Ask::Peek(register(at)?)),
        _ => Err(format!("nobody can be asked to {}", words.join(" "))),
    }
}

/// A number.
pub(super) fn number(word: &str) -> Said<u64> {
    word.parse().map_err(|_| format!("{word} is not a number"))
}

/// A duration: `200ms`, `3s`, or `17ns`.
pub(super) fn duration(word: &str) -> Said<Duration> {
    let wrong = || format!("{word} is not a duration");
    if let Some(nanos) = word.strip_suffix("ns") {
        return nanos.parse().map(Duration::from_nanos).map_err(|_| wrong());
    }
    if let Some(millis) = word.strip_suffix("ms") {
        return millis.parse().map(Duration::from_millis).map_err(|_| wrong());
    }
    let seconds = word.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// The two ends of a link: `A->B`.
pub(super) fn link(word: &str) -> Option<Said<(Node, Node)>> {
    let (from, to) = word.split_once("->")?;
    Some(node(from).and_then(|from| Ok((from, node(to)?))))
}

/// The word after `key`, if there is one.
pub(super) fn after<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == key)?;
    words.get(at + 1).copied()
}

/// Changes settings as `key=value` words say.
pub(super) fn settings(mut config: Config, words: &[&str]) -> Said<Config> {
    for word in words {
        let Some((key, value)) = word.split_once('=') else { continue };
        match key {
            "heartbeat" => config.heartbeat_interval = duration(value)?,
            "election" => config.election_timeout = duration(value)?,
            "margin" => config.clock_drift_margin = duration(value)?,
            "retained" => config.max_retained_committed_logs = number(value)?,
            "retained_bytes" => config.max_retained_bytes = number(value)?,
            "uncommitted" => config.max_uncommitted_bytes = number(value)?,
            "append" => config.max_append_bytes = number(value)?,
            "inflight" => config.max_inflight_messages = number(value)? as u32,
            "inflight_bytes" => config.max_inflight_bytes = number(value)?,
            "learner" => config.learner_timeout = duration(value)?,
            "sessions" => {
                let mut ours = simulation::from_core(&config)?;
                ours.max_sessions = number(value)? as u32;
                config.extra = simulation::to_core(&ours).extra;
            }
            _ => return Err(format!("{key} is not a setting")),
        }
    }
    Ok(config)
}

/// Names of members, in a row.
pub(super) fn names(ids: impl IntoIterator<Item = MemberId>) -> String {
    ids.into_iter().map(|id| Name(id).to_string()).collect::<Vec<_>>().join(" ")
}
