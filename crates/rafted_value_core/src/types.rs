//! The numbers of the protocol, each a type of its own so that none can stand in for another.

use core::fmt;
use core::time::Duration;

/// A term: a period with at most one leader (thesis §3.3). Terms never go back.
///
/// No leader ever has term 0; it marks "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// The place of an entry in the log. The first entry has index 1; 0 is the empty prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// Which entry: the term that created it and where it stands.
///
/// The order is the election restriction of thesis §3.6.1: the later term first, then the longer log. A voter
/// grants its vote to a candidate whose last `EntryId` is not smaller than its own.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The term of the leader that created the entry.
    pub term: Term,
    /// Its place in the log.
    pub index: LogIndex,
}

/// One *incarnation* of one member of one group; never reused.
///
/// A member that lost its memory is a new member: an identity that forgot its vote must not vote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u128);

/// An instant on the clock of one member, in nanoseconds since an origin of the driver's choice.
///
/// Instants of two members are never compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// The number of a write handed to storage; `Persisted(n)` confirms every write up to `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteNo(pub u64);

/// The driver's name for a read it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// The driver's name for a request to change something: commands, a config, a membership change, a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The smallest number that no term or index may reach: what is larger on the wire is refused as malformed,
/// so that arithmetic on what was accepted cannot overflow.
pub const NUMBER_LIMIT: u64 = 1 << 63;

impl Term {
    /// The term after this one.
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl LogIndex {
    /// The empty prefix of every log.
    pub const ZERO: LogIndex = LogIndex(0);

    /// The index after this one.
    pub fn next(self) -> LogIndex {
        LogIndex(self.0 + 1)
    }

    /// The index before this one; 0 stays 0.
    pub fn previous(self) -> LogIndex {
        LogIndex(self.0.saturating_sub(1))
    }
}

impl EntryId {
    /// The end of the empty log, which every log begins with.
    pub const ZERO: EntryId = EntryId { term: Term(0), index: LogIndex(0) };

    /// The entry of `term` at `index`.
    pub fn new(term: u64, index: u64) -> EntryId {
        EntryId { term: Term(term), index: LogIndex(index) }
    }
}

impl Time {
    /// An instant that no clock reaches.
    pub const NEVER: Time = Time(u64::MAX);

    /// The instant `duration` later; stays at [`Time::NEVER`] instead of overflowing.
    pub fn after(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(nanos(duration)))
    }

    /// The instant `duration` earlier; stays at the origin instead of going below it.
    pub fn before(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(nanos(duration)))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.term, self.index)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first eight hexadecimal digits: enough to tell members apart in a log line.
impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", (self.0 >> 96) as u32)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
