//! What becomes of a command: remembered, so that whoever asks again hears the same.

use crate::packet::{Refused, Response};
use bytes::Bytes;
use std::fmt;

/// What becomes of a command when it runs: the same on every member, and the same for every retry.
#[derive(Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It ran; its reply, encoded.
    Applied(Bytes),
    /// It panicked, with this message.
    Panicked(String),
    /// It did not run: its bytes are not a command.
    Undecodable(String),
    /// It did not run: its caller had given its id to another command.
    IdReused,
}

impl Outcome {
    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Outcome::Applied(reply) => reply.len() as u64,
            Outcome::Panicked(message) | Outcome::Undecodable(message) => message.len() as u64,
            Outcome::IdReused => 0,
        }
    }

    pub(crate) fn to_record(&self) -> OutcomeRecord {
        match self.clone() {
            Outcome::Applied(reply) => OutcomeRecord::Applied(reply),
            Outcome::Panicked(message) => OutcomeRecord::Panicked(message),
            Outcome::Undecodable(message) => OutcomeRecord::Undecodable(message),
            Outcome::IdReused => OutcomeRecord::IdReused(true),
        }
    }

    pub(crate) fn from_record(record: Option<OutcomeRecord>) -> Result<Outcome, &'static str> {
        match record {
            Some(OutcomeRecord::Applied(reply)) => Ok(Outcome::Applied(reply)),
            Some(OutcomeRecord::Panicked(message)) => Ok(Outcome::Panicked(message)),
            Some(OutcomeRecord::Undecodable(message)) => Ok(Outcome::Undecodable(message)),
            Some(OutcomeRecord::IdReused(true)) => Ok(Outcome::IdReused),
            Some(OutcomeRecord::IdReused(false)) | None => Err("a result of an unknown kind"),
        }
    }
}

impl From<Outcome> for Response {
    fn from(outcome: Outcome) -> Response {
        match outcome {
            Outcome::Applied(reply) => Response::Applied(reply),
            Outcome::Panicked(message) => Response::Refused(Refused::Panicked { message }),
            Outcome::Undecodable(message) => Response::Refused(Refused::Undecodable { message }),
            Outcome::IdReused => Response::Refused(Refused::IdReused),
        }
    }
}

/// Never prints a reply: it is the user's.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Applied(reply) => write!(f, "Applied({} bytes)", reply.len()),
            Outcome::Panicked(_) => f.write_str("Panicked"),
            Outcome::Undecodable(_) => f.write_str("Undecodable"),
            Outcome::IdReused => f.write_str("IdReused"),
        }
    }
}

/// An outcome as it stands in a snapshot, with the numbers that it has in whatever record holds it.
#[derive(Clone, PartialEq, prost::Oneof)]
#[prost(skip_debug)]
pub(crate) enum OutcomeRecord {
    #[prost(bytes, tag = "2")]
    Applied(Bytes),
    #[prost(string, tag = "3")]
    Panicked(String),
    #[prost(string, tag = "4")]
    Undecodable(String),
    #[prost(bool, tag = "5")]
    IdReused(bool),
}
