//! Leadership as something to hold: who has it, how its end is noticed, and how its tokens are ordered.

mod common;

use common::{ADDRESSES, Command, Three, three, three_with};
use rafted_value::{Config, Group, Leadership, StatusError};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

fn isolate(three: &Three, one: usize) {
    for other in ADDRESSES.iter().filter(|other| **other != ADDRESSES[one]) {
        three.network.cut(ADDRESSES[one], *other);
        three.network.cut(*other, ADDRESSES[one]);
    }
}

/// Whichever member leads first, and its leadership.
async fn first_of(groups: &[Group<common::Journal>]) -> (usize, Leadership) {
    let mut waiting = tokio::task::JoinSet::new();
    for (n, group) in groups.iter().cloned().enumerate() {
        waiting.spawn(async move { (n, group.leadership().await.unwrap()) });
    }
    timeout(SOON, waiting.join_next()).await.expect("somebody leads").unwrap().unwrap()
}

#[tokio::test]
async fn one_member_has_it_and_whoever_has_it_next_has_a_greater_token() {
    let three = three().await;
    let (mut leader, mut leadership) = first_of(&three.groups).await;
    let mut past = Vec::new();
    for n in 1..5 {
        assert!(leadership.is_held() && leadership.confirm(SOON).await);
        three.groups[leader].command(Command::Push(n.to_string())).await.unwrap();
        let next = (leader + 1) % 3;
        let waiting = tokio::spawn({
            let group = three.groups[next].clone();
            async move { group.leadership().await }
        });
        three.groups[leader].replace_leader(Some(three.groups[next].member())).await.unwrap();
        let later = timeout(SOON, waiting).await.expect("it leads").unwrap().unwrap();
        timeout(SOON, leadership.lost()).await.expect("it is noticed");
        assert!(!leadership.is_held() && !leadership.confirm(SOON).await, "{leadership:?}");
        assert!(later.token() > leadership.token(), "{later:?} after {leadership:?}");
        assert!(later.token().number() > leadership.token().number());
        assert!(three.groups[next].applied() >= later.token().index, "its copy is current");
        past.push(leadership);
        (leader, leadership) = (next, later);
    }
    assert!(!past.iter().any(Leadership::is_held), "not even of a member that leads again: {past:?}");
    // Again in the same leadership: never smaller.
    let again = three.groups[leader].leadership().await.unwrap();
    assert!(again.token() >= leadership.token() && again.token().term == leadership.token().term);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_confirms_nothing_and_learns_that_it_is_over() {
    let three = three().await;
    let (leader, leadership) = first_of(&three.groups).await;
    isolate(&three, leader);
    assert!(!leadership.confirm(Duration::from_millis(50)).await, "nobody hears it");
    assert_eq!(leadership.held_for(), None, "without a lease time says nothing");
    timeout(SOON, leadership.lost()).await.expect("it hears no majority");
    // It waits for a new one, which does not come while it is alone.
    let alone = three.groups[leader].leadership();
    assert!(timeout(Duration::from_millis(300), alone).await.is_err());
    let others: Vec<_> =
        three.groups.iter().enumerate().filter(|(n, _)| *n != leader).map(|(_, it)| it.clone()).collect();
    let (_, later) = first_of(&others).await;
    assert!(later.token() > leadership.token());
}

#[tokio::test]
async fn while_time_says_that_it_holds_nobody_else_leads() {
    let config = Config::builder()
        .heartbeat_interval(Duration::from_millis(50))
        .election_timeout(Duration::from_millis(500))
        .clock_drift_margin(Duration::from_millis(50))
        .build()
        .unwrap();
    let three = three_with(config).await;
    for round in 0..3 {
        let (leader, leadership) = first_of(&three.groups).await;
        timeout(SOON, async {
            while leadership.held_for().is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("a lease");
        assert!(leadership.held_for().unwrap() <= Duration::from_millis(450), "{round}");
        isolate(&three, leader);
        let others: Vec<_> =
            three.groups.iter().enumerate().filter(|(n, _)| *n != leader).map(|(_, it)| it.clone()).collect();
        let (_, later) = first_of(&others).await;
        assert_eq!(leadership.held_for(), None, "{later:?} leads");
        assert!(later.token() > leadership.token());
        three.network.heal_all();
        timeout(SOON, leadership.lost()).await.expect("it hears of the other");
    }
}

#[tokio::test]
async fn whoever_waits_for_it_is_told_that_the_member_ended() {
    let three = three().await;
    let (leader, leadership) = first_of(&three.groups).await;
    let waiting = tokio::spawn({
        let group = three.groups[(leader + 1) % 3].clone();
        async move { group.leadership().await.err() }
    });
    three.groups[(leader + 1) % 3].stop().await;
    let error = timeout(SOON, waiting).await.expect("it ends").unwrap();
    assert!(matches!(error, Some(StatusError::Stopped { .. })), "{error:?}");
    three.nodes[leader].crash().await;
    timeout(SOON, leadership.lost()).await.expect("the node is gone");
    assert!(!leadership.is_held() && leadership.held_for().is_none() && !leadership.confirm(SOON).await);
}
