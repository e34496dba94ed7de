//! The value of the README: a queue of jobs.

use rafted_value::{Context, Value};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Jobs, first in, first out.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Jobs {
    queue: VecDeque<String>,
}

/// What changes the queue.
#[derive(Serialize, Deserialize)]
pub(crate) enum Command {
    Enqueue(String),
    Dequeue,
}

/// What reads it.
#[derive(Serialize, Deserialize)]
pub(crate) enum Query {
    Length,
}

impl Value for Jobs {
    const NAME: &'static str = "jobs";
    type Command = Command;
    type Reply = Option<String>;
    type Query = Query;
    type Answer = usize;

    fn new() -> Jobs {
        Jobs::default()
    }

    fn command(&mut self, command: Command, _context: &Context) -> Option<String> {
        match command {
            Command::Enqueue(job) => {
                self.queue.push_back(job);
                None
            }
            Command::Dequeue => self.queue.pop_front(),
        }
    }

    fn query(&self, Query::Length: Query) -> usize {
        self.queue.len()
    }
}
