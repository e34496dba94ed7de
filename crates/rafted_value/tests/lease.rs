//! Reads under a lease: without a message while it lasts, and never after it.

mod common;

use common::{ADDRESSES, Command, Query, Three, three_with};
use rafted_value::Config;
use std::time::Duration;

fn with_lease(margin: Duration) -> Config {
    Config::builder()
        .heartbeat_interval(Duration::from_millis(50))
        .election_timeout(Duration::from_secs(1))
        .clock_drift_margin(margin)
        .build()
        .unwrap()
}

fn isolate(three: &Three, leader: usize) {
    for other in ADDRESSES.iter().filter(|other| **other != ADDRESSES[leader]) {
        three.network.cut(ADDRESSES[leader], *other);
        three.network.cut(*other, ADDRESSES[leader]);
    }
}

/// The lease begins with the first heartbeat that a majority answers.
async fn begun(three: &Three, leader: usize) {
    three.groups[leader].command(Command::Push("x".into())).await.unwrap();
    three.until(|| three.groups[leader].has_lease().then_some(())).await;
}

#[tokio::test]
async fn a_leader_reads_without_asking_anyone_while_its_lease_lasts() {
    let three = three_with(with_lease(Duration::from_millis(100))).await;
    let leader = three.leader().await;
    begun(&three, leader).await;
    isolate(&three, leader);
    let quick = three.groups[leader].with_timeout(Duration::from_millis(100));
    assert_eq!(quick.query(Query::Length).await.unwrap(), 1);
    assert_eq!(quick.read(|journal| journal.entries.len()).await.unwrap(), 1);
}

#[tokio::test]
async fn no_read_of_a_leader_that_was_cut_off_is_stale() {
    let three = three_with(with_lease(Duration::from_millis(100))).await;
    let leader = three.leader().await;
    begun(&three, leader).await;
    isolate(&three, leader);
    // The others elect another, and something new is answered.
    let other = three.groups[(leader + 1) % 3].with_timeout(Duration::from_secs(20));
    other.command(Command::Push("y".into())).await.unwrap();
    let old = three.groups[leader].with_timeout(Duration::from_millis(300));
    for _ in 0..10 {
        if let Ok(length) = old.query(Query::Length).await {
            assert_eq!(length, 2, "a stale read");
        }
    }
    three.network.heal_all();
    assert_eq!(three.groups[leader].query(Query::Length).await.unwrap(), 2);
}

#[tokio::test]
async fn by_default_there_is_no_lease() {
    let three = three_with(with_lease(Duration::from_secs(1))).await;
    let leader = three.leader().await;
    three.groups[leader].command(Command::Push("x".into())).await.unwrap();
    assert!(!three.groups[leader].has_lease());
    isolate(&three, leader);
    let quick = three.groups[leader].with_timeout(Duration::from_millis(200));
    assert!(quick.query(Query::Length).await.is_err(), "nobody confirms that it still leads");
}
