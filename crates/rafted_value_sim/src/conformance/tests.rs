//! The specification must refuse: each test shows a step that it takes and one, almost the same, that it does not.

use super::{Action, Specification, Step};
use crate::invariants::fixture::{committed, joint, leader, log, member, portrait, voters};
use crate::portrait::Portrait;
use bytes::Bytes;
use rafted_value_core::{
    Append, AppendEntries, AppendEntriesReply, AppendResult, Ballot, Body, Config, Entry, EntryId, HardState, Input,
    InstallSnapshot, Lease, LogIndex, Membership, Message, Payload, Proposal, ReadAnswer, ReadId, Ready, RequestId,
    RequestVote, RequestVoteReply, RoleKind, SnapshotMeta, Term, Time, Write, WriteNo,
};
use std::sync::Arc;
use std::time::Duration;

/// A run of one member, step by step.
struct Run {
    specification: Specification,
    now: u64,
    at: Portrait,
}

impl Run {
    fn from(at: Portrait) -> Run {
        Run { specification: Specification::default(), now: 10_000_000_000, at }
    }

    fn try_step(&mut self, input: Option<&Input>, after: &Portrait, ready: &Ready) -> Result<Vec<Action>, String> {
        let (now, config) = (Time(self.now), Config { clock_drift_margin: Duration::ZERO, ..Config::default() });
        let step = Step { now, input, before: &self.at, after, config: &config, halted: false, ready };
        self.specification.observe(&step).map_err(|broken| broken.what)
    }

    #[track_caller]
    fn takes(&mut self, input: Input, after: Portrait, ready: Ready, action: Action) -> &mut Run {
        match self.try_step(Some(&input), &after, &ready) {
            Ok(taken) => assert!(taken.contains(&action), "{taken:?}"),
            Err(what) => panic!("it is refused: {what}"),
        }
        self.at = after;
        self
    }

    #[track_caller]
    fn refuses(&self, input: Input, after: Portrait, ready: Ready, why: &str) {
        let mut run = Run { specification: self.specification.clone(), now: self.now, at: self.at.clone() };
        let what = run.try_step(Some(&input), &after, &ready).expect_err("it is taken");
        assert!(what.contains(why), "{what}");
    }
}

fn entries(terms: &[u64], from: u64) -> Vec<Entry> {
    let payload = Payload::Commands(Bytes::new());
    let entry = |(term, index): (&u64, u64)| Entry { id: EntryId::new(*term, index), payload: payload.clone() };
    terms.iter().zip(from..).map(entry).collect()
}

fn said(from: char, to: char, term: u64, body: Body) -> Message {
    Message { from: member(from), to: member(to), term: Term(term), body }
}

fn heard(from: char, to: char, term: u64, body: Body) -> Input {
    Input::Message(said(from, to, term, body))
}

fn saying(messages: impl IntoIterator<Item = Message>) -> Ready {
    Ready { messages: messages.into_iter().collect(), ..Ready::default() }
}

fn appending(entries: Vec<Entry>) -> Ready {
    let append = Some(Append { from: entries[0].id.index, entries });
    Ready { write: Some(Write { no: WriteNo(1), hard_state: None, snapshot: None, append }), ..Ready::default() }
}

fn append(prev: (u64, u64), terms: &[u64], commit: u64) -> Body {
    let (prev, entries) = (EntryId::new(prev.0, prev.1), entries(terms, prev.1 + 1));
    let (sent, keep) = (Time(5), LogIndex(0));
    Body::AppendEntries(AppendEntries { prev, entries, commit: LogIndex(commit), round: 1, sent, keep, quiesce: false })
}

fn accepted(matched: u64) -> Body {
    answered(matched, 1, 5, Duration::from_secs(1))
}

fn answered(matched: u64, round: u64, sent: u64, promise: Duration) -> Body {
    let (result, verified) = (AppendResult::Accepted { matched: LogIndex(matched) }, LogIndex(matched));
    Body::AppendEntriesReply(AppendEntriesReply { result, verified, round, sent: Time(sent), promise })
}

fn asks(ballot: Ballot, last: (u64, u64)) -> Body {
    Body::RequestVote(RequestVote { ballot, last: EntryId::new(last.0, last.1), campaign: 7 })
}

fn votes(ballot: Ballot) -> Body {
    Body::RequestVoteReply(RequestVoteReply { ballot, granted: true, campaign: 7 })
}

fn voting(mut portrait: Portrait, letter: char) -> Portrait {
    portrait.hard_state = HardState::new(portrait.term(), Some(member(letter)));
    portrait.durable.hard_state = portrait.hard_state;
    portrait
}

fn being(mut portrait: Portrait, role: RoleKind) -> Portrait {
    portrait.role = role;
    portrait
}

/// A leads term 2 of three, with an entry of term 1 and one of its own, and has been elected by B.
fn leading() -> Run {
    let mut run = Run::from(being(voting(portrait('A', 2, &[1]), 'A'), RoleKind::Candidate));
    let request = Body::RequestVote(RequestVote { ballot: Ballot::Vote, last: EntryId::ZERO, campaign: 7 });
    let after = run.at.clone();
    run.takes(Input::Persisted(WriteNo(1)), after, saying([said('A', 'B', 2, request)]), Action::Stutter);
    let mut ready = appending(entries(&[2], 2));
    ready.write.as_mut().and_then(|write| write.append.as_mut()).expect("it").entries[0].payload = Payload::Noop;
    let mut after = leader('A', 2, &[1]);
    after.log.replace(LogIndex(2), &ready.write.as_ref().and_then(|write| write.append.as_ref()).expect("it").entries);
    after.durable.log = after.log.clone();
    run.takes(heard('B', 'A', 2, votes(Ballot::Vote)), after, ready, Action::BecomeLeader);
    run
}

#[test]
fn a_second_vote_in_a_term() {
    let run = Run::from(voting(portrait('A', 3, &[1]), 'B'));
    let request = heard('C', 'A', 3, asks(Ballot::Vote, (1, 1)));
    run.refuses(request, voting(portrait('A', 3, &[1]), 'C'), Ready::default(), "its vote is");
}

#[test]
fn a_vote_for_a_log_that_is_behind() {
    let mut run = Run::from(portrait('A', 1, &[1, 1]));
    let after = voting(portrait('A', 3, &[1, 1]), 'C');
    run.refuses(heard('C', 'A', 3, asks(Ballot::Vote, (1, 1))), after.clone(), Ready::default(), "is behind");
    let (request, vote) = (asks(Ballot::Vote, (1, 2)), said('A', 'C', 3, votes(Ballot::Vote)));
    run.refuses(heard('C', 'A', 3, request.clone()), voting(portrait('A', 4, &[1, 1]), 'C'), Ready::default(), "term");
    run.takes(heard('C', 'A', 3, request), after.clone(), saying([vote.clone()]), Action::GrantVote);
    run.refuses(Input::Timer, after, saying([vote]), "it was not asked");
}

#[test]
fn a_vote_that_is_not_durable() {
    let run = Run::from(portrait('A', 1, &[1]));
    let mut after = voting(portrait('A', 3, &[1]), 'C');
    after.durable.hard_state = HardState::new(Term(3), None);
    let vote = said('A', 'C', 3, votes(Ballot::Vote));
    run.refuses(heard('C', 'A', 3, asks(Ballot::Vote, (1, 1))), after, saying([vote]), "not durable");
}

#[test]
fn a_vote_within_a_promise() {
    let mut run = Run::from(portrait('A', 2, &[1]));
    let promise = said('A', 'B', 2, accepted(1));
    let after = run.at.clone();
    run.takes(heard('B', 'A', 2, append((1, 1), &[], 0)), after, saying([promise]), Action::AcceptEntries);
    let after = voting(portrait('A', 3, &[1]), 'C');
    let request = heard('C', 'A', 3, asks(Ballot::Vote, (1, 1)));
    run.refuses(request.clone(), after.clone(), Ready::default(), "promised not to");
    let before = run.at.clone();
    run.takes(request.clone(), before, Ready::default(), Action::Stutter);
    run.now += 1_000_000_000;
    run.takes(request, after, Ready::default(), Action::GrantVote);
}

#[test]
fn a_term_that_goes_back_or_comes_from_nowhere() {
    let run = Run::from(portrait('A', 3, &[1]));
    run.refuses(Input::Timer, portrait('A', 2, &[1]), Ready::default(), "its term is 2");
    run.refuses(Input::Timer, portrait('A', 4, &[1]), Ready::default(), "its term is 4");
    let candidate = being(voting(portrait('A', 4, &[1]), 'A'), RoleKind::Candidate);
    run.refuses(Input::Timer, candidate, Ready::default(), "it is Candidate");
}

#[test]
fn a_term_begun_without_pre_votes_of_a_majority() {
    let mut run = Run::from(portrait('A', 3, &[1]));
    let asking = being(portrait('A', 3, &[1]), RoleKind::PreCandidate);
    let request = said('A', 'B', 3, asks(Ballot::PreVote, (1, 1)));
    run.takes(Input::Timer, asking, saying([request]), Action::PreVote);
    let candidate = being(voting(portrait('A', 4, &[1]), 'A'), RoleKind::Candidate);
    let vote_of_a_stranger = heard('D', 'A', 3, votes(Ballot::PreVote));
    run.refuses(vote_of_a_stranger, candidate.clone(), Ready::default(), "without the pre-votes");
    run.takes(heard('B', 'A', 3, votes(Ballot::PreVote)), candidate, Ready::default(), Action::Timeout);
}

#[test]
fn a_leader_by_a_vote_of_another_campaign() {
    let mut run = Run::from(being(voting(portrait('A', 2, &[1]), 'A'), RoleKind::Candidate));
    let after = leader('A', 2, &[1]);
    run.refuses(heard('B', 'A', 2, votes(Ballot::Vote)), after.clone(), Ready::default(), "without a majority");
    run = leading();
    assert_eq!(run.at.role, RoleKind::Leader);
}

#[test]
fn a_leader_without_an_entry_of_its_own() {
    let mut run = leading();
    run.at = being(voting(portrait('A', 2, &[1]), 'A'), RoleKind::Candidate);
    run.refuses(Input::Persisted(WriteNo(1)), leader('A', 2, &[1]), Ready::default(), "without an entry of its own");
}

#[test]
fn a_commit_by_counting_an_entry_of_an_earlier_term() {
    let mut run = leading();
    let counted = committed(run.at.clone(), 1);
    run.refuses(heard('B', 'A', 2, accepted(1)), counted, Ready::default(), "its commit is 1");
    let (before, after) = (run.at.clone(), committed(run.at.clone(), 2));
    run.refuses(Input::Persisted(WriteNo(2)), after.clone(), Ready::default(), "its commit is 2");
    run.refuses(heard('B', 'A', 1, accepted(2)), after.clone(), Ready::default(), "its commit is 2");
    run.takes(heard('B', 'A', 2, accepted(1)), before, Ready::default(), Action::CountMatch);
    run.takes(heard('B', 'A', 2, accepted(2)), after, Ready::default(), Action::AdvanceCommit);
}

#[test]
fn a_leader_that_replaces_invents_or_misstates() {
    let mut run = leading();
    let overwritten = leader('A', 2, &[1, 2]);
    let asked = |bytes: &'static [u8]| Input::Propose {
        id: RequestId(1),
        proposal: Proposal::Commands(Bytes::from_static(bytes)),
    };
    run.refuses(asked(b""), overwritten, appending(entries(&[2], 2)), "replaces entries");
    let mut after = run.at.clone();
    after.log.replace(LogIndex(3), &entries(&[2], 3));
    run.refuses(Input::Timer, after.clone(), appending(entries(&[2], 3)), "nobody asked");
    run.refuses(asked(b"x"), after.clone(), appending(entries(&[2], 3)), "nobody asked");
    run.takes(asked(b""), after.clone(), appending(entries(&[2], 3)), Action::ClientRequest);
    let sends = |body| saying([said('A', 'B', 2, body)]);
    run.refuses(Input::Timer, after.clone(), sends(append((2, 2), &[1], 0)), "is not in its log");
    run.refuses(Input::Timer, after.clone(), sends(append((1, 2), &[2], 0)), "what precedes");
    run.refuses(Input::Timer, after.clone(), sends(append((2, 2), &[2], 3)), "not committed");
    run.takes(Input::Timer, after, sends(append((2, 2), &[2], 0)), Action::Stutter);
}

#[test]
fn a_follower_that_takes_over_too_much_or_too_little() {
    let mut run = Run::from(portrait('A', 2, &[1, 1, 1]));
    let sent = heard('B', 'A', 2, append((1, 1), &[1], 1));
    run.refuses(sent.clone(), portrait('A', 2, &[1, 1]), Ready::default(), "its log ends with (1,2)");
    run.takes(sent, committed(portrait('A', 2, &[1, 1, 1]), 1), Ready::default(), Action::LearnCommit);
    let beyond = heard('B', 'A', 2, append((1, 4), &[2], 1));
    run.refuses(beyond, committed(portrait('A', 2, &[1, 1, 1, 2]), 1), Ready::default(), "its log ends");
    let conflict = heard('B', 'A', 2, append((1, 1), &[2], 3));
    run.refuses(conflict.clone(), committed(portrait('A', 2, &[1, 2, 1]), 2), Ready::default(), "its log ends");
    run.refuses(conflict.clone(), committed(portrait('A', 2, &[1, 2]), 3), Ready::default(), "its commit is 3");
    run.takes(conflict, committed(portrait('A', 2, &[1, 2]), 2), Ready::default(), Action::ReplaceEntries);
}

#[test]
fn an_acknowledgement_of_more_than_was_verified_or_is_durable() {
    let mut run = Run::from(portrait('A', 2, &[1, 1, 1]));
    let sent = heard('B', 'A', 2, append((1, 1), &[1], 0));
    let after = run.at.clone();
    run.refuses(sent.clone(), after.clone(), saying([said('A', 'B', 2, accepted(3))]), "it was not asked");
    let mut unsynced = after.clone();
    unsynced.durable.log = log(&[1], &[]);
    run.refuses(sent.clone(), unsynced, saying([said('A', 'B', 2, accepted(2))]), "not durable");
    let another_round = said('A', 'B', 2, answered(2, 9, 5, Duration::ZERO));
    run.refuses(sent.clone(), after.clone(), saying([another_round]), "it was not asked");
    let old = heard('B', 'A', 1, append((1, 1), &[1], 0));
    run.refuses(old, after.clone(), saying([said('A', 'B', 2, accepted(2))]), "it was not asked");
    run.takes(sent, after, saying([said('A', 'B', 2, accepted(2))]), Action::AcceptEntries);
}

#[test]
fn a_value_of_the_past() {
    let install = |term, index| {
        let snapshot = SnapshotMeta { last_included: EntryId::new(term, index), ..SnapshotMeta::empty() };
        heard('B', 'A', 2, Body::InstallSnapshot(InstallSnapshot { snapshot }))
    };
    let mut run = Run::from(committed(portrait('A', 2, &[1, 1, 1]), 2));
    run.refuses(install(1, 1), committed(portrait('A', 2, &[1]), 1), Ready::default(), "its log ends with (1,1)");
    run.refuses(install(1, 3), committed(portrait('A', 2, &[1, 1, 1]), 2), Ready::default(), "its commit is 2");
    run.takes(install(1, 1), run.at.clone(), Ready::default(), Action::IgnoreSnapshot);
    let after = committed(portrait('A', 2, &[1, 1, 1]), 3);
    run.takes(install(1, 3), after, Ready::default(), Action::InstallSnapshot);
}

fn changing(membership: &Membership, index: u64) -> Ready {
    let payload = Payload::Membership(Arc::new(membership.clone()));
    appending(vec![Entry { id: EntryId::new(2, index), payload }])
}

fn changed(mut portrait: Portrait, membership: &Membership) -> Portrait {
    let index = portrait.log.last().index.next();
    let ready = changing(membership, index.0);
    portrait.log.replace(index, &ready.write.and_then(|write| write.append).expect("it").entries);
    portrait.membership = Arc::new(membership.clone());
    portrait
}

#[test]
fn a_change_of_two_voters_or_too_early_or_two_at_once() {
    let mut run = leading();
    let (four, five) = (voters("ABCD"), voters("ABCDE"));
    let early = changed(run.at.clone(), &four);
    run.refuses(Input::Timer, early, changing(&four, 3), "nothing of this term is committed");
    let after = committed(run.at.clone(), 2);
    run.takes(heard('B', 'A', 2, accepted(2)), after, Ready::default(), Action::AdvanceCommit);
    let two = changed(run.at.clone(), &five);
    run.refuses(Input::Timer, two, changing(&five, 3), "not one step");
    let after = changed(run.at.clone(), &four);
    run.takes(Input::Timer, after, changing(&four, 3), Action::ChangeOneVoter);
    let second = changed(run.at.clone(), &voters("ABC"));
    run.refuses(Input::Timer, second, changing(&voters("ABC"), 4), "change before is not committed");
}

#[test]
fn a_joint_membership_that_ends_elsewhere() {
    let mut run = leading();
    let after = committed(run.at.clone(), 2);
    run.takes(heard('B', 'A', 2, accepted(2)), after, Ready::default(), Action::AdvanceCommit);
    let half = joint("ABC", "ADE");
    let strangers = joint("ABD", "ADE");
    let wrong = changed(run.at.clone(), &strangers);
    run.refuses(Input::Timer, wrong, changing(&strangers, 3), "not one step");
    let after = changed(run.at.clone(), &half);
    run.takes(Input::Timer, after, changing(&half, 3), Action::EnterJoint);
    // The old half alone does not commit it.
    let mut counted = committed(run.at.clone(), 3);
    counted.durable.log = counted.log.clone();
    run.refuses(heard('B', 'A', 2, accepted(3)), counted, Ready::default(), "its commit is 3");
}

fn confirming(index: u64) -> Ready {
    Ready { reads: vec![ReadAnswer { id: ReadId(1), result: Ok(LogIndex(index)) }], ..Ready::default() }
}

#[test]
fn a_read_before_a_commit_or_a_round_of_its_own() {
    let mut run = leading();
    let same = run.at.clone();
    run.refuses(Input::Read(ReadId(1)), same.clone(), confirming(0), "nothing of this term is committed");
    run.takes(Input::Timer, same, saying([said('A', 'B', 2, append((2, 2), &[], 0))]), Action::Stutter);
    let after = committed(run.at.clone(), 2);
    run.takes(heard('B', 'A', 2, accepted(2)), after.clone(), Ready::default(), Action::AdvanceCommit);
    run.takes(Input::Read(ReadId(1)), after.clone(), Ready::default(), Action::Stutter);
    // Round 1 was sent before the read.
    let late = heard('B', 'A', 2, answered(2, 1, 5, Duration::ZERO));
    run.refuses(late, after.clone(), confirming(2), "without a round");
    let echo = heard('B', 'A', 2, answered(2, 2, 6, Duration::ZERO));
    run.refuses(echo.clone(), after.clone(), confirming(1), "though 2 was committed");
    run.takes(echo, after, confirming(2), Action::ConfirmRead);
}

#[test]
fn a_lease_that_nobody_promised() {
    let mut run = leading();
    let after = committed(run.at.clone(), 2);
    let leased = |until| Ready { lease: Some(Lease { until: Time(until), commit: LogIndex(2) }), ..Ready::default() };
    let reply = || heard('B', 'A', 2, answered(2, 1, 5, Duration::from_secs(1)));
    run.refuses(reply(), after.clone(), leased(1_000_000_006), "no majority promised");
    run.takes(reply(), after.clone(), leased(1_000_000_005), Action::AdvanceCommit);
    let mut ready = saying([said('A', 'B', 2, Body::TimeoutNow)]);
    run.refuses(Input::Timer, after.clone(), saying([said('A', 'C', 2, Body::TimeoutNow)]), "not complete");
    run.takes(Input::Timer, after.clone(), ready.clone(), Action::TransferLeadership);
    ready.lease = leased(1_000_000_005).lease;
    run.refuses(Input::Timer, after, ready, "after TimeoutNow");
}

#[test]
fn a_leader_that_leaves_though_it_is_heard() {
    let mut run = leading();
    let after = run.at.clone();
    let recent = heard('B', 'A', 2, answered(1, 1, run.now - 5, Duration::ZERO));
    let leaves = being(run.at.clone(), RoleKind::Follower);
    let silent = Run { specification: run.specification.clone(), now: run.now, at: run.at.clone() };
    run.takes(recent, after, Ready::default(), Action::CountMatch);
    run.refuses(Input::Timer, leaves.clone(), Ready::default(), "though a majority answers");
    { silent }.takes(Input::Timer, leaves, Ready::default(), Action::CheckQuorum);
}

#[test]
fn a_start_from_something_else_than_its_disk() {
    let mut at = portrait('A', 2, &[1]);
    let start = |at: &Portrait| Run::from(at.clone()).try_step(None, at, &Ready::default());
    assert_eq!(start(&at), Ok(vec![Action::Restart]));
    at.durable.hard_state = HardState::new(Term(2), Some(member('B')));
    assert!(start(&at).is_err_and(|what| what.contains("does not start from its disk")));
}
