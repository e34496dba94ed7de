//! A whole cluster as one value. What happens to it next is decided by a chooser: a script, dice, or a search of
//! everything that can happen. After every action every [`invariant`](invariants) is checked.
//!
//! ```text
//!   script ─┐                          ┌─ members   the real core, with clock, disk and value each
//!   dice ───┼─► perform(Action) ─► Cluster ─ network   packets on their way, links that are cut
//!   search ─┘        │                 ├─ history   what clients asked for and know
//!                    ▼                 └─ seen      what the invariants remember
//!             tales, or Broken
//! ```
//!
//! There is no clock, no dice, no global state and no unordered map in here: the same actions always lead to the
//! same cluster.

pub mod action;
pub mod calm;
pub mod chain;
pub mod clients;
pub mod clock;
pub mod cluster;
pub mod conformance;
pub mod dice;
pub mod disk;
mod drive;
pub mod event;
pub mod exhaust;
pub mod heal;
pub mod history;
pub mod invariants;
pub mod linearizable;
pub mod member;
pub mod museum;
pub mod name;
pub mod network;
pub mod portrait;
mod recovery;
pub mod script;
pub mod storage_lab;
pub mod tale;
pub mod value;

pub use action::Action;
pub use calm::Calm;
pub use cluster::{Cluster, Founding};
pub use invariants::Broken;
