//! Replicate any Rust value across machines, with linearizable commands and queries.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod contact;
mod packet;
mod transport;
mod wire;

pub use transport::{BoxFuture, Inbox, InsecureTcp, Local, Loopback, LoopbackTransport, Network, Origin, Transport};
