//! What waits to be written to one connection: bounded in messages and in bytes, so that a peer that never reads
//! costs no more than that.

use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// Many tasks push, one takes. What is being written counts as waiting until the kernel has it.
pub(super) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    filled: Notify,
    room: Notify,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Outgoing>,
    messages: usize,
    bytes: usize,
    /// Bytes that left, ever: whoever waits can tell slow from stuck.
    written: u64,
    /// How often something that waited was lost.
    losses: u64,
    closed: bool,
}

struct Outgoing {
    bytes: Bytes,
    /// Told when the last byte is with the kernel; dropped untold if it never will be.
    written: Option<oneshot::Sender<()>>,
}

/// What the queue does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotQueued {
    Full,
    Closed,
}

/// Frames on their way into the kernel. Dropped half-way, the rest is lost: a frame is never continued on another
/// connection.
pub(super) struct Batch<'a> {
    queue: &'a Queue,
    frames: VecDeque<Outgoing>,
    /// Of all frames, including what is written of the first.
    bytes: usize,
    begun: usize,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Queue {
        Queue { bounds, state: Mutex::default(), filled: Notify::new(), room: Notify::new() }
    }

    /// Never waits.
    pub(super) fn push(&self, frame: Bytes) -> Result<(), NotQueued> {
        self.try_push(&frame, self.bounds.bytes, None)
    }

    /// Waits until it is among `window` bytes that wait, and then until it is written. False if it never will be, or
    /// if others were lost while it waited: what follows a gap is of no use.
    pub(super) async fn push_and_write(&self, frame: Bytes, window: usize) -> bool {
        let (sender, written) = oneshot::channel();
        let mut sender = Some(sender);
        let losses = self.state().losses;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable(); // before looking, so that no word of room is missed
            if self.state().losses != losses {
                return false;
            }
            match self.try_push(&frame, window, Some(&mut sender)) {
                Ok(()) => return written.await.is_ok(),
                Err(NotQueued::Closed) => return false,
                Err(NotQueued::Full) => room.await,
            }
        }
    }

    /// Even a frame larger than the bounds goes, alone.
    fn try_push(
        &self,
        frame: &Bytes,
        bytes: usize,
        written: Option<&mut Option<oneshot::Sender<()>>>,
    ) -> Result<(), NotQueued> {
        let mut state = self.state();
        if state.closed {
            return Err(NotQueued::Closed);
        }
        let fits = state.messages < self.bounds.messages && state.bytes + frame.len() <= bytes;
        if !fits && state.messages > 0 {
            return Err(NotQueued::Full);
        }
        state.messages += 1;
        state.bytes += frame.len();
        state.frames.push_back(Outgoing { bytes: frame.clone(), written: written.and_then(Option::take) });
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits until something waits. False once the queue is closed.
    pub(super) async fn filled(&self) -> bool {
        loop {
            {
                let state = self.state();
                if state.closed || !state.frames.is_empty() {
                    return !state.closed;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Everything that waits now.
    pub(super) fn take(&self) -> Batch<'_> {
        let frames = std::mem::take(&mut self.state().frames);
        let bytes = frames.iter().map(|frame| frame.bytes.len()).sum();
        Batch { queue: self, frames, bytes, begun: 0 }
    }

    /// Loses everything that waits.
    pub(super) fn clear(&self) {
        drop(self.take());
    }

    /// Loses everything that waits, and takes nothing any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.clear();
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    /// How many bytes left, ever.
    pub(super) fn written(&self) -> u64 {
        self.state().written
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize) {
        let state = self.state();
        (state.messages, state.bytes)
    }

    /// Whether nothing waits or is being written.
    pub(super) fn is_empty(&self) -> bool {
        self.state().messages == 0
    }

    fn release(&self, messages: usize, bytes: usize, written: usize) {
        let mut state = self.state();
        state.messages -= messages;
        state.bytes -= bytes;
        state.written += written as u64;
        drop(state);
        self.room.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Fills slices with what is still to be written, and says how many.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = self.frames.len().min(slices.len());
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(&frame.bytes);
        }
        filled
    }

    /// The kernel has taken `bytes` more.
    pub(super) fn advance(&mut self, bytes: usize) {
        let (mut rest, mut messages, mut released) = (bytes, 0, 0);
        while let Some(first) = self.frames.front_mut() {
            if rest < first.bytes.len() {
                first.bytes.advance(rest);
                self.begun += rest;
                break;
            }
            rest -= first.bytes.len();
            released += self.begun + first.bytes.len();
            messages += 1;
            self.begun = 0;
            if let Some(written) = self.frames.pop_front().and_then(|done| done.written) {
                let _ = written.send(()); // whoever asked may have gone
            }
        }
        self.bytes -= released;
        self.queue.release(messages, released, bytes);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.frames.is_empty() {
            self.queue.state().losses += 1;
            self.queue.release(self.frames.len(), self.bytes, 0);
        }
    }
}
