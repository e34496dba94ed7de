//! One member, stepped by hand: what needs two things to happen in an order that a whole node shows once in a while.

use super::Member;
use crate::applier::Applier;
use crate::contact::{Contact, GroupId, MemberOf};
use crate::context::Context;
use crate::hooks::Hooks;
use crate::host::Host;
use crate::packet::{Join, Response};
use crate::profile::Profile;
use crate::state_machine::StateMachine;
use crate::waiting::Caller;
use crate::{ClusterId, Loopback, Node, Value};
use bytes::Bytes;
use rafted_value_core::{
    AppendEntries, Body, Entry, EntryId, InstallSnapshot, LogIndex, MemberId, Membership, Message, Payload, Raft,
    Restored, SnapshotMeta, Term, Time,
};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Nothing;

impl Value for Nothing {
    const NAME: &'static str = "nothing";
    type Command = ();
    type Reply = ();
    type Query = ();
    type Answer = ();

    fn new() -> Nothing {
        Nothing
    }

    fn command(&mut self, (): (), _: &Context) {}

    fn query(&self, (): ()) {}
}

const AT: MemberOf = MemberOf { group: GroupId(1), member: MemberId(1) };
const LEADER: MemberId = MemberId(2);

/// A member that no loop knows, on a node that lends it its threads.
async fn member(restored: Restored) -> (Member, Arc<Host>, Node) {
    let node = Node::builder().transport(Loopback::new().at("a")).start().await.expect("a node");
    let host = node.inner.host.clone();
    let state = StateMachine::new(Nothing, restored.base.clone()).expect("a state");
    let hooks = Hooks::new("nothing", BTreeMap::new());
    let applier: Arc<Applier<Nothing>> = Applier::new(state, hooks, AT, host.mailbox.clone(), host.runtime.clone());
    let raft = Raft::new(AT.member, Time::default(), restored);
    let (member, _) = Member::new(raft, (AT.group, "nothing".into(), Nothing::NAME), applier, Arc::default());
    (member, host, node)
}

async fn applies(member: &Member, index: u64) {
    let applied = async {
        while member.machine.applied() != LogIndex(index) {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(10);
    tokio::time::timeout(limit, applied).await.expect("it is applied within ten seconds");
}

fn value_as_of(index: u64) -> (Message, Box<dyn Any + Send>) {
    let membership = Arc::new(Membership::sole_voter(LEADER, Bytes::new()));
    let snapshot =
        SnapshotMeta { last_included: EntryId::new(1, index), membership, config: SnapshotMeta::empty().config };
    let state = StateMachine::new(Nothing, snapshot.clone()).expect("a state");
    let body = Body::InstallSnapshot(InstallSnapshot { snapshot });
    (Message { from: LEADER, to: AT.member, term: Term(1), body }, Box::new(state))
}

#[tokio::test]
async fn of_two_values_that_arrive_together_the_one_that_consensus_accepts_is_installed() {
    let (mut member, host, _node) = member(Restored::joining()).await;
    for index in [5, 3] {
        let (message, state) = value_as_of(index);
        member.on_snapshot_decoded(message, state, &host);
    }
    member.settle(&host);
    applies(&member, 5).await;

    // What follows the value follows it here, too.
    let entry = Entry { id: EntryId::new(1, 6), payload: Payload::Noop };
    let append = AppendEntries {
        prev: EntryId::new(1, 5),
        entries: vec![entry],
        commit: LogIndex(6),
        round: 0,
        sent: Time::default(),
        keep: LogIndex(0),
        quiesce: false,
    };
    let body = Body::AppendEntries(append);
    let message = Message { from: LEADER, to: AT.member, term: Term(1), body };
    member.step(rafted_value_core::Input::Message(message));
    member.settle(&host);
    applies(&member, 6).await;
}

#[tokio::test]
async fn a_joiner_that_asks_again_is_answered_whether_it_is_in_already_or_not_yet() {
    let me = Profile { contact: Contact::anyone_at("a"), hooks: Vec::new(), value_version: 0 };
    let config = crate::Config::default().to_core();
    let (mut member, host, _node) = member(Restored::bootstrap(AT.member, me.to_bytes(), config)).await;
    member.on_timer(&host);
    member.settle(&host);
    let ask = |member: &mut Member| {
        let (caller, response) = Caller::here();
        let (group, value) = ("nothing".to_owned(), "nothing".to_owned());
        let profile = Profile { contact: Contact::anyone_at("b"), ..me.clone() };
        let join = Join { group, value, member: MemberId(7), profile, replaces: None, learner: true };
        member.on_join(join, ClusterId(5), caller);
        response
    };
    // The second asks before the first is in; the third after it, when nothing else will ever be committed.
    let (first, second) = (ask(&mut member), ask(&mut member));
    member.settle(&host);
    let third = ask(&mut member);
    for mut response in [first, second, third] {
        let joined = Response::Joined { group: AT.group, cluster: ClusterId(5) };
        assert_eq!(response.try_recv().as_ref(), Ok(&joined));
    }
    assert_eq!(member.raft.log().membership().members().len(), 2);
}
