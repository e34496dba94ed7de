//! The loss of a majority for good, and what is left of the group.

mod common;

use common::{Command, Journal, Query, quick, until};
use rafted_value::{AcceptDataLoss, Group, Loopback, MemberId, Node, RecoverError};
use std::collections::BTreeMap;
use std::time::Duration;

const ADDRESSES: [&str; 5] = ["a", "b", "c", "d", "e"];

struct Five {
    network: Loopback,
    nodes: Vec<Node>,
    groups: Vec<Group<Journal>>,
}

async fn five() -> Five {
    let network = Loopback::new();
    let (mut nodes, mut groups) = (Vec::new(), Vec::new());
    for address in ADDRESSES {
        let node = Node::builder().transport(network.at(address)).start().await.expect("a node");
        let opening = match groups.is_empty() {
            true => node.group::<Journal>().config(quick()).bootstrap(),
            false => node.group::<Journal>().join(["a"]),
        };
        groups.push(opening.open().await.expect("a member"));
        nodes.push(node);
    }
    Five { network, nodes, groups }
}

impl Five {
    async fn leader(&self) -> usize {
        until(|| self.groups.iter().position(Group::is_leader)).await
    }

    /// Loses three of five, the leader among them; returns the places of the survivors and the names of the lost.
    async fn lose_three(&self) -> (usize, usize, Vec<MemberId>) {
        let leader = self.leader().await;
        let lost = [leader, (leader + 1) % 5, (leader + 2) % 5];
        for place in lost {
            self.nodes[place].crash().await;
        }
        ((leader + 3) % 5, (leader + 4) % 5, lost.map(|place| self.groups[place].member()).to_vec())
    }
}

/// The survivor to go on from, and the word that its log's end was looked at.
async fn best_of(five: &Five, one: usize, other: usize) -> (usize, usize, AcceptDataLoss) {
    let survivors = five.groups[one].survivors().await.expect("a member");
    assert_eq!(survivors.len(), 5);
    assert_eq!(survivors.iter().filter(|survivor| survivor.last_entry().is_some()).count(), 2, "{survivors:?}");
    let best = &survivors[0];
    let accepted = AcceptDataLoss::after(best.last_entry().expect("it answered"));
    assert!(best.last_entry() >= survivors[1].last_entry());
    match best.member == five.groups[one].member() {
        true => (one, other, accepted),
        false => (other, one, accepted),
    }
}

/// Tries until no leader may be alive any more.
async fn recover(group: &Group<Journal>, lost: &[MemberId], accepted: AcceptDataLoss) {
    let recovering = async {
        loop {
            match group.force_remove_member(lost.iter().copied(), accepted).await {
                Err(RecoverError::LeaderAlive { .. }) => tokio::task::yield_now().await,
                other => return other,
            }
        }
    };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, recovering).await.expect("leaders are forgotten").expect("a recovery");
}

async fn entries(group: &Group<Journal>) -> Vec<String> {
    group.read(|journal| journal.entries.clone()).await.expect("a read")
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_loss_of_three_of_five_and_every_handle_goes_on() {
    let five = five().await;
    let (patient, leader) = (Duration::from_secs(60), five.leader().await);
    // One caller at each member that will survive, which never stops: whatever it was told is done is there, once.
    let callers: Vec<_> = [(leader + 3) % 5, (leader + 4) % 5]
        .map(|place| {
            let group = five.groups[place].with_timeout(patient);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0..150 {
                    let entry = format!("{place}:{n}");
                    if group.command(Command::Push(entry.clone())).await.is_ok() {
                        acknowledged.push(entry);
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                acknowledged
            })
        })
        .into();
    five.groups[leader].command(Command::Push("first".into())).await.expect("a command");
    let (one, other, lost) = five.lose_three().await;
    let before: Vec<MemberId> = five.groups.iter().map(Group::member).collect();

    // Whatever was on its way arrives; then the logs stand still.
    let (survivor, follower, accepted) = best_of(&five, one, other).await;
    recover(&five.groups[survivor].with_timeout(patient), &lost, accepted).await;
    assert!(five.groups[survivor].is_leader());
    assert_ne!(five.groups[survivor].member(), before[survivor], "an identity of the former incarnation is not reused");

    // The other survivor finds out by itself, under the handle it had.
    until(|| (five.groups[follower].member() != before[follower]).then_some(())).await;
    five.groups[follower].with_timeout(patient).wait_ready().await.expect("it joins");
    let mut acknowledged = vec!["first".to_owned()];
    for caller in callers {
        acknowledged.extend(caller.await.expect("a caller"));
    }
    assert!(acknowledged.len() > 250, "two callers had 150 commands each: {}", acknowledged.len());
    let mut count = BTreeMap::new();
    for entry in entries(&five.groups[follower]).await {
        *count.entry(entry).or_insert(0) += 1;
    }
    assert!(count.values().all(|times| *times == 1), "nothing twice: {count:?}");
    let missing: Vec<&String> = acknowledged.iter().filter(|entry| !count.contains_key(*entry)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");

    let status = five.groups[survivor].status().await.expect("a member");
    assert_eq!(status.members.len(), 2, "{:?}", status.members);
    let again = five.groups[survivor].force_remove_member(lost, accepted).await;
    assert!(matches!(again, Err(RecoverError::LeaderAlive { .. })), "it is whole: {again:?}");
    assert_eq!(entries(&five.groups[survivor]).await, entries(&five.groups[follower]).await);

    // New nodes take the place of the lost.
    let node = Node::builder().transport(five.network.at("f")).start().await.expect("a node");
    let joined = node.group::<Journal>().join([ADDRESSES[follower]]).open().await.expect("a member");
    assert_eq!(joined.query(Query::Length).await.expect("a query"), count.len());
}

#[tokio::test]
async fn nobody_is_given_up_by_mistake() {
    let five = five().await;
    let leader = five.leader().await;
    let last = five.groups[leader].status().await.unwrap().last_entry();
    let all: Vec<MemberId> = five.groups.iter().map(Group::member).collect();
    for group in &five.groups {
        let others = all.iter().copied().filter(|id| *id != group.member());
        let error = group.force_remove_member(others, AcceptDataLoss::after(last)).await.unwrap_err();
        assert!(matches!(error, RecoverError::LeaderAlive { leader: Some(_), .. }), "{error:?}");
    }
    let (one, other, lost) = five.lose_three().await;
    let (survivor, _, accepted) = best_of(&five, one, other).await;
    let group = &five.groups[survivor];
    let refused = |lost: Vec<MemberId>, accepted| async move {
        loop {
            match group.force_remove_member(lost.iter().copied(), accepted).await.unwrap_err() {
                RecoverError::LeaderAlive { .. } => tokio::task::yield_now().await,
                other => return other,
            }
        }
    };
    let error = refused(vec![MemberId(7)], accepted).await;
    assert!(matches!(error, RecoverError::NotMember { member: MemberId(7), .. }), "{error:?}");
    let error = refused([&lost[..], &[group.member()]].concat(), accepted).await;
    assert!(matches!(error, RecoverError::IsSurvivor { .. }), "{error:?}");
    let error = refused(lost[..2].to_vec(), accepted).await;
    assert!(matches!(error, RecoverError::MajorityRemains { .. }), "{error:?}");
    let error = refused(lost.clone(), AcceptDataLoss::after(rafted_value::EntryId::new(1, 1))).await;
    assert!(matches!(error, RecoverError::OtherEntry { .. }), "{error:?}");
    let status = group.status().await.unwrap();
    assert_eq!(status.members.len(), 5, "no refusal leaves a trace");

    group.stop().await;
    let error = group.force_remove_member(lost, accepted).await.unwrap_err();
    assert!(matches!(error, RecoverError::Stopped { .. }), "{error:?}");
}

#[tokio::test]
async fn a_leader_that_was_only_out_of_reach_joins_what_was_recovered() {
    let five = five().await;
    let leader = five.leader().await;
    five.groups[leader].command(Command::Push("kept".into())).await.expect("a command");
    let before: Vec<MemberId> = five.groups.iter().map(Group::member).collect();
    let survivors = [(leader + 3) % 5, (leader + 4) % 5];
    let lost = [leader, (leader + 1) % 5, (leader + 2) % 5];
    let names = lost.map(|place| five.groups[place].member());
    for place in &lost[1..] {
        five.nodes[*place].crash().await;
    }
    for survivor in survivors {
        five.network.cut(ADDRESSES[leader], ADDRESSES[survivor]);
    }
    // It takes commands that no majority will ever have.
    let late = five.groups[leader].with_timeout(Duration::from_millis(200)).command(Command::Push("late".into())).await;
    assert!(late.is_err());
    let (survivor, follower, accepted) = {
        let (one, other) = (survivors[0], survivors[1]);
        best_of(&five, one, other).await
    };
    recover(&five.groups[survivor], &names, accepted).await;
    five.groups[survivor].command(Command::Push("after".into())).await.expect("a command");

    for survivor in survivors {
        five.network.heal(ADDRESSES[leader], ADDRESSES[survivor]);
    }
    for place in [follower, leader] {
        let group = five.groups[place].with_timeout(Duration::from_secs(60));
        until(|| (group.member() != before[place]).then_some(())).await;
        group.wait_ready().await.expect("it joins");
        assert_eq!(entries(&group).await, ["kept", "after"]);
        assert!(!group.is_removed());
    }
    assert_eq!(five.groups[survivor].status().await.unwrap().members.len(), 3);
}
