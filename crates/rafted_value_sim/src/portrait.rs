//! What the checker sees of a member: plain data, so that a test can paint a broken one.

use crate::chain::Chain;
use crate::member::Member;
use rafted_value_core::{HardState, LogIndex, MemberId, Membership, RoleKind, Term};
use std::sync::Arc;
use std::time::Duration;

/// One member between two steps, its disk included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Portrait {
    /// Which member.
    pub id: MemberId,
    /// Whether its process runs.
    pub up: bool,
    /// Whether it fell silent for good.
    pub halted: bool,
    /// What it is.
    pub role: RoleKind,
    /// Term and vote in memory.
    pub hard_state: HardState,
    /// Up to where it knows entries to be committed.
    pub commit: LogIndex,
    /// Up to where its value is.
    pub applied: LogIndex,
    /// Where its log begins.
    pub base: LogIndex,
    /// The end of its log as the core tells it.
    pub last: LogIndex,
    /// Its log.
    pub log: Chain,
    /// The membership in force.
    pub membership: Arc<Membership>,
    /// What is synced.
    pub durable: Durable,
    /// If it leads: up to where each follower is known to have its log.
    pub matched: Vec<(MemberId, LogIndex)>,
    /// Until when its readers are served without a round, in the simulation's time.
    pub lease: Option<Duration>,
}

/// What a member would restart from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durable {
    /// Term and vote.
    pub hard_state: HardState,
    /// The log.
    pub log: Chain,
}

impl Portrait {
    /// The latest term it has seen.
    pub fn term(&self) -> Term {
        self.hard_state.term()
    }

    /// Whether it leads.
    pub fn leads(&self) -> bool {
        self.up && self.role == RoleKind::Leader
    }

    /// The first entry of its own term; what comes before was left by others.
    pub fn term_start(&self) -> Option<LogIndex> {
        if self.log.last().term == self.term() { self.log.term_start() } else { None }
    }

    /// Paints a member. One that is down keeps the likeness of its last moment, but for its disk.
    pub fn of(member: &Member, earlier: Option<&Portrait>) -> Portrait {
        let durable = Durable { hard_state: member.disk.hard_state(), log: member.disk.chain().clone() };
        let Some(raft) = &member.raft else {
            let portrait = earlier.cloned().unwrap_or_else(|| Portrait::blank(member.id));
            return Portrait { up: false, durable, lease: None, ..portrait };
        };
        Portrait {
            id: member.id,
            up: true,
            halted: raft.is_halted(),
            role: raft.role(),
            hard_state: raft.hard_state(),
            commit: raft.commit(),
            applied: member.machine.applied().index,
            base: raft.log().base().index(),
            last: raft.log().last_index(),
            log: member.chain.clone(),
            membership: raft.log().membership().clone(),
            durable,
            matched: raft.followers().map(|(id, progress)| (id, progress.matched)).collect(),
            lease: member.lease.map(|lease| member.clock.when(lease.until)),
        }
    }

    /// A member before it ever was.
    pub fn blank(id: MemberId) -> Portrait {
        Portrait {
            id,
            up: false,
            halted: false,
            role: RoleKind::Follower,
            hard_state: HardState::default(),
            commit: LogIndex::ZERO,
            applied: LogIndex::ZERO,
            base: LogIndex::ZERO,
            last: LogIndex::ZERO,
            log: Chain::default(),
            membership: Arc::default(),
            durable: Durable { hard_state: HardState::default(), log: Chain::default() },
            matched: Vec::new(),
            lease: None,
        }
    }
}
