//! What a script plays on: a cluster, what of it is held back, and the story so far.

use super::words::Said;
use crate::action::Action;
use crate::calm::Calm;
use crate::cluster::{Cluster, Founding};
use crate::name::{Name, Node, node_of};
use crate::network::{Load, Packet, PacketNo};
use crate::tale::Tale;
use rafted_value_core::MemberId;
use std::time::Duration;

/// More steps than any story needs: something goes in circles.
const TOO_MANY: usize = 200_000;

/// The cluster and what the script does with it.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) cluster: Cluster,
    pub(super) founding: Option<Founding>,
    /// How things go on by themselves; what is held back waits until it is named.
    pub(super) calm: Calm,
    /// What must never be said.
    pub(super) never: Vec<String>,
    /// How many notes were proposed.
    pub(super) notes: u64,
    /// Every line told since the last `mark`.
    pub(super) told: Vec<String>,
}

impl Stage {
    /// Does one thing and tells what came of it.
    pub(super) fn act(&mut self, action: Action, lines: &mut Vec<String>) -> Said<()> {
        let tales = self.cluster.perform(action).map_err(|broken| broken.to_string())?;
        let from = self.told.len();
        self.tell(&tales, lines);
        let new = &self.told[from..];
        match self.never.iter().find(|text| new.iter().any(|line| line.contains(*text))) {
            Some(text) => Err(format!("BROKEN never {text:?}: it was said")),
            None => Ok(()),
        }
    }

    fn tell(&mut self, tales: &[Tale], lines: &mut Vec<String>) {
        self.told.extend(tales.iter().map(Tale::to_string));
        lines.extend(tales.iter().map(Tale::to_string));
    }

    /// Delivers and syncs until nothing is left that is not held back. No time passes.
    pub(super) fn settle(&mut self, lines: &mut Vec<String>) -> Said<()> {
        for _ in 0..TOO_MANY {
            let Some(action) = self.calm.due(&self.cluster) else { return Ok(()) };
            self.act(action, lines)?;
        }
        Err("it never settles".to_owned())
    }

    /// Lets time pass in calm.
    pub(super) fn wait(&mut self, duration: Duration, lines: &mut Vec<String>) -> Said<()> {
        let tales = self.calm.pass(&mut self.cluster, duration).map_err(|broken| broken.to_string())?;
        self.tell(&tales, lines);
        Ok(())
    }

    /// The packets on a link whose description contains `filter`, oldest first.
    pub(super) fn packets_on(&self, (from, to): (Node, Node), filter: &str) -> Vec<PacketNo> {
        let on_it = |packet: &Packet| node_of(packet.from) == from && node_of(packet.to) == to;
        let packets = self.cluster.network().packets();
        let fits = |packet: &Packet| on_it(packet) && (filter.is_empty() || describe(packet).contains(filter));
        packets.filter(|(_, packet)| fits(packet)).map(|(no, _)| no).collect()
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
