//! Changes of the leader, the settings and the members, and what is said to those that cannot be.

mod common;

use common::{ADDRESSES, Command, Journal, Query, quick, refusal, three, three_with, unhurried, until};
use rafted_value::{ChangeError, Config, MemberId, Node};
use std::time::Duration;

#[tokio::test]
async fn leadership_goes_to_whom_it_is_given_and_no_command_fails() {
    let three = three().await;
    let load: Vec<_> = three
        .groups
        .iter()
        .map(|group| {
            let group = group.clone();
            tokio::spawn(async move {
                for n in 0..300 {
                    group.command(Command::Push(n.to_string())).await.expect("no command fails during a transfer");
                }
            })
        })
        .collect();
    let mut leader = three.leader().await;
    for _ in 0..5 {
        let next = (leader + 1) % 3;
        // Asked anywhere: whoever leads hears of it.
        three.groups[(leader + 2) % 3].replace_leader(Some(three.groups[next].member())).await.unwrap();
        until(|| three.groups[next].is_leader().then_some(())).await;
        leader = next;
    }
    for caller in load {
        caller.await.unwrap();
    }
    assert_eq!(three.groups[0].query(Query::Length).await.unwrap(), 900, "each once");
}

#[tokio::test]
async fn a_transfer_that_cannot_be_is_refused_and_changes_nothing() {
    let three = three().await;
    let leader = three.leader().await;
    let group = &three.groups[leader];
    let before = group.status().await.unwrap();

    let error = group.replace_leader(Some(group.member())).await.unwrap_err();
    assert!(matches!(error, ChangeError::AlreadyLeader { .. }), "{error:?}");
    let stranger = MemberId(7);
    let error = group.replace_leader(Some(stranger)).await.unwrap_err();
    assert!(matches!(&error, ChangeError::NotMember { member, .. } if *member == stranger), "{error:?}");
    group.replace_leader(None).await.expect("there is nothing to cancel");

    let after = group.status().await.unwrap();
    assert_eq!((before.term, before.last), (after.term, after.last));
}

#[tokio::test]
async fn a_transfer_to_a_dead_member_is_aborted_and_the_old_leader_serves_on() {
    let three = three().await;
    let leader = three.leader().await;
    let dead = (leader + 1) % 3;
    three.nodes[dead].crash().await;
    let error = three.groups[leader].replace_leader(Some(three.groups[dead].member())).await.unwrap_err();
    assert!(matches!(error, ChangeError::Unresponsive { .. }), "{error:?}");
    assert_eq!(three.groups[leader].command(Command::Push("on".into())).await.unwrap(), 1);
    assert!(three.groups[leader].is_leader());
}

#[tokio::test]
async fn other_settings_are_replicated_and_in_force_on_every_member() {
    let three = three().await;
    let leader = three.leader().await;
    let small = Config::builder()
        .heartbeat_interval(Duration::from_millis(50))
        .election_timeout(Duration::from_millis(250))
        .max_command_bytes(100)
        .build()
        .unwrap();
    three.groups[(leader + 1) % 3].change_config(&small).await.unwrap();
    for group in &three.groups {
        let error = group.command(Command::Push("x".repeat(200))).await.unwrap_err();
        assert!(error.is_not_applied(), "{error:?}");
    }
    three.groups[leader].change_config(&quick()).await.unwrap();
    three.groups[0].command(Command::Push("x".repeat(200))).await.unwrap();
}

#[tokio::test]
async fn removals_that_cannot_be_are_refused_by_name() {
    let three = three().await;
    let leader = three.leader().await;
    let group = &three.groups[leader];
    let before = group.status().await.unwrap();

    let error = group.remove_follower(group.member()).await.unwrap_err();
    assert!(matches!(error, ChangeError::CannotRemoveLeader { .. }), "{error:?}");
    let error = group.remove_follower(MemberId(7)).await.unwrap_err();
    assert!(matches!(error, ChangeError::NotMember { .. }), "{error:?}");
    assert_eq!(before.last, group.status().await.unwrap().last, "refusals leave no trace");
}

#[tokio::test]
async fn a_removal_that_would_leave_no_majority_is_refused_and_that_of_the_dead_is_not() {
    let three = three().await;
    let leader = three.leader().await;
    let (alive, dead) = ((leader + 1) % 3, (leader + 2) % 3);
    three.nodes[dead].crash().await;
    let group = three.groups[leader].with_timeout(Duration::from_secs(20));
    // Until the leader has noticed the silence, both look alike; then the living one must stay.
    let refused = async {
        while group.status().await.unwrap().members.iter().all(|member| member.silent_for_ms < Some(501)) {}
        group.remove_follower(three.groups[alive].member()).await.unwrap_err()
    };
    let error = tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    assert!(matches!(error, ChangeError::WouldBreakQuorum { .. }), "{error:?}");
    group.remove_follower(three.groups[dead].member()).await.expect("the dead can always go");
}

#[tokio::test]
async fn a_change_while_another_is_not_committed_waits_and_says_so_if_it_waited_in_vain() {
    let three = three_with(unhurried()).await;
    let leader = three.leader().await;
    let (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
    let group = three.groups[leader].with_timeout(Duration::from_secs(60));
    three.isolate(leader);
    let before = group.status().await.unwrap().last;
    let removing = {
        let (group, member) = (group.clone(), three.groups[first].member());
        tokio::spawn(async move { group.remove_follower(member).await })
    };
    let begun = async { while group.status().await.unwrap().last == before {} };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    let during = group.status().await.unwrap();

    let hurried = group.with_timeout(Duration::from_millis(300));
    let other = three.groups[second].member();
    let error = refusal(async || hurried.remove_follower(other).await, ChangeError::is_unknown).await;
    assert!(matches!(error, ChangeError::UncommittedMembershipChange { .. }), "{error:?}");
    let error = refusal(async || hurried.replace_leader(Some(other)).await, ChangeError::is_unknown).await;
    assert!(matches!(error, ChangeError::UncommittedMembershipChange { .. }), "{error:?}");
    let after = group.status().await.unwrap();
    assert_eq!((after.last, after.term), (during.last, during.term), "no trace");
    assert_eq!(after.members.len(), during.members.len());

    three.network.heal_all();
    removing.await.unwrap().unwrap();
    assert_eq!(group.status().await.unwrap().members.len(), 2);
}

#[tokio::test]
async fn a_change_while_leadership_is_handed_over_waits_and_says_so_if_it_waited_in_vain() {
    let three = three_with(unhurried()).await;
    let leader = three.leader().await;
    let (heir, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let group = three.groups[leader].with_timeout(Duration::from_secs(60));
    // It answers, and is not told that it shall lead.
    three.network.cut(ADDRESSES[leader], ADDRESSES[heir]);
    let handing = {
        let (group, member) = (group.clone(), three.groups[heir].member());
        tokio::spawn(async move { group.replace_leader(Some(member)).await })
    };
    // Which says why it refused a member that there is not, too.
    let hurried = group.with_timeout(Duration::from_millis(300));
    let begun = async { while !hands_over(hurried.remove_follower(MemberId(7)).await) {} };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    let before = group.status().await.unwrap();

    let other = three.groups[other].member();
    let error = refusal(async || hurried.remove_follower(other).await, ChangeError::is_unknown).await;
    assert!(matches!(error, ChangeError::PendingLeaderChange { .. }), "{error:?}");
    let error = refusal(async || hurried.change_config(&unhurried()).await, ChangeError::is_unknown).await;
    assert!(matches!(error, ChangeError::PendingLeaderChange { .. }), "{error:?}");
    let after = group.status().await.unwrap();
    assert_eq!((after.last, after.term), (before.last, before.term), "no trace");

    group.replace_leader(None).await.expect("cancelled");
    let error = handing.await.unwrap().unwrap_err();
    assert!(matches!(error, ChangeError::Overridden { .. }), "{error:?}");
    assert!(three.groups[leader].is_leader());
}

fn hands_over(refused: Result<(), ChangeError>) -> bool {
    matches!(refused, Err(ChangeError::PendingLeaderChange { .. }))
}

#[tokio::test]
async fn a_change_without_a_leader_was_not_made_and_says_so() {
    let three = three().await;
    let leader = three.leader().await;
    let left = &three.groups[(leader + 1) % 3];
    three.nodes[leader].crash().await;
    three.nodes[(leader + 2) % 3].crash().await;
    until(|| left.leader().is_none().then_some(())).await;
    let hurried = left.with_timeout(Duration::from_millis(300));
    let error = hurried.remove_follower(three.groups[leader].member()).await.unwrap_err();
    assert!(matches!(error, ChangeError::NotLeader { leader: None, .. }) && !error.is_unknown(), "{error:?}");
}

#[tokio::test]
async fn a_change_queues_behind_what_the_leader_does_for_a_joiner() {
    let three = three_with(unhurried()).await;
    let leader = three.leader().await;
    let gone = three.groups[(leader + 2) % 3].member();
    let group = three.groups[leader].with_timeout(Duration::from_secs(60));
    three.isolate(leader);
    let node = Node::builder().transport(three.network.at("d")).start().await.unwrap();
    let joining = {
        let opening = node.group::<Journal>().join([ADDRESSES[leader]]).timeout(Duration::from_secs(60));
        tokio::spawn(opening.open())
    };
    let begun = async { while group.status().await.unwrap().members.len() == 3 {} };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    // The joiner is in the log, and must yet be committed and promoted.
    let removing = {
        let group = group.clone();
        tokio::spawn(async move { group.remove_follower(gone).await })
    };
    tokio::task::yield_now().await;
    three.network.heal_all();
    removing.await.unwrap().expect("within its deadline");
    let joined = joining.await.unwrap().unwrap();
    let members = group.status().await.unwrap().members;
    assert_eq!(members.len(), 3);
    assert!(members.iter().any(|member| member.id == joined.member() && member.voter), "{members:?}");
    assert!(members.iter().all(|member| member.id != gone));
}

#[tokio::test]
async fn a_group_can_be_followed_from_address_to_address() {
    let three = three().await;
    // Every member is replaced, one after the other, by one on a new node; the value stays.
    three.groups[0].command(Command::Push("old".into())).await.unwrap();
    let mut nodes = Vec::new();
    let mut groups = three.groups.clone();
    for (n, address) in ["d", "e", "f"].into_iter().enumerate() {
        let node = Node::builder().transport(three.network.at(address)).start().await.unwrap();
        let known = if n == 0 { ADDRESSES.to_vec() } else { vec!["c", "d"] };
        let new = node.group::<Journal>().join(known).open().await.unwrap();
        if groups[0].is_leader() {
            new.replace_leader(Some(new.member())).await.unwrap();
        }
        new.remove_follower(groups.remove(0).member()).await.unwrap();
        groups.push(new);
        nodes.push(node);
    }
    assert_eq!(groups[0].status().await.unwrap().members.len(), 3);
    assert_eq!(groups[2].read(|journal| journal.entries.clone()).await.unwrap(), ["old"]);
}

#[tokio::test]
async fn members_restart_one_after_the_other_and_no_caller_notices() {
    let mut three = three().await;
    let group = three.groups[0].clone();
    group.command(Command::Push("first".into())).await.unwrap();
    for round in 0..2 {
        for (n, address) in ADDRESSES.into_iter().enumerate() {
            let caller = three.groups[(n + 1) % 3].clone();
            let load = tokio::spawn(async move {
                for n in 0..100 {
                    caller.command(Command::Push(format!("{round} {n}"))).await.expect("no error at any caller");
                }
            });
            three.nodes[n].stop().await;
            let node = Node::builder().transport(three.network.at(address)).start().await.unwrap();
            three.groups[n] = node.group::<Journal>().join(ADDRESSES).open().await.unwrap();
            three.nodes[n] = node;
            load.await.unwrap();
        }
    }
    assert_eq!(three.groups[1].query(Query::Length).await.unwrap(), 601);
    assert_eq!(three.groups[1].status().await.unwrap().members.len(), 3);
}

#[tokio::test]
async fn a_leader_that_stops_hands_over_first() {
    let three = three().await;
    let leader = three.leader().await;
    let other = three.groups[(leader + 1) % 3].clone();
    let term = other.status().await.unwrap().term;
    three.nodes[leader].stop().await;
    // Well before any election timeout: 250 ms at the least.
    let quick = other.with_timeout(Duration::from_millis(200));
    quick.command(Command::Push("at once".into())).await.unwrap();
    assert_eq!(other.status().await.unwrap().term.0, term.0 + 1, "one election, and it was won at once");
}
