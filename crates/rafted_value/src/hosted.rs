//! The groups that have a member on a node.

use crate::contact::MemberOf;
use crate::lease::PublishedLease;
use crate::member::View;
use rafted_value_core::MemberId;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What it takes to make another handle to a group.
#[derive(Clone)]
pub(crate) struct Hosted {
    /// The name of the value's type.
    pub(crate) value: &'static str,
    /// An `Arc<Applier<V>>`.
    pub(crate) applier: Arc<dyn Any + Send + Sync>,
    pub(crate) lease: Arc<PublishedLease>,
    pub(crate) view: watch::Receiver<View>,
}

impl Hosted {
    /// Which member of which group it is at present.
    pub(crate) fn at(&self) -> MemberOf {
        self.view.borrow().at
    }
}

/// By name.
#[derive(Default)]
pub(crate) struct HostedGroups {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: BTreeMap<String, Hosted>,
    turns: BTreeMap<String, Arc<tokio::sync::Mutex<()>>>,
}

impl HostedGroups {
    /// Held by whoever opens a group of this name, so that two cannot take the same name; others are not kept waiting.
    pub(crate) fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.table().turns.entry(name.to_owned()).or_default().clone()
    }

    /// The member of this group, unless it has ended.
    pub(crate) fn get(&self, name: &str) -> Option<Hosted> {
        self.table().open.get(name).filter(|hosted| hosted.view.borrow().ended.is_none()).cloned()
    }

    /// Every group, in the order of the names.
    pub(crate) fn all(&self) -> Vec<(String, Hosted)> {
        let living = |(_, hosted): &(&String, &Hosted)| hosted.view.borrow().ended.is_none();
        self.table().open.iter().filter(living).map(|(name, hosted)| (name.clone(), hosted.clone())).collect()
    }

    pub(crate) fn insert(&self, name: &str, hosted: Hosted) {
        self.table().open.insert(name.to_owned(), hosted);
    }

    /// Forgets this very member.
    pub(crate) fn remove(&self, name: &str, member: MemberId) {
        let mut table = self.table();
        if table.open.get(name).is_some_and(|hosted| hosted.at().member == member) {
            table.open.remove(name);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
