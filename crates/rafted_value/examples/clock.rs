//! A first look at the clock: commands per second of a three-member group in one process, at 1, 64 and 1024 callers.
//!
//! `cargo run --release -p rafted_value --example clock`. No benchmark: no peer beside it, no warm machine; only a figure to
//! see whether a change made things much better or worse.
#![allow(clippy::disallowed_methods)] // it measures time

use rafted_value::{Context, Loopback, Node, Value};
use serde::{Deserialize, Serialize};
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

    println!("callers  commands/s: min  median  max   (16 B payload, {ROUNDS} rounds of {ROUND:?})");
    for callers in [1, 64, 1024] {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..callers {
                let group = group.clone();
                tasks.spawn(async move {
                    let mut done = 0_u64;
                    while began.elapsed() < ROUND {
                        group.command([7; 16]).await.expect("a reply");
                        done += 1;
                    }
                    done
                });
            }
            let done: u64 = tasks.join_all().await.into_iter().sum();
            rates.push((done as f64 / began.elapsed().as_secs_f64()) as u64);
        }
        rates.sort_unstable();
        println!("{callers:>7}  {:>15} {:>7} {:>7}", rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
    }
    println!("reads of the leader's value: {}", group.query(()).await?);
    Ok(())
}
