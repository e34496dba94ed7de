//! Who is who between nodes: identities, and where to reach them.

use rafted_value_core::MemberId;

/// One start of one process that hosts members; 128 random bits.
///
/// A node in memory has a new one at every start, so that nothing said to an earlier start reaches a later one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u128);

impl NodeId {
    /// For a transport's own greeting.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// What [`to_bytes`](NodeId::to_bytes) made.
    pub fn from_bytes(bytes: [u8; 16]) -> NodeId {
        NodeId(u128::from_be_bytes(bytes))
    }
}

/// Which cluster a node belongs to: made by the first bootstrap, adopted at the first join.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub(crate) u128);

/// One *incarnation* of a group: a group that is removed and made again under the same name is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u128);

impl GroupId {
    /// The first incarnation of a group: `random` but for its place in the line of incarnations.
    pub(crate) fn founded(random: u128) -> GroupId {
        GroupId(random & !GENERATION)
    }

    /// The incarnation that a recovery begins. Two recoveries of the same one have different ids, and neither follows the
    /// other.
    pub(crate) fn recovered(self, random: u128) -> GroupId {
        let generation = (self.0 & GENERATION).saturating_add(GENERATION & GENERATION.wrapping_neg()).min(GENERATION);
        GroupId(self.0 & LINE | generation | random & !(LINE | GENERATION))
    }

    /// Whether it is of the same group, and was begun by more recoveries.
    pub(crate) fn follows(self, earlier: GroupId) -> bool {
        self.0 & LINE == earlier.0 & LINE && self.0 & GENERATION > earlier.0 & GENERATION
    }
}

/// The upper half of a group's id stays through recoveries, the next 16 bits count them, the rest tells apart two recoveries
/// of the same incarnation.
const LINE: u128 = u128::MAX << 64;
const GENERATION: u128 = 0xffff << 48;

/// Where a node can be reached, and which node it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// The address, as the transport understands it.
    pub address: String,
    /// The node expected there; none if any will do, as for an address that a person typed.
    pub node: Option<NodeId>,
}

macro_rules! shows_as_hex {
    ($($name:ident),*) => {$(
        /// The first eight hexadecimal digits: enough to tell them apart in a log line.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:08x}", (self.0 >> 96) as u32)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
    )*};
}

shows_as_hex!(NodeId, ClusterId, GroupId);

impl std::fmt::Display for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

/// Which member of which group: what every frame about consensus names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MemberOf {
    pub(crate) group: GroupId,
    pub(crate) member: MemberId,
}

impl Contact {
    /// An address that a person gave: whatever node is there will do.
    pub(crate) fn anyone_at(address: impl Into<String>) -> Contact {
        Contact { address: address.into(), node: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_follows_what_it_recovers_and_nothing_else() {
        let (founded, other) = (GroupId::founded(u128::MAX), GroupId::founded(u128::MAX >> 1));
        let (one, two) = (founded.recovered(1), founded.recovered(2));
        assert!(one.follows(founded) && !founded.follows(one) && !one.follows(one));
        assert!(one != two && !one.follows(two) && !two.follows(one), "which of them lives is not for them to say");
        assert!(one.recovered(3).follows(two), "recovered more often");
        assert!(!one.follows(other) && !other.recovered(1).follows(founded), "another group");
        let last = (0..1 << 16).fold(founded, |group, n| group.recovered(n));
        assert!(last.follows(one) && !last.recovered(7).follows(last), "the line ends, and never begins anew");
    }
}
