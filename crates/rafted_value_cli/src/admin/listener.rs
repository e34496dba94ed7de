//! Hears the verbs of administration.

use super::Desk;
use super::protocol::{LONGEST, Reply, Request, read_line, write_line};
use crate::address;
use crate::values::BuiltIn;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many operators may be connected.
const CONNECTIONS: usize = 64;

/// How long an operator may be silent, or not listen.
const SILENCE: Duration = Duration::from_secs(10);

/// After the machine could not accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where verbs are heard. Nobody is asked who they are: whoever reaches it administers the group.
pub(crate) struct Listener {
    listener: TcpListener,
    address: String,
}

impl Listener {
    /// Refuses what others can reach, unless they are meant to.
    pub(crate) async fn bind(address: &str, beyond_this_machine: bool) -> Result<Listener, String> {
        if !beyond_this_machine && !address::is_loopback(address) {
            return Err(format!(
                "--admin {address} can be reached from other machines, and whoever reaches it administers the group: \
                 say --insecure-admin-network if that is meant"
            ));
        }
        let failed = |error: io::Error| format!("cannot listen on --admin {address}: {error}");
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        Ok(Listener { listener, address })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Answers until it is dropped.
    pub(crate) async fn serve<V: BuiltIn>(self, desk: Desk<V>) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // One too many is closed.
                    let Ok(place) = places.clone().try_acquire_owned() else { continue };
                    let desk = desk.clone();
                    connections.spawn(async move {
                        let ended = converse(stream, &desk).await;
                        drop(place);
                        if let Err(error) = ended {
                            tracing::debug!(%error, "an admin connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an admin connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// One line, one answer, and so on. A connection that says anything else is not listened to any further: a browser may
/// be made to send something here, but not a request that begins with JSON.
async fn converse<V: BuiltIn>(stream: TcpStream, desk: &Desk<V>) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    while let Some(line) = timeout(SILENCE, read_line(&mut from)).await?? {
        let request: Request = match serde_json::from_slice(&line) {
            Ok(request) => request,
            Err(error) => {
                let reply = Reply::Failed { error: format!("not understood: {error}"), unknown: false };
                return timeout(SILENCE, write_line(&mut to, &reply)).await?;
            }
        };
        let limit = Duration::from_millis(request.timeout_ms).min(LONGEST);
        let reply = desk.answer(request, limit).await;
        timeout(SILENCE, write_line(&mut to, &reply)).await??;
    }
    Ok(())
}
