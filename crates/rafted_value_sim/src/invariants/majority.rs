//! Majorities, counted by hand: the checker must not share the core's arithmetic.

use rafted_value_core::{MemberId, Membership, Seat};

/// Whether those for which `says` holds are a majority of the membership; of both halves, if it is joint.
pub fn is_majority(membership: &Membership, says: impl Fn(MemberId) -> bool) -> bool {
    halves(membership).iter().all(|half| 2 * half.iter().filter(|id| says(**id)).count() > half.len())
}

/// Whether every majority of one shares a member with every majority of the other. Found by trying all.
pub fn always_intersect(one: &Membership, other: &Membership) -> bool {
    let everybody: Vec<MemberId> = {
        let mut all: Vec<MemberId> = one.voters().chain(other.voters()).collect();
        all.sort();
        all.dedup();
        all
    };
    // If two majorities are disjoint, so are one of them and everybody else.
    (0u32..1 << everybody.len()).all(|set| {
        let within = |id: MemberId| everybody.iter().position(|each| *each == id).is_some_and(|at| set >> at & 1 == 1);
        !(is_majority(one, within) && is_majority(other, |id| !within(id)))
    })
}

/// The voters before and after the change that a joint membership stands for; twice the same, if it is not joint.
pub fn halves(membership: &Membership) -> [Vec<MemberId>; 2] {
    let those = |seats: [Seat; 2]| {
        let chosen = membership.members().iter().filter(|(_, member)| seats.contains(&member.seat));
        chosen.map(|(id, _)| *id).collect()
    };
    [those([Seat::Voter, Seat::Outgoing]), those([Seat::Voter, Seat::Incoming])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::fixture::{joint, member, voters};

    #[test]
    fn two_of_four_are_no_majority() {
        let four = voters("ABCD");
        assert!(!is_majority(&four, |id| id <= member('B')) && is_majority(&four, |id| id <= member('C')));
    }

    #[test]
    fn a_joint_membership_needs_both_halves() {
        let change = joint("ABC", "CDE");
        assert!(!is_majority(&change, |id| id <= member('C')), "the new half is missing");
        assert!(is_majority(&change, |id| (member('B')..=member('D')).contains(&id)));
    }

    #[test]
    fn neighbours_intersect_and_strangers_do_not() {
        assert!(always_intersect(&voters("ABC"), &voters("ABCD")));
        assert!(!always_intersect(&voters("ABC"), &voters("ABCDE")), "AB and CDE");
        assert!(always_intersect(&voters("ABC"), &joint("ABC", "CDE")));
    }
}
