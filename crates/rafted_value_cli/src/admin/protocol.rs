//! What is said on an admin connection: a request in a line of JSON, a reply in a line of JSON, and again.

use crate::settings::Setting;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How long a line may be, its end included.
pub(crate) const LINE: usize = 256 << 10;

/// How long a process works on one request at most, whatever the request allows.
pub(crate) const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The group; may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// How long the process may work on it.
    pub(crate) timeout_ms: u64,
    #[serde(flatten)]
    pub(crate) verb: Verb,
}

/// Members are named by their address, or by the beginning of their id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub(crate) enum Verb {
    Groups,
    Status,
    Members,
    RemoveFollower {
        member: String,
    },
    ReplaceLeader {
        member: Option<String>,
    },
    /// With nothing to set, only tells the settings.
    ChangeConfig {
        settings: Vec<Setting>,
    },
    /// The members as each says itself, the one to go on from first.
    Survivors,
    /// The one unsafe verb: said to the survivor that goes on alone, with the entry that its log ends with.
    ForceRemoveMember {
        lost: Vec<String>,
        last_term: u64,
        last: u64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    Done(serde_json::Value),
    Failed {
        error: String,
        /// Whether it may have been done all the same.
        unknown: bool,
    },
}

/// A group that has a member in the process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GroupView {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) role: String,
}

/// How a member is, as its process says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StatusView {
    pub(crate) group: String,
    pub(crate) value: String,
    /// The process, to the system.
    pub(crate) process: u32,
    pub(crate) member: String,
    pub(crate) address: String,
    pub(crate) role: String,
    pub(crate) term: u64,
    pub(crate) leader: Option<String>,
    pub(crate) commit: u64,
    pub(crate) applied: u64,
    pub(crate) last: u64,
    pub(crate) voters: usize,
    /// If it leads under a lease: for how long.
    pub(crate) lease_ms: Option<u64>,
}

/// A member of the membership, and what it says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MemberView {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) voter: bool,
    /// Nothing from here on if it did not answer.
    pub(crate) role: Option<String>,
    pub(crate) term: Option<u64>,
    pub(crate) commit: Option<u64>,
    pub(crate) applied: Option<u64>,
    /// The last entry of its log.
    pub(crate) last_term: Option<u64>,
    pub(crate) last: Option<u64>,
}

impl GroupView {
    pub(crate) const HEADS: [&str; 3] = ["group", "value", "role"];

    pub(crate) fn row(&self) -> [String; 3] {
        [self.name.clone(), self.value.clone(), self.role.clone()]
    }
}

impl StatusView {
    pub(crate) const HEADS: [&str; 7] = ["address", "role", "term", "commit", "applied", "voters", "process"];

    pub(crate) fn row(&self) -> [String; 7] {
        [
            self.address.clone(),
            self.role.clone(),
            self.term.to_string(),
            self.commit.to_string(),
            self.applied.to_string(),
            self.voters.to_string(),
            self.process.to_string(),
        ]
    }
}

impl MemberView {
    pub(crate) const HEADS: [&str; 7] = ["member", "address", "votes", "role", "term", "commit", "last"];

    pub(crate) fn row(&self) -> [String; 7] {
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        [
            self.short_id().to_owned(),
            self.address.clone(),
            if self.voter { "yes" } else { "no" }.to_owned(),
            self.role.clone().unwrap_or_else(|| "no answer".to_owned()),
            number(self.term),
            number(self.commit),
            number(self.last),
        ]
    }

    pub(crate) const SURVIVOR_HEADS: [&str; 5] = ["member", "address", "role", "commit", "term,index"];

    /// What an operator must know to choose the one to go on from.
    pub(crate) fn survivor_row(&self) -> [String; 5] {
        [
            self.short_id().to_owned(),
            self.address.clone(),
            self.role.clone().unwrap_or_else(|| "no answer".to_owned()),
            self.commit.map(|commit| commit.to_string()).unwrap_or_default(),
            self.last_entry().map(|(term, index)| format!("{term},{index}")).unwrap_or_default(),
        ]
    }

    /// Its term and its index; nothing if it did not answer.
    pub(crate) fn last_entry(&self) -> Option<(u64, u64)> {
        self.last_term.zip(self.last)
    }

    /// Enough of it to name it.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..8).unwrap_or(&self.id)
    }
}

/// The next line; nothing at the end.
///
/// # Errors
///
/// If it is longer than a line may be, or ends before its end.
pub(crate) async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(LINE as u64).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() == LINE => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long")),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

pub(crate) async fn write_line(to: &mut (impl AsyncWrite + Unpin), line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    to.write_all(&bytes).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_the_wire() {
        let verb = Verb::RemoveFollower { member: "10.0.0.7:7101".into() };
        let request = Request { group: None, timeout_ms: 5000, verb };
        let line = r#"{"timeout_ms":5000,"verb":"remove-follower","member":"10.0.0.7:7101"}"#;
        assert_eq!(serde_json::to_string(&request).ok().as_deref(), Some(line));
        let request: Request = serde_json::from_str(line).expect("the same");
        assert!(matches!(request.verb, Verb::RemoveFollower { member } if member == "10.0.0.7:7101"));
        let failed = Reply::Failed { error: "no".into(), unknown: false };
        let line = r#"{"failed":{"error":"no","unknown":false}}"#;
        assert_eq!(serde_json::to_string(&failed).ok().as_deref(), Some(line));
    }

    #[tokio::test]
    async fn lines_are_bounded() {
        let lines = async |bytes: &[u8]| {
            let mut from = bytes;
            read_line(&mut from).await
        };
        assert_eq!(lines(b"one\ntwo\n").await.expect("a line").as_deref(), Some(&b"one\n"[..]));
        assert!(lines(b"").await.expect("the end").is_none());
        assert_eq!(lines(b"half").await.expect_err("half a line").kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(lines(&[b'x'; LINE + 9]).await.expect_err("too long").kind(), io::ErrorKind::InvalidData);
    }
}
