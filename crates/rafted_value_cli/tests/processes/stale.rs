//! A leader under a lease stands still for longer than the lease, with reads in its queue: when it goes on it must not
//! answer them from what it had.

use crate::fleet::{Fleet, PATIENCE};
use crate::values::queue::{Command, Query, Queue};
use rafted_value::{Client, InsecureTcp};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// One that reads at one member only, as long as that is not known to be the wrong one, and compares.
async fn reader(address: String, acknowledged: Arc<AtomicUsize>, answered: Arc<AtomicUsize>) {
    let client: Client<Queue> = Client::connect(InsecureTcp::dial_only(), "main", [address]).await.expect("a client");
    let client = client.with_timeout(PATIENCE);
    loop {
        let before = acknowledged.load(Ordering::SeqCst);
        let length = client.query(Query::Length).await.expect("an answer in the end");
        assert!(length >= before, "{length} lines are read, {before} were acknowledged before");
        answered.fetch_add(1, Ordering::SeqCst);
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
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let (client, count) = (fleet.client.clone(), acknowledged.clone());
    tasks.spawn(async move {
        loop {
            client.command(Command::Enqueue("a line".to_owned())).await.expect("no command fails");
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for _ in 0..3 {
        let leader = fleet.leader().await;
        let answered = Arc::new(AtomicUsize::new(0));
        for _ in 0..16 {
            tasks.spawn(reader(fleet.processes[leader].address.clone(), acknowledged.clone(), answered.clone()));
        }
        grows(&answered, 100, &mut tasks).await;
        assert!(fleet.report(leader).await.expect("a report").lease_ms.is_some(), "reads are answered under a lease");
        fleet.processes[leader].signal(Signal::STOP);
        // Others have elected one of theirs, and acknowledged what the one that stands still cannot have.
        grows(&acknowledged, 50, &mut tasks).await;
        fleet.processes[leader].signal(Signal::CONT);
        grows(&answered, 100, &mut tasks).await;
        fleet.whole().await;
    }
}
