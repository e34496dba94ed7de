//! Lines, first in, first out: the seed's `QueueWithLength`.

use super::{BuiltIn, Said, unknown};
use rafted_value::{Context, Value};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Lines, first in, first out.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    lines: VecDeque<String>,
}

/// What changes the queue.
#[derive(Serialize, Deserialize)]
pub(crate) enum Command {
    Enqueue(String),
    Dequeue,
}

/// What it says to that.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Enqueued,
    /// The line that was first, if there was one.
    Dequeued(Option<String>),
}

/// What reads it.
#[derive(Serialize, Deserialize)]
pub(crate) enum Query {
    Length,
}

impl Value for Queue {
    const NAME: &'static str = "queue";
    type Command = Command;
    type Reply = Reply;
    type Query = Query;
    type Answer = usize;

    fn new() -> Queue {
        Queue::default()
    }

    fn command(&mut self, command: Command, _context: &Context) -> Reply {
        match command {
            Command::Enqueue(line) => {
                self.lines.push_back(line);
                Reply::Enqueued
            }
            Command::Dequeue => Reply::Dequeued(self.lines.pop_front()),
        }
    }

    fn query(&self, Query::Length: Query) -> usize {
        self.lines.len()
    }
}

impl BuiltIn for Queue {
    const COMMANDS: &'static [&'static str] = &["enqueue LINE", "dequeue"];
    const QUERIES: &'static [&'static str] = &["length"];

    fn parse_command(words: &[&str]) -> Result<Command, String> {
        match words {
            ["enqueue", line] => Ok(Command::Enqueue((*line).to_owned())),
            ["dequeue"] => Ok(Command::Dequeue),
            _ => unknown(words),
        }
    }

    fn parse_query(words: &[&str]) -> Result<Query, String> {
        match words {
            ["length"] => Ok(Query::Length),
            _ => unknown(words),
        }
    }

    fn say_reply(reply: &Reply) -> Said {
        match reply {
            Reply::Enqueued => Said::new("enqueued", "enqueued"),
            Reply::Dequeued(line) => Said::maybe(line.as_deref(), "(empty)"),
        }
    }

    fn say_answer(length: &usize) -> Said {
        Said::new(length.to_string(), *length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_in_the_order_in_which_they_went_in() {
        let mut queue = Queue::new();
        let mut say = |command| queue.command(command, &Context::default());
        assert_eq!(say(Command::Enqueue("a".into())), Reply::Enqueued);
        assert_eq!(say(Command::Enqueue("b".into())), Reply::Enqueued);
        assert_eq!(say(Command::Dequeue), Reply::Dequeued(Some("a".into())));
        assert_eq!(queue.query(Query::Length), 1);
        assert_eq!(queue.command(Command::Dequeue, &Context::default()), Reply::Dequeued(Some("b".into())));
        assert_eq!(queue.command(Command::Dequeue, &Context::default()), Reply::Dequeued(None));
    }
}
