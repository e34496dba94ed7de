//! The shortest whole: one member founds a group, two join, commands commit, the leader goes, another takes over.

use bytes::Bytes;
use rafted_value_core::{
    Body, Change, Config, Input, InstallSnapshot, LogIndex, MemberId, Message, Payload, Promotion, Proposal, Raft,
    ReadId, Ready, Refusal, RequestId, Restored, RoleKind, SnapshotMeta, Time,
};
use std::collections::BTreeMap;

struct Member {
    raft: Raft,
    timer: Time,
    applied: Vec<Bytes>,
    meta: SnapshotMeta,
}

/// A network that loses nothing and takes a millisecond, and members in memory.
struct Group {
    now: Time,
    members: BTreeMap<MemberId, Member>,
    answers: Vec<(RequestId, bool)>,
    reads: Vec<(ReadId, Result<LogIndex, Refusal>)>,
}

const MILLISECOND: u64 = 1_000_000;

impl Group {
    fn add(&mut self, id: u128, restored: Restored) -> MemberId {
        let id = MemberId(id);
        let meta = restored.base.clone();
        let raft = Raft::new(id, self.now, restored);
        self.members.insert(id, Member { raft, timer: Time::NEVER, applied: Vec::new(), meta });
        id
    }

    fn step(&mut self, id: MemberId, input: Input) {
        if let Some(member) = self.members.get_mut(&id) {
            member.raft.step(self.now, input);
        }
    }

    /// Everything that anyone wants, until nobody wants anything but time.
    fn settle(&mut self) {
        let mut ready = Ready::default();
        let mut worked = true;
        while worked {
            worked = false;
            let mut messages = Vec::new();
            for id in self.members.keys().copied().collect::<Vec<_>>() {
                let now = self.now;
                let leader_meta = self.members[&id].meta.clone();
                let leader_value = self.members[&id].applied.clone();
                let Some(member) = self.members.get_mut(&id) else { continue };
                member.raft.take_ready(&mut ready);
                worked |= !ready.is_empty();
                if let Some(timer) = ready.timer {
                    let later = Time(timer.earliest.0 + (id.0 as u64 * 7 % 10) * 50 * MILLISECOND);
                    member.timer = later.min(timer.latest);
                }
                messages.append(&mut ready.messages);
                if let Some(write) = ready.write.take() {
                    if let Some(snapshot) = write.snapshot {
                        member.meta = snapshot;
                    }
                    member.raft.step(now, Input::Persisted(write.no));
                }
                for entry in ready.committed.drain(..) {
                    member.meta.last_included = entry.id;
                    match entry.payload {
                        Payload::Commands(bytes) => member.applied.push(bytes),
                        Payload::Membership(membership) => member.meta.membership = membership,
                        _ => {}
                    }
                    member.raft.step(now, Input::Applied(entry.id.index));
                }
                self.answers.extend(ready.answers.drain(..).map(|answer| (answer.id, answer.result.is_ok())));
                self.reads.extend(ready.reads.drain(..).map(|read| (read.id, read.result)));
                let term = member.raft.term();
                for to in ready.snapshots.drain(..) {
                    let snapshot = leader_meta.clone();
                    let last_included = snapshot.index();
                    let body = Body::InstallSnapshot(InstallSnapshot { snapshot });
                    messages.push(Message { from: id, to, term, body });
                    self.step(id, Input::SnapshotSent { to, last_included });
                    if let Some(receiver) = self.members.get_mut(&to) {
                        receiver.applied = leader_value.clone();
                    }
                }
            }
            for message in messages {
                self.step(message.to, Input::Message(message));
            }
        }
    }

    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now = Time(self.now.0 + MILLISECOND);
            for id in self.members.keys().copied().collect::<Vec<_>>() {
                if self.members[&id].timer <= self.now {
                    self.step(id, Input::Timer);
                }
            }
            self.settle();
        }
    }

    fn leader(&self) -> MemberId {
        let leads = |member: &&Member| member.raft.role() == RoleKind::Leader;
        self.members.values().find(leads).expect("a leader").raft.id()
    }
}

#[test]
fn a_group_is_founded_grows_serves_and_survives_its_leader() {
    let mut group = Group { now: Time(0), members: BTreeMap::new(), answers: Vec::new(), reads: Vec::new() };
    let first = group.add(1, Restored::bootstrap(MemberId(1), Bytes::new(), Config::default()));
    group.run(10);
    assert_eq!(group.leader(), first);

    for id in [2, 3] {
        let id = group.add(id, Restored::joining());
        let change = Change::AddLearner { id, contact: Bytes::new(), promotion: Promotion::WhenCaughtUp };
        group.step(first, Input::Propose { id: RequestId(id.0 as u64), proposal: Proposal::Membership(change) });
        group.run(2_000);
        assert!(
            group.members[&first].raft.log().membership().is_voter(id),
            "{:?}",
            group.members[&first].raft.status()
        );
    }

    let commands = |range: std::ops::Range<u8>| range.map(|n| Bytes::from(vec![n])).collect::<Vec<_>>();
    for (n, command) in commands(0..50).into_iter().enumerate() {
        group.step(first, Input::Propose { id: RequestId(100 + n as u64), proposal: Proposal::Commands(command) });
    }
    group.step(first, Input::Read(ReadId(1)));
    group.run(500);
    assert!(group.answers.iter().all(|(_, taken)| *taken), "{:?}", group.answers);
    assert!(matches!(group.reads[..], [(ReadId(1), Ok(_))]), "{:?}", group.reads);
    assert!(group.members.values().all(|member| member.applied == commands(0..50)));

    group.members.remove(&first);
    group.run(4_000);
    let second = group.leader();
    assert_ne!(second, first);
    group.step(second, Input::Propose { id: RequestId(200), proposal: Proposal::Commands(commands(50..51).remove(0)) });
    group.run(500);
    assert!(group.members.values().all(|member| member.applied == commands(0..51)));
}
