//! A group of three in this process, whose leader is stopped while commands are under way.

use super::{encode, first_difference};
use crate::context::Context;
use crate::error::CommandError;
use crate::value::{Panicked, Value, decode, guarded};
use crate::{Config, Group, Loopback, Node};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// For everything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at who leads.
const A_MOMENT: Duration = Duration::from_millis(5);
/// How many ask at the same time.
const CALLERS: usize = 4;

const ADDRESSES: [&str; 3] = ["a", "b", "c"];

/// The value, and what was done to it: that alone shows whether each command ran once.
#[derive(Clone, Serialize, Deserialize)]
struct Witness<V> {
    value: V,
    ran: Vec<Ran>,
}

/// Which command ran, and with what context.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ran {
    command: usize,
    index: u64,
    offset: u32,
    term: u64,
    time_ms: u64,
    seed: u64,
    version: u32,
}

impl Ran {
    fn of(command: usize, context: &Context) -> Ran {
        Ran {
            command,
            index: context.index().0,
            offset: context.offset(),
            term: context.term().0,
            time_ms: context.time().as_millis() as u64,
            seed: context.seed(),
            version: context.version(),
        }
    }

    fn context(&self) -> Context {
        Context::default()
            .with_place(self.index, self.offset, self.term)
            .with_time(Duration::from_millis(self.time_ms))
            .with_seed(self.seed)
            .with_version(self.version)
    }
}

impl<V: Value> Value for Witness<V> {
    const NAME: &'static str = V::NAME;
    const VERSION: u32 = V::VERSION;
    /// Its number and its bytes.
    type Command = (usize, Vec<u8>);
    type Reply = Vec<u8>;
    type Query = ();
    type Answer = ();

    fn new() -> Witness<V> {
        Witness { value: V::new(), ran: Vec::new() }
    }

    fn command(&mut self, (number, bytes): (usize, Vec<u8>), context: &Context) -> Vec<u8> {
        self.ran.push(Ran::of(number, context));
        run(&mut self.value, &bytes, context)
    }

    fn query(&self, (): ()) {}
}

fn run<V: Value>(value: &mut V, bytes: &[u8], context: &Context) -> Vec<u8> {
    let command = decode::<V::Command>(bytes).unwrap_or_else(|error| panic!("a command cannot be read again: {error}"));
    encode(&value.command(command, context))
}

/// What a caller learned: the reply, or with what the command panicked.
type Learned = Result<Vec<u8>, String>;

/// Runs `commands` through a group that loses its leader, and compares with a replay.
pub(super) fn check<V: Value>(commands: &[Vec<u8>]) -> Result<(), String> {
    // On a thread of its own: the caller may be within a runtime.
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
            let checked = runtime.block_on(async { tokio::time::timeout(PATIENCE, go::<V>(commands)).await });
            checked.unwrap_or_else(|_| Err(format!("the group did not finish within {PATIENCE:?}")))
        });
        checking.join().unwrap_or_else(|_| Err("the check of a group panicked".to_owned()))
    })
}

async fn go<V: Value>(commands: &[Vec<u8>]) -> Result<(), String> {
    let (nodes, groups) = three::<V>().await?;
    let leader = leader(&groups).await;
    let others: Vec<Group<Witness<V>>> = (0..3).filter(|at| *at != leader).map(|at| groups[at].clone()).collect();
    let done = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let own = commands.iter().cloned().enumerate().skip(caller).step_by(CALLERS).collect();
        callers.spawn(ask(others[caller % others.len()].clone(), own, done.clone()));
    }
    while done.load(Ordering::Relaxed) < commands.len() / 3 && !callers.is_empty() {
        tokio::time::sleep(A_MOMENT).await;
    }
    nodes[leader].crash().await;
    let mut learned = BTreeMap::new();
    for told in callers.join_all().await {
        learned.extend(told?);
    }
    let mut witnesses = Vec::new();
    for group in &others {
        witnesses.push(group.read(Witness::clone).await.map_err(|error| format!("a member cannot be read: {error}"))?);
    }
    for node in &nodes {
        node.stop().await;
    }
    let [one, other] = witnesses.try_into().map_err(|_| "two members are left of three".to_owned())?;
    compare(&encode(&one.value), &encode(&other.value), "two members that applied the same commands")?;
    replayed(commands, &one, &learned)
}

async fn three<V: Value>() -> Result<(Vec<Node>, Vec<Group<Witness<V>>>), String> {
    let told = |what: &str, error: &dyn std::error::Error| format!("{what}: {error}");
    let quick = Config::builder()
        .heartbeat_interval(Duration::from_millis(50))
        .election_timeout(Duration::from_millis(250))
        .build()
        .map_err(|error| told("the config", &error))?;
    let network = Loopback::new();
    let (mut nodes, mut groups) = (Vec::new(), Vec::new());
    for address in ADDRESSES {
        let node = Node::builder().transport(network.at(address)).start().await;
        let node = node.map_err(|error| told("a node does not start", &error))?;
        let opening = match groups.is_empty() {
            true => node.group::<Witness<V>>().config(quick.clone()).bootstrap(),
            false => node.group::<Witness<V>>().join([ADDRESSES[0]]),
        };
        groups.push(opening.open().await.map_err(|error| told("a member does not begin", &error))?);
        nodes.push(node);
    }
    Ok((nodes, groups))
}

async fn leader<V: Value>(groups: &[Group<Witness<V>>]) -> usize {
    loop {
        match groups.iter().position(Group::is_leader) {
            Some(leader) => return leader,
            None => tokio::time::sleep(A_MOMENT).await,
        }
    }
}

/// One after the other, each until it is answered.
async fn ask<V: Value>(
    group: Group<Witness<V>>,
    commands: Vec<(usize, Vec<u8>)>,
    done: Arc<AtomicUsize>,
) -> Result<Vec<(usize, Learned)>, String> {
    let group = group.with_timeout(PATIENCE);
    let mut learned = Vec::new();
    for (number, bytes) in commands {
        let reply = match group.command((number, bytes)).await {
            Ok(reply) => Ok(reply),
            Err(CommandError::Panicked { message, .. }) => Err(message),
            Err(error) => return Err(format!("command {number} came to nothing: {error}")),
        };
        done.fetch_add(1, Ordering::Relaxed);
        learned.push((number, reply));
    }
    Ok(learned)
}

/// What the members did, done again here: each command once, with the reply that its caller got.
fn replayed<V: Value>(
    commands: &[Vec<u8>],
    witness: &Witness<V>,
    learned: &BTreeMap<usize, Learned>,
) -> Result<(), String> {
    let mut times = vec![0; commands.len()];
    let mut value = V::new();
    for ran in &witness.ran {
        times[ran.command] += 1;
        let reply = guarded(|| run(&mut value, &commands[ran.command], &ran.context()));
        let reply = reply.map_err(|Panicked(message)| message);
        if learned.get(&ran.command) != Some(&reply) {
            return Err(format!("command {} had another reply in the group than in a replay", ran.command));
        }
    }
    if let Some(number) = times.iter().position(|times| *times != 1) {
        return Err(format!("command {number} ran {} times", times[number]));
    }
    compare(&encode(&witness.value), &encode(&value), "a member and a replay of what it did")
}

fn compare(one: &[u8], other: &[u8], whose: &str) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    Err(format!("the values of {whose} are not the same: {}", first_difference(one, other)))
}
