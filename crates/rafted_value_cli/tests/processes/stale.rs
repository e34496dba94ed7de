//! A leader under a lease stands still for longer than the lease, with reads in its queue: when it goes on it must not
//! answer them from what it had.

use crate::fleet::{Fleet, PATIENCE};
use crate::values::queue::{Command, Query, Queue};
use rafted_value::{Client, InsecureTcp, QueryError};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// How many read at the leader.
const READERS: usize = 16;

/// How long a reader waits before it asks anew: a read that began before a line was acknowledged may miss it.
const IMPATIENCE: Duration = Duration::from_millis(50);

/// What readers and the writer have done so far.
#[derive(Default)]
struct Done {
    acknowledged: AtomicUsize,
    asked: AtomicUsize,
    answered: AtomicUsize,
}

/// One that reads at one member only, as long as that is not known to be the wrong one, and compares.
async fn reader(address: String, done: Arc<Done>) {
    let client: Client<Queue> = Client::connect(InsecureTcp::dial_only(), "main", [address]).await.expect("a client");
    let client = client.with_timeout(IMPATIENCE);
    loop {
        let before = done.acknowledged.load(Ordering::SeqCst);
        done.asked.fetch_add(1, Ordering::SeqCst);
        match client.query(Query::Length).await {
            Ok(length) => {
                assert!(length >= before, "{length} lines are read, {before} were acknowledged before");
                done.answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => assert!(matches!(error, QueryError::Timeout { .. }), "{error}"),
        }
    }
}

/// Waits until a number has grown by `more`; a reader that found something stale ends the wait with its complaint.
async fn grows(number: &AtomicUsize, more: usize, readers: &mut JoinSet<()>) {
    let before = number.load(Ordering::SeqCst);
    let grown = async {
        while number.load(Ordering::SeqCst) < before + more {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        grown = tokio::time::timeout(PATIENCE, grown) => grown.expect("it goes on"),
        Some(ended) = readers.join_next() => ended.expect("no stale read"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_for_longer_than_its_lease_answers_no_read_from_the_past() {
    let fleet = Fleet::start_with(&["clock_drift_margin=100ms"]).await;
    fleet.whole().await;
    let done = Arc::new(Done::default());
    let mut tasks = JoinSet::new();
    let (client, by_writer) = (fleet.client.clone(), done.clone());
    tasks.spawn(async move {
        loop {
            client.command(Command::Enqueue("a line".to_owned())).await.expect("no command fails");
            by_writer.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    });
    for _ in 0..4 {
        let leader = fleet.leader().await;
        let mut readers = JoinSet::new();
        for _ in 0..READERS {
            readers.spawn(reader(fleet.processes[leader].address.clone(), done.clone()));
        }
        grows(&done.answered, 100, &mut readers).await;
        assert!(fleet.report(leader).await.expect("a report").lease_ms.is_some(), "reads are answered under a lease");
        fleet.processes[leader].signal(Signal::STOP);
        // Others have elected one of theirs, and acknowledged what the one that stands still cannot have; and
        // reader has asked after that.
        grows(&done.acknowledged, 20, &mut readers).await;
        grows(&done.asked, 2 * READERS, &mut readers).await;
        fleet.processes[leader].signal(Signal::CONT);
        grows(&done.answered, 100, &mut readers).await;
        fleet.whole().await;
    }
}
