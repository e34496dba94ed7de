//! Replicate any Rust value across machines, with linearizable commands and queries.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod batch;
mod config;
mod contact;
mod context;
mod error;
mod packet;
mod sessions;
mod state_machine;
mod transport;
mod value;

pub use config::{Config, ConfigBuilder, InvalidConfig, OnPanic};
pub use context::Context;
pub use error::{ChangeError, CommandError, Conclusion, OpenError, QueryError};
pub use rafted_value_core::{LogIndex, Term};
pub use value::Value;
