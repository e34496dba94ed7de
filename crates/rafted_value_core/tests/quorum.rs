//! The one quorum function against the dumbest one: for every group of up to seven voters, single and joint.

use bytes::Bytes;
use rafted_value_core::quorum::{Outcome, agreed, outcome};
use rafted_value_core::{Member, MemberId, Membership, Seat};

fn membership(seats: &[Seat]) -> Membership {
    let member = |(id, seat): (u128, &Seat)| (MemberId(id), Member { contact: Bytes::new(), seat: *seat });
    Membership::new((0..).zip(seats).map(member))
}

/// Every way to fill `places` with numbers below `base`.
fn tuples(places: usize, base: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..base.pow(places as u32)).map(move |code| (0..places).map(|at| code / base.pow(at as u32) % base).collect())
}

/// The halves of a membership, by their definition.
fn halves(seats: &[Seat]) -> [Vec<usize>; 2] {
    [Seat::Outgoing, Seat::Incoming]
        .map(|half| (0..seats.len()).filter(|at| seats[*at] == Seat::Voter || seats[*at] == half).collect())
}

fn is_majority(half: &[usize], holds: impl Fn(usize) -> bool) -> bool {
    half.iter().filter(|at| holds(**at)).count() > half.len() / 2
}

/// The largest value that majorities of both halves have reached, by trying all.
fn brute_force(seats: &[Seat], values: &[usize], highest: usize) -> Option<usize> {
    let halves = halves(seats);
    if halves.iter().any(Vec::is_empty) {
        return None;
    }
    (0..=highest).rev().find(|value| halves.iter().all(|half| is_majority(half, |at| values[at] >= *value)))
}

fn compare(seats: &[Seat], values: &[usize], highest: usize) {
    let found = agreed(&membership(seats), |id| values[id.0 as usize]);
    assert_eq!(found, brute_force(seats, values, highest), "{seats:?} {values:?}");
}

#[test]
fn agrees_with_brute_force_for_up_to_seven_voters() {
    for voters in 0..=7 {
        for values in tuples(voters, 4) {
            compare(&vec![Seat::Voter; voters], &values, 3);
        }
    }
}

#[test]
fn agrees_with_brute_force_for_joint_pairs() {
    let kinds = [Seat::Voter, Seat::Incoming, Seat::Outgoing];
    for members in 1..=5 {
        for choice in tuples(members, 3) {
            let seats: Vec<Seat> = choice.iter().map(|kind| kinds[*kind]).collect();
            for values in tuples(members, 3) {
                compare(&seats, &values, 2);
            }
        }
    }
    // Seven, where each half has four: three shared, or one.
    for (shared, own) in [(1, 3), (3, 2)] {
        let mut seats = vec![Seat::Voter; shared];
        seats.extend(vec![Seat::Incoming; own]);
        seats.extend(vec![Seat::Outgoing; own]);
        for values in tuples(seats.len(), 3) {
            compare(&seats, &values, 2);
        }
    }
}

#[test]
fn learners_count_for_nothing() {
    let learner = Seat::Learner(rafted_value_core::Promotion::Never);
    let seats = [Seat::Voter, learner, Seat::Voter, learner, Seat::Voter];
    for values in tuples(5, 3) {
        let expected = brute_force(&[Seat::Voter; 3], &[values[0], values[2], values[4]], 2);
        assert_eq!(agreed(&membership(&seats), |id| values[id.0 as usize]), expected);
    }
}

#[test]
fn an_election_is_won_or_lost_when_nothing_can_change_it() {
    let kinds = [Seat::Voter, Seat::Incoming, Seat::Outgoing];
    for members in 1..=4 {
        for choice in tuples(members, 3) {
            let seats: Vec<Seat> = choice.iter().map(|kind| kinds[*kind]).collect();
            let halves = halves(&seats);
            if halves.iter().any(Vec::is_empty) {
                continue;
            }
            for said in tuples(members, 3) {
                let answers = [None, Some(true), Some(false)];
                let won = |open: bool| {
                    let yes = |at: usize| answers[said[at]].unwrap_or(open);
                    halves.iter().all(|half| is_majority(half, yes))
                };
                // Won if even silence as "no" is enough; lost if even silence as "yes" is not.
                let expected = match (won(false), won(true)) {
                    (true, _) => Outcome::Won,
                    (_, false) => Outcome::Lost,
                    _ => Outcome::Pending,
                };
                let found = outcome(&membership(&seats), |id| answers[said[id.0 as usize]]);
                assert_eq!(found, expected, "{seats:?} {said:?}");
            }
        }
    }
}
