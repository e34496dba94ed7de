//! Messages on their way. The network loses, repeats, delays and reorders whatever its chooser likes.

use crate::name::{Node, node_of};
use crate::value::Transfer;
use rafted_value_core::{MemberId, Message};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Names one packet on its way; later packets have larger numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNo(pub u64);

/// Something on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Who sent it.
    pub from: MemberId,
    /// Who shall get it.
    pub to: MemberId,
    /// When it left.
    pub sent: Duration,
    /// What it is.
    pub load: Load,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Load {
    /// A message of the protocol.
    Message(Message),
    /// A value.
    Transfer(Box<Transfer>),
}

/// All packets on their way and all links that are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Network {
    packets: BTreeMap<PacketNo, Packet>,
    issued: u64,
    cut: BTreeSet<(Node, Node)>,
}

impl Network {
    /// Sends a packet; whether it got as far as the link.
    pub fn send(&mut self, packet: Packet) -> bool {
        if self.is_cut(node_of(packet.from), node_of(packet.to)) {
            return false;
        }
        self.issued += 1;
        self.packets.insert(PacketNo(self.issued), packet);
        true
    }

    /// Everything on its way, oldest first.
    pub fn packets(&self) -> impl Iterator<Item = (PacketNo, &Packet)> {
        self.packets.iter().map(|(no, packet)| (*no, packet))
    }

    /// Everything on its way that was sent after this packet.
    pub fn since(&self, no: PacketNo) -> impl Iterator<Item = (PacketNo, &Packet)> {
        self.packets.range(PacketNo(no.0 + 1)..).map(|(no, packet)| (*no, packet))
    }

    /// One packet.
    pub fn get(&self, no: PacketNo) -> Option<&Packet> {
        self.packets.get(&no)
    }

    /// Takes a packet off the network: it arrives, or it is lost.
    pub fn take(&mut self, no: PacketNo) -> Option<Packet> {
        self.packets.remove(&no)
    }

    /// The same packet once more.
    pub fn duplicate(&mut self, no: PacketNo) {
        if let Some(packet) = self.packets.get(&no).cloned() {
            self.send(packet);
        }
    }

    /// Cuts a link in one direction, and with it what is on it. Returns what was lost.
    pub fn cut(&mut self, from: Node, to: Node) -> Vec<Packet> {
        self.cut.insert((from, to));
        let on_it = |packet: &Packet| node_of(packet.from) == from && node_of(packet.to) == to;
        let lost: Vec<PacketNo> = self.packets().filter(|(_, packet)| on_it(packet)).map(|(no, _)| no).collect();
        lost.into_iter().filter_map(|no| self.take(no)).collect()
    }

    /// Joins a link again.
    pub fn mend(&mut self, from: Node, to: Node) {
        self.cut.remove(&(from, to));
    }

    /// Joins all links.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Whether nothing passes.
    pub fn is_cut(&self, from: Node, to: Node) -> bool {
        self.cut.contains(&(from, to))
    }
}
