//! Who takes part: ours and the peers, each as a way to run it.

use crate::openraft_09::Openraft09;
use crate::openraft_010::Openraft010;
use crate::ours::Ours;
use crate::raft_rs::RaftRs;
use crate::system::System;
use crate::work::{Sample, Work, closed_loop, open_loop};
use clap::ValueEnum;
use std::time::Duration;

/// Which peers to measure beside ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// openraft 0.9 and 0.10.
    Openraft,
    /// tikv/raft 0.7, with many unanswered appends and with one.
    RaftRs,
    /// All of them.
    All,
}

/// A system, and how to measure it.
#[derive(Clone, Copy)]
pub struct Contender {
    /// Its name in reports.
    pub name: &'static str,
    closed: fn(Work, usize, usize, Duration) -> Sample,
    open: fn(Work, f64, usize, Duration) -> Sample,
}

impl Contender {
    fn of<S: System>() -> Contender {
        Contender { name: S::NAME, closed: closed_loop::<S>, open: open_loop::<S> }
    }

    /// As many callers, each waiting for its answer.
    pub fn closed_loop(&self, work: Work, clients: usize, members: usize, time: Duration) -> Sample {
        (self.closed)(work, clients, members, time)
    }

    /// As many questions per second, answered or not.
    pub fn open_loop(&self, work: Work, rate: f64, members: usize, time: Duration) -> Sample {
        (self.open)(work, rate, members, time)
    }
}

/// Ours first, then the peers.
pub fn contenders(work: Work, peer: Peer) -> Vec<Contender> {
    let ours = if work == Work::Lease { Contender::of::<Ours<true>>() } else { Contender::of::<Ours<false>>() };
    let openraft = [Contender::of::<Openraft010>(), Contender::of::<Openraft09>()];
    let raft_rs = match work {
        Work::Write => vec![Contender::of::<RaftRs<256, false>>(), Contender::of::<RaftRs<1, false>>()],
        Work::Readindex => vec![Contender::of::<RaftRs<256, false>>()],
        Work::Lease => vec![Contender::of::<RaftRs<256, true>>()],
    };
    let mut all = vec![ours];
    if peer != Peer::RaftRs {
        // 0.9 has no lease.
        all.extend(openraft.into_iter().filter(|it| work != Work::Lease || it.name != Openraft09::NAME));
    }
    if peer != Peer::Openraft {
        all.extend(raft_rs);
    }
    all
}
