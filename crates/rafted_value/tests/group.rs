//! A group in one process: what a user's own unit test looks like, and what must hold when members come and go.

mod common;

use common::{Command, Journal, Query, three, until};
use rafted_value::{Loopback, Node};
use std::time::Duration;

#[tokio::test]
async fn a_three_member_group_takes_under_ten_lines_and_no_port() {
    let network = Loopback::new();
    let a = Node::builder().transport(network.at("a")).start().await.unwrap();
    let b = Node::builder().transport(network.at("b")).start().await.unwrap();
    let c = Node::builder().transport(network.at("c")).start().await.unwrap();
    let journal = a.group::<Journal>().bootstrap().open().await.unwrap();
    b.group::<Journal>().join(["a"]).open().await.unwrap();
    c.group::<Journal>().join(["a"]).open().await.unwrap();
    assert_eq!(journal.command(Command::Push("x".into())).await.unwrap(), 1);
    assert_eq!(journal.query(Query::Length).await.unwrap(), 1);
}

#[tokio::test]
async fn commands_queries_and_reads_work_through_every_member() {
    let three = three().await;
    for (n, group) in three.groups.iter().enumerate() {
        let reply = group.command(Command::Push(format!("from {n}"))).await.unwrap();
        assert_eq!(reply, n + 1, "each command sees those before it");
        assert_eq!(group.query(Query::Length).await.unwrap(), n + 1);
        assert_eq!(group.read(|journal| journal.entries.len()).await.unwrap(), n + 1);
    }
    let entries = three.groups[2].read(|journal| journal.entries.clone()).await.unwrap();
    assert_eq!(entries, ["from 0", "from 1", "from 2"]);
}

#[tokio::test]
async fn a_read_sees_every_command_answered_before_wherever_it_is_asked() {
    let three = three().await;
    for n in 1..50 {
        three.groups[n % 3].command(Command::Push(n.to_string())).await.unwrap();
        let seen = three.groups[(n + 1) % 3].read(|journal| journal.entries.len()).await.unwrap();
        assert_eq!(seen, n);
    }
}

#[tokio::test]
async fn concurrent_commands_are_each_applied_once() {
    let three = three().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let group = three.groups[caller % 3].clone();
        callers.spawn(async move {
            for n in 0..20 {
                group.command(Command::Push(format!("{caller} {n}"))).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let mut entries = three.groups[0].read(|journal| journal.entries.clone()).await.unwrap();
    assert_eq!(entries.len(), 64 * 20);
    entries.sort();
    entries.dedup();
    assert_eq!(entries.len(), 64 * 20);
}

#[tokio::test]
async fn the_group_goes_on_when_its_leader_is_stopped() {
    let three = three().await;
    let leader = three.leader().await;
    let other = &three.groups[(leader + 1) % 3];
    for n in 0..10 {
        other.command(Command::Push(n.to_string())).await.unwrap();
    }
    three.nodes[leader].crash().await;
    assert_eq!(other.command(Command::Push("after".into())).await.unwrap(), 11, "nothing was lost or repeated");
    assert_eq!(other.query(Query::Length).await.unwrap(), 11);
}

#[tokio::test]
async fn commands_in_flight_while_the_leader_stops_are_applied_exactly_once() {
    let three = three().await;
    let leader = three.leader().await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..16 {
        let group = three.groups[(leader + 1 + caller % 2) % 3].clone().with_timeout(Duration::from_secs(20));
        callers.spawn(async move {
            for n in 0..50 {
                group.command(Command::Push(format!("{caller} {n}"))).await.unwrap();
            }
        });
    }
    let watching = &three.groups[(leader + 1) % 3];
    until(|| (watching.applied().0 > 20).then_some(())).await;
    three.nodes[leader].crash().await;
    callers.join_all().await;
    let entries = watching.read(|journal| journal.entries.clone()).await.unwrap();
    assert_eq!(entries.len(), 16 * 50);
    for caller in 0..16 {
        let prefix = format!("{caller} ");
        let own: Vec<_> = entries.iter().filter(|entry| entry.starts_with(&prefix)).cloned().collect();
        let expected: Vec<_> = (0..50).map(|n| format!("{caller} {n}")).collect();
        assert_eq!(own, expected, "in its caller's order, none missing, none twice");
    }
}

#[tokio::test]
async fn a_node_that_starts_again_takes_the_place_of_its_earlier_start() {
    let three = three().await;
    let leader = three.leader().await;
    let gone = (leader + 1) % 3;
    three.groups[leader].command(Command::Push("before".into())).await.unwrap();
    let old = three.groups[gone].member();
    three.nodes[gone].crash().await;

    let address = common::ADDRESSES[gone];
    let node = Node::builder().transport(three.network.at(address)).start().await.unwrap();
    let group = node.group::<Journal>().join(common::ADDRESSES).open().await.unwrap();
    assert_ne!(group.member(), old, "it is a new member");
    let report = three.groups[leader].status().await.unwrap();
    let voters: Vec<_> = report.members.iter().filter(|member| member.voter).map(|member| member.id).collect();
    assert_eq!(voters.len(), 3, "{report:?}");
    assert!(voters.contains(&group.member()) && !voters.contains(&old));
    assert_eq!(group.read(|journal| journal.entries.clone()).await.unwrap(), ["before"], "it was sent the value");
}

#[tokio::test]
async fn a_removed_member_learns_it_and_stops() {
    let three = three().await;
    let leader = three.leader().await;
    let gone = (leader + 1) % 3;
    three.groups[leader].remove_follower(three.groups[gone].member()).await.unwrap();
    until(|| three.groups[gone].is_removed().then_some(())).await;
    assert_eq!(three.groups[leader].status().await.unwrap().members.len(), 2);
    three.groups[leader].command(Command::Push("without it".into())).await.unwrap();
    assert!(three.groups[gone].command(Command::Push("by it".into())).await.is_err());
}

#[tokio::test]
async fn several_groups_share_a_node_and_opening_again_gives_the_same() {
    let network = Loopback::new();
    let a = Node::builder().transport(network.at("a")).start().await.unwrap();
    let b = Node::builder().transport(network.at("b")).start().await.unwrap();
    let mut groups = Vec::new();
    for n in 0..5 {
        let name = format!("journal {n}");
        groups.push(a.group::<Journal>().name(&name).bootstrap().open().await.unwrap());
        b.group::<Journal>().name(&name).join(["a"]).open().await.unwrap();
    }
    for (n, group) in groups.iter().enumerate() {
        for _ in 0..=n {
            group.command(Command::Push("x".into())).await.unwrap();
        }
    }
    for (n, group) in groups.iter().enumerate() {
        assert_eq!(group.query(Query::Length).await.unwrap(), n + 1, "groups do not meet");
    }
    let again = a.group::<Journal>().name("journal 3").bootstrap().open().await.unwrap();
    assert_eq!(again.member(), groups[3].member());
    assert_eq!(again.query(Query::Length).await.unwrap(), 4);
    assert_eq!(a.groups().len(), 5);
}

#[tokio::test]
async fn what_a_command_learns_from_its_context_is_the_same_everywhere() {
    let three = three().await;
    for _ in 0..20 {
        three.groups[0].command(Command::Tell).await.unwrap();
    }
    let mut copies = Vec::new();
    for group in &three.groups {
        copies.push(group.read(|journal| journal.entries.clone()).await.unwrap());
    }
    assert_eq!(copies[0].len(), 20);
    assert!(copies.iter().all(|copy| *copy == copies[0]));
}
