//! A value whose commands misbehave on request, and groups of it.
#![allow(dead_code)] // each test file uses its own part

use rafted_value::{Config, Context, Group, Loopback, Node, Value};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A list of everything that was ever pushed.
#[derive(Clone, Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) entries: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Adds an entry and returns how many there are.
    Push(String),
    /// Takes that many milliseconds of everybody's time, then adds an entry.
    Slow(u64),
    /// Panics after adding an entry.
    Panic(String),
    /// Adds what the context says: index, time, seed.
    Tell,
    /// Returns the milliseconds of replicated time.
    Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Query {
    Length,
    Panic,
}

impl Value for Journal {
    const NAME: &'static str = "journal";
    type Command = Command;
    type Reply = usize;
    type Query = Query;
    type Answer = usize;

    fn new() -> Journal {
        Journal::default()
    }

    fn command(&mut self, command: Command, context: &Context) -> usize {
        match command {
            Command::Push(entry) => self.entries.push(entry),
            Command::Slow(milliseconds) => {
                busy(Duration::from_millis(milliseconds));
                self.entries.push("slow".to_owned());
            }
            Command::Panic(entry) => {
                self.entries.push(entry);
                panic!("asked to");
            }
            Command::Time => return context.time().as_millis() as usize,
            Command::Tell => self.entries.push(format!("{} {:?} {}", context.index(), context.time(), context.seed())),
        }
        self.entries.len()
    }

    fn query(&self, query: Query) -> usize {
        match query {
            Query::Length => self.entries.len(),
            Query::Panic => panic!("asked to"),
        }
    }
}

/// Holds its thread, as a long computation does.
#[allow(clippy::disallowed_methods)] // user code may look at the clock to waste time; it is not part of the value
fn busy(duration: Duration) {
    let began = Instant::now();
    while began.elapsed() < duration {
        std::thread::yield_now();
    }
}

/// Nodes in one process, each with a member of the group.
pub(crate) struct Three {
    pub(crate) network: Loopback,
    pub(crate) nodes: Vec<Node>,
    pub(crate) groups: Vec<Group<Journal>>,
}

pub(crate) const ADDRESSES: [&str; 3] = ["a", "b", "c"];

/// Short timeouts, so that tests of failover take no longer than they must.
pub(crate) fn quick() -> Config {
    Config::builder()
        .heartbeat_interval(Duration::from_millis(50))
        .election_timeout(Duration::from_millis(250))
        .build()
        .expect("a sound config")
}

pub(crate) async fn three() -> Three {
    three_with(quick()).await
}

pub(crate) async fn three_with(config: Config) -> Three {
    let network = Loopback::new();
    let (mut nodes, mut groups) = (Vec::new(), Vec::new());
    for address in ADDRESSES {
        let node = Node::builder().transport(network.at(address)).start().await.expect("a node");
        let opening = match groups.is_empty() {
            true => node.group::<Journal>().config(config.clone()).bootstrap(),
            false => node.group::<Journal>().join(["a"]),
        };
        groups.push(opening.open().await.expect("a member"));
        nodes.push(node);
    }
    Three { network, nodes, groups }
}

/// Long timeouts, so that a leader that is cut off goes on for some time.
pub(crate) fn unhurried() -> Config {
    Config::builder()
        .heartbeat_interval(Duration::from_millis(100))
        .election_timeout(Duration::from_secs(4))
        .build()
        .expect("a sound config")
}

/// Why it was refused, asking again where the time was up in the middle of being asked: that is unknown.
pub(crate) async fn refusal<T: std::fmt::Debug, E>(
    ask: impl AsyncFn() -> Result<T, E>,
    unknown: impl Fn(&E) -> bool,
) -> E {
    for _ in 0..50 {
        match ask().await {
            Ok(done) => panic!("{done:?} instead of a refusal"),
            Err(error) if unknown(&error) => {}
            Err(error) => return error,
        }
    }
    panic!("never told why")
}

impl Three {
    /// Nothing reaches this member any more, and nothing leaves it.
    pub(crate) fn isolate(&self, n: usize) {
        for other in ADDRESSES.iter().filter(|other| **other != ADDRESSES[n]) {
            self.network.cut(ADDRESSES[n], *other);
            self.network.cut(*other, ADDRESSES[n]);
        }
    }

    /// The place of the member that leads.
    pub(crate) async fn leader(&self) -> usize {
        self.until(|| self.groups.iter().position(Group::is_leader)).await
    }

    /// What `look` finds, looking again until it finds something.
    pub(crate) async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        until(look).await
    }
}

/// What `look` finds, looking again until it finds something; gives up after ten seconds.
pub(crate) async fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let found = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("it happens within ten seconds")
}

/// A directory of a test's own, gone with it.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Dir {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rafted-value-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a directory");
        Dir(path)
    }

    pub(crate) fn of(&self, address: &str) -> PathBuf {
        self.0.join(address)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
