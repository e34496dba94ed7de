//! How a member begins: it founds a group, or joins one.

use crate::applier::Applier;
use crate::config::Config;
use crate::contact::{ClusterId, GroupId, MemberOf};
use crate::durable;
use crate::error::OpenError;
use crate::group::{Group, TIMEOUT};
use crate::hook::LeaderHook;
use crate::hooks::{self, Hooks};
use crate::host::Host;
use crate::hosted::Hosted;
use crate::join::Joining;
use crate::lease::PublishedLease;
use crate::mailbox::Event;
use crate::member::{Ended, Member, View};
use crate::node::Node;
use crate::packet::Response;
use crate::profile::Profile;
use crate::state_machine::StateMachine;
use crate::storage::{Damage, Stored};
use crate::timers;
use crate::value::Value;
use rafted_value_core::{MemberId, Payload, Raft, Restored, RoleKind, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Says which group to open, and how; see [`Node::group`].
#[must_use = "nothing is opened before `open`"]
pub struct GroupBuilder<V: Value> {
    node: Node,
    name: String,
    config: Config,
    hooks: BTreeMap<String, hooks::Registered<V>>,
    value: Option<V>,
    bootstrap: bool,
    addresses: Vec<String>,
    learner: bool,
    timeout: Duration,
}

impl<V: Value> GroupBuilder<V> {
    pub(crate) fn new(node: Node) -> GroupBuilder<V> {
        GroupBuilder {
            node,
            name: V::NAME.to_owned(),
            config: Config::default(),
            hooks: BTreeMap::new(),
            value: None,
            bootstrap: false,
            addresses: Vec::new(),
            learner: false,
            timeout: TIMEOUT * 6,
        }
    }

    /// The group's name, for a second group of values of the same type. The default is [`Value::NAME`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The settings of the group, if it is founded here. Whoever joins gets the group's.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Registers a hook under a name that the group's [`Config::leader_hook`] may choose, now or later: do it on every
    /// node. A group that is open on this node already keeps those that it was opened with.
    pub fn hook(mut self, name: impl Into<String>, hook: impl LeaderHook<V>) -> Self {
        self.hooks.insert(name.into(), Arc::new(hook));
        self
    }

    /// What the group begins with, if it is founded here. The default is [`Value::new`].
    pub fn initial(mut self, value: V) -> Self {
        self.value = Some(value);
        self
    }

    /// Founds the group: once, on its first node. Refused if a node at one of the addresses given to
    /// [`join`](GroupBuilder::join) hosts a group of that name already.
    #[doc(alias = "create_new_consensus_group")]
    pub fn bootstrap(mut self) -> Self {
        self.bootstrap = true;
        self
    }

    /// Joins the group that nodes at these addresses host; one that answers is enough.
    #[doc(alias = "join_existing_consensus_group")]
    #[doc(alias = "add_follower")]
    pub fn join(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.addresses = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Joins without ever voting.
    pub fn as_learner(mut self) -> Self {
        self.learner = true;
        self
    }

    /// How long [`open`](GroupBuilder::open) may take. The default is 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens the group: returns the group that is open on this node already; else restores what is in the node's
    /// directory; else founds it, or joins it.
    ///
    /// When it returns, the member leads (founded) or holds the value and votes (joined). A member that joins takes
    /// the place of an earlier start of a node at the same address, so that dead ones do not pile up. A member that was
    /// restored goes on by itself as soon as a majority is there, which is not waited for: so members of a group can be
    /// started in any order. See [`Group::wait_ready`].
    ///
    /// If the directory is damaged where this member was, it is refused, unless there are addresses to join at and no
    /// [`bootstrap`](GroupBuilder::bootstrap): then it joins as another member, in place of the one that was lost.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. After an error this node has no member of the group; if it may have been taken in all the
    /// same, the group drops it again.
    #[doc(alias = "start_link")]
    pub async fn open(self) -> Result<Group<V>, OpenError> {
        if !(1..=255).contains(&self.name.len()) {
            return Err(OpenError::InvalidName { group: self.name.chars().take(64).collect() });
        }
        self.check_hooks()?;
        let (node, name) = (self.node.clone(), self.name.clone());
        let deadline = timers::now().after(self.timeout);
        let turn = node.inner.hosted.turn(&name);
        let left = deadline.since(timers::now());
        let Some(_turn) = timers::within(&node.inner.host.deadlines, left, turn.lock()).await else {
            return Err(self.joining().no_answer(None));
        };
        if let Some(open) = node.inner.hosted.get(&name) {
            return node.handle(&name, &open).ok_or_else(|| self.joining().other_value(open.value));
        }
        let begun = match (self.on_disk().await?, self.bootstrap, self.addresses.is_empty()) {
            (OnDisk::Member(at, stored), ..) => self.restore(at, *stored)?,
            (OnDisk::Nothing, true, _) => self.found(deadline).await?,
            (_, _, false) => self.join_group(deadline).await?,
            (OnDisk::Unfinished, true, true) => {
                let why = "a member was about to join when the node stopped: let it join, found nothing".to_owned();
                return Err(OpenError::Damaged { group: name, why });
            }
            (_, false, true) => return Err(OpenError::NothingToOpen { group: name }),
        };
        let opened = begun.keep();
        node.inner.hosted.insert(&name, opened.clone());
        node.handle(&name, &opened).ok_or(OpenError::NothingToOpen { group: name })
    }

    fn check_hooks(&self) -> Result<(), OpenError> {
        let invalid = |why| Err(OpenError::InvalidHooks { group: self.name.clone(), why });
        if self.hooks.len() > hooks::MOST {
            return invalid(format!("there are {} of them, and {} are allowed", self.hooks.len(), hooks::MOST));
        }
        match self.hooks.keys().find(|name| !(1..=hooks::LONGEST_NAME).contains(&name.len())) {
            Some(name) => invalid(format!("a name of {} bytes, and it must have 1 to 255", name.len())),
            None => Ok(()),
        }
    }

    // ---- restoring ----

    /// What is in the node's directory.
    async fn on_disk(&self) -> Result<OnDisk, OpenError> {
        let host = self.node.inner.host.clone();
        let (group, name) = (self.name.clone(), self.name.clone());
        let damaged = |damage: &Damage| OpenError::Damaged { group: group.clone(), why: damage.to_string() };
        if host.storage.is_none() {
            return Ok(OnDisk::Nothing);
        }
        let with = host.clone();
        let loaded = host.runtime.spawn_blocking(move || with.storage.as_ref().and_then(|storage| storage.load(&name)));
        let joins = !self.bootstrap && !self.addresses.is_empty();
        let lost = host.storage.as_ref().and_then(|storage| storage.unnamed_damage());
        match loaded.await.map_err(|_| OpenError::Stopped { group: group.clone() })? {
            Some(Ok((_, stored))) if stored.checkpoint.value != V::NAME => {
                Err(self.joining().other_value(&stored.checkpoint.value))
            }
            // It is being removed.
            Some(Ok((id, _))) if host.tombstones.contain(id) => Ok(OnDisk::Nothing),
            Some(Ok((id, stored))) => {
                let at = MemberOf { group: id, member: stored.checkpoint.member };
                let goes_on = durable::is_member(&stored, at.member) && host.cluster.get().is_some();
                Ok(if goes_on { OnDisk::Member(at, Box::new(stored)) } else { OnDisk::Unfinished })
            }
            Some(Err(damage)) if joins => {
                tracing::error!(group, %damage, "what is on disk cannot be used: joining as another member");
                Ok(OnDisk::Unfinished)
            }
            Some(Err(damage)) => Err(damaged(&damage)),
            // The group may be the one that was lost.
            None if !joins => lost.map_or(Ok(OnDisk::Nothing), |damage| Err(damaged(damage))),
            None => Ok(OnDisk::Nothing),
        }
    }

    fn restore(&self, at: MemberOf, stored: Stored) -> Result<Begun, OpenError> {
        let Stored { hard_state, base, value, entries, .. } = stored;
        let restored = Restored { hard_state, base: base.clone(), entries };
        self.check_hook_of(&restored)?;
        let state = match value {
            Some(bytes) => StateMachine::restore(base, bytes)
                .map_err(|error| OpenError::Damaged { group: self.name.clone(), why: error.to_string() })?,
            None => self.first_state(V::new(), &restored)?,
        };
        self.warn_if_moved(at.member, &restored);
        let applier = self.applier(at, state);
        Ok(self.begin_as(at, restored, applier, true))
    }

    /// A member may come to lead as soon as it begins, so it must have the hook that its latest settings name.
    fn check_hook_of(&self, restored: &Restored) -> Result<(), OpenError> {
        let configs = restored.entries.iter().rev().filter_map(|entry| match &entry.payload {
            Payload::Config(config) => Some(config),
            _ => None,
        });
        let latest = configs.chain([&restored.base.config]).next();
        let hook = latest.and_then(|config| Config::from_core(config).ok()?.leader_hook);
        match hook.filter(|hook| !self.hooks.contains_key(hook)) {
            Some(hook) => Err(OpenError::NoSuchHook { group: self.name.clone(), hook }),
            None => Ok(()),
        }
    }

    fn warn_if_moved(&self, member: MemberId, restored: &Restored) {
        let here = self.node.inner.host.contact();
        let known = durable::membership(&restored.entries, &restored.base).get(member).cloned();
        let known = known.and_then(|member| Profile::from_bytes(&member.contact)).map(|profile| profile.contact);
        if let Some(known) = known.filter(|known| *known != here) {
            tracing::warn!(group = self.name, %known, %here, "the others look for this member where it is not");
        }
    }

    // ---- founding ----

    async fn found(mut self, deadline: Time) -> Result<Begun, OpenError> {
        let group = self.name.clone();
        self.config.validate().map_err(|invalid| OpenError::InvalidConfig { group, invalid })?;
        if let Some(hook) = self.config.leader_hook.clone().filter(|hook| !self.hooks.contains_key(hook)) {
            return Err(OpenError::NoSuchHook { group: self.name.clone(), hook });
        }
        let core = self.config.to_core();
        for address in &self.addresses {
            if let Some(Response::Status(_)) = self.joining().status_at(address, deadline).await {
                return Err(OpenError::AlreadyExists { group: self.name.clone(), address: address.clone() });
            }
        }
        let host = &self.node.inner.host;
        let cluster = *host.cluster.get_or_init(|| ClusterId(timers::identity()));
        let member = MemberOf { group: GroupId::founded(timers::identity()), member: MemberId(timers::identity()) };
        let restored = Restored::bootstrap(member.member, self.profile().to_bytes(), core);
        let value = self.value.take().unwrap_or_else(V::new);
        let applier = self.applier(member, self.first_state(value, &restored)?);
        self.make_durable(member, Some(cluster), &restored, applier.clone()).await?;
        let begun = self.begin(member, restored, applier);
        self.wait_until(&begun, deadline, |view| view.role == RoleKind::Leader && view.settled).await?;
        Ok(begun)
    }

    // ---- joining ----

    async fn join_group(self, deadline: Time) -> Result<Begun, OpenError> {
        let report = self.joining().find(deadline).await?;
        if self.node.inner.host.tombstones.contain(report.group) {
            return Err(OpenError::Removed { group: self.name });
        }
        let member = MemberOf { group: report.group, member: MemberId(timers::identity()) };
        let restored = Restored::joining();
        let applier = self.applier(member, self.first_state(V::new(), &restored)?);
        self.make_durable(member, None, &restored, applier.clone()).await?;
        let begun = self.begin(member, restored, applier);
        self.joining().ask_to_join(member, report, deadline).await?;
        let learner = self.learner;
        let in_place = |view: &View| view.settled && (view.voter || (learner && view.member));
        self.wait_until(&begun, deadline, in_place).await?;
        Ok(begun)
    }

    // ---- both ----

    fn profile(&self) -> Profile {
        Profile {
            contact: self.node.inner.host.contact(),
            hooks: self.hooks.keys().cloned().collect(),
            value_version: V::VERSION,
        }
    }

    fn applier(&self, member: MemberOf, state: StateMachine<V>) -> Arc<Applier<V>> {
        let host = &self.node.inner.host;
        let hooks = Hooks::new(&self.name, self.hooks.clone());
        Applier::new(state, hooks, member, host.mailbox.clone(), host.runtime.clone())
    }

    /// Writes that there is a new member, if members are written here.
    async fn make_durable(
        &self,
        at: MemberOf,
        cluster: Option<ClusterId>,
        restored: &Restored,
        machine: Arc<Applier<V>>,
    ) -> Result<(), OpenError> {
        let host = self.node.inner.host.clone();
        if host.storage.is_none() {
            return Ok(());
        }
        let (group, name, restored) = (self.name.clone(), self.name.clone(), restored.clone());
        let written = host.runtime.clone().spawn_blocking(move || {
            let Some(storage) = &host.storage else { return Ok(()) };
            cluster.map_or(Ok(()), |cluster| durable::remember_cluster(storage, cluster))?;
            durable::begin(storage, at, (&name, V::NAME), &restored, &*machine)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(OpenError::Storage { group, why }),
            Err(_) => Err(OpenError::Stopped { group }),
        }
    }

    fn begin(&self, member: MemberOf, restored: Restored, applier: Arc<Applier<V>>) -> Begun {
        self.begin_as(member, restored, applier, false)
    }

    fn begin_as(&self, member: MemberOf, restored: Restored, applier: Arc<Applier<V>>, from_disk: bool) -> Begun {
        let host = &self.node.inner.host;
        let raft = Raft::new(member.member, timers::now(), restored);
        let what = (member.group, self.name.clone(), V::NAME);
        let lease = Arc::new(PublishedLease::default());
        let (mut it, view) = Member::new(raft, what, applier.clone(), lease.clone());
        it.restored = from_disk;
        host.mailbox.post(Event::Open(Box::new(it)));
        let hosted = Hosted { value: V::NAME, applier, lease, view };
        Begun { hosted, host: Some(host.clone()) }
    }

    async fn wait_until(
        &self,
        begun: &Begun,
        deadline: Time,
        reached: impl Fn(&View) -> bool,
    ) -> Result<(), OpenError> {
        let mut view: watch::Receiver<View> = begun.hosted.view.clone();
        let wait = view.wait_for(|view| view.ended.is_some() || reached(view));
        let left = deadline.since(timers::now());
        match timers::within(&self.node.inner.host.deadlines, left, wait).await {
            Some(Ok(view)) if view.ended.is_none() => Ok(()),
            Some(_) => Err(OpenError::Stopped { group: self.name.clone() }),
            None => Err(self.joining().no_answer(None)),
        }
    }

    fn first_state(&self, value: V, restored: &Restored) -> Result<StateMachine<V>, OpenError> {
        let group = self.name.clone();
        StateMachine::new(value, restored.base.clone())
            .map_err(|error| OpenError::Damaged { group, why: error.to_string() })
    }

    fn joining(&self) -> Joining {
        Joining {
            host: self.node.inner.host.clone(),
            group: self.name.clone(),
            value: V::NAME,
            profile: self.profile(),
            addresses: self.addresses.clone(),
            learner: self.learner,
            timeout: self.timeout,
        }
    }
}

/// What a node's directory has of a group.
enum OnDisk {
    Nothing,
    /// Somebody who was not in the group yet, or is no longer: it has nothing to lose, and begins as another.
    Unfinished,
    Member(MemberOf, Box<Stored>),
}

/// A member that has begun and is not in place yet. Dropped so, it ends: for the group it is a learner that says
/// nothing, and is dropped.
struct Begun {
    hosted: Hosted,
    host: Option<Arc<Host>>,
}

impl Begun {
    fn keep(mut self) -> Hosted {
        self.host = None;
        self.hosted.clone()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(host) = &self.host {
            let (done, _) = tokio::sync::oneshot::channel();
            host.mailbox.post(Event::Close { member: self.hosted.at(), why: Ended::Stopped, done });
            if let Some(storage) = &host.storage {
                storage.remove(self.hosted.at().group);
            }
        }
    }
}
