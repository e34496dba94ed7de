//! What a majority agrees on: the one function behind the commit index, read rounds and the lease.

use crate::membership::{Half, Membership};
use crate::museum::{Mutant, broken};
use crate::types::MemberId;
use alloc::vec::Vec;

/// The largest value that a majority has reached, in both halves if the membership is joint; `None` without voters.
pub fn agreed<T: Ord + Copy>(membership: &Membership, reached: impl Fn(MemberId) -> T) -> Option<T> {
    let new = agreed_by(membership, Half::New, &reached)?;
    if !membership.is_joint() {
        return Some(new);
    }
    Some(agreed_by(membership, Half::Old, &reached)?.min(new))
}

fn agreed_by<T: Ord + Copy>(membership: &Membership, half: Half, reached: &impl Fn(MemberId) -> T) -> Option<T> {
    let mut values: Vec<T> = membership.voters_of(half).map(reached).collect();
    if !broken(Mutant::QuorumIsUnsorted) {
        values.sort_unstable_by(|a, b| b.cmp(a));
    }
    let majority = if broken(Mutant::MajorityOffByOne) { values.len().div_ceil(2) } else { values.len() / 2 + 1 };
    values.get(majority.saturating_sub(1)).copied()
}

/// How an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A majority granted it.
    Won,
    /// A majority can no longer grant it.
    Lost,
    /// It may still go either way.
    Pending,
}

/// How an election stands, given what each voter said (`None`: nothing yet).
pub fn outcome(membership: &Membership, said: impl Fn(MemberId) -> Option<bool>) -> Outcome {
    // A voter "reaches" 2 by granting, 1 while it may still grant, 0 by refusing.
    let reached = |id| match said(id) {
        Some(true) => 2,
        None => 1,
        Some(false) => 0,
    };
    match agreed(membership, reached) {
        Some(2) => Outcome::Won,
        Some(1) => Outcome::Pending,
        _ => Outcome::Lost,
    }
}
