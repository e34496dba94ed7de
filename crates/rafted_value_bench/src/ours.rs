//! Ours: encoding, sessions and results on, as always.

use crate::system::{PAYLOAD, System};
use rafted_value::{Config, Context, Group, Loopback, Node, Value};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Raw bytes: encoded as such, not as a list of numbers.
#[derive(Serialize, Deserialize)]
pub struct Raw(#[serde(with = "serde_bytes")] pub [u8; PAYLOAD]);

/// Counts bytes.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Count(u64);

impl Value for Count {
    const NAME: &'static str = "count";
    type Command = Raw;
    type Reply = u64;
    type Query = ();
    type Answer = u64;

    fn new() -> Count {
        Count::default()
    }

    fn command(&mut self, Raw(command): Raw, _context: &Context) -> u64 {
        self.0 += command.len() as u64;
        self.0
    }

    fn query(&self, (): ()) -> u64 {
        self.0
    }
}

/// A group with the default settings, whose timeouts the peers are given too; `LEASE`: with a drift margin below the
/// election timeout, so that there is a lease.
pub struct Ours<const LEASE: bool> {
    nodes: Vec<Node>,
    group: Group<Count>,
}

impl<const LEASE: bool> System for Ours<LEASE> {
    const NAME: &'static str = "rafted_value";

    async fn start(members: usize) -> Self {
        let margin = Duration::from_millis(if LEASE { 200 } else { 1000 });
        let config = Config::builder().clock_drift_margin(margin).build().unwrap();
        let (network, mut nodes) = (Loopback::new(), Vec::new());
        for member in 0..members {
            nodes.push(Node::builder().transport(network.at(member.to_string())).start().await.unwrap());
        }
        let group = nodes[0].group::<Count>().config(config).bootstrap().open().await.unwrap();
        for node in &nodes[1..] {
            node.group::<Count>().join(["0"]).open().await.unwrap();
        }
        group.command(Raw([0; PAYLOAD])).await.unwrap();
        Ours { nodes, group }
    }

    async fn write(&self, payload: [u8; PAYLOAD]) {
        self.group.command(Raw(payload)).await.unwrap();
    }

    async fn read_index(&self) {
        self.group.read(|count| count.0).await.unwrap();
    }

    async fn lease_read(&self) {
        self.group.read(|count| count.0).await.unwrap();
    }

    async fn stop(self) {
        for node in self.nodes {
            node.crash().await;
        }
    }
}
