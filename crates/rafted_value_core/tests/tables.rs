//! The decision tables of Raft, row by row: who gets a vote, which append is accepted, what is committed.

use bytes::Bytes;
use rafted_value_core::{
    AppendEntries, AppendEntriesReply, AppendResult, Ballot, Body, Config, Entry, EntryId, HardState, Input,
    InstallSnapshot, InstallSnapshotReply, LogIndex, Member, MemberId, Membership, Message, Notice, Payload, Raft,
    Ready, RequestVote, RequestVoteReply, Restored, RoleKind, Seat, SnapshotMeta, Term, Time,
};
use std::sync::Arc;
use std::time::Duration;

const A: MemberId = MemberId(1);
const B: MemberId = MemberId(2);
const C: MemberId = MemberId(3);

/// Long after any promise of the past.
const LATER: Time = Time(10_000_000_000);

/// `A`, in a group of `size`, with a log given by its terms.
fn member(size: u128, terms: &[u64], hard_state: HardState) -> Raft {
    let voters = (1..=size).map(|id| (MemberId(id), Member { contact: Bytes::new(), seat: Seat::Voter }));
    let base = SnapshotMeta {
        last_included: EntryId::ZERO,
        membership: Arc::new(Membership::new(voters)),
        config: Arc::new(Config::default()),
    };
    Raft::new(A, Time::default(), Restored { hard_state, base, entries: entries(0, terms) })
}

fn entries(after: u64, terms: &[u64]) -> Vec<Entry> {
    let entry = |(term, index)| Entry { id: EntryId::new(term, index), payload: Payload::Commands(Bytes::new()) };
    terms.iter().copied().zip(after + 1..).map(entry).collect()
}

/// Says something to `A` at `at` and returns what it says to whom, once everything is durable.
fn tell(raft: &mut Raft, at: Time, from: MemberId, term: u64, body: Body) -> Vec<(MemberId, Body)> {
    raft.step(at, Input::Message(Message { from, to: A, term: Term(term), body }));
    said(raft, at)
}

fn said(raft: &mut Raft, at: Time) -> Vec<(MemberId, Body)> {
    let mut ready = Ready::default();
    let mut all = Vec::new();
    loop {
        raft.take_ready(&mut ready);
        all.extend(ready.messages.drain(..).map(|message| (message.to, message.body)));
        match ready.write.take() {
            Some(write) => raft.step(at, Input::Persisted(write.no)),
            None => return all,
        }
    }
}

fn asks_for_vote(last: (u64, u64)) -> Body {
    let (index, term) = last;
    Body::RequestVote(RequestVote { ballot: Ballot::Vote, last: EntryId::new(term, index), campaign: 1 })
}

fn granted(said: &[(MemberId, Body)]) -> bool {
    said.iter().any(|(_, body)| matches!(body, Body::RequestVoteReply(reply) if reply.granted))
}

#[test]
fn a_vote_goes_to_a_log_that_is_not_behind() {
    // The voter's log is [2, 2] and it has not voted in term 3. (last index, last term) -> whether it votes.
    let table = [
        ((0, 0), false),
        ((3, 1), false),
        ((1, 2), false),
        ((2, 2), true),
        ((3, 2), true),
        // A candidate of a later term cannot have an empty log: its entry stands at 1 at least.
        ((1, 3), true),
        ((2, 3), true),
    ];
    for (last, votes) in table {
        let mut voter = member(3, &[2, 2], HardState::new(Term(3), None));
        let said = tell(&mut voter, LATER, B, 3, asks_for_vote(last));
        assert_eq!(granted(&said), votes, "{last:?}");
        assert_eq!(voter.hard_state().voted_for(), votes.then_some(B), "{last:?}");
    }
}

#[test]
fn a_vote_that_is_given_is_given_again_to_the_same_only() {
    let voted = || member(3, &[2, 2], HardState::new(Term(3), Some(B)));
    assert!(granted(&tell(&mut voted(), LATER, B, 3, asks_for_vote((2, 2)))));
    assert!(!granted(&tell(&mut voted(), LATER, C, 3, asks_for_vote((5, 3)))));
    assert!(granted(&tell(&mut voted(), LATER, C, 4, asks_for_vote((5, 3)))), "another term is another vote");
}

#[test]
fn candidates_and_leaders_do_not_vote_in_their_term() {
    let mut candidate = member(3, &[2, 2], HardState::new(Term(2), None));
    elect_among(&mut candidate, 0);
    assert_eq!(candidate.role(), RoleKind::Candidate);
    assert!(!granted(&tell(&mut candidate, LATER, B, 3, asks_for_vote((9, 2)))));
    let mut leader = leader(3, &[2, 2], 2);
    assert!(!granted(&tell(&mut leader, LATER, B, 3, asks_for_vote((9, 2)))));
    assert!(!granted(&tell(&mut leader, LATER, B, 9, asks_for_vote((9, 2)))), "a leader protects its term");
}

#[test]
fn an_append_is_accepted_if_what_precedes_it_is_there() {
    // The follower's log is [1, 2] in term 2. prev (index, term), the leader's commit index, terms of the entries
    // after prev -> accepted up to, end of the log, commit index; or rejected.
    type Row = ((u64, u64), u64, &'static [u64], Option<(u64, u64, u64)>);
    let table: [Row; 9] = [
        ((2, 3), 3, &[], None),
        ((3, 3), 3, &[], None),
        ((1, 1), 1, &[], Some((1, 2, 1))),
        // A conflict cuts the tail.
        ((0, 0), 1, &[2], Some((1, 1, 1))),
        ((2, 2), 3, &[2, 2], Some((4, 4, 3))),
        ((2, 2), 4, &[2], Some((3, 3, 3))),
        ((1, 1), 4, &[2], Some((2, 2, 2))),
        // Only what this message verified: not what merely stands there.
        ((1, 1), 3, &[], Some((1, 2, 1))),
        ((2, 2), 3, &[], Some((2, 2, 2))),
    ];
    for (prev, commit, terms, expected) in table {
        let mut follower = member(3, &[1, 2], HardState::new(Term(2), None));
        // An entry or a prev of term 3 is only sent by a leader of term 3.
        let term = terms.iter().copied().chain([prev.1, 2]).max().unwrap_or(2);
        let said = tell(&mut follower, LATER, B, term, append(prev, commit, terms));
        let [(B, Body::AppendEntriesReply(reply))] = said.as_slice() else { panic!("{said:?}") };
        let found = match reply.result {
            AppendResult::Accepted { matched } => Some((matched.0, follower.log().last_index().0, follower.commit().0)),
            AppendResult::Rejected { .. } => None,
        };
        assert_eq!(found, expected, "{prev:?} {commit} {terms:?}");
    }
}

fn append((index, term): (u64, u64), commit: u64, terms: &[u64]) -> Body {
    Body::AppendEntries(AppendEntries {
        prev: EntryId::new(term, index),
        entries: entries(index, terms),
        commit: LogIndex(commit),
        round: 0,
        sent: Time::default(),
        keep: LogIndex::ZERO,
        quiesce: false,
    })
}

/// Makes `A` campaign: everybody would vote for it, the first `votes` do.
fn elect_among(raft: &mut Raft, votes: usize) {
    raft.step(LATER, Input::Timer);
    let voters: Vec<MemberId> = said(raft, LATER).into_iter().map(|(to, _)| to).collect();
    for (ballot, granting) in [(Ballot::PreVote, voters.len()), (Ballot::Vote, votes)] {
        for voter in voters.iter().take(granting) {
            let term = raft.term().0;
            let reply = RequestVoteReply { ballot, granted: true, campaign: 1 + u64::from(ballot == Ballot::Vote) };
            tell(raft, LATER, *voter, term, Body::RequestVoteReply(reply));
        }
    }
}

fn leader(size: u128, terms: &[u64], term: u64) -> Raft {
    let mut raft = member(size, terms, HardState::new(Term(term), None));
    elect_among(&mut raft, 3);
    assert_eq!(raft.role(), RoleKind::Leader);
    raft
}

fn acknowledge(raft: &mut Raft, from: MemberId, matched: u64) {
    let reply = AppendEntriesReply {
        result: AppendResult::Accepted { matched: LogIndex(matched) },
        verified: LogIndex(matched),
        round: 0,
        sent: LATER,
        promise: Duration::ZERO,
    };
    tell(raft, LATER, from, raft.term().0, Body::AppendEntriesReply(reply));
}

#[test]
fn a_leader_commits_what_a_majority_has_if_it_is_of_its_term() {
    // The log before the election, what the others acknowledge -> commit index. The leader of term 2 appends its
    // first entry behind that log, and has it all itself.
    let table: [(&[u64], &[u64], u64); 7] = [
        (&[1], &[1, 2], 2),
        (&[1], &[1, 1], 0),
        (&[1, 1], &[1, 2], 0),
        (&[1, 1], &[3, 0], 3),
        (&[1], &[1, 1, 2], 0),
        (&[1], &[1, 2, 2], 2),
        (&[1, 1], &[1, 2, 2], 0),
    ];
    for (terms, acks, commit) in table {
        let mut raft = leader(acks.len() as u128 + 1, terms, 1);
        for (ack, id) in acks.iter().zip(2..) {
            acknowledge(&mut raft, MemberId(id), *ack);
        }
        assert_eq!(raft.commit(), LogIndex(commit), "{terms:?} {acks:?}");
    }
}

#[test]
fn numbers_that_nobody_reaches_are_refused() {
    let limit = 1 << 63;
    let mut follower = member(3, &[1, 2], HardState::new(Term(2), None));
    let before = follower.status();
    for (term, body) in [
        (limit, append((2, 2), 0, &[])),
        (u64::MAX, asks_for_vote((2, 2))),
        (2, append((2, 2), limit, &[])),
        (2, append((limit, 2), 0, &[])),
        (3, asks_for_vote((limit, 2))),
    ] {
        assert_eq!(tell(&mut follower, LATER, B, term, body), []);
    }
    assert_eq!(follower.status(), before, "nothing of it is believed");
    let said = tell(&mut follower, LATER, B, 1 << 40, asks_for_vote((2, 2)));
    assert!(granted(&said), "a jump of the term is followed, however far");
}

#[test]
fn entries_out_of_sequence_change_nothing() {
    let mut gap = entries(2, &[2, 2]);
    gap[1].id = EntryId::new(2, 5);
    let mut falling = entries(2, &[2, 2]);
    falling[1].id = EntryId::new(1, 4);
    let mut future = entries(2, &[2, 2]);
    future[1].id = EntryId::new(3, 4);
    for entries in [gap, falling, future] {
        let mut follower = member(3, &[1, 2], HardState::new(Term(2), None));
        let Body::AppendEntries(mut request) = append((2, 2), 0, &[]) else { unreachable!("it is one") };
        request.entries = entries;
        assert_eq!(tell(&mut follower, LATER, B, 2, Body::AppendEntries(request)), []);
        assert_eq!(follower.log().last(), EntryId::new(2, 2));
    }
}

#[test]
fn a_leader_that_contradicts_what_is_committed_is_met_with_silence() {
    let mut follower = member(3, &[1, 2], HardState::new(Term(2), None));
    tell(&mut follower, LATER, B, 2, append((2, 2), 2, &[]));
    assert_eq!(follower.commit(), LogIndex(2));
    assert_eq!(tell(&mut follower, LATER, C, 3, append((1, 1), 2, &[3])), []);
    assert!(follower.is_halted() && follower.log().last() == EntryId::new(2, 2), "nothing committed is given up");
    assert_eq!(tell(&mut follower, LATER, B, 9, asks_for_vote((9, 9))), [], "and nothing is said any more");
}

#[test]
fn a_value_replaces_what_it_contains_and_no_more() {
    // The follower's log is [1, 1, 2, 2], nothing of it known to be committed. The value's last entry (index, term) ->
    // where the log ends, and where it begins.
    let table = [
        // What follows an entry that both have was acknowledged, perhaps: it stays.
        ((2, 1), (4, 2)),
        ((4, 2), (4, 4)),
        // A different entry there: nothing that follows can be the leader's.
        ((3, 1), (3, 3)),
        ((7, 2), (7, 7)),
    ];
    for ((index, term), (end, begin)) in table {
        let mut follower = member(3, &[1, 1, 2, 2], HardState::new(Term(2), None));
        let last_included = EntryId::new(term, index);
        let snapshot = SnapshotMeta { last_included, ..follower.log().base().clone() };
        let said =
            tell(&mut follower, LATER, B, 2, Body::InstallSnapshot(InstallSnapshot { snapshot: snapshot.clone() }));
        let expected = Body::InstallSnapshotReply(InstallSnapshotReply { matched: LogIndex(index) });
        assert_eq!(said, [(B, expected)]);
        assert_eq!(follower.log().last_index(), LogIndex(end), "{last_included}");
        assert_eq!(follower.log().base().index(), LogIndex(begin), "{last_included}");
        assert_eq!(follower.commit(), LogIndex(index));

        // Once more: it contains nothing new.
        let before = follower.log().clone();
        tell(&mut follower, LATER, B, 2, Body::InstallSnapshot(InstallSnapshot { snapshot }));
        assert_eq!(follower.log(), &before);
    }
}

#[test]
fn only_who_was_a_member_for_sure_can_have_been_removed() {
    let mut joiner = Raft::new(A, Time::default(), Restored::joining());
    let learns_of_removal = |joiner: &mut Raft, term: u64, body: Body| {
        joiner.step(LATER, Input::Message(Message { from: B, to: A, term: Term(term), body }));
        let mut ready = Ready::default();
        joiner.take_ready(&mut ready);
        ready.notices.contains(&Notice::Removed)
    };
    let seated = [A, B].map(|id| (id, Member { contact: Bytes::new(), seat: Seat::Voter }));
    let payload = Payload::Membership(Arc::new(Membership::new(seated)));
    let added = |commit: u64| {
        let Body::AppendEntries(request) = append((0, 0), commit, &[]) else { unreachable!("it is one") };
        let entries = vec![Entry { id: EntryId::new(2, 1), payload: payload.clone() }];
        Body::AppendEntries(AppendEntries { entries, ..request })
    };
    assert!(!learns_of_removal(&mut joiner, 2, Body::Removed), "it knows of no group at all");
    assert!(!learns_of_removal(&mut joiner, 2, added(0)));
    assert!(joiner.log().membership().contains(A));
    assert!(!learns_of_removal(&mut joiner, 2, Body::Removed), "its addition may be undone: it asks to join again");
    assert!(!learns_of_removal(&mut joiner, 2, added(1)));
    assert!(!learns_of_removal(&mut joiner, 1, Body::Removed), "a leader of an earlier term does not know");
    assert!(learns_of_removal(&mut joiner, 2, Body::Removed));
}

#[test]
fn nobody_leads_term_0_and_only_the_beginning_precedes_every_entry() {
    for (term, body) in [
        (0, append((0, 0), 2, &[1])),
        // An entry that a leader does not know has no term: that is no reason for it to match (C2.2).
        (1, append((10, 0), 2, &[])),
        (1, append((2, 0), 2, &[1])),
        (1, append((0, 1), 2, &[1])),
    ] {
        let mut follower = member(3, &[1, 1], HardState::new(Term(1), None));
        let said = tell(&mut follower, LATER, B, term, body.clone());
        let accepted = |(_, body): &(MemberId, Body)| matches!(body, Body::AppendEntriesReply(reply) if matches!(reply.result, AppendResult::Accepted { .. }));
        assert!(!said.iter().any(accepted), "{body:?}: {said:?}");
        assert_eq!((follower.log().last(), follower.commit()), (EntryId::new(1, 2), LogIndex::ZERO), "{body:?}");
    }
}

/// Counting from where a member once was would take as long as the log ever was.
#[test]
fn what_is_kept_is_counted_from_the_base_however_far_that_is() {
    let mut follower = member(3, &[], HardState::new(Term(2), None));
    let last_included = EntryId::new(2, 1 << 50);
    let config = Arc::new(Config { max_retained_bytes: 1, max_retained_committed_logs: 0, ..Config::default() });
    let snapshot = SnapshotMeta { last_included, config, ..follower.log().base().clone() };
    tell(&mut follower, LATER, B, 2, Body::InstallSnapshot(InstallSnapshot { snapshot }));
    let entries = entries(1 << 50, &[2, 2]);
    let commit = LogIndex((1 << 50) + 2);
    // Some member still needs everything.
    let append = AppendEntries {
        prev: last_included,
        entries,
        commit,
        round: 0,
        sent: Time(0),
        keep: LogIndex(0),
        quiesce: false,
    };
    tell(&mut follower, LATER, B, 2, Body::AppendEntries(append));
    follower.step(LATER, Input::Applied(commit));
    assert_eq!(follower.log().base().index(), commit, "neither of the two fits into the budget");
}
