//! Raft without a clock, dice, IO, threads or user types: a value that is told what happened and says what to do.
//!
//! ```text
//!                 step(now, Input)                    take_ready(&mut Ready)
//!   the driver ────────────────────────► Raft ────────────────────────────────► the driver
//!   (clock, dice, network, storage,                 in this order: publish the lease,
//!    the value, callers)                            write, send, apply, answer, set the timer
//! ```
//!
//! # The driver's contract
//!
//! - `now` never goes back, and is read *after* the input was taken from wherever it waited: what an old input
//!   says about the present is judged by the present.
//! - A [`Ready`] is performed in the order of its fields. The lease is published before any message leaves.
//! - Writes are made durable in order, and [`Input::Persisted`] says up to which. Nothing else waits for them: a
//!   message that reveals something not yet durable is held back here. If a write fails, or may have,
//!   [`Input::StorageFailed`] silences the member for good.
//! - Messages may be lost, repeated, reordered and late. Those of another group never reach `step`.
//! - Committed entries are applied in order. A read is answered from a value that contains the entry it names.
//! - A timer request replaces the earlier one; the driver picks the instant within the range, with its own dice.
//! - Whoever is told to [`Input::Quiesce`] is answered for: once its leader's node may be down, or the leader may no longer
//!   lead, its sleeping followers are told to [`Input::Wake`].
//! - A snapshot that arrives is checked by the driver *before* it says so: once accepted it is the state.
//!
//! # Where things are
//!
//! One noun of the thesis is one file: see `raft` for the map of events. "Thesis" is Diego Ongaro, *Consensus:
//! Bridging Theory and Practice* (2014).

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

mod config;
mod election;
mod entry;
mod follower;
mod hard_state;
mod input;
pub mod invariants;
mod leader;
mod log;
mod membership;
mod message;
#[doc(hidden)]
pub mod museum;
mod notice;
mod outbox;
mod progress;
mod quiescence;
pub mod quorum;
mod raft;
mod read;
mod ready;
mod recovery;
mod types;

pub use config::{Config, InvalidConfig};
pub use entry::{Entry, Payload, SnapshotMeta};
pub use hard_state::HardState;
pub use input::{Input, Proposal};
pub use log::Log;
pub use membership::{Change, Member, Membership, Promotion, Seat};
pub use message::{
    AppendEntries, AppendEntriesReply, AppendResult, Ballot, Body, InstallSnapshot, InstallSnapshotReply, Message,
    RequestVote, RequestVoteReply,
};
pub use notice::{Halt, Notice, StepDown, Violation, VoteRefusal};
pub use progress::{Progress, Sending, Window};
pub use raft::{FollowerStatus, Raft, Restored, RoleKind, Status};
pub use ready::{Answer, Append, Lease, ReadAnswer, Ready, Refusal, Timer, Write};
pub use types::{EntryId, LogIndex, MemberId, NUMBER_LIMIT, ReadId, RequestId, Term, Time, WriteNo};
