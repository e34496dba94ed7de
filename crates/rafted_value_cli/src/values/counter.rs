//! A whole number: the seed's `JustAnInt`.

use super::{BuiltIn, Said, unknown};
use rafted_value::{Context, Value};
use serde::{Deserialize, Serialize};

/// A whole number.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    number: i64,
}

/// What changes the number. Both reply with the number before, as in the seed.
#[derive(Serialize, Deserialize)]
pub(crate) enum Command {
    Set(i64),
    Inc(i64),
}

/// What it says to that.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Before(i64),
    /// The sum is no number of 64 bits: nothing was changed.
    TooLarge,
}

/// What reads it.
#[derive(Serialize, Deserialize)]
pub(crate) enum Query {
    Get,
}

impl Value for Counter {
    const NAME: &'static str = "counter";
    type Command = Command;
    type Reply = Reply;
    type Query = Query;
    type Answer = i64;

    fn new() -> Counter {
        Counter::default()
    }

    fn command(&mut self, command: Command, _context: &Context) -> Reply {
        let next = match command {
            Command::Set(number) => Some(number),
            Command::Inc(by) => self.number.checked_add(by),
        };
        match next {
            Some(next) => Reply::Before(std::mem::replace(&mut self.number, next)),
            None => Reply::TooLarge,
        }
    }

    fn query(&self, Query::Get: Query) -> i64 {
        self.number
    }
}

impl BuiltIn for Counter {
    const COMMANDS: &'static [&'static str] = &["set NUMBER", "inc [NUMBER]"];
    const QUERIES: &'static [&'static str] = &["get"];

    fn parse_command(words: &[&str]) -> Result<Command, String> {
        match words {
            ["set", number] => Ok(Command::Set(parse(number)?)),
            ["inc"] => Ok(Command::Inc(1)),
            ["inc", by] => Ok(Command::Inc(parse(by)?)),
            _ => unknown(words),
        }
    }

    fn parse_query(words: &[&str]) -> Result<Query, String> {
        match words {
            ["get"] => Ok(Query::Get),
            _ => unknown(words),
        }
    }

    fn say_reply(reply: &Reply) -> Said {
        match reply {
            Reply::Before(number) => Said::new(number.to_string(), *number),
            Reply::TooLarge => Said::new("unchanged: the sum would be too large", serde_json::Value::Null),
        }
    }

    fn say_answer(number: &i64) -> Said {
        Said::new(number.to_string(), *number)
    }
}

fn parse(number: &str) -> Result<i64, String> {
    number.parse().map_err(|_| format!("{number:?} is not a whole number of 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_reply_with_the_number_before() {
        let mut counter = Counter::new();
        let mut say = |command| counter.command(command, &Context::default());
        assert_eq!(say(Command::Set(5)), Reply::Before(0));
        assert_eq!(say(Command::Inc(1)), Reply::Before(5));
        assert_eq!(say(Command::Inc(-7)), Reply::Before(6));
        assert_eq!(counter.query(Query::Get), -1);
    }

    #[test]
    fn a_sum_that_is_too_large_changes_nothing() {
        let mut counter = Counter { number: i64::MAX };
        assert_eq!(counter.command(Command::Inc(1), &Context::default()), Reply::TooLarge);
        assert_eq!(counter.query(Query::Get), i64::MAX);
    }
}
