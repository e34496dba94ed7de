//! How a member begins: it founds a group, or joins one.

use crate::applier::Applier;
use crate::config::Config;
use crate::contact::{ClusterId, Contact, GroupId, MemberOf};
use crate::error::OpenError;
use crate::group::{Group, TIMEOUT};
use crate::hook::LeaderHook;
use crate::hooks::{self, Hooks};
use crate::hosted::Hosted;
use crate::lease::PublishedLease;
use crate::mailbox::{Event, Mailbox};
use crate::member::{Member, View};
use crate::node::Node;
use crate::packet::{ChangeRefused, Join, MemberReport, Refused, Request, Response, StatusReport};
use crate::profile::Profile;
use crate::state_machine::StateMachine;
use crate::timers;
use crate::value::Value;
use rafted_value_core::{MemberId, Raft, Restored, RoleKind, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long one address is asked before the next is tried.
const ATTEMPT: Duration = Duration::from_millis(500);

/// How long to wait before every address is tried again.
const PAUSE: Duration = Duration::from_millis(50);

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
    pub fn bootstrap(mut self) -> Self {
        self.bootstrap = true;
        self
    }

    /// Joins the group that nodes at these addresses host; one that answers is enough.
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

    /// Opens the group: returns the group that is open on this node already; else founds it, or joins it.
    ///
    /// When it returns, the member leads (founded) or holds the value and votes (joined). A member that joins takes
    /// the place of an earlier start of a node at the same address, so that dead ones do not pile up.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. After an error this node has no member of the group; if it may have been taken in all the
    /// same, the group drops it again.
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
            return Err(self.no_answer(None));
        };
        if let Some(open) = node.inner.hosted.get(&name) {
            return node.handle(&name, &open).ok_or_else(|| self.other_value(open.value));
        }
        let begun = match (self.bootstrap, self.addresses.is_empty()) {
            (true, _) => self.found(deadline).await?,
            (false, false) => self.join_group(deadline).await?,
            (false, true) => return Err(OpenError::NothingToOpen { group: name }),
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

    // ---- founding ----

    async fn found(mut self, deadline: Time) -> Result<Begun, OpenError> {
        let group = self.name.clone();
        self.config.validate().map_err(|invalid| OpenError::InvalidConfig { group, invalid })?;
        if let Some(hook) = self.config.leader_hook.clone().filter(|hook| !self.hooks.contains_key(hook)) {
            return Err(OpenError::NoSuchHook { group: self.name.clone(), hook });
        }
        let core = self.config.to_core();
        for address in &self.addresses {
            if let Some(Response::Status(_)) = self.ask_for_status(address, deadline).await {
                return Err(OpenError::AlreadyExists { group: self.name.clone(), address: address.clone() });
            }
        }
        let host = &self.node.inner.host;
        host.cluster.get_or_init(|| ClusterId(timers::identity()));
        let member = MemberOf { group: GroupId(timers::identity()), member: MemberId(timers::identity()) };
        let restored = Restored::bootstrap(member.member, self.profile().to_bytes(), core);
        let value = self.value.take().unwrap_or_else(V::new);
        let state = self.first_state(value, &restored)?;
        let begun = self.begin(member, restored, state);
        self.wait_until(&begun, deadline, |view| view.role == RoleKind::Leader && view.settled).await?;
        Ok(begun)
    }

    // ---- joining ----

    async fn join_group(self, deadline: Time) -> Result<Begun, OpenError> {
        let report = self.find_group(deadline).await?;
        let member = MemberOf { group: report.group, member: MemberId(timers::identity()) };
        let restored = Restored::joining();
        let state = self.first_state(V::new(), &restored)?;
        let begun = self.begin(member, restored, state);
        self.ask_to_join(member, report, deadline).await?;
        let learner = self.learner;
        let in_place = |view: &View| view.settled && (view.voter || (learner && view.member));
        self.wait_until(&begun, deadline, in_place).await?;
        Ok(begun)
    }

    /// Asks every address, over and over, until one knows the group.
    async fn find_group(&self, deadline: Time) -> Result<StatusReport, OpenError> {
        let mut last = None;
        while timers::now() < deadline {
            for address in &self.addresses {
                match self.ask_for_status(address, deadline).await {
                    Some(Response::Status(report)) => return Ok(*report),
                    Some(Response::Refused(why)) => last = Some((address.clone(), why)),
                    _ => {}
                }
            }
            self.sleep(PAUSE).await;
        }
        Err(self.no_answer(last))
    }

    async fn ask_for_status(&self, address: &str, deadline: Time) -> Option<Response> {
        let request = Request::Status { group: self.name.clone() };
        self.ask(&Contact::anyone_at(address), request, deadline).await
    }

    async fn ask(&self, to: &Contact, request: Request, deadline: Time) -> Option<Response> {
        let host = &self.node.inner.host;
        let limit = ATTEMPT.min(deadline.since(timers::now()));
        timers::within(&host.deadlines, limit, host.requests.send(&*host.network, to, request)).await
    }

    /// Asks to be taken in, following the leader, until that is committed.
    async fn ask_to_join(&self, member: MemberOf, report: StatusReport, deadline: Time) -> Result<(), OpenError> {
        let host = &self.node.inner.host;
        let profile = self.profile();
        let address = &profile.contact.address;
        let mut replaces = earlier_start(&report.members, address);
        let mut targets: VecDeque<Contact> = leader_first(&report);
        targets.extend(self.addresses.iter().map(Contact::anyone_at));
        let mut last = None;
        while timers::now() < deadline {
            let Some(target) = targets.front().cloned() else { break };
            let request = Request::Join(Join {
                group: self.name.clone(),
                value: V::NAME.to_owned(),
                member: member.member,
                profile: profile.clone(),
                replaces,
                learner: self.learner,
            });
            match self.ask(&target, request, deadline).await {
                Some(Response::Joined { cluster, .. }) => {
                    let ours = *host.cluster.get_or_init(|| cluster);
                    let (group, at) = (self.name.clone(), target.address.clone());
                    return if ours == cluster { Ok(()) } else { Err(OpenError::OtherCluster { group, address: at }) };
                }
                Some(Response::Refused(Refused::NotLeader { leader: Some(leader) })) if leader != target => {
                    targets.retain(|known| *known != leader);
                    targets.push_front(leader);
                    continue;
                }
                Some(Response::Refused(Refused::OtherValue { value })) => {
                    return Err(self.other_value(&value));
                }
                Some(Response::Refused(Refused::Change(ChangeRefused::NoSuchHook { hook, .. }))) => {
                    return Err(OpenError::NoSuchHook { group: self.name.clone(), hook });
                }
                Some(Response::Refused(why @ Refused::Change(_)))
                    if why != Refused::Change(ChangeRefused::InProgress) =>
                {
                    // The earlier start may have been removed, or lead, since the report.
                    last = Some((target.address.clone(), why));
                    if let Some(Response::Status(fresh)) = self.ask_for_status(&target.address, deadline).await {
                        replaces = earlier_start(&fresh.members, address);
                    }
                }
                Some(Response::Refused(why)) => last = Some((target.address.clone(), why)),
                _ => {}
            }
            targets.rotate_left(1);
            self.sleep(PAUSE).await;
        }
        Err(self.no_answer(last))
    }

    // ---- both ----

    fn profile(&self) -> Profile {
        Profile { contact: self.node.inner.host.contact(), hooks: self.hooks.keys().cloned().collect() }
    }

    fn begin(&self, member: MemberOf, restored: Restored, state: StateMachine<V>) -> Begun {
        let host = &self.node.inner.host;
        let raft = Raft::new(member.member, timers::now(), restored);
        let hooks = Hooks::new(&self.name, self.hooks.clone());
        let id = (member.group, member.member);
        let applier = Applier::new(state, hooks, id, host.mailbox.clone(), host.runtime.clone());
        let what = (member.group, self.name.clone(), V::NAME);
        let lease = Arc::new(PublishedLease::default());
        let (it, view) = Member::new(raft, what, applier.clone(), lease.clone());
        host.mailbox.post(Event::Open(Box::new(it)));
        let hosted = Hosted { member, value: V::NAME, applier, lease, view };
        Begun { hosted, mailbox: Some(host.mailbox.clone()) }
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
            None => Err(self.no_answer(None)),
        }
    }

    fn first_state(&self, value: V, restored: &Restored) -> Result<StateMachine<V>, OpenError> {
        let group = self.name.clone();
        StateMachine::new(value, restored.base.clone())
            .map_err(|error| OpenError::Damaged { group, why: error.to_string() })
    }

    fn other_value(&self, found: &str) -> OpenError {
        OpenError::OtherValue { group: self.name.clone(), found: found.to_owned(), expected: V::NAME.to_owned() }
    }

    /// Names every address, and what was said last.
    fn no_answer(&self, last: Option<(String, Refused)>) -> OpenError {
        let said = |address: &String| match &last {
            Some((asked, why)) if asked == address => format!("{address} ({why:?})"),
            _ => address.clone(),
        };
        let asked = self.addresses.iter().map(said).collect();
        OpenError::NoAnswer { group: self.name.clone(), waited: self.timeout, asked }
    }

    async fn sleep(&self, about: Duration) {
        timers::sleep(&self.node.inner.host.deadlines, timers::jittered(about)).await;
    }
}

/// A member that has begun and is not in place yet. Dropped so, it ends: for the group it is a learner that says
/// nothing, and is dropped.
struct Begun {
    hosted: Hosted,
    mailbox: Option<Arc<Mailbox>>,
}

impl Begun {
    fn keep(mut self) -> Hosted {
        self.mailbox = None;
        self.hosted.clone()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(mailbox) = &self.mailbox {
            let (done, _) = tokio::sync::oneshot::channel();
            mailbox.post(Event::Close { member: self.hosted.member, done });
        }
    }
}

/// The member that an earlier start of the node at `address` left behind: one that never came to vote, else a voter.
fn earlier_start(members: &[MemberReport], address: &str) -> Option<MemberId> {
    let mut left = members.iter().filter(|member| member.contact.address == address);
    let first = left.next()?;
    let learner = left.chain([first]).find(|member| !member.voter);
    Some(learner.unwrap_or(first).id)
}

fn leader_first(report: &StatusReport) -> VecDeque<Contact> {
    let mut contacts = VecDeque::new();
    for member in &report.members {
        match report.leader == Some(member.id) {
            true => contacts.push_front(member.contact.clone()),
            false => contacts.push_back(member.contact.clone()),
        }
    }
    contacts
}
