//! What a caller's thread does itself instead of waking a node's: turns of loops and the work of appliers, one after
//! the other. A parked thread takes longer to wake than a command takes.

use crate::applier::Machine;
use crate::mailbox::Mailbox;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// Something that this thread may do, and that another must if it does not.
pub(crate) enum Errand {
    /// Take the turn of a loop that something was posted to.
    Turn(Arc<Mailbox>),
    /// Apply what is committed.
    Apply(Arc<dyn Machine>),
}

/// How many errands a caller runs for others before it leaves the rest to the threads that are there for it.
const AT_MOST: usize = 64;

thread_local! {
    /// What is left to do; nothing on a thread that runs no errands.
    static LIST: RefCell<Option<VecDeque<Errand>>> = const { RefCell::new(None) };
}

/// Does `work`, then whatever it gave rise to. Within another call it does only the work: the outer one runs errands.
pub(crate) fn after<R>(work: impl FnOnce() -> R) -> R {
    let outermost = LIST.with_borrow_mut(|list| {
        let outermost = list.is_none();
        list.get_or_insert_default();
        outermost
    });
    if !outermost {
        return work();
    }
    // However this ends, nothing that was taken on is forgotten.
    let _leave = Leave;
    let result = work();
    for _ in 0..AT_MOST {
        let Some(errand) = LIST.with_borrow_mut(|list| list.as_mut().and_then(VecDeque::pop_front)) else { break };
        errand.run();
    }
    result
}

/// Puts `errand` on this thread's list, if it has one.
pub(crate) fn take_on(errand: impl FnOnce() -> Option<Errand>) -> bool {
    LIST.with_borrow_mut(|list| match list {
        Some(list) => {
            list.extend(errand());
            true
        }
        None => false,
    })
}

struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        let left = LIST.take();
        left.into_iter().flatten().for_each(Errand::leave);
    }
}

impl Errand {
    fn run(self) {
        match self {
            Errand::Turn(mailbox) => mailbox.turn(),
            Errand::Apply(machine) => machine.apply_here(),
        }
    }

    fn leave(self) {
        match self {
            Errand::Turn(mailbox) => mailbox.notify(),
            Errand::Apply(machine) => machine.apply_elsewhere(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Refused;
    use crate::waiting::Caller;
    use bytes::Bytes;
    use rafted_value_core::{LogIndex, SnapshotMeta};
    use std::any::Any;
    use std::sync::Mutex;

    /// Writes down where it was asked to work; working here gives rise to another errand.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<&'static str>>);

    impl Recorder {
        fn says(&self) -> Vec<&'static str> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl Machine for Recorder {
        fn value_version(&self) -> u32 {
            0
        }

        fn submit(self: Arc<Self>, _: crate::applier::Work) {}
        fn apply_here(self: Arc<Self>) {
            self.0.lock().unwrap().push("here");
            take_on(|| Some(Errand::Apply(self.clone())));
        }
        fn apply_elsewhere(self: Arc<Self>) {
            self.0.lock().unwrap().push("elsewhere");
        }
        fn query(self: Arc<Self>, _: LogIndex, _: Bytes, _: bool, caller: Caller) {
            caller.refuse(Refused::Stopped);
        }
        fn snapshot(&self) -> Result<(SnapshotMeta, Bytes), String> {
            Err(String::new())
        }
        fn decode(&self, _: SnapshotMeta, _: Bytes) -> Result<Box<dyn Any + Send>, String> {
            Err(String::new())
        }
        fn applied(&self) -> LogIndex {
            LogIndex::ZERO
        }
        fn applied_by(&self, _: crate::contact::MemberOf) -> Option<LogIndex> {
            None
        }
        fn stop(&self) {}
    }

    #[test]
    fn a_thread_that_runs_no_errands_takes_none() {
        let recorder = Arc::new(Recorder::default());
        assert!(!take_on(|| Some(Errand::Apply(recorder.clone()))));
        assert!(recorder.says().is_empty());
    }

    #[test]
    fn errands_run_after_the_work_and_endless_ones_are_left_to_others() {
        let recorder = Arc::new(Recorder::default());
        after(|| {
            after(|| take_on(|| Some(Errand::Apply(recorder.clone()))));
            assert!(recorder.says().is_empty(), "only the outermost runs them");
        });
        let said = recorder.says();
        assert_eq!(said.iter().filter(|said| **said == "here").count(), AT_MOST);
        assert_eq!(said.last(), Some(&"elsewhere"));
    }

    #[test]
    fn a_panic_forgets_no_errand() {
        let recorder = Arc::new(Recorder::default());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            after(|| {
                take_on(|| Some(Errand::Apply(recorder.clone())));
                panic!("on purpose");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(recorder.says(), ["elsewhere"]);
        assert!(!take_on(|| None), "the list is gone");
    }
}
