//! A member goes over to another incarnation of its group: because an operator gave up what was lost, or because the group
//! went on without it. What users hold stays the same: their handles, the value's place, the published lease.

use super::Member;
use crate::applier::Work;
use crate::contact::MemberOf;
use crate::durable;
use crate::error::RecoverError;
use crate::host::Host;
use crate::join::Joining;
use crate::lease::LeasePublisher;
use crate::profile::Profile;
use crate::recovery::AcceptDataLoss;
use crate::rejoin;
use crate::timers;
use rafted_value_core::{self as core, MemberId, Promotion, Raft, Ready, Restored, Seat};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// After how many timeouts without a leader a member asks whether the group went on without it.
const LONELY: u32 = 2;

impl Member {
    /// Whether it leads, or knows who does.
    pub(crate) fn is_led(&self) -> bool {
        self.raft.leader().is_some()
    }

    /// Becomes the first member of another incarnation, of all that it has; see [`Raft::recover`].
    pub(crate) fn recover(
        &mut self,
        at: MemberOf,
        lost: &[MemberId],
        accepted: AcceptDataLoss,
        host: &Arc<Host>,
    ) -> Result<(), RecoverError> {
        let leader = self.raft.leader().and_then(|leader| self.contact_of(leader).cloned());
        let restored = self.raft.recover(timers::now(), at.member, lost);
        let restored = restored.map_err(|refusal| RecoverError::refused(&self.name, refusal, leader))?;
        let found = self.raft.log().last();
        if found != accepted.last {
            return Err(RecoverError::OtherEntry { group: self.name.clone(), accepted: accepted.last, found });
        }
        tracing::warn!(group = %self.name, %found, of = %self.group, now = %at.group, "begins again without {lost:?}");
        let (done, there) = oneshot::channel();
        self.machine.clone().submit(Work::Begin { at, keeps: true, done });
        let names = (self.name.clone(), self.value);
        durable::recover(host, (self.group, at), names, &restored, (self.machine.clone(), there));
        self.begin(at, restored);
        Ok(())
    }

    /// Gives up what it has and becomes a new member of another incarnation, as soon as that takes it in.
    pub(crate) fn rejoin(&mut self, at: MemberOf, found: Vec<String>, host: &Arc<Host>) {
        tracing::warn!(group = %self.name, of = %self.group, now = %at.group, "was superseded, joins the recovered group");
        let mut joining = self.joining(host);
        joining.addresses.extend(found);
        joining.addresses.sort();
        joining.addresses.dedup();
        let (done, fresh) = oneshot::channel();
        self.machine.clone().submit(Work::Begin { at, keeps: false, done });
        if let Some(storage) = &host.storage {
            durable::rejoin(storage, self.group, at, (&self.name, self.value));
        }
        self.begin(at, Restored::joining());
        self.publish();
        rejoin::join(at, joining, fresh, self.view.subscribe());
    }

    /// Whoever waits for the former member learns nothing.
    fn begin(&mut self, at: MemberOf, restored: Restored) {
        self.publisher.publish(&self.lease, self.raft.term(), None);
        self.publisher = LeasePublisher::default();
        self.waiting.abandon();
        self.requests.clear();
        self.reads.clear();
        self.queue.clear();
        self.contacts.clear();
        self.former.clear();
        self.strangers.clear();
        self.sending.clear();
        (self.stamped, self.alarm, self.arriving, self.arrived) = (None, None, None, None);
        self.replayed = restored.base.index();
        self.ready = Ready::default();
        self.group = at.group;
        self.raft = Raft::new(at.member, timers::now(), restored);
        self.lonely = 0;
    }

    /// The timer of a member that does not lead fires when it has heard no leader. Whoever hears none for longer than an
    /// election takes asks around.
    pub(super) fn look_for_a_successor(&mut self, host: &Arc<Host>) {
        self.lonely = if self.is_led() { 0 } else { self.lonely.saturating_add(1) };
        let idle = Arc::strong_count(&self.search) == 1;
        if self.lonely >= LONELY && idle && self.raft.log().membership().contains(self.id()) {
            let at = MemberOf { group: self.group, member: self.id() };
            rejoin::search(at, self.joining(host), self.search.clone());
        }
    }

    /// How it would join anew, by way of the members that it knows.
    fn joining(&self, host: &Arc<Host>) -> Joining {
        let membership = self.raft.log().membership();
        let profile = |id: &MemberId| membership.get(*id).and_then(|member| Profile::from_bytes(&member.contact));
        let others = membership.members().keys().filter(|id| **id != self.id());
        let learns = |member: &core::Member| member.seat == Seat::Learner(Promotion::Never);
        Joining {
            host: host.clone(),
            group: self.name.clone(),
            value: self.value,
            profile: profile(&self.id()).unwrap_or(Profile {
                contact: host.contact(),
                hooks: Vec::new(),
                value_version: self.machine.value_version(),
            }),
            addresses: others.filter_map(profile).map(|profile| profile.contact.address).collect(),
            learner: membership.get(self.id()).is_some_and(learns),
            timeout: Duration::ZERO,
        }
    }
}
