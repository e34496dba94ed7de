//! The only file that reads a clock or random numbers.

use crate::contact::GroupId;
use rafted_value_core::{Time, Timer};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Sleep;

/// Now, on a clock that goes on while the machine is suspended: a lease that ran out meanwhile must be seen to.
#[cfg(target_os = "linux")]
pub(crate) fn now() -> Time {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Time(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Now, on the steady clock of the standard library, counted from the first call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn now() -> Time {
    static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    Time(ORIGIN.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64)
}

/// What callers' deadlines run on: one thread for the whole process, which outlives every node, because a caller's
/// deadline must come whatever becomes of the node it asks, and on whatever runtime the caller runs.
///
/// # Errors
///
/// If the process can have no more threads.
pub(crate) fn deadlines() -> io::Result<Handle> {
    static CLOCK: Mutex<Option<Handle>> = Mutex::new(None);
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(clock) = &*clock {
        return Ok(clock.clone());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("rafted-clock".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(clock.insert(handle).clone())
}

/// Sleeps on `clock`.
pub(crate) fn sleep(clock: &Handle, duration: Duration) -> Sleep {
    let _clock = clock.enter();
    tokio::time::sleep(duration)
}

/// What `work` comes to, unless it takes longer than `limit` on `clock`.
pub(crate) async fn within<T>(clock: &Handle, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let timeout = {
        let _clock = clock.enter();
        tokio::time::timeout(limit, work)
    };
    timeout.await.ok()
}

/// An instant drawn from the range.
pub(crate) fn draw(timer: Timer) -> Time {
    Time(fastrand::u64(timer.earliest.0..=timer.latest.0.max(timer.earliest.0)))
}

/// A little more or less than `about`: what many do at once spreads out.
pub(crate) fn jittered(about: Duration) -> Duration {
    about.mul_f64(0.5 + fastrand::f64())
}

/// An identity that nobody else has.
pub(crate) fn identity() -> u128 {
    // Zero stands for "none" on the wire.
    fastrand::u128(1..)
}

/// A seed for the commands of one batch.
pub(crate) fn seed() -> u64 {
    fastrand::u64(..)
}

/// The alarms of all members of a shard. A member that moves its alarm later leaves the earlier one in place: it is
/// looked at again when it goes off, so that a busy follower costs one comparison per message.
#[derive(Default)]
pub(crate) struct Alarms {
    heap: BinaryHeap<Reverse<(Time, GroupId)>>,
}

impl Alarms {
    pub(crate) fn set(&mut self, at: Time, group: GroupId) {
        self.heap.push(Reverse((at, group)));
    }

    /// The next alarm.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next alarm that has gone off.
    pub(crate) fn due(&mut self, now: Time) -> Option<GroupId> {
        match self.heap.peek() {
            Some(Reverse((at, _))) if *at <= now => self.heap.pop().map(|Reverse((_, group))| group),
            _ => None,
        }
    }
}
