//! How a member that knows nothing is taken in: it finds the group, and asks the leader.

use crate::contact::{ClusterId, Contact, MemberOf};
use crate::durable;
use crate::error::OpenError;
use crate::host::Host;
use crate::packet::{ChangeRefused, Join, Refused, Request, Response};
use crate::profile::Profile;
use crate::report::{MemberReport, StatusReport};
use crate::timers;
use rafted_value_core::{MemberId, Time};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long one address is asked before the next is tried.
const ATTEMPT: Duration = Duration::from_millis(500);

/// How long to wait before every address is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Which group shall be joined, by whom and how.
#[derive(Clone)]
pub(crate) struct Joining {
    pub(crate) host: Arc<Host>,
    pub(crate) group: String,
    /// The name of the value's type.
    pub(crate) value: &'static str,
    /// What the joiner says of itself.
    pub(crate) profile: Profile,
    pub(crate) addresses: Vec<String>,
    pub(crate) learner: bool,
    /// How long it may take, for what is said if it took longer.
    pub(crate) timeout: Duration,
}

impl Joining {
    /// Asks every address, over and over, until one knows the group.
    pub(crate) async fn find(&self, deadline: Time) -> Result<StatusReport, OpenError> {
        self.find_where(deadline, |_| true).await
    }

    /// The same, until one says what is wanted.
    pub(crate) async fn find_where(
        &self,
        deadline: Time,
        wanted: impl Fn(&StatusReport) -> bool,
    ) -> Result<StatusReport, OpenError> {
        let mut last = None;
        while timers::now() < deadline {
            for address in &self.addresses {
                match self.status_at(address, deadline).await {
                    Some(Response::Status(report)) if wanted(&report) => return Ok(*report),
                    Some(Response::Refused(why)) => last = Some((address.clone(), why)),
                    _ => {}
                }
            }
            self.sleep(PAUSE).await;
        }
        Err(self.no_answer(last))
    }

    pub(crate) async fn status_at(&self, address: &str, deadline: Time) -> Option<Response> {
        let request = Request::Status { group: self.group.clone() };
        self.ask(&Contact::anyone_at(address), request, deadline).await
    }

    async fn ask(&self, to: &Contact, request: Request, deadline: Time) -> Option<Response> {
        let limit = ATTEMPT.min(deadline.since(timers::now()));
        let asked = self.host.requests.send(&*self.host.network, to, request);
        timers::within(&self.host.deadlines, limit, asked).await
    }

    /// Asks to be taken in, following the leader, until that is committed. Another incarnation's word is no answer.
    pub(crate) async fn ask_to_join(
        &self,
        member: MemberOf,
        report: StatusReport,
        deadline: Time,
    ) -> Result<(), OpenError> {
        let address = &self.profile.contact.address;
        let mut replaces = earlier_start(&report.members, address);
        let mut targets: VecDeque<Contact> = leader_first(&report);
        targets.extend(self.addresses.iter().map(Contact::anyone_at));
        let mut last = None;
        while timers::now() < deadline {
            let Some(target) = targets.front().cloned() else { break };
            let request = Request::Join(Join {
                group: self.group.clone(),
                value: self.value.to_owned(),
                member: member.member,
                profile: self.profile.clone(),
                replaces,
                learner: self.learner,
            });
            match self.ask(&target, request, deadline).await {
                Some(Response::Joined { group, cluster }) if group == member.group => {
                    let ours = *self.host.cluster.get_or_init(|| cluster);
                    let (group, at) = (self.group.clone(), target.address.clone());
                    if ours != cluster {
                        return Err(OpenError::OtherCluster { group, address: at });
                    }
                    return self.remember(cluster).await;
                }
                Some(Response::Refused(Refused::NotLeader { leader: Some(leader) })) if leader != target => {
                    targets.retain(|known| *known != leader);
                    targets.push_front(leader);
                    continue;
                }
                Some(Response::Refused(Refused::OtherValue { value })) => {
                    return Err(self.other_value(&value));
                }
                Some(Response::Refused(Refused::OlderValue { needed })) => {
                    let (group, known) = (self.group.clone(), self.profile.value_version);
                    return Err(OpenError::OlderValue { group, needed, known });
                }
                Some(Response::Refused(Refused::Change(ChangeRefused::NoSuchHook { hook, .. }))) => {
                    return Err(OpenError::NoSuchHook { group: self.group.clone(), hook });
                }
                Some(Response::Refused(Refused::Change(why))) if !why.passes() => {
                    // The earlier start may have been removed, or lead, since the report.
                    last = Some((target.address.clone(), Refused::Change(why)));
                    if let Some(Response::Status(fresh)) = self.status_at(&target.address, deadline).await {
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

    /// A node that keeps its members keeps their cluster.
    async fn remember(&self, cluster: ClusterId) -> Result<(), OpenError> {
        let (host, group) = (self.host.clone(), self.group.clone());
        let remembered = self.host.runtime.spawn_blocking(move || {
            host.storage.as_ref().map_or(Ok(()), |storage| durable::remember_cluster(storage, cluster))
        });
        match remembered.await {
            Ok(remembered) => remembered.map_err(|why| OpenError::Storage { group, why }),
            Err(_) => Err(OpenError::Stopped { group }),
        }
    }

    pub(crate) fn other_value(&self, found: &str) -> OpenError {
        OpenError::OtherValue { group: self.group.clone(), found: found.to_owned(), expected: self.value.to_owned() }
    }

    /// Names every address, and what was said last.
    pub(crate) fn no_answer(&self, last: Option<(String, Refused)>) -> OpenError {
        let said = |address: &String| match &last {
            Some((asked, why)) if asked == address => format!("{address} ({why:?})"),
            _ => address.clone(),
        };
        let asked = self.addresses.iter().map(said).collect();
        OpenError::NoAnswer { group: self.group.clone(), waited: self.timeout, asked }
    }

    async fn sleep(&self, about: Duration) {
        timers::sleep(&self.host.deadlines, timers::jittered(about)).await;
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
