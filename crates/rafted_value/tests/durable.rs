//! Members on disk: what was confirmed is there after any end of any of them.

mod common;

use common::{ADDRESSES, Command, Dir, Journal, Query, quick, until};
use rafted_value::{AcceptDataLoss, Group, Loopback, Node, OpenError, RecoverError, StartError};
use std::path::Path;
use std::time::Duration;

async fn node(network: &Loopback, address: &str, dir: &Path) -> Node {
    Node::builder().transport(network.at(address)).data_dir(dir).start().await.expect("a node")
}

/// Three nodes on disk, each with a member; the same code for the first start and every other.
struct Fleet {
    network: Loopback,
    dir: Dir,
    nodes: Vec<Node>,
    groups: Vec<Group<Journal>>,
}

impl Fleet {
    async fn new() -> Fleet {
        let mut fleet = Fleet { network: Loopback::new(), dir: Dir::new(), nodes: Vec::new(), groups: Vec::new() };
        for place in 0..3 {
            let (node, group) = fleet.open(place).await;
            fleet.nodes.push(node);
            fleet.groups.push(group);
        }
        fleet
    }

    async fn open(&self, place: usize) -> (Node, Group<Journal>) {
        let address = ADDRESSES[place];
        let node = node(&self.network, address, &self.dir.of(address)).await;
        let group = node.group::<Journal>().config(quick());
        let group = if place == 0 { group.bootstrap() } else { group.join(ADDRESSES) };
        let group = group.open().await.expect("a member");
        (node, group.with_timeout(Duration::from_secs(30)))
    }

    async fn restart(&mut self, place: usize) {
        let (node, group) = self.open(place).await;
        self.nodes[place] = node;
        self.groups[place] = group;
    }

    async fn push(&self, place: usize, entry: &str) {
        self.groups[place].command(Command::Push(entry.to_owned())).await.expect("a command");
    }
}

#[tokio::test]
async fn a_node_alone_starts_again_as_the_one_it_was() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let mut ids = Vec::new();
    for round in 0..3 {
        let node = node(&network, "a", &dir.of("a")).await;
        let group = node.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
        assert_eq!(group.command(Command::Push(round.to_string())).await.unwrap(), round + 1);
        ids.push((node.id(), node.cluster(), group.member()));
        node.crash().await;
    }
    assert!(ids.iter().all(|it| *it == ids[0] && it.1.is_some()), "{ids:?}");
}

#[tokio::test]
async fn a_whole_group_loses_power_and_starts_again_in_any_order() {
    let mut fleet = Fleet::new().await;
    let members: Vec<_> = fleet.groups.iter().map(Group::member).collect();
    let mut confirmed = Vec::new();
    for (round, order) in [[2, 1, 0], [1, 0, 2], [0, 2, 1]].into_iter().enumerate() {
        for n in 0..20 {
            let entry = format!("{round} {n}");
            fleet.push(n % 3, &entry).await;
            confirmed.push(entry);
        }
        for node in &fleet.nodes {
            node.crash().await;
        }
        for place in order {
            fleet.restart(place).await;
        }
        for group in &fleet.groups {
            assert_eq!(group.read(|journal| journal.entries.clone()).await.unwrap(), confirmed);
        }
    }
    assert_eq!(fleet.groups.iter().map(Group::member).collect::<Vec<_>>(), members, "nobody is another");
}

#[tokio::test]
async fn members_restart_one_after_the_other_under_load_and_stay_who_they_are() {
    let mut fleet = Fleet::new().await;
    let members: Vec<_> = fleet.groups.iter().map(Group::member).collect();
    for round in 0..2 {
        for place in 0..3 {
            let caller = fleet.groups[(place + 1) % 3].clone();
            let load = tokio::spawn(async move {
                for n in 0..50 {
                    caller.command(Command::Push(format!("{round} {place} {n}"))).await.expect("no caller notices");
                }
            });
            match round {
                0 => fleet.nodes[place].stop().await,
                _ => fleet.nodes[place].crash().await,
            }
            fleet.restart(place).await;
            load.await.unwrap();
        }
    }
    assert_eq!(fleet.groups[0].query(Query::Length).await.unwrap(), 300, "each once");
    assert_eq!(fleet.groups.iter().map(Group::member).collect::<Vec<_>>(), members);
    assert_eq!(fleet.groups[0].status().await.unwrap().members.len(), 3);
}

#[tokio::test]
async fn who_lost_its_directory_is_another_and_who_is_in_memory_may_be_among_them() {
    let mut fleet = Fleet::new().await;
    fleet.push(0, "before").await;
    let lost = fleet.groups[2].member();
    fleet.nodes[2].crash().await;
    std::fs::remove_dir_all(fleet.dir.of("c")).unwrap();
    fleet.restart(2).await;
    assert_ne!(fleet.groups[2].member(), lost);
    // A fourth, in memory.
    let memory = Node::builder().transport(fleet.network.at("d")).start().await.unwrap();
    let fourth = memory.group::<Journal>().join(ADDRESSES).open().await.unwrap();
    fleet.push(1, "after").await;
    assert_eq!(fourth.read(|journal| journal.entries.clone()).await.unwrap(), ["before", "after"]);
    let status = fleet.groups[0].status().await.unwrap();
    assert_eq!(status.members.len(), 4, "{status:?}");
    assert!(status.members.iter().all(|member| member.id != lost));
}

#[tokio::test]
async fn a_long_log_becomes_a_snapshot_and_the_value_is_the_same() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let first = node(&network, "a", &dir.of("a")).await;
    let group = first.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
    let entry = "x".repeat(100_000);
    for _ in 0..60 {
        group.command(Command::Push(entry.clone())).await.unwrap();
    }
    let snapshots = || {
        let names = std::fs::read_dir(dir.of("a")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".snapshot")).count()
    };
    // The one that it was founded with, and one of what it grew to.
    until(|| (snapshots() >= 2).then_some(())).await;
    group.command(Command::Push("last".into())).await.unwrap();
    first.crash().await;
    let again = node(&network, "a", &dir.of("a")).await;
    let group = again.group::<Journal>().open().await.unwrap();
    assert_eq!(group.query(Query::Length).await.unwrap(), 61);
}

#[tokio::test]
async fn a_directory_serves_one_node_at_a_time() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let first = node(&network, "a", &dir.of("a")).await;
    let second = Node::builder().transport(network.at("b")).data_dir(dir.of("a")).start().await;
    let error = second.err().expect("a refusal");
    assert!(matches!(&error, StartError::Storage { .. }), "{error:?}");
    assert!(error.to_string().contains("another node uses it"), "{error}");
    first.crash().await;
    node(&network, "b", &dir.of("a")).await;
}

#[tokio::test]
async fn a_removed_member_finds_nothing_when_it_starts_again() {
    let mut fleet = Fleet::new().await;
    let leader = until(|| fleet.groups.iter().position(Group::is_leader)).await;
    let gone = (leader + 1) % 3;
    fleet.groups[leader].remove_follower(fleet.groups[gone].member()).await.unwrap();
    until(|| fleet.groups[gone].is_removed().then_some(())).await;
    let before = fleet.groups[gone].member();
    fleet.nodes[gone].stop().await;
    fleet.nodes[gone] = node(&fleet.network, ADDRESSES[gone], &fleet.dir.of(ADDRESSES[gone])).await;
    let error = fleet.nodes[gone].group::<Journal>().open().await.err().expect("nothing");
    assert!(matches!(error, OpenError::NothingToOpen { .. }), "{error:?}");
    let again = fleet.nodes[gone].group::<Journal>().join(ADDRESSES).open().await.unwrap();
    assert_ne!(again.member(), before);
}

#[tokio::test]
async fn damage_is_named_and_never_taken_for_nothing() {
    let mut fleet = Fleet::new().await;
    for n in 0..10 {
        fleet.push(0, &n.to_string()).await;
    }
    let member = fleet.groups[1].member();
    fleet.nodes[1].crash().await;
    let log = fleet.dir.of("b").join("log-0000000000000001");
    let mut bytes = std::fs::read(&log).unwrap();
    // Amid what it acknowledged, with more behind.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let amid = (0..end * 3 / 4).rev().find(|at| bytes[*at] != 0).unwrap();
    bytes[amid] ^= 1;
    std::fs::write(&log, bytes).unwrap();

    let broken = node(&fleet.network, "b", &fleet.dir.of("b")).await;
    let error = broken.group::<Journal>().open().await.err().expect("a refusal").to_string();
    assert!(error.contains("log-0000000000000001") && error.contains("byte"), "{error}");
    let error = broken.group::<Journal>().bootstrap().open().await.err().expect("a refusal");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    broken.crash().await;
    // Where it can ask others it comes back as another member.
    fleet.restart(1).await;
    assert_ne!(fleet.groups[1].member(), member);
    assert_eq!(fleet.groups[1].query(Query::Length).await.unwrap(), 10);
    assert_eq!(fleet.groups[0].status().await.unwrap().members.len(), 3);
}

#[tokio::test]
async fn a_survivor_on_disk_recovers_the_group_for_good_and_others_rejoin_it() {
    let mut fleet = Fleet::new().await;
    let leader = until(|| fleet.groups.iter().position(Group::is_leader)).await;
    for n in 0..10 {
        fleet.push(leader, &n.to_string()).await;
    }
    let (survivor, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let lost = [leader, other].map(|place| fleet.groups[place].member());
    fleet.nodes[leader].crash().await;
    fleet.nodes[other].crash().await;
    let group = fleet.groups[survivor].clone();
    let recovering = async {
        loop {
            let survivors = group.survivors().await.expect("a member");
            let last = survivors.iter().find(|it| it.member == group.member()).and_then(|it| it.last_entry());
            let accepted = AcceptDataLoss::after(last.expect("its own log"));
            match group.force_remove_member(lost, accepted).await {
                Err(RecoverError::LeaderAlive { .. }) => tokio::task::yield_now().await,
                other => return other.expect("a recovery"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), recovering).await.expect("leaders are forgotten");
    fleet.push(survivor, "after").await;
    let recovered = fleet.groups[survivor].member();
    // What was recovered is what is on disk.
    fleet.nodes[survivor].crash().await;
    let again = node(&fleet.network, ADDRESSES[survivor], &fleet.dir.of(ADDRESSES[survivor])).await;
    let group = again.group::<Journal>().open().await.expect("the recovered member");
    let group = group.with_timeout(Duration::from_secs(30));
    assert_eq!(group.member(), recovered);
    assert_eq!(group.query(Query::Length).await.unwrap(), 11);
    fleet.nodes[survivor] = again;
    fleet.groups[survivor] = group;
    // Whoever was taken for lost and comes back finds that the group went on, and joins it; also on its disk.
    for place in [leader, other] {
        fleet.restart(place).await;
        until(|| (!lost.contains(&fleet.groups[place].member())).then_some(())).await;
        assert_eq!(fleet.groups[place].query(Query::Length).await.unwrap(), 11);
    }
    let members: Vec<_> = fleet.groups.iter().map(Group::member).collect();
    let whole = async {
        loop {
            let status = fleet.groups[survivor].status().await.expect("a status");
            if status.members.len() == 3 && status.members.iter().all(|member| member.voter) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), whole).await.expect("three voters");
    for node in &fleet.nodes {
        node.crash().await;
    }
    for place in 0..3 {
        fleet.restart(place).await;
    }
    assert_eq!(fleet.groups[0].query(Query::Length).await.unwrap(), 11);
    assert_eq!(fleet.groups.iter().map(Group::member).collect::<Vec<_>>(), members);
}

#[tokio::test]
async fn what_is_in_a_directory_can_be_looked_at_while_no_node_uses_it() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let at = dir.of("a");
    assert!(rafted_value::inspect(&at).unwrap_err().to_string().contains("not the directory of a node"));
    assert!(!at.exists(), "looking makes nothing");
    let first = node(&network, "a", &at).await;
    let group = first.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
    group.command(Command::Push("one".into())).await.unwrap();
    let last = group.status().await.unwrap().last;
    let member = group.member();
    first.crash().await;
    let before: Vec<_> = std::fs::read_dir(&at).unwrap().map(|it| it.unwrap().file_name()).collect();
    let found = rafted_value::inspect(&at).unwrap();
    assert_eq!((found.node, found.cluster), (first.id(), first.cluster()));
    let stored = &found.groups[0];
    assert_eq!((stored.name.as_str(), stored.member, stored.last, &stored.damage), ("journal", member, last, &None));
    assert!(found.damage.is_empty());
    let after: Vec<_> = std::fs::read_dir(&at).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(before, after);

    // A snapshot that is damaged is the first of the value: nothing before it says the same.
    let snapshot = after.iter().find(|name| name.to_string_lossy().ends_with(".snapshot")).unwrap();
    let mut bytes = std::fs::read(at.join(snapshot)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(at.join(snapshot), bytes).unwrap();
    let found = rafted_value::inspect(&at).unwrap();
    let damage = found.groups[0].damage.as_ref().expect("damage");
    assert!(damage.contains(&*snapshot.to_string_lossy()), "{damage}");
    assert_eq!(&found.damage, std::slice::from_ref(damage));
}

struct Told(std::sync::mpsc::Sender<String>);

impl rafted_value::LeaderHook<Journal> for Told {
    fn on_command_committed(
        &self,
        _: Option<&Journal>,
        _: &Command,
        number: &usize,
        _: Option<&Journal>,
        _: &rafted_value::Context,
    ) {
        let _ = self.0.send(format!("committed {number}"));
    }

    fn on_elected(&self, _: Option<&Journal>, _: rafted_value::Term) {
        let _ = self.0.send("elected".to_owned());
    }

    fn on_restored_from_files(&self, value: Option<&Journal>) {
        let _ = self.0.send(format!("restored {:?}", value.map(|journal| journal.entries.len())));
    }

    fn wants_values(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_hook_hears_that_its_member_was_restored_and_nothing_twice() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let mut config = quick();
    config.leader_hook = Some("told".to_owned());
    let mut heard = Vec::new();
    for round in 0..2 {
        let (say, said) = std::sync::mpsc::channel();
        let node = node(&network, "a", &dir.of("a")).await;
        let group = node.group::<Journal>().hook("told", Told(say)).config(config.clone()).bootstrap();
        let group = group.open().await.unwrap();
        for n in 0..2 {
            group.command(Command::Push(format!("{round} {n}"))).await.unwrap();
        }
        let mut lines = Vec::new();
        let end = format!("committed {}", round * 2 + 2);
        while lines.last() != Some(&end) {
            lines.push(said.recv_timeout(Duration::from_secs(10)).expect("it is told"));
        }
        heard.push(lines);
        node.crash().await;
    }
    assert_eq!(heard[0], ["elected", "committed 1", "committed 2"]);
    assert_eq!(heard[1], ["restored Some(2)", "elected", "committed 3", "committed 4"]);
}
