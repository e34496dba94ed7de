//! Strings under keys. A string may expire, by the group's own time.

use super::{BuiltIn, Said, unknown};
use rafted_value::{Context, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Strings under keys.
///
/// What has expired goes with the next command, whatever that is, so that it is gone on every member alike: the only
/// time that members share is that of commands. The leader's process says [`Command::Expire`] for that once in a while.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kv {
    entries: BTreeMap<String, Entry>,
    /// When which key goes, in the order in which they go.
    ends: BTreeSet<(Duration, String)>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    value: String,
    /// On the clock of [`Context::time`].
    ends: Option<Duration>,
}

/// What changes the value.
#[derive(Serialize, Deserialize)]
pub(crate) enum Command {
    Put {
        key: String,
        value: String,
        ttl: Option<Duration>,
    },
    /// A put, if there is what is expected; nothing stands for a key that is absent.
    CompareAndSwap {
        key: String,
        expected: Option<String>,
        value: String,
        ttl: Option<Duration>,
    },
    Delete {
        key: String,
    },
    /// Nothing but the passing of time.
    Expire,
}

/// What it says to that.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// What was there before.
    Before(Option<String>),
    Swapped,
    /// Nothing was changed, as this was there.
    NotSwapped(Option<String>),
    Expired,
}

/// What reads it.
#[derive(Serialize, Deserialize)]
pub(crate) enum Query {
    Get { key: String },
    List { prefix: String },
}

/// What it says to that.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Value(Option<String>),
    Pairs(Vec<(String, String)>),
}

impl Value for Kv {
    const NAME: &'static str = "kv";
    type Command = Command;
    type Reply = Reply;
    type Query = Query;
    type Answer = Answer;

    fn new() -> Kv {
        Kv::default()
    }

    fn command(&mut self, command: Command, context: &Context) -> Reply {
        let now = context.time();
        self.expire(now);
        match command {
            Command::Put { key, value, ttl } => Reply::Before(self.put(key, value, ttl, now)),
            Command::CompareAndSwap { key, expected, value, ttl } => {
                let found = self.entries.get(&key).map(|entry| entry.value.clone());
                if found != expected {
                    return Reply::NotSwapped(found);
                }
                self.put(key, value, ttl, now);
                Reply::Swapped
            }
            Command::Delete { key } => Reply::Before(self.remove(&key)),
            Command::Expire => Reply::Expired,
        }
    }

    fn query(&self, query: Query) -> Answer {
        match query {
            Query::Get { key } => Answer::Value(self.entries.get(&key).map(|entry| entry.value.clone())),
            Query::List { prefix } => {
                let from = self.entries.range(prefix.clone()..);
                let within = from.take_while(|(key, _)| key.starts_with(&prefix));
                Answer::Pairs(within.map(|(key, entry)| (key.clone(), entry.value.clone())).collect())
            }
        }
    }
}

impl Kv {
    fn put(&mut self, key: String, value: String, ttl: Option<Duration>, now: Duration) -> Option<String> {
        let before = self.remove(&key);
        let ends = ttl.map(|ttl| now.saturating_add(ttl));
        self.ends.extend(ends.map(|ends| (ends, key.clone())));
        self.entries.insert(key, Entry { value, ends });
        before
    }

    fn remove(&mut self, key: &str) -> Option<String> {
        let Entry { value, ends } = self.entries.remove(key)?;
        if let Some(ends) = ends {
            self.ends.remove(&(ends, key.to_owned()));
        }
        Some(value)
    }

    fn expire(&mut self, now: Duration) {
        while self.ends.first().is_some_and(|(ends, _)| *ends <= now) {
            if let Some((_, key)) = self.ends.pop_first() {
                self.entries.remove(&key);
            }
        }
    }
}

impl BuiltIn for Kv {
    const COMMANDS: &'static [&'static str] = &[
        "put KEY VALUE [--ttl TIME]",
        "compare-and-swap KEY EXPECTED VALUE [--ttl TIME]",
        "put-if-absent KEY VALUE [--ttl TIME]",
        "delete KEY",
    ];
    const QUERIES: &'static [&'static str] = &["get KEY", "list [PREFIX]"];

    fn parse_command(words: &[&str]) -> Result<Command, String> {
        let (words, ttl) = match words {
            [words @ .., "--ttl", time] => (words, Some(parse_time(time)?)),
            words => (words, None),
        };
        let own = |word: &str| word.to_owned();
        match (words, ttl) {
            (["put", key, value], ttl) => Ok(Command::Put { key: own(key), value: own(value), ttl }),
            (["put-if-absent", key, value], ttl) => {
                Ok(Command::CompareAndSwap { key: own(key), expected: None, value: own(value), ttl })
            }
            (["compare-and-swap", key, expected, value], ttl) => {
                Ok(Command::CompareAndSwap { key: own(key), expected: Some(own(expected)), value: own(value), ttl })
            }
            (["delete", key], None) => Ok(Command::Delete { key: own(key) }),
            _ => unknown(words),
        }
    }

    fn parse_query(words: &[&str]) -> Result<Query, String> {
        match words {
            ["get", key] => Ok(Query::Get { key: (*key).to_owned() }),
            ["list"] => Ok(Query::List { prefix: String::new() }),
            ["list", prefix] => Ok(Query::List { prefix: (*prefix).to_owned() }),
            _ => unknown(words),
        }
    }

    fn say_reply(reply: &Reply) -> Said {
        match reply {
            Reply::Before(before) => Said::maybe(before.as_deref(), "(absent)"),
            Reply::Swapped => Said::new("swapped", serde_json::json!({ "swapped": true })),
            Reply::NotSwapped(found) => {
                let text = match found {
                    Some(found) => format!("not swapped: the value is {found:?}"),
                    None => "not swapped: the key is absent".to_owned(),
                };
                Said::new(text, serde_json::json!({ "swapped": false, "found": found }))
            }
            Reply::Expired => Said::new("expired", serde_json::Value::Null),
        }
    }

    fn say_answer(answer: &Answer) -> Said {
        match answer {
            Answer::Value(value) => Said::maybe(value.as_deref(), "(absent)"),
            Answer::Pairs(pairs) => {
                let lines: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}\t{value}")).collect();
                let map: BTreeMap<&str, &str> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
                Said::new(lines.join("\n"), serde_json::json!(map))
            }
        }
    }

    /// Time passes with commands only: without this one, a key would outlive its time in a quiet group.
    fn chore(&self) -> Option<Command> {
        (!self.ends.is_empty()).then_some(Command::Expire)
    }
}

fn parse_time(time: &str) -> Result<Duration, String> {
    humantime::parse_duration(time).map_err(|error| format!("{time:?} is no time like 10s or 5m: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Context {
        Context::default().with_time(Duration::from_secs(seconds))
    }

    fn say(kv: &mut Kv, context: Context, words: &str) -> Said {
        let words: Vec<&str> = words.split(' ').collect();
        let command = Kv::parse_command(&words).expect("a command");
        Kv::say_reply(&kv.command(command, &context))
    }

    fn get(kv: &Kv, key: &str) -> Option<String> {
        match kv.query(Query::Get { key: key.to_owned() }) {
            Answer::Value(value) => value,
            Answer::Pairs(_) => None,
        }
    }

    #[test]
    fn puts_gets_and_deletes() {
        let mut kv = Kv::new();
        assert_eq!(say(&mut kv, at(0), "put a 1").text, "(absent)");
        assert_eq!(say(&mut kv, at(0), "put a 2").text, "1");
        assert_eq!(get(&kv, "a").as_deref(), Some("2"));
        assert_eq!(say(&mut kv, at(0), "delete a").text, "2");
        assert_eq!(say(&mut kv, at(0), "delete a").text, "(absent)");
        assert_eq!(get(&kv, "a"), None);
    }

    #[test]
    fn swaps_only_what_is_expected() {
        let mut kv = Kv::new();
        assert_eq!(say(&mut kv, at(0), "compare-and-swap a 1 2").text, "not swapped: the key is absent");
        assert_eq!(say(&mut kv, at(0), "put-if-absent a 1").text, "swapped");
        assert_eq!(say(&mut kv, at(0), "put-if-absent a 2").text, "not swapped: the value is \"1\"");
        assert_eq!(say(&mut kv, at(0), "compare-and-swap a 1 2").text, "swapped");
        assert_eq!(get(&kv, "a").as_deref(), Some("2"));
    }

    #[test]
    fn lists_a_prefix_in_order() {
        let mut kv = Kv::new();
        for key in ["b/2", "a", "b/1", "c", "b"] {
            say(&mut kv, at(0), &format!("put {key} {key}"));
        }
        let list = |prefix: &str| Kv::say_answer(&kv.query(Query::List { prefix: prefix.to_owned() })).text;
        assert_eq!(list("b/"), "b/1\tb/1\nb/2\tb/2");
        assert_eq!(list("d"), "");
        assert_eq!(list("").lines().count(), 5);
    }

    #[test]
    fn what_expires_is_gone_at_its_time_and_not_before() {
        let mut kv = Kv::new();
        assert!(kv.chore().is_none(), "nothing expires: there is no need for time to pass");
        say(&mut kv, at(100), "put a 1 --ttl 10s");
        say(&mut kv, at(109), "put b 1");
        assert_eq!(get(&kv, "a").as_deref(), Some("1"));
        let chore = kv.chore().expect("something to wait for");
        kv.command(chore, &at(110));
        assert_eq!((get(&kv, "a"), get(&kv, "b").as_deref()), (None, Some("1")));
        assert!(kv.chore().is_none());
    }

    #[test]
    fn a_later_put_takes_the_place_of_the_earlier_ones_end() {
        let mut kv = Kv::new();
        say(&mut kv, at(0), "put a 1 --ttl 10s");
        say(&mut kv, at(5), "put a 2 --ttl 10s");
        say(&mut kv, at(0), "put b 1 --ttl 10s");
        say(&mut kv, at(5), "put b 2");
        say(&mut kv, at(14), "put c 1");
        assert_eq!((get(&kv, "a").as_deref(), get(&kv, "b").as_deref()), (Some("2"), Some("2")));
        say(&mut kv, at(15), "put c 1");
        assert_eq!((get(&kv, "a"), get(&kv, "b").as_deref()), (None, Some("2")));
    }

    #[test]
    fn a_key_that_expired_is_absent_to_a_swap() {
        let mut kv = Kv::new();
        say(&mut kv, at(0), "put lock me --ttl 10s");
        assert_eq!(say(&mut kv, at(9), "put-if-absent lock you").text, "not swapped: the value is \"me\"");
        assert_eq!(say(&mut kv, at(10), "put-if-absent lock you").text, "swapped");
    }
}
