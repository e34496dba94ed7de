//! What a member says of itself and of the others.

mod common;

use common::{Command, Journal, quick, three};
use rafted_value::{Config, Context, Group, Loopback, Node, Promotion, Seat, StatusReport, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The first report of which `holds` is true.
async fn report(group: &Group<Journal>, holds: impl Fn(&StatusReport) -> bool) -> StatusReport {
    let found = async {
        loop {
            let report = group.status().await.unwrap();
            if holds(&report) {
                return report;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("it holds within ten seconds")
}

#[tokio::test]
async fn leader_and_followers_say_who_and_where_they_are() {
    let three = three().await;
    let leader = three.leader().await;
    let (first, second) = (&three.groups[leader], &three.groups[(leader + 1) % 3]);
    first.command(Command::Push("x".into())).await.unwrap();

    let nobody_lags = |report: &StatusReport| report.members.iter().all(|it| report.lag_of(it.id).unwrap_or(0) == 0);
    let leads = report(first, |report| nobody_lags(report) && report.applied == report.last).await;
    assert_eq!((leads.role.as_str(), leads.member, leads.leader), ("leader", first.member(), Some(first.member())));
    assert_eq!((leads.commit, leads.applied), (leads.last, leads.last));
    assert!(leads.term.0 > 0 && leads.base < leads.last && !leads.durable);
    assert_eq!(leads.config.as_deref(), Some(&quick()));
    assert_eq!((leads.lease_ms, leads.arriving), (None, None));
    assert!(leads.unresponsive_followers().is_empty());
    assert_eq!(leads.learners().count(), 0);
    for member in &leads.members {
        assert_eq!((member.voter, member.seat, member.sending), (true, Seat::Voter, None));
        assert!(common::ADDRESSES.contains(&member.contact.address.as_str()));
        assert_eq!(member.matched.is_some(), member.id != first.member(), "of its followers the leader knows");
        assert_eq!(member.silent_for_ms.is_some(), member.id != first.member());
    }

    let follows = report(second, |report| report.applied == leads.applied).await;
    assert_eq!((follows.role.as_str(), follows.member), ("follower", second.member()));
    assert_eq!((follows.leader, follows.term), (Some(first.member()), leads.term));
    assert_eq!(follows.config, leads.config);
    assert!(follows.members.iter().all(|member| member.matched.is_none() && member.silent_for_ms.is_none()));
    assert!(follows.unresponsive_followers().is_empty(), "it does not know");
}

#[tokio::test]
async fn a_leader_knows_who_is_silent_and_how_far_behind() {
    let three = three().await;
    let leader = three.leader().await;
    let (group, gone) = (&three.groups[leader], (leader + 1) % 3);
    three.nodes[gone].crash().await;
    for n in 0..10 {
        group.command(Command::Push(n.to_string())).await.unwrap();
    }
    let gone = three.groups[gone].member();
    let seen = report(group, |report| !report.unresponsive_followers().is_empty()).await;
    assert_eq!(seen.unresponsive_followers(), [gone]);
    assert!(seen.lag_of(gone).unwrap() >= 10, "{seen:?}");
}

#[tokio::test]
async fn a_lease_and_a_learner_are_reported() {
    let network = Loopback::new();
    let a = Node::builder().transport(network.at("a")).start().await.unwrap();
    let b = Node::builder().transport(network.at("b")).start().await.unwrap();
    let config = Config::builder()
        .heartbeat_interval(Duration::from_millis(50))
        .election_timeout(Duration::from_secs(1))
        .clock_drift_margin(Duration::from_millis(100))
        .build()
        .unwrap();
    let group = a.group::<Journal>().config(config).bootstrap().open().await.unwrap();
    let second = b.group::<Journal>().join(["a"]).open().await.unwrap();
    let learner = Node::builder().transport(network.at("c")).start().await.unwrap();
    let learner = learner.group::<Journal>().join(["a"]).as_learner().open().await.unwrap();

    let seen = report(&group, |report| report.lease_ms.is_some()).await;
    assert!(seen.lease_ms.unwrap() <= 900, "{seen:?}");
    let learners: Vec<_> = seen.learners().map(|member| (member.id, member.seat)).collect();
    assert_eq!(learners, [(learner.member(), Seat::Learner(Promotion::Never))]);
    assert_eq!(second.status().await.unwrap().lease_ms, None, "it does not lead");
}

static MAY_BE_WRITTEN: AtomicBool = AtomicBool::new(false);

/// Takes as long to encode as the test wants.
#[derive(Clone)]
struct Heavy;

impl Serialize for Heavy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        while !MAY_BE_WRITTEN.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        serializer.serialize_bytes(&vec![0; 1 << 20])
    }
}

impl<'de> Deserialize<'de> for Heavy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Heavy, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Heavy)
    }
}

impl Value for Heavy {
    const NAME: &'static str = "heavy";
    type Command = ();
    type Reply = ();
    type Query = ();
    type Answer = ();

    fn new() -> Heavy {
        Heavy
    }

    fn command(&mut self, (): (), _: &Context) {}

    fn query(&self, (): ()) {}
}

#[tokio::test]
async fn a_value_on_its_way_is_reported_until_it_has_arrived() {
    let network = Loopback::new();
    let a = Node::builder().transport(network.at("a")).start().await.unwrap();
    let b = Node::builder().transport(network.at("b")).start().await.unwrap();
    let group = a.group::<Heavy>().config(quick()).bootstrap().open().await.unwrap();
    let joining = tokio::spawn(async move { b.group::<Heavy>().join(["a"]).open().await.unwrap() });
    let sending = async |group: &Group<Heavy>| {
        let report = group.status().await.unwrap();
        report.members.iter().find_map(|member| member.sending)
    };
    let begun = tokio::time::timeout(Duration::from_secs(10), async {
        while sending(&group).await.is_none() {
            tokio::task::yield_now().await;
        }
    });
    begun.await.expect("the joiner is sent the value");
    MAY_BE_WRITTEN.store(true, Ordering::Relaxed);
    joining.await.unwrap();
    assert_eq!(sending(&group).await, None, "it has arrived");
}
