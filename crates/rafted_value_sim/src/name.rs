//! Letters for members: `B` is the first life of node B, `B2` the one after it lost its memory.

use rafted_value_core::MemberId;
use std::fmt;

/// A node: the machine a member lives on. Links join nodes, so that they outlive members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u8);

impl Node {
    /// The node of a letter, `A` to `Z`.
    pub fn of_letter(letter: char) -> Option<Node> {
        letter.is_ascii_uppercase().then(|| Node(letter as u8 - b'A'))
    }

    /// Its member in its `life`-th life, counted from 1.
    pub fn member(self, life: u32) -> MemberId {
        MemberId((u128::from(self.0) + 1) << 96 | u128::from(life))
    }
}

/// The node a member lives on.
pub fn node_of(id: MemberId) -> Node {
    Node(((id.0 >> 96) as u8).wrapping_sub(1))
}

/// Which life of its node a member is.
pub fn life_of(id: MemberId) -> u32 {
    id.0 as u32
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (b'A' + self.0) as char)
    }
}

/// Shows a member as its letter.
#[derive(Clone, Copy)]
pub struct Name(pub MemberId);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match life_of(self.0) {
            1 => write!(f, "{}", node_of(self.0)),
            life => write!(f, "{}{life}", node_of(self.0)),
        }
    }
}
