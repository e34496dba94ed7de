//! A fixed number of commands by one caller, for a tool that counts instructions:
//! `valgrind --tool=callgrind target/release/examples/one_caller 2000`.

use rafted_value::{Context, Loopback, Node, Value};
use serde::{Deserialize, Serialize};

/// Raw bytes: encoded as such, not as a list of numbers.
#[derive(Serialize, Deserialize)]
struct Raw(#[serde(with = "serde_bytes")] [u8; 16]);

/// Counts bytes.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Count(u64);

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

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let commands: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2000);
    let network = Loopback::new();
    let mut nodes = Vec::new();
    for address in ["a", "b", "c"] {
        nodes.push(Node::builder().transport(network.at(address)).start().await.unwrap());
    }
    let group = nodes[0].group::<Count>().bootstrap().open().await.unwrap();
    nodes[1].group::<Count>().join(["a"]).open().await.unwrap();
    nodes[2].group::<Count>().join(["a"]).open().await.unwrap();
    for _ in 0..commands {
        group.command(Raw([7; 16])).await.unwrap();
    }
    println!("{}", group.query(()).await.unwrap());
}
