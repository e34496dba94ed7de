//! What happens next when nothing goes wrong: writes are synced, packets take a moment, timers fire in time.

use crate::action::Action;
use crate::cluster::Cluster;
use crate::invariants::Broken;
use crate::name::{Node, node_of};
use crate::network::{Packet, PacketNo};
use crate::tale::Tale;
use rafted_value_core::MemberId;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a packet takes.
const LATENCY: Duration = Duration::from_millis(1);

/// More steps than any calm needs: something goes in circles.
const TOO_MANY: usize = 200_000;

/// Fair weather, but for what is held back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Calm {
    /// Links on which packets wait.
    pub held_links: BTreeSet<(Node, Node)>,
    /// Nodes whose writes wait.
    pub held_disks: BTreeSet<Node>,
}

impl Calm {
    /// What is due at once: a write, or else the oldest packet. No time needs to pass.
    pub fn due(&self, cluster: &Cluster) -> Option<Action> {
        self.sync(cluster).or_else(|| self.oldest_packet(cluster).map(|(no, _)| Action::Deliver(no)))
    }

    /// What is due until `end`, and when. Timers fire within their range, earlier letters first.
    pub fn next(&self, cluster: &Cluster, end: Duration) -> Option<(Duration, Action)> {
        if let Some(sync) = self.sync(cluster) {
            return Some((cluster.now(), sync));
        }
        let packet = self.oldest_packet(cluster).map(|(no, packet)| (packet.sent + LATENCY, Action::Deliver(no)));
        let timers = cluster.latest().filter_map(|member| {
            let (earliest, latest) = member.timer_window()?;
            let share = latest.saturating_sub(earliest) / 16 * u32::from(node_of(member.id).0);
            Some((earliest + share, Action::Fire(member.id)))
        });
        packet.into_iter().chain(timers).min_by_key(|(at, _)| *at).filter(|(at, _)| *at <= end)
    }

    /// Lets `duration` pass.
    ///
    /// # Errors
    ///
    /// The invariant that breaks meanwhile.
    pub fn pass(&self, cluster: &mut Cluster, duration: Duration) -> Result<Vec<Tale>, Broken> {
        let end = cluster.now() + duration;
        let mut tales = Vec::new();
        for _ in 0..TOO_MANY {
            let Some((at, action)) = self.next(cluster, end) else {
                tales.extend(cluster.perform(Action::Pass(end.saturating_sub(cluster.now())))?);
                return Ok(tales);
            };
            cluster.perform(Action::Pass(at.saturating_sub(cluster.now())))?;
            tales.extend(cluster.perform(action)?);
        }
        Err(Broken { property: "calm", what: format!("more than {TOO_MANY} things happened in {duration:?}") })
    }

    fn sync(&self, cluster: &Cluster) -> Option<Action> {
        let due = |id: MemberId| !self.held_disks.contains(&node_of(id));
        let mut busy = cluster.latest().filter(|member| member.raft.is_some() && member.disk.is_busy());
        busy.find(|member| due(member.id)).map(|member| Action::Sync(member.id))
    }

    fn oldest_packet<'a>(&self, cluster: &'a Cluster) -> Option<(PacketNo, &'a Packet)> {
        let free = |packet: &Packet| !self.held_links.contains(&(node_of(packet.from), node_of(packet.to)));
        cluster.network().packets().find(|(_, packet)| free(packet))
    }
}
