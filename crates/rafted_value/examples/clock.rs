//! A first look at the clock: commands per second of a three-member group in one process, at 1, 64 and 1024 callers; of
//! one caller that gives many at once, and of one that gives many in order.
//!
//! `cargo run --release -p rafted_value --example clock`. No benchmark: no peer beside it, no warm machine; only a figure to
//! see whether a change made things much better or worse.
#![allow(clippy::disallowed_methods)] // it measures time

use rafted_value::{Context, Group, Loopback, Node, Value};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts bytes.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Count(u64);

impl Value for Count {
    const NAME: &'static str = "count";
    type Command = [u8; 16];
    type Reply = u64;
    type Query = ();
    type Answer = u64;

    fn new() -> Count {
        Count::default()
    }

    fn command(&mut self, command: [u8; 16], _context: &Context) -> u64 {
        self.0 += command.len() as u64;
        self.0
    }

    fn query(&self, (): ()) -> u64 {
        self.0
    }
}

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_000);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network = Loopback::new();
    let mut nodes = Vec::new();
    for address in ["a", "b", "c"] {
        nodes.push(Node::builder().transport(network.at(address)).start().await?);
    }
    let group = nodes[0].group::<Count>().bootstrap().open().await?;
    nodes[1].group::<Count>().join(["a"]).open().await?;
    nodes[2].group::<Count>().join(["a"]).open().await?;

    println!("                    commands/s: min  median  max   (16 B payload, {ROUNDS} rounds of {ROUND:?})");
    for callers in [1, 64, 1024] {
        let calls = async |began| {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..callers {
                tasks.spawn(one_by_one(group.clone(), began));
            }
            tasks.join_all().await.into_iter().sum()
        };
        measure(&format!("{callers} callers"), calls).await;
    }
    for many in [10, 100, 1_000, 10_000] {
        measure(&format!("{many} in one call"), async |began| at_once(&group, many, began).await).await;
    }
    measure("1024 in order", async |began| in_order(&group, 1_024, began).await).await;
    println!("reads of the leader's value: {}", group.query(()).await?);
    Ok(())
}

async fn measure(what: &str, round: impl AsyncFn(Instant) -> u64) {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let done = round(began).await;
        rates.push((done as f64 / began.elapsed().as_secs_f64()) as u64);
    }
    rates.sort_unstable();
    println!("{what:>18}  {:>15} {:>7} {:>7}", rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
}

async fn one_by_one(group: Group<Count>, began: Instant) -> u64 {
    let mut done = 0;
    while began.elapsed() < ROUND {
        group.command([7; 16]).await.expect("a reply");
        done += 1;
    }
    done
}

async fn at_once(group: &Group<Count>, many: usize, began: Instant) -> u64 {
    let mut done = 0;
    while began.elapsed() < ROUND {
        for outcome in group.commands(vec![[7; 16]; many]).await {
            outcome.expect("a reply");
            done += 1;
        }
    }
    done
}

/// So many are always on their way.
async fn in_order(group: &Group<Count>, many: usize, began: Instant) -> u64 {
    let ordered = group.ordered();
    let mut waiting = VecDeque::new();
    let mut done = 0;
    while began.elapsed() < ROUND {
        while waiting.len() < many {
            waiting.push_back(Box::pin(ordered.command([7; 16])));
        }
        if let Some(oldest) = waiting.pop_front() {
            oldest.await.expect("a reply");
            done += 1;
        }
    }
    done
}
