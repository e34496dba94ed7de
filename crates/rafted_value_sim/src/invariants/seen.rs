//! Everything that properties need to know of the past.

use crate::chain::Chain;
use crate::event::Event;
use crate::portrait::Portrait;
use rafted_value::simulation::SessionId;
use rafted_value_core::{EntryId, LogIndex, MemberId, Term};
use std::collections::{BTreeMap, BTreeSet};

/// The whole history as far as any property asks for it. "Ever" means since the beginning of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Who ever led which term.
    pub leaders: BTreeMap<Term, MemberId>,
    /// The log of each term's leader, as it last was in that term.
    pub leader_logs: BTreeMap<Term, Chain>,
    /// Every real vote that ever left a voter.
    pub votes: BTreeMap<(MemberId, Term), MemberId>,
    /// The end of each candidate's log.
    pub campaigns: BTreeMap<(MemberId, Term), EntryId>,
    /// The hash of the log up to every entry that ever stood in a log.
    pub entries: BTreeMap<EntryId, u64>,
    /// Everything that was ever committed.
    pub committed: Chain,
    /// How far the leader of each term had committed, as far as that was news.
    pub committed_in: BTreeMap<Term, LogIndex>,
    /// What was ever applied at each index.
    pub applied: BTreeMap<LogIndex, u64>,
    /// Up to where each member's log was verified by the leader of which term.
    pub verified: BTreeMap<MemberId, (Term, LogIndex)>,
    /// Every command that ran.
    pub ran: BTreeMap<(SessionId, u64), Ran>,
    /// What the value was, with its sessions, as of some entries.
    pub digests: BTreeMap<LogIndex, u64>,
    /// Every entry of which a client was told that it is done.
    pub done: BTreeSet<EntryId>,
}

/// What is known of a command that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ran {
    /// Where it ran: the entry, and which command of it.
    pub place: (u64, u32),
    /// What it found.
    pub found: Option<u64>,
}

impl Seen {
    /// Remembers what has been checked.
    pub fn remember(&mut self, event: Event) {
        match event {
            Event::Moved { before, after } => self.remember_step(&before, &after),
            Event::Verified { by, term, upto } => {
                let known = self.verified.entry(by).or_default();
                *known = (*known).max((term, upto));
            }
            Event::Campaigned { by, term, last } => {
                self.campaigns.insert((by, term), last);
            }
            Event::Voted { by, to, term } => {
                self.votes.insert((by, term), to);
            }
            Event::Applied { id, hash, .. } => {
                self.applied.insert(id.index, hash);
            }
            Event::Ran { ticket, place, found, .. } => {
                self.ran.insert(ticket, Ran { place, found });
            }
            Event::Stands { index, digest, .. } => {
                self.digests.insert(index, digest);
            }
            Event::Done { id, .. } => {
                self.done.insert(id);
            }
            Event::Acknowledged { .. } | Event::Spoke { .. } | Event::ReadConfirmed { .. } => {}
        }
    }

    /// What is known when another incarnation of the group begins with `log`: all of it will be committed, and whatever
    /// else was ever done is given up. Terms, votes and leaders of the former incarnation mean nothing in it.
    pub fn given_up_but(&self, log: &Chain) -> Seen {
        let stands = |id: &EntryId| log.at(id.index).is_some_and(|link| link.id == *id);
        Seen {
            entries: log.backwards().map(|link| (link.id, link.hash)).collect(),
            committed: log.clone(),
            committed_in: [(Term(0), log.last().index)].into(),
            applied: log.backwards().map(|link| (link.id.index, link.hash)).collect(),
            done: self.done.iter().copied().filter(stands).collect(),
            ran: self
                .ran
                .iter()
                .filter(|(_, ran)| ran.place.0 <= log.last().index.0)
                .map(|(it, at)| (*it, *at))
                .collect(),
            digests: self.digests.range(..=log.last().index).map(|(index, digest)| (*index, *digest)).collect(),
            ..Seen::default()
        }
    }

    fn remember_step(&mut self, before: &Portrait, after: &Portrait) {
        for link in after.log.beyond(&before.log) {
            self.entries.insert(link.id, link.hash);
        }
        if after.leads() {
            self.leaders.insert(after.term(), after.id);
            self.leader_logs.insert(after.term(), after.log.clone());
        }
        let known = self.committed.last().index;
        self.committed.extend(&after.log, after.commit);
        if self.committed.last().index > known {
            self.committed_in.insert(after.term(), self.committed.last().index);
        }
    }
}
