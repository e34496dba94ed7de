//! Settings of a group: replicated, so that all its members run with the same ones.

use bytes::Bytes;
use prost::Message;
use rafted_value_core::Config as CoreConfig;
pub use rafted_value_core::InvalidConfig;
use std::time::Duration;

/// Settings of a group. Made by [`Config::builder`]; the defaults suit members on one local network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How often a leader lets its followers know that it is alive. Default 200 ms, as in RaftedValue: a few
    /// messages per second cost nothing, and five may be lost before anybody campaigns.
    #[doc(alias = "heartbeat_timeout")]
    pub heartbeat_interval: Duration,
    /// The shortest silence of a leader after which a follower campaigns; each wait is drawn between this and twice
    /// this. Default 1 s, as in RaftedValue: far above any healthy round trip and any short pause of a machine, and
    /// a group without a leader waits for 2 s at most.
    pub election_timeout: Duration,
    /// How much of `election_timeout` a leader's lease gives away to clocks that do not run at the same rate.
    /// Default: all of it, so there is no lease and a query asks a majority: trusting clocks is your decision. With
    /// a margin of `m`, queries answered by the leader alone are safe while no clock gains more than `m` on another
    /// one within `election_timeout`.
    #[doc(alias = "election_timeout_clock_drift_margin")]
    pub clock_drift_margin: Duration,
    /// How many applied entries are kept though nobody is known to need them. Default 100, as in RaftedValue:
    /// enough for a follower that missed a few messages. What followers that make progress need is kept beyond it.
    pub max_retained_committed_logs: u64,
    /// How many bytes of applied entries are kept at most for followers that make progress; one that is further
    /// behind gets the whole value. Default 64 MiB: seconds of heavy load, and a bearable price per group.
    pub max_retained_bytes: u64,
    /// How many results of commands whose ids their callers chose are remembered for retries, of all clients together.
    /// Default 100, as in RaftedValue. A call's own retries do not depend on it: their results are remembered by the
    /// handle's session until it has them.
    pub max_retained_command_results: u32,
    /// How many bytes the results of commands whose ids their callers chose may take; older ones are forgotten, the
    /// latest one never. Default 8 MiB: 80 KB for each of a hundred, and they are part of every snapshot.
    pub max_retained_result_bytes: u64,
    /// How many client sessions a group remembers; the least recently used one goes first. Default 10,000: more
    /// than handles are usually open at once, and about 2 MB when their clients have acknowledged everything.
    pub max_sessions: u32,
    /// How long a client session may be idle, in replicated time, before the group forgets it. Default one hour: far
    /// longer than anybody waits for one call, so that forgetting costs an idle handle one registration and nothing
    /// else, and short enough that clients that are gone do not fill `max_sessions`. Replicated time counts at most
    /// ten seconds between two commands: the first command after a quiet night forgets nobody.
    pub session_timeout: Duration,
    /// How long an encoded command may be. Default 8 MiB: members wait for nothing else while they send, write or
    /// apply one command, and larger things belong into storage that is made for them.
    pub max_command_bytes: u64,
    /// How many bytes of commands a leader takes that are not applied yet; more is refused as busy. Default 64 MiB:
    /// far more than a group keeps under way, far less than would hurt the machine.
    pub max_uncommitted_bytes: u64,
    /// After how many bytes of entries a message to a follower is full. Default 256 KiB: fills a fast link, and
    /// does not hold up heartbeats on a slow one for long. A larger single entry still goes, alone.
    pub max_append_bytes: u64,
    /// How many unanswered messages with entries may be on their way to one follower. Default 64: covers the round
    /// trip between continents.
    pub max_inflight_messages: u32,
    /// How many unanswered bytes of entries may be on their way to one follower. Default 8 MiB: what a link of
    /// 1 Gbit/s carries in 60 ms.
    pub max_inflight_bytes: u64,
    /// A learner that said nothing for this long is dropped, so that members that never came up do not stay.
    /// Default 30 s, or ten election timeouts if that is longer: a restart takes less.
    pub learner_timeout: Duration,
    /// What becomes of the value when a command panics. Default [`OnPanic::Keep`]: costs nothing, and the group
    /// goes on.
    pub on_panic: OnPanic,
    /// The name under which every member registered the [`LeaderHook`](crate::LeaderHook) that the leader runs.
    /// Default: none.
    pub leader_hook: Option<String>,
}

/// What becomes of the value when a command panics, on every member alike. The caller is told in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPanic {
    /// The value stays what the panic left. Right for commands that check before they change anything.
    #[default]
    Keep,
    /// The value is again what it was before the command. Each command clones the value first: free with persistent
    /// collections, otherwise as slow as the value is large.
    Restore,
    /// The group halts, until a build that does not panic reads the log again. Nothing of the value is trusted.
    Halt,
}

impl OnPanic {
    fn number(self) -> u32 {
        match self {
            OnPanic::Keep => 0,
            OnPanic::Restore => 1,
            OnPanic::Halt => 2,
        }
    }

    fn from_number(number: u32) -> Option<OnPanic> {
        [OnPanic::Keep, OnPanic::Restore, OnPanic::Halt].into_iter().find(|policy| policy.number() == number)
    }
}

impl Default for Config {
    fn default() -> Config {
        let core = CoreConfig::default();
        Config {
            heartbeat_interval: core.heartbeat_interval,
            election_timeout: core.election_timeout,
            clock_drift_margin: core.clock_drift_margin,
            max_retained_committed_logs: core.max_retained_committed_logs,
            max_retained_bytes: core.max_retained_bytes,
            max_retained_command_results: 100,
            max_retained_result_bytes: 8 << 20,
            max_sessions: 10_000,
            session_timeout: Duration::from_secs(3_600),
            max_command_bytes: 8 << 20,
            max_uncommitted_bytes: core.max_uncommitted_bytes,
            max_append_bytes: core.max_append_bytes,
            max_inflight_messages: core.max_inflight_messages,
            max_inflight_bytes: core.max_inflight_bytes,
            learner_timeout: core.learner_timeout,
            on_panic: OnPanic::Keep,
            leader_hook: None,
        }
    }
}

impl Config {
    /// Starts from the defaults.
    #[doc(alias = "make_config")]
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder { config: Config::default(), clock_drift_margin: None, learner_timeout: None }
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// The first field that cannot be used, and what it must be.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let rules = [
            (self.max_retained_command_results > 0, "max_retained_command_results", "be larger than zero"),
            (self.max_retained_result_bytes > 0, "max_retained_result_bytes", "be larger than zero"),
            (self.max_sessions > 0, "max_sessions", "be larger than zero"),
            // A call may have to wait for an election before its retry.
            (self.session_timeout >= self.election_timeout, "session_timeout", "be at least election_timeout"),
            (self.max_command_bytes > 0, "max_command_bytes", "be larger than zero"),
            // An entry, and so a frame, holds at least one command.
            (self.max_command_bytes <= 32 << 20, "max_command_bytes", "be at most 32 MiB"),
            (self.max_append_bytes <= 32 << 20, "max_append_bytes", "be at most 32 MiB"),
            (
                self.max_command_bytes <= self.max_uncommitted_bytes,
                "max_command_bytes",
                "be at most max_uncommitted_bytes",
            ),
            (
                self.leader_hook.as_ref().is_none_or(|name| (1..=255).contains(&name.len())),
                "leader_hook",
                "be a name of 1 to 255 bytes",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, must)) => Err(InvalidConfig { field, must }),
            None => self.to_core().validate(),
        }
    }

    /// What the log carries: the core's own fields as they are, ours in the field that it does not read.
    pub(crate) fn to_core(&self) -> CoreConfig {
        let extra = Extra {
            on_panic: Some(self.on_panic.number()),
            max_command_bytes: Some(self.max_command_bytes),
            max_retained_command_results: Some(self.max_retained_command_results),
            max_sessions: Some(self.max_sessions),
            leader_hook: self.leader_hook.clone(),
            max_retained_result_bytes: Some(self.max_retained_result_bytes),
            session_timeout_nanos: Some(u64::try_from(self.session_timeout.as_nanos()).unwrap_or(u64::MAX)),
        };
        let mut bytes = vec![EXTRA_VERSION];
        bytes.extend(extra.encode_to_vec());
        CoreConfig {
            heartbeat_interval: self.heartbeat_interval,
            election_timeout: self.election_timeout,
            clock_drift_margin: self.clock_drift_margin,
            max_retained_committed_logs: self.max_retained_committed_logs,
            max_retained_bytes: self.max_retained_bytes,
            max_uncommitted_bytes: self.max_uncommitted_bytes,
            max_append_bytes: self.max_append_bytes,
            max_inflight_messages: self.max_inflight_messages,
            max_inflight_bytes: self.max_inflight_bytes,
            learner_timeout: self.learner_timeout,
            extra: Bytes::from(bytes),
        }
    }

    /// What [`Config::to_core`] was made of. Without anything of ours, our defaults.
    pub(crate) fn from_core(core: &CoreConfig) -> Result<Config, SettingsError> {
        let extra = Extra::read(&core.extra)?;
        let default = Config::default();
        Ok(Config {
            heartbeat_interval: core.heartbeat_interval,
            election_timeout: core.election_timeout,
            clock_drift_margin: core.clock_drift_margin,
            max_retained_committed_logs: core.max_retained_committed_logs,
            max_retained_bytes: core.max_retained_bytes,
            max_retained_command_results: extra
                .max_retained_command_results
                .unwrap_or(default.max_retained_command_results),
            max_retained_result_bytes: extra.max_retained_result_bytes.unwrap_or(default.max_retained_result_bytes),
            max_sessions: extra.max_sessions.unwrap_or(default.max_sessions),
            session_timeout: extra.session_timeout_nanos.map_or(default.session_timeout, Duration::from_nanos),
            max_command_bytes: extra.max_command_bytes.unwrap_or(default.max_command_bytes),
            max_uncommitted_bytes: core.max_uncommitted_bytes,
            max_append_bytes: core.max_append_bytes,
            max_inflight_messages: core.max_inflight_messages,
            max_inflight_bytes: core.max_inflight_bytes,
            learner_timeout: core.learner_timeout,
            on_panic: match extra.on_panic {
                Some(number) => OnPanic::from_number(number).ok_or(SettingsError::OnPanic(number))?,
                None => default.on_panic,
            },
            leader_hook: extra.leader_hook,
        })
    }
}

/// Makes a [`Config`]. What is not set has its default, given at the field of that name.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfigBuilder {
    config: Config,
    /// Those whose defaults follow another field.
    clock_drift_margin: Option<Duration>,
    learner_timeout: Option<Duration>,
}

macro_rules! setters {
    ($($(#[$attribute:meta])* $field:ident: $type:ty,)*) => {$(
        #[doc = concat!("Sets [`Config::", stringify!($field), "`].")]
        $(#[$attribute])*
        pub fn $field(mut self, $field: $type) -> ConfigBuilder {
            self.config.$field = $field;
            self
        }
    )*};
}

impl ConfigBuilder {
    setters! {
        #[doc(alias = "heartbeat_timeout")]
        heartbeat_interval: Duration,
        election_timeout: Duration,
        max_retained_committed_logs: u64,
        max_retained_bytes: u64,
        max_retained_command_results: u32,
        max_retained_result_bytes: u64,
        max_sessions: u32,
        session_timeout: Duration,
        max_command_bytes: u64,
        max_uncommitted_bytes: u64,
        max_append_bytes: u64,
        max_inflight_messages: u32,
        max_inflight_bytes: u64,
        on_panic: OnPanic,
    }

    /// Sets [`Config::clock_drift_margin`].
    #[doc(alias = "election_timeout_clock_drift_margin")]
    pub fn clock_drift_margin(mut self, clock_drift_margin: Duration) -> ConfigBuilder {
        self.clock_drift_margin = Some(clock_drift_margin);
        self
    }

    /// Sets [`Config::learner_timeout`].
    pub fn learner_timeout(mut self, learner_timeout: Duration) -> ConfigBuilder {
        self.learner_timeout = Some(learner_timeout);
        self
    }

    /// Sets [`Config::leader_hook`].
    #[doc(alias = "leader_hook_module")]
    pub fn leader_hook(mut self, name: impl Into<String>) -> ConfigBuilder {
        self.config.leader_hook = Some(name.into());
        self
    }

    /// The settings, checked.
    ///
    /// # Errors
    ///
    /// The first field that cannot be used, and what it must be.
    pub fn build(self) -> Result<Config, InvalidConfig> {
        let mut config = self.config;
        let election_timeout = config.election_timeout;
        config.clock_drift_margin = self.clock_drift_margin.unwrap_or(election_timeout);
        let long_silence = config.learner_timeout.max(election_timeout.saturating_mul(10));
        config.learner_timeout = self.learner_timeout.unwrap_or(long_silence);
        config.validate()?;
        Ok(config)
    }
}

/// Why the settings that a log or a snapshot carries cannot be used. To guess would be to do something else than the
/// members that can use them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("settings of version {0}, this build knows version {EXTRA_VERSION}")]
    Version(u8),
    #[error("settings that cannot be read: {0}")]
    Damaged(prost::DecodeError),
    #[error("a setting on_panic of {0}, which this build does not know")]
    OnPanic(u32),
}

/// Raised only when an old build must not ignore what is new; new fields that it may ignore do not raise it.
const EXTRA_VERSION: u8 = 1;

/// Our own settings as bytes: numbered fields, of which unknown ones are skipped and missing ones have defaults.
#[derive(Clone, PartialEq, prost::Message)]
struct Extra {
    #[prost(uint32, optional, tag = "1")]
    on_panic: Option<u32>,
    #[prost(uint64, optional, tag = "2")]
    max_command_bytes: Option<u64>,
    #[prost(uint32, optional, tag = "3")]
    max_retained_command_results: Option<u32>,
    #[prost(uint32, optional, tag = "4")]
    max_sessions: Option<u32>,
    #[prost(string, optional, tag = "5")]
    leader_hook: Option<String>,
    #[prost(uint64, optional, tag = "6")]
    max_retained_result_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    session_timeout_nanos: Option<u64>,
}

impl Extra {
    fn read(bytes: &[u8]) -> Result<Extra, SettingsError> {
        match bytes.split_first() {
            None => Ok(Extra::default()),
            Some((&EXTRA_VERSION, fields)) => Extra::decode(fields).map_err(SettingsError::Damaged),
            Some((&other, _)) => Err(SettingsError::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests;
