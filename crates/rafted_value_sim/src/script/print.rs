//! Actions as the commands that perform them: so that any run can be told as a scenario.

use crate::action::Action;
use crate::cluster::{Cluster, Founding};
use crate::disk::Durability;
use crate::name::{Node, life_of, node_of};
use crate::network::PacketNo;
use rafted_value::simulation;
use rafted_value_core::{Change, Config, MemberId, Promotion, Proposal};

/// The command that performs `action` on this very cluster; nothing if it would do nothing.
pub fn command_of(action: &Action, cluster: &Cluster) -> Option<String> {
    Some(match action {
        Action::Pass(duration) => format!("pass {}ns", duration.as_nanos()),
        Action::Deliver(no) => format!("deliver {}", place(*no, cluster)?),
        Action::Drop(no) => format!("drop {}", place(*no, cluster)?),
        Action::Duplicate(no) => format!("duplicate {}", place(*no, cluster)?),
        Action::Misroute(no, to) => format!("misroute {} to {}", place(*no, cluster)?, name(*to)),
        Action::Fire(id) => format!("fire {}", name(*id)),
        Action::Sync(id) => format!("persist {}", name(*id)),
        Action::Flush(id) => format!("flush {}", name(*id)),
        Action::FailDisk(id) => format!("fail {}", name(*id)),
        Action::Save(id) => format!("save {}", name(*id)),
        Action::Crash(id) => format!("crash {}", name(*id)),
        Action::CrashAfter(id, writes) => format!("crash {} after {writes}", name(*id)),
        Action::Restart(id) => format!("restart {}", name(*id)),
        Action::Join(id) => format!("start {}", name(*id)),
        Action::Cut(from, to) => format!("cut {from}->{to}"),
        Action::Mend(from, to) => format!("mend {from}->{to}"),
        Action::Heal => "heal".to_owned(),
        Action::Drift(id, rate) => format!("clock {} {rate}ppm", name(*id)),
        Action::Call { id, at, ask, held } => {
            format!("call {id} {} {ask}{}", name(*at), if *held { " held" } else { "" })
        }
        Action::CallAgain { id, at } => format!("again {id} {}", name(*at)),
        Action::Quiesce(id) => format!("quiesce {}", name(*id)),
        Action::Wake(id) => format!("wake {}", name(*id)),
        Action::GiveUp(id) => format!("forget {id}"),
        Action::Propose { at, proposal, .. } => proposed(*at, proposal)?,
        Action::Transfer { at, to, .. } => {
            format!("transfer {} {}", name(*at), to.map_or("none".to_owned(), name))
        }
        Action::Read { at, label } => format!("read {} {label}", name(*at)),
        Action::Recover { .. } => return None,
    })
}

/// The command that founds such a cluster.
pub fn founding_of(founding: &Founding) -> String {
    let letters: Vec<String> = founding.members.iter().map(|id| node_of(*id).to_string()).collect();
    let durable = if founding.durability == Durability::Durable { " durable" } else { "" };
    let begun = if founding.begun { " begun" } else { "" };
    format!("cluster {}{durable}{begun} {}", letters.join(" "), settings(&founding.config))
}

fn settings(config: &Config) -> String {
    let nanos = |duration: std::time::Duration| format!("{}ns", duration.as_nanos());
    let sessions = simulation::from_core(config).map_or(0, |config| config.max_sessions);
    let words = [
        ("heartbeat", nanos(config.heartbeat_interval)),
        ("election", nanos(config.election_timeout)),
        ("margin", nanos(config.clock_drift_margin)),
        ("retained", config.max_retained_committed_logs.to_string()),
        ("retained_bytes", config.max_retained_bytes.to_string()),
        ("uncommitted", config.max_uncommitted_bytes.to_string()),
        ("append", config.max_append_bytes.to_string()),
        ("inflight", config.max_inflight_messages.to_string()),
        ("inflight_bytes", config.max_inflight_bytes.to_string()),
        ("learner", nanos(config.learner_timeout)),
        ("sessions", sessions.to_string()),
    ];
    words.map(|(key, value)| format!("{key}={value}")).join(" ")
}

fn proposed(at: MemberId, proposal: &Proposal) -> Option<String> {
    Some(match proposal {
        Proposal::Commands(_) => return None,
        Proposal::Config(config) => format!("configure {} {}", name(at), settings(config)),
        Proposal::Membership(Change::Remove(id)) => format!("remove {} at {}", name(*id), name(at)),
        Proposal::Membership(Change::SetVoters(voters)) => {
            let voters: Vec<String> = voters.iter().map(|id| name(*id)).collect();
            format!("voters {} at {}", voters.join(" "), name(at))
        }
        Proposal::Membership(Change::AddLearner { id, promotion, .. }) => {
            let how = match promotion {
                Promotion::Never => " learner".to_owned(),
                Promotion::WhenCaughtUp => String::new(),
                Promotion::Replacing(old) => format!(" replacing {}", name(*old)),
            };
            format!("add {}{how} at {}", name(*id), name(at))
        }
    })
}

/// A member with its life, whichever is the latest.
fn name(id: MemberId) -> String {
    format!("{}{}", node_of(id), life_of(id))
}

/// `2 A->B`: the second of the packets on their way from A to B.
fn place(no: PacketNo, cluster: &Cluster) -> Option<String> {
    let packet = cluster.network().get(no)?;
    let ends: (Node, Node) = (node_of(packet.from), node_of(packet.to));
    let before = cluster.network().packets().take_while(|(other, _)| *other < no);
    let older = before.filter(|(_, other)| (node_of(other.from), node_of(other.to)) == ends).count();
    Some(format!("{} {}->{}", older + 1, ends.0, ends.1))
}
