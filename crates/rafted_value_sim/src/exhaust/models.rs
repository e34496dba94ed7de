//! What is searched. A beginning that is already deep saves the search the way there.

use super::bounds::{Bound, Bounds};
use crate::action::Action;
use crate::calm::Calm;
use crate::clock::RIGHT;
use crate::cluster::{Cluster, Founding};
use crate::disk::Durability;
use crate::name::Node;
use bytes::Bytes;
use rafted_value_core::{Change, Config, Entry, EntryId, HardState, MemberId, Payload, Promotion, Proposal, Term};
use std::time::Duration;

/// Some beginnings, and what may happen then.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it is called.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    /// Where it begins.
    pub starts: Vec<Cluster>,
    /// What may happen.
    pub bounds: Bounds,
}

const SECOND: Duration = Duration::from_secs(1);

/// Every model.
///
/// # Panics
///
/// If a beginning breaks an invariant.
pub fn models(bound: Bound) -> Vec<Model> {
    let of = |small: Bounds, large: Bounds| match bound {
        Bound::Small => small,
        Bound::Large => large,
    };
    let none = Bounds::default;
    vec![
        Model {
            name: "elections",
            about: "three members in memory, from the beginning",
            starts: vec![found(Durability::Memory)],
            bounds: of(
                Bounds { elections: 2, ..none() },
                Bounds { elections: 3, commands: 2, duplicates: 1, signs_of_life: true, ..none() },
            ),
        },
        Model {
            name: "commands",
            about: "three members in memory, one of which leads; a command, a read, another election",
            starts: vec![led(found(Durability::Memory))],
            bounds: of(
                Bounds { elections: 1, commands: 1, reads: 1, ..none() },
                Bounds { elections: 2, commands: 2, reads: 1, duplicates: 1, heartbeats: 1, ..none() },
            ),
        },
        Model {
            name: "crashes",
            about: "three durable members, one of which leads and one of which may crash",
            starts: vec![led(found(Durability::Durable))],
            bounds: of(
                Bounds { elections: 1, commands: 1, crashes: 1, slow_disks: true, ..none() },
                Bounds { elections: 3, commands: 2, crashes: 1, duplicates: 1, slow_disks: true, ..none() },
            ),
        },
        Model {
            name: "figure 8",
            about: "an entry of term 2 on A, another of term 3 on C, none of them committed (thesis figure 3.7)",
            starts: vec![figure_8()],
            bounds: of(
                Bounds { elections: 2, ..none() },
                Bounds { elections: 3, heartbeats: 1, commands: 1, crashes: 1, ..none() },
            ),
        },
        Model {
            name: "membership",
            about: "three members, one of which leads, and a fourth that joins",
            starts: vec![joined(led(found(Durability::Memory)))],
            bounds: of(
                Bounds { heartbeats: 1, commands: 1, changes: vec![add(member(3)), remove(member(2))], ..none() },
                Bounds {
                    elections: 2,
                    commands: 1,
                    changes: vec![add(member(3)), remove(member(2)), swap()],
                    ..none()
                },
            ),
        },
        Model {
            name: "joint membership",
            about: "three members and a learner, one of which takes the place of another",
            starts: vec![with_learner(joined(led(found(Durability::Memory))))],
            bounds: of(
                Bounds { elections: 1, changes: vec![swap()], ..none() },
                Bounds { elections: 2, commands: 1, heartbeats: 1, changes: vec![swap()], ..none() },
            ),
        },
        Model {
            name: "lease",
            about: "with time: three members, one of which leads and has a lease; clocks that are right, and one that is not",
            starts: leases(),
            bounds: of(
                Bounds { elections: 1, heartbeats: 1, ticks: 3, tick: SECOND, ..none() },
                Bounds {
                    elections: 2,
                    heartbeats: 2,
                    commands: 1,
                    reads: 1,
                    crashes: 1,
                    ticks: 6,
                    tick: SECOND,
                    ..none()
                },
            ),
        },
    ]
}

fn member(at: u8) -> MemberId {
    Node(at).member(1)
}

/// Three members that know no time.
fn founding(durability: Durability) -> Founding {
    let config = Config {
        heartbeat_interval: Duration::ZERO,
        election_timeout: Duration::ZERO,
        clock_drift_margin: Duration::ZERO,
        learner_timeout: Duration::ZERO,
        ..Config::default()
    };
    Founding { members: (0..3).map(member).collect(), config, durability, begun: false }
}

fn found(durability: Durability) -> Cluster {
    Cluster::found(&founding(durability)).expect("a beginning")
}

/// Does something, and lets everything arrive.
fn calmly(mut cluster: Cluster, action: Action) -> Cluster {
    cluster.perform(action).expect("a beginning");
    while let Some(due) = Calm::default().due(&cluster) {
        cluster.perform(due).expect("a beginning");
    }
    cluster
}

/// A leads, and everybody knows what is committed.
fn led(cluster: Cluster) -> Cluster {
    let elected = calmly(cluster, Action::Fire(member(0)));
    calmly(elected, Action::Fire(member(0)))
}

/// D has started, and knows nothing.
fn joined(cluster: Cluster) -> Cluster {
    calmly(cluster, Action::Join(member(3)))
}

fn with_learner(cluster: Cluster) -> Cluster {
    let change = Change::AddLearner { id: member(3), contact: Bytes::new(), promotion: Promotion::Never };
    let proposal = Proposal::Membership(change);
    let added = calmly(cluster, Action::Propose { at: member(0), label: "add".to_owned(), proposal });
    calmly(added, Action::Fire(member(0)))
}

fn add(id: MemberId) -> Proposal {
    let promotion = Promotion::WhenCaughtUp;
    Proposal::Membership(Change::AddLearner { id, contact: Bytes::new(), promotion })
}

fn remove(id: MemberId) -> Proposal {
    Proposal::Membership(Change::Remove(id))
}

/// D in the place of C.
fn swap() -> Proposal {
    Proposal::Membership(Change::SetVoters(vec![member(0), member(1), member(3)]))
}

fn figure_8() -> Cluster {
    let mut founding = founding(Durability::Durable);
    // The entry of term 2 must travel alone: what is counted in the figure is that one.
    founding.config.max_append_bytes = 1;
    let mut cluster = Cluster::default();
    for (id, terms) in founding.members.iter().zip([&[1, 2][..], &[1], &[1, 3]]) {
        let entry = |(term, index): (&u64, u64)| Entry { id: EntryId::new(*term, index), payload: Payload::Noop };
        let entries = terms.iter().zip(1..).map(entry).collect();
        cluster.place(*id, &founding, HardState::new(Term(3), Some(*id)), entries).expect("a beginning");
    }
    cluster
}

/// Promises of two seconds: with right clocks and no margin; with the clock of C half as fast again, and half of the
/// promise given away to that.
fn leases() -> Vec<Cluster> {
    let timed = |margin| {
        let founding = founding(Durability::Durable);
        let config = Config {
            heartbeat_interval: SECOND,
            election_timeout: 2 * SECOND,
            clock_drift_margin: margin,
            learner_timeout: 4 * SECOND,
            ..founding.config
        };
        Cluster::found(&Founding { config, ..founding }).expect("a beginning")
    };
    let mut fast = timed(SECOND);
    fast.perform(Action::Drift(member(2), RIGHT / 2 * 3)).expect("a beginning");
    vec![led(timed(Duration::ZERO)), led(fast)]
}
