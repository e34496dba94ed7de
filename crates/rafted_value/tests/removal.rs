//! A group that is removed from a node leaves it for good.

mod common;

use common::{ADDRESSES, Command, Dir, Journal, Query, quick, three, until};
use rafted_value::{ChangeError, Client, CommandError, Loopback, Node, OpenError, StatusError};
use std::time::Duration;

#[tokio::test]
async fn a_group_removed_from_its_leaders_node_goes_on_elsewhere_and_does_not_come_back() {
    let three = three().await;
    let leader = three.leader().await;
    let (node, old) = (&three.nodes[leader], &three.groups[leader]);
    let (address, other) = (ADDRESSES[leader], &three.groups[(leader + 1) % 3]);
    old.command(Command::Push("before".into())).await.unwrap();

    node.remove_group("journal").await.unwrap();
    assert!(node.groups().is_empty());
    let report = other.status().await.unwrap();
    assert!(report.members.len() == 2 && report.members.iter().all(|member| member.id != old.member()), "{report:?}");
    assert_eq!(other.command(Command::Push("after".into())).await.unwrap(), 2, "a majority of two is left");

    // Whoever asks that node is told, and whoever would bring it back is refused by name.
    let client = Client::<Journal>::connect(three.network.at("client"), "journal", [address]).await.unwrap();
    let error = client.status_of(address).await.unwrap_err();
    assert!(matches!(error, StatusError::NoSuchGroup { .. }), "{error}");
    let error = old.command(Command::Push("by the removed".into())).await.unwrap_err();
    assert!(matches!(error, CommandError::Stopped { .. }), "{error}");
    let error = node.group::<Journal>().join(ADDRESSES).open().await.err().unwrap();
    assert!(matches!(&error, OpenError::Removed { group } if group == "journal"), "{error}");
    let lost = three.network.at("d");
    let lost = Node::builder().transport(lost).start().await.unwrap();
    let opening = lost.group::<Journal>().join([address]).timeout(Duration::from_millis(300));
    let said = opening.open().await.err().unwrap().to_string();
    assert!(said.contains("GroupRemoved"), "{said}");

    // Another node may join, and another group may have the name.
    lost.group::<Journal>().join(ADDRESSES).open().await.unwrap();
    let anew = node.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
    assert_eq!(anew.query(Query::Length).await.unwrap(), 0);
    assert_eq!(other.query(Query::Length).await.unwrap(), 2);
}

#[tokio::test]
async fn a_follower_and_a_last_member_can_be_removed() {
    let network = Loopback::new();
    let a = Node::builder().transport(network.at("a")).start().await.unwrap();
    let b = Node::builder().transport(network.at("b")).start().await.unwrap();
    let first = a.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
    let second = b.group::<Journal>().join(["a"]).open().await.unwrap();
    b.remove_group("journal").await.unwrap();
    until(|| (second.is_removed() || b.groups().is_empty()).then_some(())).await;
    assert_eq!(first.status().await.unwrap().members.len(), 1);
    a.remove_group("journal").await.unwrap();
    assert!(a.groups().is_empty());
    let error = a.remove_group("journal").await.unwrap_err();
    assert!(matches!(error, ChangeError::NoSuchGroup { .. }), "{error}");
}

#[tokio::test]
async fn without_a_majority_a_group_is_not_removed_and_stays_as_it_is() {
    let three = three().await;
    let leader = three.leader().await;
    let (one, two, last) = (leader, (leader + 1) % 3, (leader + 2) % 3);
    three.nodes[one].crash().await;
    three.nodes[two].crash().await;
    let error = three.nodes[last].remove_group("journal").await.unwrap_err();
    assert!(matches!(error, ChangeError::Timeout { .. } | ChangeError::OutcomeUnknown { .. }), "{error}");
    assert_eq!(three.nodes[last].groups(), ["journal"]);
    assert_eq!(three.groups[last].status().await.unwrap().members.len(), 3);
}

#[tokio::test]
async fn the_last_member_takes_its_files_with_it() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let node = async || Node::builder().transport(network.at("a")).data_dir(dir.of("a")).start().await.unwrap();
    let a = node().await;
    for round in 0..20 {
        let group = a.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
        assert_eq!(group.query(Query::Length).await.unwrap(), 0, "a new group, in round {round}");
        // Much is on its way to the disk.
        let load: Vec<_> = (0..20)
            .map(|_| {
                tokio::spawn({
                    let group = group.clone();
                    async move { group.command(Command::Push("x".repeat(1 << 16))).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        a.remove_group("journal").await.unwrap();
        // At once: what is still on its way to the disk brings nothing back.
        let error = a.group::<Journal>().open().await.err().unwrap();
        assert!(matches!(error, OpenError::NothingToOpen { .. }), "{error}");
        for call in load {
            let _ = call.await.unwrap();
        }
    }
    a.crash().await;
    let a = node().await;
    let error = a.group::<Journal>().open().await.err().unwrap();
    assert!(matches!(error, OpenError::NothingToOpen { .. }), "{error}");
}
