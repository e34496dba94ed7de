//! What a script plays on: a cluster, what of it is held back, and the story so far.

use super::words::Said;
use crate::action::Action;
use crate::cluster::{Cluster, Founding};
use crate::name::{Name, Node, node_of};
use crate::network::{Load, Packet, PacketNo};
use rafted_value_core::MemberId;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a packet takes while a script waits.
const LATENCY: Duration = Duration::from_millis(1);

/// More steps than any story needs: something goes in circles.
const TOO_MANY: usize = 200_000;

/// The cluster and what the script does with it.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) cluster: Cluster,
    pub(super) founding: Option<Founding>,
    /// Links on which packets wait until they are named.
    pub(super) held_links: BTreeSet<(Node, Node)>,
    /// Members whose writes wait until they are named.
    pub(super) held_disks: BTreeSet<Node>,
    /// Every line told since the last `mark`.
    pub(super) told: Vec<String>,
}

impl Stage {
    /// Does one thing and tells what came of it.
    pub(super) fn act(&mut self, action: Action, lines: &mut Vec<String>) -> Said<()> {
        let tales = self.cluster.perform(action).map_err(|broken| broken.to_string())?;
        for tale in tales {
            self.told.push(tale.to_string());
            lines.push(tale.to_string());
        }
        Ok(())
    }

    /// Delivers and syncs until nothing is left that is not held back. No time passes.
    pub(super) fn settle(&mut self, lines: &mut Vec<String>) -> Said<()> {
        for _ in 0..TOO_MANY {
            let Some(action) = self.sync_due().or_else(|| self.first_packet().map(|(no, _)| Action::Deliver(no)))
            else {
                return Ok(());
            };
            self.act(action, lines)?;
        }
        Err("it never settles".to_owned())
    }

    /// Lets time pass; packets take [`LATENCY`], timers fire within their range, earlier letters first.
    pub(super) fn wait(&mut self, duration: Duration, lines: &mut Vec<String>) -> Said<()> {
        let end = self.cluster.now() + duration;
        for _ in 0..TOO_MANY {
            if let Some(sync) = self.sync_due() {
                self.act(sync, lines)?;
                continue;
            }
            let packet = self.first_packet().map(|(no, packet)| (packet.sent + LATENCY, Action::Deliver(no)));
            let timers = self.cluster.latest().filter_map(|member| {
                let (earliest, latest) = member.timer_window()?;
                let share = latest.saturating_sub(earliest) / 16 * u32::from(node_of(member.id).0);
                Some((earliest + share, Action::Fire(member.id)))
            });
            let next = packet.into_iter().chain(timers).min_by_key(|(at, _)| *at);
            let Some((at, action)) = next.filter(|(at, _)| *at <= end) else {
                let rest = end.saturating_sub(self.cluster.now());
                return self.act(Action::Pass(rest), lines);
            };
            let pause = at.saturating_sub(self.cluster.now());
            self.act(Action::Pass(pause), lines)?;
            self.act(action, lines)?;
        }
        Err("too much happens".to_owned())
    }

    fn sync_due(&self) -> Option<Action> {
        let due = |id: MemberId| !self.held_disks.contains(&node_of(id));
        let mut busy = self.cluster.latest().filter(|member| member.raft.is_some() && member.disk.is_busy());
        busy.find(|member| due(member.id)).map(|member| Action::Sync(member.id))
    }

    fn first_packet(&self) -> Option<(PacketNo, &Packet)> {
        let free = |packet: &Packet| !self.held_links.contains(&(node_of(packet.from), node_of(packet.to)));
        self.cluster.network().packets().find(|(_, packet)| free(packet))
    }

    /// The packets on a link whose description contains `filter`, oldest first.
    pub(super) fn packets_on(&self, (from, to): (Node, Node), filter: &str) -> Vec<PacketNo> {
        let on_it = |packet: &Packet| node_of(packet.from) == from && node_of(packet.to) == to;
        let packets = self.cluster.network().packets();
        packets.filter(|(_, packet)| on_it(packet) && describe(packet).contains(filter)).map(|(no, _)| no).collect()
    }

    /// The leader of the highest term among those that run.
    pub(super) fn leader(&self) -> Option<MemberId> {
        let leaders = self.cluster.portraits().values().filter(|portrait| portrait.leads());
        leaders.max_by_key(|portrait| portrait.term()).map(|portrait| portrait.id)
    }
}

/// A packet, in words.
pub(super) fn describe(packet: &Packet) -> String {
    match &packet.load {
        Load::Message(message) => crate::tale::Names(message).to_string(),
        Load::Transfer(transfer) => {
            let (from, to) = (Name(packet.from), Name(packet.to));
            format!("{from}->{to} t{} the value as of {}", transfer.term, transfer.snapshot.last_included)
        }
    }
}
