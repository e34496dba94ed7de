//! What a member must never forget: its term and its vote, which change only together and only by two verbs.

use crate::types::{MemberId, Term};

/// Term and vote. A term is entered without a vote; within a term the vote is given once and stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HardState {
    term: Term,
    voted_for: Option<MemberId>,
}

impl HardState {
    /// What was restored from storage.
    pub fn new(term: Term, voted_for: Option<MemberId>) -> HardState {
        HardState { term, voted_for }
    }

    /// The latest term this member has seen.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whom it voted for in that term.
    pub fn voted_for(&self) -> Option<MemberId> {
        self.voted_for
    }

    pub(crate) fn enter_term(&mut self, term: Term) {
        assert!(term > self.term, "a term is entered once");
        *self = HardState { term, voted_for: None };
    }

    /// Whether a vote for `id` is still possible in this term, or was already given.
    pub(crate) fn may_vote_for(&self, id: MemberId) -> bool {
        self.voted_for.is_none_or(|voted| voted == id)
    }

    pub(crate) fn vote_for(&mut self, id: MemberId) {
        assert!(self.may_vote_for(id), "a vote is given once");
        self.voted_for = Some(id);
    }
}
