//! What kind of run a seed is: each draws some kinds of faults, and parameters as odd as they may be. Many bugs hide
//! behind a fault that does *not* happen (Groce et al., "Swarm testing", 2012).

use super::die::Die;
use crate::cluster::Founding;
use crate::disk::Durability;
use crate::name::Node;
use rafted_value::simulation;
use rafted_value_core::Config;
use std::collections::BTreeSet;
use std::time::Duration;

/// A kind of fault, with its names in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// N1: packets are lost.
    Loss,
    /// N1: packets of one kind are lost.
    TypedLoss,
    /// N4: packets come twice.
    Duplicates,
    /// N4: packets come again much later.
    Replays,
    /// N2, N3: packets overtake each other, and some take very long.
    Disorder,
    /// N5, N7, N8: links between groups of nodes are cut.
    Partition,
    /// N6: links are cut in one direction.
    OneWay,
    /// N5, T2: the leader is cut off.
    IsolateLeader,
    /// N15: what is on a node's links waits, and then comes at once.
    Clog,
    /// N13: one node is slow.
    SlowNode,
    /// SEC16: packets arrive at somebody else.
    Misroute,
    /// P1: a process ends, mostly a leader's.
    Crash,
    /// P1: it ends when some of its writes were synced, and it was not told.
    CrashInWrite,
    /// P2, D24: all processes end at once.
    PowerLoss,
    /// P4, P5: a process stands still; then everything that waited comes before its overdue timer.
    Pause,
    /// D16: a disk is slow.
    SlowDisk,
    /// D12, D13: a disk fails.
    BrokenDisk,
    /// C1: clocks run at different rates, within what the lease allows for.
    Drift,
    /// M1..M19: members come and go, one at a time.
    Membership,
    /// M10, M11, M19: voters are swapped through joint memberships.
    Swap,
    /// R17: leadership is handed over.
    Transfer,
    /// Settings change.
    Settings,
    /// S1..S11: members write their values, all the time.
    Saves,
}

impl Fault {
    /// Every kind.
    pub const ALL: &[Fault] = &[
        Fault::Loss,
        Fault::TypedLoss,
        Fault::Duplicates,
        Fault::Replays,
        Fault::Disorder,
        Fault::Partition,
        Fault::OneWay,
        Fault::IsolateLeader,
        Fault::Clog,
        Fault::SlowNode,
        Fault::Misroute,
        Fault::Crash,
        Fault::CrashInWrite,
        Fault::PowerLoss,
        Fault::Pause,
        Fault::SlowDisk,
        Fault::BrokenDisk,
        Fault::Drift,
        Fault::Membership,
        Fault::Swap,
        Fault::Transfer,
        Fault::Settings,
        Fault::Saves,
    ];
}

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// The members at first.
    pub founding: Founding,
    /// How many nodes there may ever be.
    pub nodes: u8,
    /// What goes wrong.
    pub faults: BTreeSet<Fault>,
    /// How long packets take, on average.
    pub latency: Duration,
    /// How many of a thousand packets are lost, if any are.
    pub loss: u32,
    /// How many of a thousand packets come twice, if any do.
    pub duplicates: u32,
    /// How long writes take, on average.
    pub sync: Duration,
    /// By how many parts in a million clocks may be wrong.
    pub drift: u32,
    /// How many clients there are, and how long each waits between calls, on average.
    pub clients: (u8, Duration),
    /// How many registers they use.
    pub registers: u8,
    /// How often something goes wrong, on average.
    pub trouble: Duration,
    /// How long it all lasts before faults stop.
    pub length: Duration,
}

impl Swarm {
    /// The swarm of a seed.
    pub fn draw(die: &mut Die) -> Swarm {
        let size = die.one_of(&[1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7]);
        let config = config(die);
        let faults = Fault::ALL.iter().copied().filter(|_| die.chance(250)).collect();
        let heartbeat = config.heartbeat_interval;
        let durability = die.one_of(&[Durability::Durable, Durability::Durable, Durability::Memory]);
        let drift = drift_allowed(&config);
        Swarm {
            nodes: (size + 2).min(8),
            founding: Founding {
                members: (0..size).map(|at| Node(at).member(1)).collect(),
                config,
                durability,
                begun: true,
            },
            faults,
            latency: heartbeat * die.one_of(&[1, 1, 5, 20, 100]) / 100,
            loss: die.one_of(&[5, 20, 50, 100, 300]),
            duplicates: die.one_of(&[10, 100, 500]),
            sync: heartbeat * die.one_of(&[0, 1, 10, 50]) / 100,
            drift,
            clients: (die.one_of(&[1, 2, 3, 6]), heartbeat * die.one_of(&[1, 2, 5, 20])),
            registers: die.one_of(&[1, 1, 2, 5]),
            trouble: heartbeat * die.one_of(&[3, 10, 30]),
            length: heartbeat * 250,
        }
    }

    /// Whether this goes wrong.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

/// Settings, ordinary or odd, but valid.
pub(super) fn config(die: &mut Die) -> Config {
    let heartbeat = Duration::from_millis(die.one_of(&[20, 50, 100, 200, 200]));
    let election = heartbeat * die.one_of(&[2, 3, 5, 5, 10]);
    let retained = die.one_of(&[0, 0, 3, 20, 100]);
    let mut config = Config {
        heartbeat_interval: heartbeat,
        election_timeout: election,
        clock_drift_margin: election * die.one_of(&[0, 1, 4, 10, 10]) / 10,
        max_retained_committed_logs: retained,
        max_retained_bytes: die.one_of(&[1, 1000, 1 << 20]),
        max_uncommitted_bytes: die.one_of(&[300, 5000, 1 << 20]),
        max_append_bytes: die.one_of(&[1, 200, 1 << 16]),
        max_inflight_messages: die.one_of(&[1, 3, 64]),
        max_inflight_bytes: die.one_of(&[1, 1000, 1 << 20]),
        learner_timeout: election * die.one_of(&[2, 5, 20]),
        ..Config::default()
    };
    let mut ours = simulation::from_core(&config).expect("our own settings");
    ours.max_sessions = die.one_of(&[3, 10, 10_000]);
    config.extra = simulation::to_core(&ours).extra;
    config
}

/// By how many parts in a million every clock may be fast or slow so that no lease outlasts a promise: with a lease of
/// `E - m` on a clock that is slow, and promises of `E` on one that is fast, (E - m) / (1 - d) <= E / (1 + d).
pub(super) fn drift_allowed(config: &Config) -> u32 {
    let (margin, election) = (config.clock_drift_margin.as_micros(), config.election_timeout.as_micros());
    if margin >= election {
        return 500_000;
    }
    // d <= m / (2E - m), rounded down by a little.
    (margin * 1_000_000 / (2 * election - margin)).saturating_sub(margin.min(100)) as u32
}
