//! Groups that were removed from a node, so that nothing brings them back by accident: a message that was late, a
//! script that opens what it always opened.

use crate::contact::GroupId;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are remembered; the oldest is forgotten first.
const MOST: usize = 1024;

/// Which incarnations of which groups were removed.
#[derive(Default)]
pub(crate) struct Tombstones {
    stones: Mutex<VecDeque<(GroupId, String)>>,
}

impl Tombstones {
    pub(crate) fn add(&self, group: GroupId, name: &str) {
        let mut stones = self.stones();
        stones.retain(|(known, _)| *known != group);
        stones.push_back((group, name.to_owned()));
        if stones.len() > MOST {
            stones.pop_front();
        }
    }

    /// Whether this very incarnation was removed.
    pub(crate) fn contain(&self, group: GroupId) -> bool {
        self.stones().iter().any(|(known, _)| *known == group)
    }

    /// Whether an incarnation of a group of this name was removed.
    pub(crate) fn contain_name(&self, name: &str) -> bool {
        self.stones().iter().any(|(_, known)| known == name)
    }

    fn stones(&self) -> MutexGuard<'_, VecDeque<(GroupId, String)>> {
        self.stones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let stones = Tombstones::default();
        for n in 0..MOST as u128 + 1 {
            stones.add(GroupId(n), &n.to_string());
        }
        assert!(!stones.contain(GroupId(0)) && !stones.contain_name("0"));
        assert!(stones.contain(GroupId(1)) && stones.contain_name("1"));
        assert!(!stones.contain(GroupId(u128::MAX)));
    }
}
