//! Timeouts and limits, replicated with the log: all members of a group run with the same ones.

use bytes::Bytes;
use core::time::Duration;

/// Settings of a group. In force on a member once the entry that carries them is committed there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How often a leader lets its followers know that it is alive. The seed's default, 200 ms.
    pub heartbeat_interval: Duration,
    /// The shortest silence of a leader after which a follower may campaign; each wait is drawn between this and
    /// twice this. The seed's default, 1 s: five heartbeats may be lost.
    pub election_timeout: Duration,
    /// How much of `election_timeout` a lease gives away to clocks that do not run at the same rate. The default
    /// is all of it, so that no lease is ever valid: trusting clocks is the user's decision.
    pub clock_drift_margin: Duration,
    /// How many applied entries are kept although nobody is known to need them. The seed's default, 100.
    pub max_retained_committed_logs: u64,
    /// How many bytes of applied entries are kept at most for followers that still make progress. Beyond it a
    /// follower gets the whole value.
    pub max_retained_bytes: u64,
    /// How many bytes of entries a leader takes that it has not applied yet; more is refused as `Busy`.
    pub max_uncommitted_bytes: u64,
    /// After how many bytes of entries an AppendEntries is full. A larger single entry still goes, alone.
    pub max_append_bytes: u64,
    /// How many unanswered AppendEntries with entries may be on their way to one follower.
    pub max_inflight_messages: u32,
    /// How many unanswered bytes of entries may be on their way to one follower.
    pub max_inflight_bytes: u64,
    /// A learner that said nothing for this long is dropped by the leader, so that ghosts do not pile up.
    pub learner_timeout: Duration,
    /// Settings of the driver's own, carried along unread.
    pub extra: Bytes,
}

/// Which field cannot be used, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InvalidConfig {
    /// The name of the field.
    pub field: &'static str,
    /// What it must be.
    pub must: &'static str,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            heartbeat_interval: Duration::from_millis(200),
            election_timeout: Duration::from_secs(1),
            clock_drift_margin: Duration::from_secs(1),
            max_retained_committed_logs: 100,
            max_retained_bytes: 64 << 20,
            max_uncommitted_bytes: 64 << 20,
            // Large enough to fill a fast link, small enough that one message does not hold up a slow one for long.
            max_append_bytes: 256 << 10,
            max_inflight_messages: 64,
            max_inflight_bytes: 8 << 20,
            learner_timeout: Duration::from_secs(30),
            extra: Bytes::new(),
        }
    }
}

impl Config {
    /// The longest silence after which a follower campaigns: twice the shortest.
    pub fn longest_election_timeout(&self) -> Duration {
        self.election_timeout.saturating_mul(2)
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let day = Duration::from_secs(24 * 60 * 60);
        let rules = [
            (!self.heartbeat_interval.is_zero(), "heartbeat_interval", "be longer than zero"),
            (self.election_timeout <= day, "election_timeout", "be at most a day"),
            (
                self.heartbeat_interval.saturating_mul(2) <= self.election_timeout,
                "election_timeout",
                "be at least twice heartbeat_interval",
            ),
            (self.clock_drift_margin <= self.election_timeout, "clock_drift_margin", "be at most election_timeout"),
            (self.max_uncommitted_bytes > 0, "max_uncommitted_bytes", "be larger than zero"),
            (self.max_append_bytes > 0, "max_append_bytes", "be larger than zero"),
            (self.max_inflight_messages > 0, "max_inflight_messages", "be larger than zero"),
            (self.max_inflight_bytes > 0, "max_inflight_bytes", "be larger than zero"),
            (
                self.learner_timeout >= self.longest_election_timeout(),
                "learner_timeout",
                "be at least twice election_timeout",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, must)) => Err(InvalidConfig { field, must }),
            None => Ok(()),
        }
    }
}

impl core::fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} must {}", self.field, self.must)
    }
}

impl core::error::Error for InvalidConfig {}
