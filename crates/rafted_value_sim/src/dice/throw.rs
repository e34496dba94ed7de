//! One run: what was decided happens in the order of its time, and whatever follows from it is decided in turn.

use super::agenda::{Agenda, Deed};
use super::callers;
use super::coverage::{self, Coverage};
use super::die::Die;
use super::swarm::{Fault, Swarm};
use super::trouble::{self, Standstill};
use super::{Run, Watch};
use crate::action::Action;
use crate::cluster::Cluster;
use crate::disk::Durability;
use crate::heal::{heal, operator};
use crate::name::{Node, node_of};
use crate::network::{Load, Packet, PacketNo};
use crate::tale::Tale;
use rafted_value_core::{Body, Halt, MemberId, Notice};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How many tales are kept to be told if it goes wrong.
const TALES: usize = 60;

/// No clock runs so fast that this many actions are needed: something goes in circles.
const TOO_MANY: u64 = 400_000;

/// A run under way.
pub(super) struct Throw {
    pub(super) swarm: Swarm,
    pub(super) story: Vec<Action>,
    pub(super) tales: VecDeque<Tale>,
    watch: Watch,
    die: Die,
    cluster: Cluster,
    agenda: Agenda,
    still: Standstill,
    /// Packets up to this one have been decided about.
    decided: PacketNo,
    /// When the last packet on each link arrives, where none overtakes another.
    arrivals: BTreeMap<(Node, Node), Duration>,
    writing: BTreeSet<MemberId>,
    coverage: Coverage,
    told: Vec<String>,
    trace: DefaultHasher,
    actions: u64,
}

impl Throw {
    pub(super) fn new(seed: u64, watch: Watch) -> Throw {
        let mut die = Die::new(seed);
        let swarm = Swarm::draw(&mut die);
        Throw {
            swarm,
            story: Vec::new(),
            tales: VecDeque::new(),
            watch,
            die,
            cluster: Cluster::default(),
            agenda: Agenda::default(),
            still: Standstill::default(),
            decided: PacketNo(0),
            arrivals: BTreeMap::new(),
            writing: BTreeSet::new(),
            coverage: Coverage::new(),
            told: Vec::new(),
            trace: DefaultHasher::new(),
            actions: 0,
        }
    }

    /// Faults, then health.
    pub(super) fn run(&mut self) -> Result<Run, String> {
        self.cluster = Cluster::found(&self.swarm.founding).map_err(|broken| broken.to_string())?;
        if self.watch.conformance {
            self.cluster.conform();
        }
        self.begin()?;
        while let Some((at, deed)) = self.agenda.next().filter(|(at, _)| *at <= self.swarm.length) {
            self.deed(at, deed)?;
            if self.actions > TOO_MANY {
                return Err("BROKEN it comes to an end: too many actions".to_owned());
            }
        }
        let healed = heal(&mut self.cluster)?;
        let ends: Vec<u64> = self.cluster.portraits().values().map(|portrait| portrait.log.hash()).collect();
        (ends, self.cluster.now(), healed.operations).hash(&mut self.trace);
        Ok(Run {
            coverage: std::mem::take(&mut self.coverage),
            taken: self.cluster.specification().map(|specification| specification.taken.clone()).unwrap_or_default(),
            actions: self.actions,
            operations: healed.operations,
            simulated: self.cluster.now(),
            trace: self.trace.finish(),
            story: std::mem::take(&mut self.told),
        })
    }

    fn begin(&mut self) -> Result<(), String> {
        if self.swarm.has(Fault::Drift) {
            for id in self.swarm.founding.members.clone() {
                let action = trouble::drift(&self.swarm, &mut self.die, id);
                self.act(action)?;
            }
        }
        for client in 0..self.swarm.clients.0 {
            let at = self.die.around(self.swarm.clients.1);
            self.agenda.add(at, Deed::Client(client));
        }
        let first = self.die.around(self.swarm.trouble);
        self.agenda.add(first, Deed::Trouble);
        self.agenda.add(self.swarm.trouble, Deed::Operate);
        self.decide();
        Ok(())
    }

    fn deed(&mut self, at: Duration, deed: Deed) -> Result<(), String> {
        if let Some(later) = self.waits(&deed, at) {
            self.agenda.add(later, deed);
            return Ok(());
        }
        if at > self.cluster.now() {
            self.act(Action::Pass(at - self.cluster.now()))?;
        }
        match deed {
            Deed::Arrive(no) => self.arrive(no)?,
            Deed::Repeat(no) => self.act(Action::Duplicate(no))?,
            Deed::Fire(id, number) => {
                if self.agenda.is_set(id, number) {
                    self.agenda.set_timer(id, None);
                    self.act(Action::Fire(id))?;
                }
            }
            Deed::Write(id) => {
                self.writing.remove(&id);
                let all = self.die.chance(300);
                self.act(if all { Action::Flush(id) } else { Action::Sync(id) })?;
            }
            Deed::Client(client) => {
                if let Some(action) = callers::next(&self.cluster, &self.swarm, &mut self.die, client) {
                    self.act(action)?;
                }
                let next = self.cluster.now() + self.die.around(self.swarm.clients.1);
                self.agenda.add(next, Deed::Client(client));
            }
            Deed::Trouble => self.trouble()?,
            Deed::Operate => {
                if let Some(action) = operator(&self.cluster) {
                    self.act(action)?;
                }
                let next = self.cluster.now() + self.swarm.trouble;
                self.agenda.add(next, Deed::Operate);
            }
            // Another life of its node may have begun by now.
            Deed::Begin(id) if self.cluster.latest().all(|member| member.id != id) => {}
            Deed::Begin(id) => {
                let halted = |raft: &rafted_value_core::Raft| raft.is_halted();
                let is_halted = self.cluster.members()[&id].raft.as_ref().is_some_and(halted);
                if is_halted {
                    self.act(Action::Crash(id))?;
                }
                self.act(Action::Restart(id))?;
            }
            Deed::Mend => self.act(Action::Heal)?,
        }
        Ok(())
    }

    /// Until when something has to wait because its node stands still.
    fn waits(&self, deed: &Deed, at: Duration) -> Option<Duration> {
        match deed {
            Deed::Arrive(no) => self.still.passes(node_of(self.cluster.network().get(*no)?.to), at),
            Deed::Write(id) => self.still.runs(node_of(*id), at),
            // What waited to be delivered is taken before the overdue timer.
            Deed::Fire(id, _) => self.still.runs(node_of(*id), at).map(|until| until + Duration::from_nanos(1)),
            _ => None,
        }
    }

    fn trouble(&mut self) -> Result<(), String> {
        let (cluster, swarm) = (&self.cluster, &self.swarm);
        let actions = trouble::strike(cluster, swarm, &mut self.die, &mut self.agenda, &mut self.still);
        for action in actions {
            self.act(action)?;
        }
        let next = self.cluster.now() + self.die.around(self.swarm.trouble);
        self.agenda.add(next, Deed::Trouble);
        Ok(())
    }

    fn arrive(&mut self, no: PacketNo) -> Result<(), String> {
        let Some(packet) = self.cluster.network().get(no) else { return Ok(()) };
        let lost = self.is_lost(packet);
        let members = self.cluster.members().len();
        let astray = self.swarm.has(Fault::Misroute).then(|| self.die.below(100 * members)).filter(|at| *at < members);
        let astray = astray.and_then(|at| self.cluster.members().keys().nth(at).copied());
        let action = match (lost && self.die.chance(self.swarm.loss), astray) {
            (true, _) => Action::Drop(no),
            (false, Some(to)) => Action::Misroute(no, to),
            (false, None) => Action::Deliver(no),
        };
        self.act(action)
    }

    /// Whether a packet is of those that may be lost in this run.
    fn is_lost(&self, packet: &Packet) -> bool {
        let typed = match &packet.load {
            Load::Message(message) => match (self.swarm.loss % 3, &message.body) {
                (0, Body::AppendEntriesReply(_) | Body::InstallSnapshotReply(_)) => true,
                (1, Body::RequestVote(_) | Body::RequestVoteReply(_) | Body::TimeoutNow) => true,
                (2, Body::AppendEntries(append)) => !append.entries.is_empty(),
                _ => false,
            },
            Load::Transfer(_) => true,
        };
        self.swarm.has(Fault::Loss) || (self.swarm.has(Fault::TypedLoss) && typed)
    }

    /// Does something, and decides what follows.
    fn act(&mut self, action: Action) -> Result<(), String> {
        let mark = coverage::of_action(&action, &self.cluster);
        let mover = self.mover(&action);
        let before = mover.and_then(|id| self.cluster.portraits().get(&id).cloned());
        self.actions += 1;
        action.hash(&mut self.trace);
        self.story.push(action.clone());
        let tales = self.cluster.perform(action).map_err(|broken| broken.to_string())?;
        tales.hash(&mut self.trace);
        let after = mover.and_then(|id| self.cluster.portraits().get(&id));
        let step = before.zip(after).and_then(|(before, after)| coverage::of_step(&before, after));
        for mark in tales.iter().filter_map(coverage::of_tale).chain(mark).chain(step) {
            *self.coverage.entry(mark).or_default() += 1;
        }
        for tale in tales {
            if let Tale::Noticed(id, Notice::Halted { why: Halt::ContradictsCommitted }) = &tale {
                return Err(format!("BROKEN no leader contradicts what is committed: {id} halts"));
            }
            if let Some(text) = self.watch.never.filter(|text| tale.to_string().contains(text)) {
                return Err(format!("BROKEN never {text:?}: it was said"));
            }
            if self.watch.story {
                self.told.push(format!("{:>12.6} s  {tale}", self.cluster.now().as_secs_f64()));
            }
            if self.tales.len() == TALES {
                self.tales.pop_front();
            }
            self.tales.push_back(tale);
        }
        self.decide();
        Ok(())
    }

    fn mover(&self, action: &Action) -> Option<MemberId> {
        match action {
            Action::Deliver(no) => self.cluster.network().get(*no).map(|packet| packet.to),
            _ => None,
        }
    }

    /// Decides when what is new will happen: packets, timers, writes.
    fn decide(&mut self) {
        let mut new = Vec::new();
        new.extend(self.cluster.network().since(self.decided).map(|(no, packet)| (no, packet.from, packet.to)));
        for (no, from, to) in new {
            self.decided = self.decided.max(no);
            let arrival = self.arrival((node_of(from), node_of(to)));
            self.agenda.add(arrival, Deed::Arrive(no));
            if self.swarm.has(Fault::Duplicates) && self.die.chance(self.swarm.duplicates) {
                self.agenda.add(self.cluster.now(), Deed::Repeat(no));
            }
        }
        let now = self.cluster.now();
        for member in self.cluster.latest() {
            if let Some(number) = self.agenda.set_timer(member.id, member.timer) {
                let (earliest, latest) = member.timer_window().unwrap_or_default();
                let at = self.die.between(earliest, latest).max(now);
                self.agenda.add(at, Deed::Fire(member.id, number));
            }
            let writes = member.disk.durability == Durability::Durable && member.disk.is_busy();
            if writes && member.raft.is_some() && self.writing.insert(member.id) {
                let slow = self.still.slow_disks.get(&node_of(member.id)).is_some_and(|until| *until > now);
                let takes = self.die.around(self.swarm.sync) * if slow { 50 } else { 1 };
                self.agenda.add(now + takes, Deed::Write(member.id));
            }
        }
    }

    fn arrival(&mut self, link: (Node, Node)) -> Duration {
        let now = self.cluster.now();
        let mut takes = self.die.around(self.swarm.latency);
        let slow = |node: Node| self.still.slow_links.get(&node).is_some_and(|until| *until > now);
        if slow(link.0) || slow(link.1) {
            takes *= 100;
        }
        if self.swarm.has(Fault::Replays) && self.die.chance(5) {
            takes += self.die.around(self.swarm.length / 10);
        } else if self.swarm.has(Fault::Disorder) {
            takes *= if self.die.chance(20) { 100 } else { 1 + self.die.below(4) as u32 };
        } else {
            let last = self.arrivals.entry(link).or_default();
            *last = (*last).max(now + takes);
            return *last;
        }
        now + takes
    }
}
