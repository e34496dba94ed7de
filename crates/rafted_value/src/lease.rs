//! The leader lease, published where any thread can look: a read under it needs no message and no queue.

#[cfg(all(test, check_loom))]
use loom::sync::atomic::{AtomicU64, Ordering};
use rafted_value_core::{Lease, LogIndex, Term, Time};
#[cfg(not(all(test, check_loom)))]
use std::sync::atomic::{AtomicU64, Ordering};

/// What the member's loop publishes and callers' threads read.
///
/// A caller may read the value at an instant before `until` if it contains the entry `floor`: whatever an earlier
/// leader committed stands at or before that entry, whatever this leader answered was applied to this very value
/// before it was answered, and what it allowed others to read raises the floor.
#[derive(Default)]
pub(crate) struct PublishedLease {
    /// Nanoseconds; 0 when there is no lease.
    until: AtomicU64,
    floor: AtomicU64,
}

/// The loop's side: remembers from which entry on a value is good enough in the present term.
#[derive(Default)]
pub(crate) struct LeasePublisher {
    floor: Option<(Term, LogIndex)>,
    published: u64,
}

impl PublishedLease {
    /// The entry that the value must contain, if a read may be answered at `now`.
    pub(crate) fn floor_at(&self, now: Time) -> Option<LogIndex> {
        // Acquire: whoever sees this deadline sees the floor that was stored before it, or a later, higher one.
        let until = self.until.load(Ordering::Acquire);
        (now.0 < until).then(|| LogIndex(self.floor.load(Ordering::Acquire)))
    }
}

impl PublishedLease {
    /// No later than this may anybody else lead; the beginning of time if there is no lease.
    pub(crate) fn until(&self) -> Time {
        Time(self.until.load(Ordering::Acquire))
    }
}

impl LeasePublisher {
    /// Somebody elsewhere may read up to `index` before the value here contains it.
    pub(crate) fn raise(&mut self, to: &PublishedLease, index: LogIndex) {
        if let Some((_, floor)) = &mut self.floor
            && index > *floor
        {
            *floor = index;
            to.floor.store(index.0, Ordering::Release);
        }
    }

    /// Called with what the core says, before any message of the same `Ready` leaves.
    pub(crate) fn publish(&mut self, to: &PublishedLease, term: Term, lease: Option<Lease>) {
        let until = match lease {
            Some(lease) => {
                if self.floor.is_none_or(|(of, _)| of != term) {
                    self.floor = Some((term, lease.commit));
                    to.floor.store(lease.commit.0, Ordering::Relaxed);
                }
                lease.until.0
            }
            None => 0,
        };
        if until != self.published {
            self.published = until;
            // Release: the floor comes first.
            to.until.store(until, Ordering::Release);
        }
    }
}

/// Every order in which a reader may see what the loop publishes: `just loom`.
#[cfg(all(test, check_loom))]
mod every_order {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicBool;
    use loom::thread;

    fn lease(until: u64, commit: u64) -> Option<Lease> {
        Some(Lease { until: Time(until), commit: LogIndex(commit) })
    }

    #[test]
    fn whoever_sees_a_deadline_sees_its_floor_or_a_later_one() {
        loom::model(|| {
            let published = Arc::new(PublishedLease::default());
            let loops = thread::spawn({
                let published = published.clone();
                move || {
                    let mut publisher = LeasePublisher::default();
                    publisher.publish(&published, Term(3), lease(100, 7));
                    publisher.publish(&published, Term(3), None);
                    // Others led in between.
                    publisher.publish(&published, Term(5), lease(300, 12));
                }
            });
            // Each deadline lets a read through only with what was committed before it.
            assert!(published.floor_at(Time(50)).is_none_or(|floor| floor >= LogIndex(7)));
            assert!(published.floor_at(Time(250)).is_none_or(|floor| floor >= LogIndex(12)));
            loops.join().unwrap();
            assert_eq!(published.floor_at(Time(250)), Some(LogIndex(12)));
        });
    }

    #[test]
    fn what_somebody_elsewhere_may_have_read_is_read_here_too() {
        loom::model(|| {
            let published = Arc::new(PublishedLease::default());
            let answered = Arc::new(AtomicBool::new(false));
            let loops = thread::spawn({
                let (published, answered) = (published.clone(), answered.clone());
                move || {
                    let mut publisher = LeasePublisher::default();
                    publisher.publish(&published, Term(3), lease(100, 7));
                    publisher.raise(&published, LogIndex(9));
                    answered.store(true, Ordering::Release);
                }
            });
            // Whoever had the answer tells the reader of it.
            if answered.load(Ordering::Acquire) {
                assert_eq!(published.floor_at(Time(50)), Some(LogIndex(9)));
            }
            loops.join().unwrap();
        });
    }
}

#[cfg(all(test, not(check_loom)))]
mod tests {
    use super::*;

    fn lease(until: u64, commit: u64) -> Option<Lease> {
        Some(Lease { until: Time(until), commit: LogIndex(commit) })
    }

    #[test]
    fn a_read_is_allowed_before_the_deadline_and_never_at_it() {
        let (mut publisher, published) = (LeasePublisher::default(), PublishedLease::default());
        assert_eq!(published.floor_at(Time(0)), None, "none yet");
        publisher.publish(&published, Term(3), lease(100, 7));
        assert_eq!(published.floor_at(Time(99)), Some(LogIndex(7)));
        assert_eq!(published.floor_at(Time(100)), None);
    }

    #[test]
    fn what_others_may_read_is_read_here_too() {
        let (mut publisher, published) = (LeasePublisher::default(), PublishedLease::default());
        publisher.raise(&published, LogIndex(9));
        publisher.publish(&published, Term(3), lease(100, 9));
        publisher.raise(&published, LogIndex(12));
        assert_eq!(published.floor_at(Time(50)), Some(LogIndex(12)));
        publisher.raise(&published, LogIndex(11));
        assert_eq!(published.floor_at(Time(50)), Some(LogIndex(12)), "never lowered");
    }

    #[test]
    fn the_floor_is_that_of_the_terms_first_lease() {
        let (mut publisher, published) = (LeasePublisher::default(), PublishedLease::default());
        publisher.publish(&published, Term(3), lease(100, 7));
        publisher.publish(&published, Term(3), lease(200, 9));
        assert_eq!(published.floor_at(Time(150)), Some(LogIndex(7)), "what it answered itself is in the value");
        publisher.publish(&published, Term(3), None);
        assert_eq!(published.floor_at(Time(150)), None);
        publisher.publish(&published, Term(5), lease(300, 12));
        assert_eq!(published.floor_at(Time(250)), Some(LogIndex(12)), "others led in between");
    }
}
