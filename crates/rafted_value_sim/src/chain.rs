//! A log as the checker remembers it: each link's hash covers everything before it, so that two logs are compared
//! up to an index by comparing two numbers. Never forgets what the real log compacts away.

use rafted_value_core::{Entry, EntryId, LogIndex, Membership, Payload};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// One entry.
#[derive(Debug)]
pub struct Link {
    /// Which.
    pub id: EntryId,
    /// Of this entry and all before it.
    pub hash: u64,
    /// If it carries one.
    pub membership: Option<Arc<Membership>>,
    /// The first entry of its term that stands in a row with it.
    term_start: LogIndex,
    /// The last entry, up to this one, that carries a membership.
    settled: Option<(LogIndex, Arc<Membership>)>,
    before: Option<Arc<Link>>,
    /// One far before this one: so that any index is found in few steps (Myers 1983).
    jump: Option<Arc<Link>>,
}

/// All entries from index 1 on: a path from the last one back to the first. Cheap to clone, to grow and to cut.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// The membership before the first entry.
    root: Arc<Membership>,
    tip: Option<Arc<Link>>,
}

impl Link {
    fn after(before: Option<&Arc<Link>>, entry: &Entry) -> Link {
        let membership = match &entry.payload {
            Payload::Membership(membership) => Some(membership.clone()),
            _ => None,
        };
        let same_term = before.filter(|before| before.id.term == entry.id.term);
        let settled = membership.clone().map(|membership| (entry.id.index, membership));
        let jump = before.and_then(|before| {
            let (near, far) = (index_of(before.jump.as_ref()), index_of(jump_of(before.jump.as_ref())));
            let balanced = before.id.index.0 - near == near - far;
            if balanced { jump_of(before.jump.as_ref()).cloned() } else { Some(before.clone()) }
        });
        Link {
            id: entry.id,
            hash: Chain::hash_after(before.map_or(0, |before| before.hash), entry),
            membership,
            term_start: same_term.map_or(entry.id.index, |before| before.term_start),
            settled: settled.or_else(|| before.and_then(|before| before.settled.clone())),
            before: before.cloned(),
            jump,
        }
    }
}

/// Long chains are taken apart one by one: the usual way would call itself once per link.
impl Drop for Link {
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.before.take();
        }
    }
}

fn index_of(link: Option<&Arc<Link>>) -> u64 {
    link.map_or(0, |link| link.id.index.0)
}

fn jump_of(link: Option<&Arc<Link>>) -> Option<&Arc<Link>> {
    link.and_then(|link| link.jump.as_ref())
}

impl Chain {
    /// Nothing yet, but these members.
    pub fn rooted(root: Arc<Membership>) -> Chain {
        Chain { root, tip: None }
    }

    /// The hash of a log that goes on with `entry` after one with this hash.
    pub fn hash_after(before: u64, entry: &Entry) -> u64 {
        let mut hasher = DefaultHasher::new();
        (before, entry).hash(&mut hasher);
        hasher.finish()
    }

    /// Every link, from the last one back to index 1.
    pub fn backwards(&self) -> impl Iterator<Item = &Link> {
        std::iter::successors(self.tip.as_deref(), |link| link.before.as_deref())
    }

    /// The links that `other` does not have, from the last one back.
    pub fn beyond<'a>(&'a self, other: &'a Chain) -> impl Iterator<Item = &'a Link> {
        let known = |link: &&Link| other.hash_at(link.id.index) == Some(link.hash);
        self.backwards().take_while(move |link| !known(link))
    }

    /// The link at `index`.
    pub fn at(&self, index: LogIndex) -> Option<&Link> {
        self.find(index).map(|link| &**link)
    }

    fn find(&self, index: LogIndex) -> Option<&Arc<Link>> {
        let mut link = self.tip.as_ref().filter(|tip| (LogIndex(1)..=tip.id.index).contains(&index))?;
        while link.id.index > index {
            let jump = link.jump.as_ref().filter(|jump| jump.id.index >= index);
            link = jump.or(link.before.as_ref())?;
        }
        Some(link)
    }

    /// The hash of everything up to `index`; the empty prefix has one, too.
    pub fn hash_at(&self, index: LogIndex) -> Option<u64> {
        if index == LogIndex::ZERO { Some(0) } else { self.at(index).map(|link| link.hash) }
    }

    /// The last entry.
    pub fn last(&self) -> EntryId {
        self.tip.as_ref().map_or(EntryId::ZERO, |link| link.id)
    }

    /// The hash of everything.
    pub fn hash(&self) -> u64 {
        self.tip.as_ref().map_or(0, |link| link.hash)
    }

    /// The first of the entries of the last entry's term.
    pub fn term_start(&self) -> Option<LogIndex> {
        self.tip.as_ref().map(|link| link.term_start)
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
        let all = index >= self.last().index;
        let tip = if all { self.tip.clone() } else { self.find(index).cloned() };
        Chain { root: self.root.clone(), tip }
    }

    /// Takes from `other` what comes after its own end, up to `index`; what it has is how `other` begins.
    pub fn extend(&mut self, other: &Chain, index: LogIndex) {
        if index > self.last().index && other.last().index > self.last().index {
            *self = other.prefix(index);
        }
    }

    /// From `from` on the log is `entries`.
    pub fn replace(&mut self, from: LogIndex, entries: &[Entry]) {
        *self = self.prefix(from.previous());
        for entry in entries {
            self.tip = Some(Arc::new(Link::after(self.tip.as_ref(), entry)));
        }
    }

    /// The latest membership, and where it stands (0: before everything).
    pub fn membership(&self) -> (LogIndex, &Arc<Membership>) {
        self.settled(self.tip.as_deref())
    }

    /// The latest membership at or before `index`, and where it stands.
    pub fn membership_at(&self, index: LogIndex) -> (LogIndex, &Arc<Membership>) {
        self.settled(self.at(index.min(self.last().index)))
    }

    fn settled<'a>(&'a self, link: Option<&'a Link>) -> (LogIndex, &'a Arc<Membership>) {
        let settled = link.and_then(|link| link.settled.as_ref());
        settled.map_or((LogIndex::ZERO, &self.root), |(at, membership)| (*at, membership))
    }
}

/// Two logs with the same hash are the same.
impl PartialEq for Chain {
    fn eq(&self, other: &Chain) -> bool {
        (self.last(), self.hash(), &self.root) == (other.last(), other.hash(), &other.root)
    }
}

impl Eq for Chain {}

impl Hash for Chain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.last(), Chain::hash(self), &self.root).hash(state);
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

    #[test]
    fn any_index_of_a_long_chain_is_found_and_dropping_it_is_no_recursion() {
        let mut chain = Chain::default();
        for from in (1..=200_000).step_by(1000) {
            let terms: Vec<u64> = vec![from / 50_000 + 1; 1000];
            let with_index = terms.iter().zip(from..);
            let entries: Vec<Entry> = with_index
                .map(|(term, index)| Entry { id: EntryId::new(*term, index), payload: Payload::Noop })
                .collect();
            chain.replace(LogIndex(from), &entries);
        }
        for index in (1..=200_000).step_by(777) {
            assert_eq!(chain.at(LogIndex(index)).map(|link| link.id.index), Some(LogIndex(index)));
        }
        assert_eq!(chain.term_start(), Some(LogIndex(150_001)));
        assert_eq!(chain.prefix(LogIndex(7)).backwards().count(), 7);
        assert_eq!(chain.beyond(&chain.prefix(LogIndex(199_990))).count(), 10);
    }
}
