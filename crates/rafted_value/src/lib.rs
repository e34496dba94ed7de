#![doc = include_str!("../../../README.md")]
//!
//! # Where to begin
//!
//! [`Value`] is what you write; [`Node`] is your process; [`Group`] is the handle you hold, [`Client`] the one for a
//! process without a member; [`Config`] says how a group shall be.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod applier;
mod at_member;
mod batch;
mod caller;
mod calls;
mod client;
mod command_id;
mod config;
mod contact;
mod context;
mod durable;
mod errands;
mod error;
mod group;
mod hook;
mod hooks;
mod host;
mod hosted;
mod inspection;
mod join;
mod leadership;
mod lease;
mod mailbox;
mod member;
mod node;
mod open;
mod ordered;
mod outcome;
mod packet;
mod profile;
mod recovery;
mod rejoin;
mod remembered;
mod report;
mod requests;
mod session;
mod sessions;
mod shard;
#[doc(hidden)]
pub mod simulation;
mod snapshots;
mod state_machine;
/// Not part of the API: for the storage lab of the simulator.
#[doc(hidden)]
pub mod storage;
pub mod testing;
mod timers;
mod tombstones;
pub mod transport;
mod turn;
mod upgrade;
mod value;
mod waiting;
mod wire;

pub use at_member::{AtMember, StaleAnswer};
pub use client::Client;
pub use command_id::CommandId;
pub use config::{Config, ConfigBuilder, InvalidConfig, OnPanic};
pub use contact::{ClusterId, Contact, GroupId, NodeId};
pub use context::Context;
pub use error::{ChangeError, CommandError, Conclusion, OpenError, QueryError, RecoverError, StartError, StatusError};
pub use group::Group;
pub use hook::LeaderHook;
pub use inspection::{Inspection, StoredMember, inspect};
pub use leadership::{FencingToken, Leadership};
pub use node::{Node, NodeBuilder};
pub use open::GroupBuilder;
pub use ordered::Ordered;
pub use rafted_value_core::{EntryId, LogIndex, MemberId, Promotion, Seat, Term};
pub use recovery::{AcceptDataLoss, Survivor};
pub use report::{MemberReport, StatusReport, Transfer};
pub use transport::loopback::{Loopback, LoopbackAt};
pub use transport::tcp::InsecureTcp;
pub use upgrade::{CannotUpgrade, OldValue};
pub use value::Value;
