//! A transport as a user would write it, with the public names only; and what a node makes of packets that are not for it.

mod common;

use common::{ADDRESSES, Command, Journal, Query, quick, three};
use rafted_value::transport::{
    self, BoxFuture, Chunk, Inbox, Local, Network, Origin, Packet, Refused, Request, Response, Transport,
};
use rafted_value::{Contact, Group, Node, NodeId};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Carries bytes between nodes of one process.
#[derive(Clone, Default)]
struct Pipes {
    ends: Arc<Mutex<BTreeMap<String, End>>>,
}

type End = (NodeId, Arc<dyn Inbox>);

struct PipeAt(Pipes, String);

impl Pipes {
    fn carry(&self, from: &str, to: &str, packet: &Packet) -> bool {
        let bytes = transport::encode(packet).unwrap();
        let ends = self.ends.lock().unwrap();
        let (Some((node, _)), Some((_, inbox))) = (ends.get(from).cloned(), ends.get(to).cloned()) else {
            return false;
        };
        drop(ends);
        let (pipes, here, back) = (self.clone(), to.to_owned(), from.to_owned());
        let reply = Arc::new(move |packet| {
            pipes.carry(&here, &back, &packet);
        });
        // As it would arrive from a machine elsewhere.
        let node = NodeId::from_bytes(node.to_bytes());
        inbox.deliver(Origin { node, reply }, transport::decode(&bytes).unwrap());
        true
    }
}

impl Transport for PipeAt {
    fn start(self: Box<Self>, local: Local, inbox: Arc<dyn Inbox>) -> BoxFuture<'static, io::Result<Arc<dyn Network>>> {
        self.0.ends.lock().unwrap().insert(self.1.clone(), (local.node, inbox));
        Box::pin(async move { Ok(Arc::new(*self) as Arc<dyn Network>) })
    }
}

impl Network for PipeAt {
    fn address(&self) -> String {
        self.1.clone()
    }

    fn send(&self, to: &Contact, packet: Packet) {
        self.0.carry(&self.1, &to.address, &packet);
    }

    fn send_chunk<'a>(&'a self, to: &'a Contact, chunk: Chunk) -> BoxFuture<'a, io::Result<()>> {
        let carried = self.0.carry(&self.1, &to.address, &Packet::Chunk(chunk));
        Box::pin(async move { carried.then_some(()).ok_or(io::ErrorKind::NotConnected.into()) })
    }

    fn stop(&self) {
        self.0.ends.lock().unwrap().remove(&self.1);
    }
}

async fn node(pipes: &Pipes, address: &str) -> Node {
    Node::builder().transport(PipeAt(pipes.clone(), address.to_owned())).start().await.unwrap()
}

#[tokio::test]
async fn a_group_runs_over_a_transport_that_a_user_wrote() {
    let pipes = Pipes::default();
    let (a, b, c) = (node(&pipes, "a").await, node(&pipes, "b").await, node(&pipes, "c").await);
    let first = a.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
    let second = b.group::<Journal>().join(["a"]).open().await.unwrap();
    let third = c.group::<Journal>().join(["a", "b"]).open().await.unwrap();
    for (n, group) in [&first, &second, &third].into_iter().enumerate() {
        assert_eq!(group.command(Command::Push(n.to_string())).await.unwrap(), n + 1);
    }
    a.crash().await;
    assert_eq!(second.command(Command::Push("after".into())).await.unwrap(), 4);
    assert_eq!(third.query(Query::Length).await.unwrap(), 4);
}

#[tokio::test]
async fn bytes_that_are_no_packet_are_an_error() {
    let packet = Packet::Request { number: 1, request: Request::Status { group: "g".into() } };
    let bytes = transport::encode(&packet).unwrap();
    assert_eq!(transport::decode(&bytes).unwrap(), packet);
    for wrong in [&bytes[..0], &bytes[..bytes.len() - 1], &[&bytes[..], b"x"].concat(), b"GET / HTTP/1.1\r\n\r\n"] {
        assert!(transport::decode(wrong).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_is_for_another_group_or_member_or_says_nonsense_changes_nothing() {
    use rafted_value_core::{AppendEntries, Body, EntryId, LogIndex, MemberId, Message, RequestVote, Term, Time};
    let pipes = Pipes::default();
    let (a, b) = (node(&pipes, "a").await, node(&pipes, "b").await);
    let group: Group<Journal> = a.group::<Journal>().config(quick()).bootstrap().open().await.unwrap();
    let other = a.group::<Journal>().name("other").config(quick()).bootstrap().open().await.unwrap();
    group.command(Command::Push("x".into())).await.unwrap();
    let before = group.status().await.unwrap();
    let (me, its) = (group.member(), other.status().await.unwrap().group);

    let append = |commit, prev| {
        let (round, sent, keep) = (1, Time(1), LogIndex(0));
        Body::AppendEntries(AppendEntries { prev, entries: vec![], commit, round, sent, keep, quiesce: false })
    };
    let vote = |last| Body::RequestVote(RequestVote { ballot: rafted_value_core::Ballot::Vote, last, campaign: 1 });
    let cases = [
        (its, me, 99, append(LogIndex(1), EntryId::ZERO)),
        (before.group, MemberId(77), 99, append(LogIndex(1), EntryId::ZERO)),
        (before.group, me, 1 << 63, append(LogIndex(1), EntryId::ZERO)),
        (before.group, me, 99, vote(EntryId::new(1 << 63, 1))),
        (before.group, me, 0, append(LogIndex(1), EntryId::ZERO)),
    ];
    let inbox = pipes.ends.lock().unwrap()["a"].1.clone();
    for (group, to, term, body) in cases {
        let message = Message { from: MemberId(5), to, term: Term(term), body };
        let origin = Origin { node: b.id(), reply: Arc::new(|_| {}) };
        inbox.deliver(origin, Packet::Raft { group, message });
    }
    // Whoever asks for something that is not here is told, and everything else goes on.
    let (said, heard) = std::sync::mpsc::channel();
    let reply = Arc::new(move |packet| drop(said.send(packet)));
    let request = Request::ReadIndex { group: "nobody's".into() };
    inbox.deliver(Origin { node: b.id(), reply }, Packet::Request { number: 9, request });
    let answer = heard.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(answer, Packet::Response { number: 9, response: Response::Refused(Refused::NoSuchGroup) });
    let after = group.status().await.unwrap();
    assert_eq!((before.term, before.last, before.role), (after.term, after.last, after.role));
    assert_eq!(group.command(Command::Push("y".into())).await.unwrap(), 2);
}

#[tokio::test]
async fn slow_links_delay_a_command_and_lose_nothing() {
    let three = three().await;
    let leader = three.leader().await;
    three.groups[leader].command(Command::Push("at once".into())).await.unwrap();
    three.network.delay(Duration::from_millis(30));
    // There and back takes longer than this, so that no majority can have it.
    let hurried = three.groups[leader].with_timeout(Duration::from_millis(40));
    assert!(hurried.command(Command::Push("too slow".into())).await.is_err());
    let patient = three.groups[leader].with_timeout(Duration::from_secs(20));
    assert_eq!(patient.command(Command::Push("in time".into())).await.unwrap(), 3);
    // Values arrive over slow links too.
    let node = Node::builder().transport(three.network.at("d")).start().await.unwrap();
    let fourth = node.group::<Journal>().join(ADDRESSES).open().await.unwrap();
    assert_eq!(fourth.read(|journal| journal.entries.len()).await.unwrap(), 3);
    three.network.delay(Duration::ZERO);
}
