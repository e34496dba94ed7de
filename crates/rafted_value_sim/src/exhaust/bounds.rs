//! How much of everything may happen. What is left is part of a state.

use rafted_value_core::Proposal;
use std::time::Duration;

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Minutes on one core.
    Small,
    /// As far as time and memory allow.
    Large,
}

/// How often each thing may still happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// A member that does not lead hears no leader for too long.
    pub elections: u8,
    /// A leader's timer fires.
    pub heartbeats: u8,
    /// A leader is asked for a command.
    pub commands: u8,
    /// A leader is asked to read.
    pub reads: u8,
    /// A member's process ends and begins again, later.
    pub crashes: u8,
    /// A packet arrives, and will arrive again.
    pub duplicates: u8,
    /// Time passes, by `tick`.
    pub ticks: u8,
    /// How long that is.
    pub tick: Duration,
    /// A leader is asked to change the membership, in one of these ways, each once.
    pub changes: Vec<Proposal>,
    /// Whether an append of nothing arrives that was sent together with entries for the same member.
    pub signs_of_life: bool,
    /// Whether writes may stay unsynced while other things happen. Otherwise each is synced before anything else.
    pub slow_disks: bool,
}
