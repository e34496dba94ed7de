//! The cluster: one value that holds everything there is, and moves by one action at a time.
//!
//! It has no clock, no dice and no state outside itself: the same actions lead to the same cluster, and a clone is
//! another world that begins here.

use crate::action::Action;
use crate::chain::Chain;
use crate::clients::Clients;
use crate::conformance::Specification;
use crate::disk::Durability;
use crate::event::Event;
use crate::history::{Fate, History, Outcome, Wish};
use crate::invariants::{Broken, Seen, World};
use crate::member::Member;
use crate::name::{life_of, node_of};
use crate::network::{Load, Network, Packet, PacketNo};
use crate::portrait::Portrait;
use crate::tale::Tale;
use crate::value::initial;
use rafted_value_core::museum::{Mutant, broken};
use rafted_value_core::{
    Body, Config, EntryId, HardState, Input, InstallSnapshot, LogIndex, Member as Seated, MemberId, Membership,
    Message, Restored, Seat, SnapshotMeta, WriteNo,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Members, network, disks, clocks, history, and what the checker remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cluster {
    pub(crate) now: Duration,
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) network: Network,
    pub(crate) history: History,
    pub(crate) clients: Clients,
    pub(crate) portraits: BTreeMap<MemberId, Arc<Portrait>>,
    pub(crate) seen: Seen,
    /// Of the group; the checker knows no other.
    pub(crate) incarnation: u32,
    /// The specification, if each step shall be held against it.
    pub(crate) specification: Option<Box<Specification>>,
    /// What happened since it was last asked.
    pub(crate) tales: Vec<Tale>,
}

/// What the members of a new cluster have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Founding {
    /// All of them vote.
    pub members: Vec<MemberId>,
    /// Their settings.
    pub config: Config,
    /// Whether they survive a crash.
    pub durability: Durability,
    /// Whether all of that stands in the log already, as in every real group, so that whoever joins is sent the value.
    pub begun: bool,
}

impl Founding {
    fn base(&self) -> SnapshotMeta {
        let voter = |id: &MemberId| (*id, Seated { contact: bytes::Bytes::new(), seat: Seat::Voter });
        let membership = Membership::new(self.members.iter().map(voter));
        SnapshotMeta {
            last_included: if self.begun { EntryId::new(1, 1) } else { EntryId::ZERO },
            membership: Arc::new(membership),
            config: Arc::new(self.config.clone()),
        }
    }
}

impl Cluster {
    /// A cluster of members that have agreed on who they are, and on nothing else. A real group grows from one
    /// member; see [`Cluster::bootstrap`].
    ///
    /// # Errors
    ///
    /// If an invariant does not hold.
    pub fn found(founding: &Founding) -> Result<Cluster, Broken> {
        let mut cluster = Cluster::default();
        for id in &founding.members {
            let hard_state = HardState::new(founding.base().last_included.term, None);
            cluster.place(*id, founding, hard_state, Vec::new())?;
        }
        Ok(cluster)
    }

    /// A group of one, as a real one begins.
    ///
    /// # Errors
    ///
    /// If an invariant does not hold.
    pub fn bootstrap(id: MemberId, founding: &Founding) -> Result<Cluster, Broken> {
        let mut cluster = Cluster::default();
        let restored = Restored::bootstrap(id, bytes::Bytes::new(), founding.config.clone());
        let mut chain = Chain::rooted(restored.base.membership.clone());
        let first = rafted_value_core::Entry {
            id: restored.base.last_included,
            payload: rafted_value_core::Payload::Membership(restored.base.membership.clone()),
        };
        chain.replace(first.id.index, &[first]);
        let machine = initial(restored.base.clone());
        cluster.start(Member::start(id, founding.durability, cluster.now, restored, machine, chain))?;
        Ok(cluster)
    }

    /// Puts a member of the founding in its place, with a history that is made up.
    ///
    /// # Errors
    ///
    /// If an invariant does not hold.
    pub fn place(
        &mut self,
        id: MemberId,
        founding: &Founding,
        hard_state: HardState,
        entries: Vec<rafted_value_core::Entry>,
    ) -> Result<(), Broken> {
        let base = founding.base();
        let mut chain = Chain::rooted(base.membership.clone());
        if founding.begun {
            let payload = rafted_value_core::Payload::Membership(base.membership.clone());
            chain.replace(LogIndex(1), &[rafted_value_core::Entry { id: base.last_included, payload }]);
        }
        chain.replace(base.index().next(), &entries);
        let machine = initial(base.clone());
        let restored = Restored { hard_state, base, entries };
        self.portraits.remove(&id);
        self.start(Member::start(id, founding.durability, self.now, restored, machine, chain))
    }

    pub(crate) fn start(&mut self, member: Member) -> Result<(), Broken> {
        let id = member.id;
        self.members.insert(id, member);
        self.paint(id)?;
        self.drain(id)
    }

    /// From now on each step of a member is held against the [`Specification`]: at the beginning of a run.
    pub fn conform(&mut self) {
        self.specification = Some(Box::default());
    }

    /// The specification, if the run is held against it.
    pub fn specification(&self) -> Option<&Specification> {
        self.specification.as_deref()
    }

    /// The simulation's time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Every member that ever was.
    pub fn members(&self) -> &BTreeMap<MemberId, Member> {
        &self.members
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What clients know.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What clients with sessions called for.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// What the checker sees.
    pub fn portraits(&self) -> &BTreeMap<MemberId, Arc<Portrait>> {
        &self.portraits
    }

    /// The latest life of every node.
    pub fn latest(&self) -> impl Iterator<Item = &Member> {
        let newest = |member: &&Member| !self.members.contains_key(&node_of(member.id).member(life_of(member.id) + 1));
        self.members.values().filter(newest)
    }

    /// What may happen next without any client or operator: the network, the timers, the disks, crashes. What
    /// clients want is up to the chooser.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (no, _) in self.network.packets() {
            actions.extend([Action::Deliver(no), Action::Drop(no), Action::Duplicate(no)]);
        }
        for member in self.latest() {
            let id = member.id;
            if member.raft.is_none() {
                actions.push(Action::Restart(id));
                continue;
            }
            actions.push(Action::Crash(id));
            if member.timer.is_some() {
                actions.push(Action::Fire(id));
            }
            if member.disk.is_busy() {
                actions.extend([Action::Sync(id), Action::Flush(id)]);
            }
        }
        actions
    }

    /// Does one thing, and everything that members do about it at once. Returns what is worth telling.
    ///
    /// # Errors
    ///
    /// The invariant that this breaks.
    pub fn perform(&mut self, action: Action) -> Result<Vec<Tale>, Broken> {
        match action {
            Action::Pass(duration) => self.now += duration,
            Action::Deliver(no) => self.deliver(no, None)?,
            Action::Misroute(no, to) => self.deliver(no, Some(to))?,
            Action::Drop(no) => {
                if let Some(packet) = self.network.take(no) {
                    self.lose(packet)?;
                }
            }
            Action::Duplicate(no) => self.network.duplicate(no),
            Action::Fire(id) => self.fire(id)?,
            Action::Sync(id) => self.sync(id)?,
            Action::Flush(id) => self.flush(id)?,
            Action::FailDisk(id) => self.feed(id, Input::StorageFailed)?,
            Action::Quiesce(id) => self.feed(id, Input::Quiesce)?,
            Action::Wake(id) => self.feed(id, Input::Wake)?,
            Action::Crash(id) => self.crash(id)?,
            Action::Restart(id) => self.restart(id)?,
            Action::Join(id) => self.join(id)?,
            Action::Cut(from, to) => {
                for packet in self.network.cut(from, to) {
                    self.lose(packet)?;
                }
            }
            Action::Mend(from, to) => self.network.mend(from, to),
            Action::Heal => self.network.heal(),
            Action::Drift(id, rate) => {
                let now = self.now;
                if let Some(member) = self.members.get_mut(&id) {
                    member.clock.set_rate(now, rate);
                }
            }
            Action::Recover { at, label, lost } => self.recover(at, &label, &lost)?,
            Action::Propose { at, label, proposal } => {
                let id = self.history.ask(&label, Wish::Entry);
                self.feed(at, Input::Propose { id, proposal })?;
            }
            Action::Read { at, label } => {
                let id = self.history.begin_read(&label, at);
                self.feed(at, Input::Read(id))?;
            }
            Action::Call { id, at, ask, held } => self.call(id, at, ask, held)?,
            Action::CallAgain { id, at } => self.call_again(id, at)?,
            Action::GiveUp(id) => self.give_up(id),
            Action::Save(id) => self.save(id),
            Action::CrashAfter(id, writes) => {
                if let Some(member) = self.members.get_mut(&id) {
                    for _ in 0..writes {
                        member.disk.sync();
                    }
                }
                self.crash(id)?;
            }
            Action::Transfer { at, label, to } => {
                let id = self.history.ask(&label, Wish::Leader);
                self.feed(at, Input::TransferLeadership { id, to })?;
            }
        }
        Ok(std::mem::take(&mut self.tales))
    }

    fn deliver(&mut self, no: PacketNo, instead: Option<MemberId>) -> Result<(), Broken> {
        let Some(packet) = self.network.take(no) else { return Ok(()) };
        let to = instead.unwrap_or(packet.to);
        let incarnation = |id: MemberId| self.members.get(&id).map(|member| member.incarnation);
        if incarnation(packet.from) != incarnation(to) && incarnation(to).is_some() {
            // As every driver: what members of another incarnation say is dropped unread.
            return self.lose(packet);
        }
        match packet.load {
            Load::Message(message) => self.feed(to, Input::Message(message)),
            Load::Transfer(transfer) => {
                let last_included = transfer.snapshot.index();
                let body = Body::InstallSnapshot(InstallSnapshot { snapshot: transfer.snapshot.clone() });
                let message = Message { from: packet.from, to: packet.to, term: transfer.term, body };
                if let Some(member) = self.members.get_mut(&to) {
                    member.arrived = Some(*transfer);
                }
                self.feed(to, Input::Message(message))?;
                if let Some(member) = self.members.get_mut(&to) {
                    member.arrived = None;
                }
                self.feed(packet.from, Input::SnapshotSent { to: packet.to, last_included })
            }
        }
    }

    /// A message that is lost is just lost; of a value its sender learns.
    pub(crate) fn lose(&mut self, packet: Packet) -> Result<(), Broken> {
        match packet.load {
            Load::Message(_) => Ok(()),
            Load::Transfer(_) => self.feed(packet.from, Input::SnapshotFailed { to: packet.to }),
        }
    }

    fn fire(&mut self, id: MemberId) -> Result<(), Broken> {
        let Some((earliest, _)) = self.members.get(&id).and_then(Member::timer_window) else { return Ok(()) };
        self.now = self.now.max(earliest);
        if let Some(member) = self.members.get_mut(&id) {
            member.timer = None;
        }
        self.feed(id, Input::Timer)
    }

    fn sync(&mut self, id: MemberId) -> Result<(), Broken> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(()) };
        let no = member.disk.sync();
        self.synced(id, no)
    }

    fn flush(&mut self, id: MemberId) -> Result<(), Broken> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(()) };
        let mut last = None;
        while member.disk.is_busy() {
            last = member.disk.sync().or(last);
        }
        self.synced(id, last)
    }

    /// What is on the disk changed, whether the member hears of it or not.
    fn synced(&mut self, id: MemberId, no: Option<WriteNo>) -> Result<(), Broken> {
        match no {
            Some(no) => self.feed(id, Input::Persisted(no)),
            None => self.paint(id),
        }
    }

    /// The value, as it is now, will stand for the log up to here once this is written.
    fn save(&mut self, id: MemberId) {
        let Some(member) = self.members.get_mut(&id).filter(|member| member.raft.is_some()) else { return };
        if member.disk.durability == Durability::Durable
            && let Ok((meta, value)) = member.machine.snapshot()
        {
            let chain = member.chain.prefix(meta.index());
            member.disk.save(meta, value, chain);
        }
    }

    fn crash(&mut self, id: MemberId) -> Result<(), Broken> {
        self.end(id)?;
        self.tales.push(Tale::Crashed(id));
        Ok(())
    }

    /// A member is no more, and whoever waits for it learns nothing.
    pub(crate) fn end(&mut self, id: MemberId) -> Result<(), Broken> {
        let Some(member) = self.members.get_mut(&id) else { return Ok(()) };
        if let Some(specification) = &mut self.specification {
            specification.crashed(id);
        }
        for label in member.crash() {
            self.history.settle(&label, Fate::Unknown);
            self.tales.push(Tale::Settled(label, Fate::Unknown));
        }
        for label in self.history.owed_by(id) {
            self.history.settle_read(&label, Outcome::Refused(None));
        }
        self.paint(id)
    }

    fn restart(&mut self, id: MemberId) -> Result<(), Broken> {
        let now = self.now;
        let Some(member) = self.members.get_mut(&id).filter(|member| member.raft.is_none()) else { return Ok(()) };
        if member.disk.durability == Durability::Memory {
            let life = if broken(Mutant::MemoryKeepsIdentity) { 0 } else { 1 };
            return self.join(node_of(id).member(life_of(id) + life));
        }
        member.restart(now);
        self.tales.push(Tale::Started(id));
        self.paint(id)?;
        self.drain(id)
    }

    fn join(&mut self, id: MemberId) -> Result<(), Broken> {
        let durability = self.members.values().next().map_or(Durability::Memory, |member| member.disk.durability);
        self.tales.push(Tale::Started(id));
        let restored = Restored::joining();
        let machine = initial(restored.base.clone());
        let member = Member::start(id, durability, self.now, restored, machine, Chain::default());
        self.start(Member { incarnation: self.incarnation, ..member })
    }

    /// Looks at a member again, and checks what changed.
    pub(crate) fn paint(&mut self, id: MemberId) -> Result<(), Broken> {
        let Some(member) = self.members.get(&id) else { return Ok(()) };
        let before = self.portraits.get(&id);
        let after = Arc::new(Portrait::of(member, before.map(|before| &**before)));
        let before = self.portraits.insert(id, after.clone());
        let before = before.unwrap_or_else(|| Arc::new(Portrait::blank(id)));
        self.observe(Event::Moved { before, after })
    }

    pub(crate) fn observe(&mut self, event: Event) -> Result<(), Broken> {
        let present = |id: &MemberId| self.members.get(id).is_some_and(|it| it.incarnation == self.incarnation);
        if !present(&event.by()) {
            return Ok(());
        }
        let mut among = Vec::new();
        if self.incarnation > 0 {
            among.extend(self.portraits.iter().filter(|(id, _)| present(id)).map(|(id, it)| (*id, it.clone())));
        }
        let among = among.into_iter().collect();
        let portraits = if self.incarnation > 0 { &among } else { &self.portraits };
        let world = World { now: self.now, portraits };
        self.seen.check(&event, &world)?;
        self.seen.remember(event);
        Ok(())
    }
}
