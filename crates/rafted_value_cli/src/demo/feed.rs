//! Callers that put lines into the queue, and a gate that keeps lines back for after each kill.

use crate::demo::TIMEOUT;
use crate::demo::screen::Screen;
use crate::values::queue::{Command, Queue};
use rafted_value::Client;
use std::error::Error;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A line with who put it in, and which of theirs it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) caller: u16,
    pub(crate) number: usize,
    pub(crate) text: String,
}

impl Line {
    /// As it stands in the queue.
    pub(crate) fn tagged(&self) -> String {
        format!("{}:{}:{}", self.caller, self.number, self.text)
    }

    pub(crate) fn parse(tagged: &str) -> Option<Line> {
        let mut parts = tagged.splitn(3, ':');
        let caller = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok()?;
        Some(Line { caller, number, text: parts.next()?.to_owned() })
    }
}

/// What is fed, and how far it is.
pub(crate) struct Feed {
    lines: Arc<Vec<Line>>,
    callers: u16,
    kills: u16,
    /// How many lines are in.
    answered: watch::Sender<usize>,
    /// How many lines may be put in before the next kill.
    gate: watch::Sender<usize>,
}

impl Feed {
    pub(crate) fn new(texts: Vec<String>, callers: u16, kills: u16) -> Feed {
        let lines = texts.into_iter().enumerate().map(|(at, text)| Line {
            caller: (at % usize::from(callers)) as u16,
            number: at / usize::from(callers),
            text,
        });
        let lines: Arc<Vec<Line>> = Arc::new(lines.collect());
        let feed = Feed { callers, kills, answered: watch::Sender::default(), gate: watch::Sender::new(0), lines };
        feed.gate.send_replace(feed.share(0));
        feed
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many lines come before this kill: the kills divide the text evenly.
    fn share(&self, kill: u16) -> usize {
        self.lines.len() * (usize::from(kill) + 1) / (usize::from(self.kills) + 1)
    }

    /// Each caller puts its lines in one after the other, each after the answer to the one before.
    pub(crate) fn start(&self, client: &Client<Queue>, screen: &Screen) -> JoinSet<Result<(), String>> {
        let mut callers = JoinSet::new();
        for caller in 0..self.callers {
            let (lines, client, screen) = (self.lines.clone(), client.clone(), screen.clone());
            let (answered, mut gate) = (self.answered.clone(), self.gate.subscribe());
            callers.spawn(async move {
                for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.caller == caller) {
                    gate.wait_for(|open| at < *open).await.map_err(|error| error.to_string())?;
                    let answer = client.command(Command::Enqueue(line.tagged())).await;
                    answer.map_err(|error| format!("line {} of caller {caller}: {error}", line.number))?;
                    answered.send_modify(|answered| {
                        *answered += 1;
                        screen.answered(*answered as u64);
                    });
                }
                Ok(())
            });
        }
        callers
    }

    /// Waits until all lines before this kill are in.
    pub(crate) async fn reached(&self, kill: u16) {
        let share = self.share(kill);
        // The sender is this feed's own, so that it cannot be gone. A caller that fails is found by `finished`.
        let wait = async { self.answered.subscribe().wait_for(|answered| *answered >= share).await.is_ok() };
        let _ = tokio::time::timeout(TIMEOUT, wait).await;
    }

    /// Lets the lines after this kill go, so that the kill finds commands on their way.
    pub(crate) fn open_gate(&self, kill: u16) {
        self.gate.send_replace(self.share(kill + 1));
    }

    pub(crate) async fn finished(&self, mut callers: JoinSet<Result<(), String>>) -> Result<(), Box<dyn Error>> {
        while let Some(caller) = callers.join_next().await {
            caller??;
        }
        Ok(())
    }
}
