//! Who is who between nodes: identities, and where to reach them.

use rafted_value_core::MemberId;

/// One start of one process that hosts members; 128 random bits.
///
/// A node in memory has a new one at every start, so that nothing said to an earlier start reaches a later one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u128);

/// Which cluster a node belongs to: made by the first bootstrap, adopted at the first join.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub(crate) u128);

/// One *incarnation* of a group: a group that is removed and made again under the same name is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(crate) u128);

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
