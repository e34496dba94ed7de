//! Who votes, who learns, and how one membership becomes the next (thesis chapter 4).

use crate::museum::{Mutant, broken};
use crate::types::MemberId;
use alloc::collections::BTreeMap;
use bytes::Bytes;

/// The members of a group and what each may do. Never changed in place: each step yields the next membership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Membership {
    members: BTreeMap<MemberId, Member>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// How the driver reaches it; opaque here.
    pub contact: Bytes,
    /// What it may do.
    pub seat: Seat,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seat {
    /// Votes; in a joint membership, in both halves.
    Voter,
    /// Votes in the new half of a joint membership.
    Incoming,
    /// Votes in the old half of a joint membership; leaves with it.
    Outgoing,
    /// Receives the log and counts for nothing (thesis §4.2.1).
    Learner(Promotion),
}

/// What becomes of a learner once it has caught up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promotion {
    /// It stays a learner.
    Never,
    /// It becomes a voter, by a single step.
    WhenCaughtUp,
    /// It becomes a voter in place of another member, by one joint change: dead incarnations do not pile up.
    Replacing(MemberId),
}

/// Which half of a joint membership; a membership that is not joint has two equal halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Old,
    New,
}

/// A change of membership that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Adds a learner. If it replaces a member that is itself a learner, it takes that learner's place at once.
    AddLearner {
        /// The new member.
        id: MemberId,
        /// How to reach it.
        contact: Bytes,
        /// What becomes of it.
        promotion: Promotion,
    },
    /// Removes one member, by a single step.
    Remove(MemberId),
    /// Makes these members, and no others, the voters, by a joint change; each must be a member already.
    SetVoters(alloc::vec::Vec<MemberId>),
}

impl Seat {
    fn votes_in(self, half: Half) -> bool {
        match self {
            Seat::Voter => true,
            Seat::Incoming => half == Half::New,
            Seat::Outgoing => half == Half::Old,
            Seat::Learner(_) => broken(Mutant::LearnersCount),
        }
    }

    /// Whether it votes in any half.
    pub fn votes(self) -> bool {
        !matches!(self, Seat::Learner(_))
    }
}

impl Membership {
    /// A membership of these members.
    pub fn new(members: impl IntoIterator<Item = (MemberId, Member)>) -> Membership {
        Membership { members: members.into_iter().collect() }
    }

    /// A membership of one voter.
    pub fn sole_voter(id: MemberId, contact: Bytes) -> Membership {
        Membership::new([(id, Member { contact, seat: Seat::Voter })])
    }

    /// All members in the order of their ids.
    pub fn members(&self) -> &BTreeMap<MemberId, Member> {
        &self.members
    }

    /// One member.
    pub fn get(&self, id: MemberId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// Whether `id` is a member of any kind.
    pub fn contains(&self, id: MemberId) -> bool {
        self.members.contains_key(&id)
    }

    /// Whether `id` votes in any half.
    pub fn is_voter(&self, id: MemberId) -> bool {
        self.get(id).is_some_and(|member| member.seat.votes())
    }

    /// Whether a change is half-way: decisions need a majority of both halves (thesis §4.3).
    pub fn is_joint(&self) -> bool {
        self.members.values().any(|member| matches!(member.seat, Seat::Incoming | Seat::Outgoing))
    }

    /// Every member that votes in any half.
    pub fn voters(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.members.iter().filter(|(_, member)| member.seat.votes()).map(|(id, _)| *id)
    }

    pub(crate) fn voters_of(&self, half: Half) -> impl Iterator<Item = MemberId> + '_ {
        self.members.iter().filter(move |(_, member)| member.seat.votes_in(half)).map(|(id, _)| *id)
    }

    /// Whether `id` alone decides.
    pub fn is_sole_voter(&self, id: MemberId) -> bool {
        let mut voters = self.voters();
        voters.next() == Some(id) && voters.next().is_none()
    }

    pub(crate) fn with_learner(&self, id: MemberId, contact: Bytes, promotion: Promotion) -> Membership {
        let mut next = self.clone();
        let promotion = match promotion {
            Promotion::Replacing(old) => match self.get(old).map(|member| member.seat) {
                // A learner that started again before it was promoted: its plan goes on, its ghost goes.
                Some(Seat::Learner(plan)) => {
                    next.members.remove(&old);
                    plan
                }
                Some(_) => {
                    // Of several that would take the same place the latest start is the living one.
                    next.members.retain(|_, member| member.seat != Seat::Learner(promotion));
                    promotion
                }
                None => Promotion::WhenCaughtUp,
            },
            other => other,
        };
        let seat = if broken(Mutant::JoinerVotesAtOnce) { Seat::Voter } else { Seat::Learner(promotion) };
        next.members.insert(id, Member { contact, seat });
        next
    }

    pub(crate) fn without(&self, id: MemberId) -> Membership {
        let mut next = self.clone();
        next.members.remove(&id);
        next
    }

    /// The membership in which the learner votes: one step away, or joint if it takes another's place. Who has lost its
    /// vote by now has no place to take.
    pub(crate) fn promoted(&self, id: MemberId) -> Membership {
        let mut next = self.clone();
        let Some(learner) = next.members.get_mut(&id) else { return next };
        let Seat::Learner(promotion) = learner.seat else { return next };
        learner.seat = Seat::Voter;
        if let Promotion::Replacing(old) = promotion
            && let Some(replaced) = next.members.get_mut(&old).filter(|replaced| replaced.seat.votes())
        {
            replaced.seat = Seat::Outgoing;
            if let Some(learner) = next.members.get_mut(&id) {
                learner.seat = Seat::Incoming;
            }
        }
        next
    }

    /// The joint membership on the way from this one to the given voters.
    pub(crate) fn towards(&self, voters: &[MemberId]) -> Membership {
        let mut next = self.clone();
        for (id, member) in &mut next.members {
            member.seat = match (member.seat.votes(), voters.contains(id)) {
                (true, true) => Seat::Voter,
                (true, false) => Seat::Outgoing,
                (false, true) => Seat::Incoming,
                (false, false) => member.seat,
            };
        }
        next
    }

    /// The membership after the joint one.
    pub(crate) fn after_joint(&self) -> Membership {
        let mut next = self.clone();
        next.members.retain(|_, member| member.seat != Seat::Outgoing);
        for member in next.members.values_mut() {
            if member.seat == Seat::Incoming {
                member.seat = Seat::Voter;
            }
        }
        next
    }
}
