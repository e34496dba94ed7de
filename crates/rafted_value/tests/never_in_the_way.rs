//! Nothing that users, peers or the machine do moves a leader, or leaves a caller waiting.

mod common;

use common::{Command, Journal, Query, quick, three, three_with, until};
use rafted_value::{CommandError, Config, Loopback, Node, QueryError};
use std::time::Duration;

#[tokio::test]
async fn a_command_of_many_election_timeouts_moves_no_leader() {
    let three = three().await;
    let leader = three.leader().await;
    let before = three.groups[leader].status().await.unwrap();
    // Twenty election timeouts, on every member at once, with two cores.
    let slow = three.groups[leader].with_timeout(Duration::from_secs(60));
    slow.command(Command::Slow(5_000)).await.unwrap();
    let after = three.groups[leader].status().await.unwrap();
    assert_eq!((after.role.as_str(), after.term), ("leader", before.term));
}

#[tokio::test]
async fn a_blocked_runtime_of_the_user_moves_no_leader() {
    let three = three().await;
    let leader = three.leader().await;
    let before = three.groups[leader].status().await.unwrap();
    // This test's runtime has one thread, and it stands still.
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    assert!(receiver.recv_timeout(Duration::from_secs(2)).is_err());
    let after = three.groups[leader].status().await.unwrap();
    assert_eq!((after.role.as_str(), after.term), ("leader", before.term));
}

#[tokio::test]
async fn a_call_ends_by_its_deadline_while_a_slow_command_runs() {
    let three = three().await;
    let group = three.groups[three.leader().await].clone();
    group.command(Command::Push("first".into())).await.unwrap();
    let before = group.status().await.unwrap().commit;
    let slow = group.with_timeout(Duration::from_secs(60));
    let slow = tokio::spawn(async move { slow.command(Command::Slow(3_000)).await });
    // Committed, and not applied for three seconds.
    while group.status().await.unwrap().commit == before {}
    let hurried = group.with_timeout(Duration::from_millis(300));
    let behind = hurried.command(Command::Push("behind it".into()));
    let behind = tokio::time::timeout(Duration::from_secs(2), behind).await.expect("it ends by its own deadline");
    assert!(behind.is_err_and(|error| error.is_unknown()), "it may be applied yet");
    slow.await.unwrap().unwrap();
}

/// Commands that proved quick are applied by their callers' own threads; one of them may still turn out to be slow.
#[tokio::test]
async fn a_slow_command_after_many_quick_ones_moves_no_leader() {
    let three = three().await;
    let group = three.groups[three.leader().await].clone();
    for _ in 0..300 {
        group.command(Command::Push("quick".into())).await.unwrap();
    }
    let before = group.status().await.unwrap();
    // Eight election timeouts.
    group.with_timeout(Duration::from_secs(60)).command(Command::Slow(2_000)).await.unwrap();
    let after = group.status().await.unwrap();
    assert_eq!((after.role.as_str(), after.term), ("leader", before.term));
}

/// A caller posts, and lets others come before it takes the loop's turn. Given up in between, it leaves that to the node.
#[tokio::test]
async fn a_command_given_up_before_its_turn_holds_up_nobody() {
    let three = three().await;
    let group = three.groups[three.leader().await].clone();
    group.command(Command::Push("first".into())).await.unwrap();
    let polled_once = |group: &rafted_value::Group<Journal>| {
        let group = group.clone();
        let mut call = Box::pin(async move { group.command(Command::Push("given up".into())).await });
        // Two at a time: the second is not alone, and lets others come.
        std::future::poll_fn(move |context| {
            let _ = call.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
    };
    tokio::join!(polled_once(&group), polled_once(&group));
    let done = tokio::time::timeout(Duration::from_secs(5), group.command(Command::Push("last".into()))).await;
    assert!(done.expect("nobody is held up").unwrap() >= 2);
}

#[tokio::test]
async fn a_panic_in_a_command_is_an_error_to_its_caller_and_the_same_everywhere() {
    let three = three().await;
    for group in &three.groups {
        let error = group.command(Command::Panic("half done".into())).await.unwrap_err();
        assert!(matches!(&error, CommandError::Panicked { message, .. } if message == "asked to"), "{error:?}");
        assert!(!error.is_unknown());
    }
    // What the panic left is the value, on every member alike.
    for group in &three.groups {
        let entries = group.read(|journal| journal.entries.clone()).await.unwrap();
        assert_eq!(entries, ["half done", "half done", "half done"]);
    }
    assert_eq!(three.groups[0].command(Command::Push("on".into())).await.unwrap(), 4);
}

#[tokio::test]
async fn a_panic_in_a_query_is_an_error_to_its_caller_only() {
    let three = three().await;
    for group in &three.groups {
        let error = group.query(Query::Panic).await.unwrap_err();
        assert!(matches!(error, QueryError::Panicked { .. }), "{error:?}");
        assert_eq!(group.query(Query::Length).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn callers_of_a_leader_that_is_cut_off_are_answered_by_the_next() {
    let three = three().await;
    let leader = three.leader().await;
    three.groups[leader].command(Command::Push("before".into())).await.unwrap();
    for other in common::ADDRESSES {
        three.network.cut(common::ADDRESSES[leader], other);
        three.network.cut(other, common::ADDRESSES[leader]);
    }
    let stuck = three.groups[leader].with_timeout(Duration::from_secs(2));
    let error = stuck.command(Command::Push("lost?".into())).await.unwrap_err();
    assert!(error.is_unknown(), "{error:?}");
    let other = &three.groups[(leader + 1) % 3];
    other.command(Command::Push("served".into())).await.unwrap();
    three.network.heal_all();
    let entries = three.groups[leader].read(|journal| journal.entries.clone()).await.unwrap();
    assert_eq!(entries, ["before", "served"], "what was never committed is gone");
}

#[tokio::test]
async fn without_a_majority_calls_end_by_their_deadline_and_say_what_is_known() {
    let three = three().await;
    let leader = three.leader().await;
    three.groups[leader].command(Command::Push("x".into())).await.unwrap();
    for n in [1, 2] {
        three.nodes[(leader + n) % 3].crash().await;
    }
    let left = three.groups[leader].with_timeout(Duration::from_secs(1));
    assert!(left.command(Command::Push("y".into())).await.is_err());
    assert!(left.query(Query::Length).await.is_err(), "no majority says that it is still current");
    assert!(left.read(|journal| journal.entries.len()).await.is_err());
}

#[tokio::test]
async fn stopping_a_node_answers_everybody_who_waits_for_it() {
    let three = three().await;
    let leader = three.leader().await;
    let patient = three.groups[leader].with_timeout(Duration::from_secs(60));
    let slow = tokio::spawn({
        let patient = patient.clone();
        async move { patient.command(Command::Slow(1_000)).await }
    });
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..20 {
        let patient = patient.clone();
        waiting.spawn(async move { patient.command(Command::Push(n.to_string())).await });
    }
    three.groups[leader].status().await.unwrap();
    three.nodes[leader].crash().await;
    let all = async {
        waiting.join_all().await;
        slow.await
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.expect("nobody is left waiting").unwrap().ok();
}

#[tokio::test]
async fn a_dropped_future_leaks_nothing_and_changes_nothing() {
    let three = three().await;
    let group = three.groups[three.leader().await].clone();
    for n in 0..200 {
        let command = group.command(Command::Push(n.to_string()));
        // Polled once, then dropped.
        let _ = tokio::time::timeout(Duration::ZERO, command).await;
    }
    group.command(Command::Push("last".into())).await.unwrap();
    let entries = group.read(|journal| journal.entries.clone()).await.unwrap();
    let mut once = entries.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), entries.len(), "none was applied twice");
    assert_eq!(entries.last().map(String::as_str), Some("last"));
}

#[tokio::test]
async fn an_unreachable_member_costs_nothing_but_itself() {
    let three = three_with(quick()).await;
    let leader = three.leader().await;
    let gone = (leader + 1) % 3;
    three.network.cut(common::ADDRESSES[leader], common::ADDRESSES[gone]);
    let group = &three.groups[leader];
    for n in 0..500 {
        group.command(Command::Push("x".repeat(1024) + &n.to_string())).await.unwrap();
    }
    three.network.heal_all();
    let caught_up = &three.groups[gone];
    until(|| (caught_up.applied() >= group.applied()).then_some(())).await;
    assert_eq!(caught_up.read(|journal| journal.entries.len()).await.unwrap(), 500);
}

#[tokio::test]
async fn a_command_over_the_limit_is_refused_before_the_log() {
    let config = Config::builder().max_command_bytes(1_000).build().unwrap();
    let network = Loopback::new();
    let node = Node::builder().transport(network.at("a")).start().await.unwrap();
    let group = node.group::<Journal>().config(config).bootstrap().open().await.unwrap();
    group.command(Command::Push("small".into())).await.unwrap();
    let before = group.status().await.unwrap().last;
    let error = group.command(Command::Push("x".repeat(2_000))).await.unwrap_err();
    assert!(matches!(error, CommandError::TooLarge { limit: 1_000, .. }), "{error:?}");
    assert_eq!(group.status().await.unwrap().last, before, "it left no trace");
}
