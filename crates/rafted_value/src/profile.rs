//! What a member says of itself when it joins. Stands in the membership, so that whoever leads knows it.

use crate::contact::{Contact, NodeId};
use bytes::Bytes;
use prost::Message as _;
use rafted_value_core::{Member, Membership};

/// A member's own words about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Where it is.
    pub contact: Contact,
    /// The names of the hooks that are registered there, in order.
    pub hooks: Vec<String>,
    /// The version of the value's type in its build.
    pub value_version: u32,
}

/// As it stands in a membership: numbered fields, so that it can grow.
#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(bytes = "bytes", tag = "1")]
    node: Bytes,
    #[prost(string, tag = "2")]
    address: String,
    #[prost(string, repeated, tag = "3")]
    hooks: Vec<String>,
    #[prost(uint32, tag = "4")]
    value_version: u32,
}

impl Profile {
    /// As it stands in a membership.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let node = self.contact.node.map_or_else(Bytes::new, |node| Bytes::copy_from_slice(&node.0.to_be_bytes()));
        let record = Record {
            node,
            address: self.contact.address.clone(),
            hooks: self.hooks.clone(),
            value_version: self.value_version,
        };
        record.encode_to_vec().into()
    }

    /// What a membership says; nothing if it is not of ours.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Profile> {
        let Record { node, address, hooks, value_version } = Record::decode(bytes).ok()?;
        let node = match node.len() {
            0 => None,
            _ => Some(NodeId(u128::from_be_bytes(node[..].try_into().ok()?))),
        };
        Some(Profile { contact: Contact { address, node }, hooks, value_version })
    }

    /// Whether a hook of this name is registered there.
    pub(crate) fn has_hook(&self, name: &str) -> bool {
        self.hooks.iter().any(|hook| hook == name)
    }
}

/// The version of the value that every member's build knows; zero if one says nothing of it.
pub(crate) fn value_version(membership: &Membership) -> u32 {
    let of = |member: &Member| Profile::from_bytes(&member.contact).map_or(0, |profile| profile.value_version);
    membership.members().values().map(of).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let contact = Contact { address: "a:1".into(), node: Some(NodeId(7)) };
        Profile { contact, hooks: vec!["mail".into(), "metrics".into()], value_version: 3 }
    }

    #[test]
    fn the_bytes_never_change() {
        let node = [&b"\x0a\x10"[..], &7_u128.to_be_bytes()].concat();
        let bytes = [&node[..], b"\x12\x03a:1", b"\x1a\x04mail", b"\x1a\x07metrics\x20\x03"].concat();
        assert_eq!(profile().to_bytes(), bytes);
        assert_eq!(Profile::from_bytes(&bytes), Some(profile()));
    }

    #[test]
    fn what_a_newer_build_adds_is_passed_over_and_anything_else_is_nobody() {
        let newer = [&profile().to_bytes()[..], b"\x9a\x06\x02hi"].concat();
        assert_eq!(Profile::from_bytes(&newer), Some(profile()));
        for foreign in [&b"\x0a\x02no"[..], b"\x0a\x10cut", b"\xff"] {
            assert_eq!(Profile::from_bytes(foreign), None);
        }
    }
}
