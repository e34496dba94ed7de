//! A log as the checker remembers it: each link's hash covers everything before it, so that two logs are compared
//! up to an index by comparing two numbers. Never forgets what the real log compacts away.

use rafted_value_core::{Entry, EntryId, LogIndex, Membership, Payload};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Which.
    pub id: EntryId,
    /// Of this entry and all before it.
    pub hash: u64,
    /// If it carries one.
    pub membership: Option<Arc<Membership>>,
}

/// All entries from index 1 on. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chain {
    /// The membership before the first entry.
    root: Arc<Membership>,
    links: Arc<Vec<Link>>,
}

impl Chain {
    /// Nothing yet, but these members.
    pub fn rooted(root: Arc<Membership>) -> Chain {
        Chain { root, links: Arc::default() }
    }

    /// Every link, from index 1 on.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The link at `index`.
    pub fn at(&self, index: LogIndex) -> Option<&Link> {
        self.links.get(usize::try_from(index.0.checked_sub(1)?).ok()?)
    }

    /// The hash of everything up to `index`; the empty prefix has one, too.
    pub fn hash_at(&self, index: LogIndex) -> Option<u64> {
        if index == LogIndex::ZERO { Some(0) } else { self.at(index).map(|link| link.hash) }
    }

    /// The hash of a log that had the hash `before` and has got one more entry.
    pub fn hash_after(before: u64, entry: &Entry) -> u64 {
        let mut hasher = DefaultHasher::new();
        (before, entry).hash(&mut hasher);
        hasher.finish()
    }

    /// The last entry.
    pub fn last(&self) -> EntryId {
        self.links.last().map_or(EntryId::ZERO, |link| link.id)
    }

    /// Whether both have the same entries up to `index`.
    pub fn agrees(&self, other: &Chain, index: LogIndex) -> bool {
        self.hash_at(index).is_some() && self.hash_at(index) == other.hash_at(index)
    }

    /// Whether `self` is how `other` begins.
    pub fn begins(&self, other: &Chain) -> bool {
        self.agrees(other, self.last().index)
    }

    /// The links up to `index`.
    pub fn prefix(&self, index: LogIndex) -> Chain {
        let mut links = self.links.to_vec();
        links.truncate(index.0 as usize);
        Chain { root: self.root.clone(), links: Arc::new(links) }
    }

    /// Takes from `other` what comes after its own end, up to `index`.
    pub fn extend(&mut self, other: &Chain, index: LogIndex) {
        if self.links.is_empty() {
            self.root = other.root.clone();
        }
        let (have, upto) = (self.links.len(), other.links.len().min(index.0 as usize));
        if have < upto {
            Arc::make_mut(&mut self.links).extend_from_slice(&other.links[have..upto]);
        }
    }

    /// From `from` on the log is `entries`.
    pub fn replace(&mut self, from: LogIndex, entries: &[Entry]) {
        let links = Arc::make_mut(&mut self.links);
        links.truncate(from.previous().0 as usize);
        for entry in entries {
            let hash = Chain::hash_after(links.last().map_or(0, |link| link.hash), entry);
            let membership = match &entry.payload {
                Payload::Membership(membership) => Some(membership.clone()),
                _ => None,
            };
            links.push(Link { id: entry.id, hash, membership });
        }
    }

    /// The latest membership, and where it stands (0: before everything).
    pub fn membership(&self) -> (LogIndex, &Arc<Membership>) {
        self.membership_at(self.last().index)
    }

    /// The latest membership at or before `index`, and where it stands.
    pub fn membership_at(&self, index: LogIndex) -> (LogIndex, &Arc<Membership>) {
        let upto = self.links.len().min(index.0 as usize);
        let carried = self.links[..upto].iter().rev().find_map(|link| Some((link.id.index, link.membership.as_ref()?)));
        carried.unwrap_or((LogIndex::ZERO, &self.root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(terms: &[u64]) -> Vec<Entry> {
        let with_index = terms.iter().zip(1..);
        with_index.map(|(term, index)| Entry { id: EntryId::new(*term, index), payload: Payload::Noop }).collect()
    }

    #[test]
    fn equal_hashes_mean_equal_prefixes() {
        let (mut one, mut other) = (Chain::default(), Chain::default());
        one.replace(LogIndex(1), &entries(&[1, 1, 2]));
        other.replace(LogIndex(1), &entries(&[1, 1, 3]));
        assert!(one.agrees(&other, LogIndex(2)) && !one.agrees(&other, LogIndex(3)));
        other.replace(LogIndex(3), &entries(&[1, 1, 2])[2..]);
        assert!(one.begins(&other) && one == other);
        assert!(!one.agrees(&other, LogIndex(4)), "nothing is known of what is not there");
    }
}
