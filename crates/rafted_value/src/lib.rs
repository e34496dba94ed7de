//! Replicate any Rust value across machines, with linearizable commands and queries.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod batch;
mod contact;
mod context;
mod packet;
mod sessions;
mod transport;
mod value;

pub use context::Context;
pub use rafted_value_core::{LogIndex, Term};
pub use value::Value;
