//! When a process is asked to end.

use std::io;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// That nobody holds the other end of the input any more.
pub(crate) const END_OF_INPUT: &str = "end of input";

/// Watches for SIGTERM and SIGINT, and for the end of standard input if that counts.
pub(crate) struct Ending {
    terminate: Signal,
    interrupt: Signal,
    input: bool,
}

impl Ending {
    /// From now on, these do not end the process by themselves.
    pub(crate) fn watch(input: bool) -> io::Result<Ending> {
        Ok(Ending { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, input })
    }

    /// Waits until the process is asked to end, and says how. Cancellation safe.
    pub(crate) async fn asked(&mut self) -> &'static str {
        tokio::select! {
            how = self.signalled() => how,
            () = end_of_input(), if self.input => END_OF_INPUT,
        }
    }

    /// Waits until somebody sends a signal. Cancellation safe.
    pub(crate) async fn signalled(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

async fn end_of_input() {
    let mut bytes = [0; 64];
    // An input that cannot be read has ended.
    while tokio::io::stdin().read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}
