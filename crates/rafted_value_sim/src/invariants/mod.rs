//! What must hold after every action, one file each. The table below lists them with the ids of the reliability
//! catalogue.
//!
//! A property is a pure function of what just happened, what was [`Seen`] before, and the [`World`] as it is now.
//! Only `Seen` remembers, so that properties cannot disagree about the past. None of them uses the core's own
//! arithmetic: majorities are counted anew in [`majority`].

pub mod majority;
mod seen;

mod acked_is_committed;
mod acks_are_true;
mod asked_for;
mod change_needs_own_commit;
mod change_one_at_a_time;
mod commit_has_durable_quorum;
mod commit_is_of_own_term;
mod commit_is_verified;
mod commit_never_decreases;
mod committed_is_immutable;
mod indexes_in_order;
mod leader_appends_only;
mod leader_completeness;
mod lease_is_exclusive;
mod log_is_what_was_written;
mod log_matching;
mod matches_are_sound;
mod matches_never_decrease;
mod membership_from_last_entry;
mod memberships_intersect;
mod one_leader_per_term;
mod only_members_counted;
mod ran_once;
mod read_after_own_term;
mod read_sees_the_past;
mod removed_leader_leaves;
mod revealed_is_durable;
mod same_state_everywhere;
mod same_value_everywhere;
mod silent_after_failure;
mod term_never_decreases;
mod terms_in_order;
mod vote_for_newest_log;
mod vote_never_changes;
mod vote_once;
mod votes_of_quorum;

#[cfg(test)]
pub(crate) mod fixture;

pub use seen::{Ran, Seen};

use crate::event::Event;
use crate::portrait::Portrait;
use rafted_value_core::MemberId;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One property.
#[derive(Clone, Copy)]
pub struct Property {
    /// What it is called.
    pub name: &'static str,
    /// Where the catalogue speaks of it.
    pub ids: &'static str,
    /// Says what is wrong, if something is.
    pub check: fn(&Event, &Seen, &World<'_>) -> Result<(), String>,
}

/// All members as they are, after what just happened.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The simulation's time.
    pub now: Duration,
    /// Everybody, whether up or not.
    pub portraits: &'a BTreeMap<MemberId, Arc<Portrait>>,
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// Which.
    pub property: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BROKEN {}: {}", self.property, self.what)
    }
}

/// Every property.
pub const ALL: &[Property] = &[
    one_leader_per_term::PROPERTY,
    vote_once::PROPERTY,
    votes_of_quorum::PROPERTY,
    log_matching::PROPERTY,
    leader_appends_only::PROPERTY,
    leader_completeness::PROPERTY,
    same_value_everywhere::PROPERTY,
    committed_is_immutable::PROPERTY,
    commit_has_durable_quorum::PROPERTY,
    commit_is_of_own_term::PROPERTY,
    commit_is_verified::PROPERTY,
    log_is_what_was_written::PROPERTY,
    acks_are_true::PROPERTY,
    matches_are_sound::PROPERTY,
    vote_for_newest_log::PROPERTY,
    terms_in_order::PROPERTY,
    term_never_decreases::PROPERTY,
    vote_never_changes::PROPERTY,
    commit_never_decreases::PROPERTY,
    indexes_in_order::PROPERTY,
    matches_never_decrease::PROPERTY,
    change_one_at_a_time::PROPERTY,
    membership_from_last_entry::PROPERTY,
    change_needs_own_commit::PROPERTY,
    memberships_intersect::PROPERTY,
    only_members_counted::PROPERTY,
    removed_leader_leaves::PROPERTY,
    lease_is_exclusive::PROPERTY,
    read_sees_the_past::PROPERTY,
    read_after_own_term::PROPERTY,
    acked_is_committed::PROPERTY,
    revealed_is_durable::PROPERTY,
    silent_after_failure::PROPERTY,
    ran_once::PROPERTY,
    asked_for::PROPERTY,
    same_state_everywhere::PROPERTY,
];

impl Seen {
    /// Checks every property against what just happened.
    ///
    /// # Errors
    ///
    /// The first that does not hold.
    pub fn check(&self, event: &Event, world: &World<'_>) -> Result<(), Broken> {
        for property in ALL {
            (property.check)(event, self, world).map_err(|what| Broken { property: property.name, what })?;
        }
        Ok(())
    }
}

/// The step of a member that is up, before and after: what most properties look at.
fn step(event: &Event) -> Option<(&Portrait, &Portrait)> {
    match event {
        Event::Moved { before, after } if after.up => Some((before, after)),
        _ => None,
    }
}

/// `Ok` if it holds.
fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
