//! Does what the verbs of administration say, through the group's handle.

use super::protocol::{GroupView, MemberView, Reply, Request, StatusView, Verb};
use crate::settings::{self, Setting};
use crate::values::BuiltIn;
use rafted_value::{
    AcceptDataLoss, ChangeError, Client, Config, EntryId, Group, InsecureTcp, MemberReport, RecoverError, StartError,
    StatusReport, Survivor,
};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long another member is waited for when all of them are asked how they are.
const ASK: Duration = Duration::from_secs(1);

/// After how long a recovery is tried again that a leader's last words forbid.
const AGAIN: Duration = Duration::from_millis(200);

/// A group's handle, and a client that asks its other members how they are.
pub(crate) struct Desk<V: BuiltIn> {
    group: Group<V>,
    others: Client<V>,
}

impl<V: BuiltIn> Clone for Desk<V> {
    fn clone(&self) -> Desk<V> {
        Desk { group: self.group.clone(), others: self.others.clone() }
    }
}

/// Why a verb came to nothing.
struct Refusal {
    error: String,
    unknown: bool,
}

impl Refusal {
    fn certain(error: impl ToString) -> Refusal {
        Refusal { error: error.to_string(), unknown: false }
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Refusal {
        Refusal { unknown: error.is_unknown(), error: error.to_string() }
    }
}

impl<V: BuiltIn> Desk<V> {
    pub(crate) async fn new(group: Group<V>, beyond_this_machine: bool) -> Result<Desk<V>, StartError> {
        let transport = match beyond_this_machine {
            true => InsecureTcp::dial_only().on_untrusted_networks(),
            false => InsecureTcp::dial_only(),
        };
        let nobody: [String; 0] = [];
        let others = Client::connect(transport, group.name(), nobody).await?;
        Ok(Desk { group, others })
    }

    /// Answers within about `limit`: every call of the library has a deadline.
    pub(crate) async fn answer(&self, request: Request, limit: Duration) -> Reply {
        match self.perform(request, limit).await {
            Ok(done) => Reply::Done(done),
            Err(Refusal { error, unknown }) => Reply::Failed { error, unknown },
        }
    }

    async fn perform(&self, request: Request, limit: Duration) -> Result<serde_json::Value, Refusal> {
        if let Some(name) = request.group.filter(|name| name != self.group.name()) {
            return Err(Refusal::certain(format!("this process has no member of group {name:?}")));
        }
        let group = self.group.with_timeout(limit);
        match request.verb {
            Verb::Groups => {
                let role = self.report(&group).await?.role;
                view(&[GroupView { name: group.name().to_owned(), value: V::NAME.to_owned(), role }])
            }
            Verb::Status => view(&self.status(&self.report(&group).await?)),
            Verb::Members => view(&self.members(&group, limit).await?),
            Verb::RemoveFollower { member } => {
                let member = self.member(&group, &member).await?;
                group.remove_follower(member.id).await?;
                view(&unasked(&member))
            }
            Verb::ReplaceLeader { member: Some(member) } => {
                let member = self.member(&group, &member).await?;
                group.replace_leader(Some(member.id)).await?;
                view(&Some(unasked(&member)))
            }
            Verb::ReplaceLeader { member: None } => {
                group.replace_leader(None).await?;
                view(&None::<MemberView>)
            }
            Verb::Survivors => view(&self.survivors(&group).await?),
            Verb::ForceRemoveMember { lost, last_term, last } => {
                let accepted = AcceptDataLoss::after(EntryId::new(last_term, last));
                self.force_remove(&group, &lost, accepted, limit).await?;
                view(&self.status(&self.report(&group).await?))
            }
            Verb::ChangeConfig { settings } => {
                let config = self.config(&group, limit).await?;
                if settings.is_empty() {
                    return view(&settings::show(&config));
                }
                let changed = settings::apply(&config, &settings).map_err(Refusal::certain)?;
                group.change_config(&changed).await?;
                let is_set = |shown: &Setting| settings.iter().any(|setting| setting.field == shown.field);
                view(&settings::show(&changed).into_iter().filter(is_set).collect::<Vec<_>>())
            }
        }
    }

    async fn report(&self, group: &Group<V>) -> Result<StatusReport, Refusal> {
        group.status().await.map_err(Refusal::certain)
    }

    /// The members as each says itself, the one to go on from first.
    async fn survivors(&self, group: &Group<V>) -> Result<Vec<MemberView>, Refusal> {
        let report = self.report(group).await?;
        let survivors = group.survivors().await.map_err(Refusal::certain)?;
        let known = |survivor: &Survivor| {
            let member = report.members.iter().find(|member| member.id == survivor.member)?;
            let said = survivor.status.as_ref().ok().filter(|said| said.member == survivor.member);
            Some(answered(member, said))
        };
        Ok(survivors.iter().filter_map(known).collect())
    }

    /// A leader that was lost with the others is waited for, in vain: until it was silent for long enough.
    async fn force_remove(
        &self,
        group: &Group<V>,
        lost: &[String],
        accepted: AcceptDataLoss,
        limit: Duration,
    ) -> Result<(), Refusal> {
        let mut members = Vec::new();
        for named in lost {
            members.push(self.member(group, named).await?.id);
        }
        let began = Instant::now();
        loop {
            let left = limit.saturating_sub(began.elapsed());
            match group.with_timeout(left).force_remove_member(members.clone(), accepted).await {
                Err(RecoverError::LeaderAlive { .. }) if began.elapsed() + AGAIN < limit => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    let unknown = matches!(error, RecoverError::Timeout { .. });
                    return Err(Refusal { error: error.to_string(), unknown });
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// The settings in force, as the leader knows them if it answers.
    async fn config(&self, group: &Group<V>, limit: Duration) -> Result<Config, Refusal> {
        let leaders = match group.leader() {
            Some(leader) => self.others.with_timeout(ASK.min(limit)).status_of(&leader.address).await.ok(),
            None => None,
        };
        let report = match leaders {
            Some(report) => report,
            None => self.report(group).await?,
        };
        report.config.map(|config| *config).ok_or_else(|| {
            Refusal::certain(format!("the settings of group {:?} were made by a newer build", group.name()))
        })
    }

    fn status(&self, report: &StatusReport) -> StatusView {
        StatusView {
            group: self.group.name().to_owned(),
            value: V::NAME.to_owned(),
            process: std::process::id(),
            member: format!("{:?}", report.member),
            address: self.group.node().address(),
            role: report.role.clone(),
            term: report.term.0,
            leader: self.group.leader().map(|leader| leader.address),
            commit: report.commit.0,
            applied: report.applied.0,
            last: report.last.0,
            voters: report.members.iter().filter(|member| member.voter).count(),
            lease_ms: report.lease_ms,
        }
    }

    /// The members that this one knows, each asked how it is.
    async fn members(&self, group: &Group<V>, limit: Duration) -> Result<Vec<MemberView>, Refusal> {
        let report = self.report(group).await?;
        let mut asked = JoinSet::new();
        for (at, member) in report.members.into_iter().enumerate() {
            let others = self.others.with_timeout(ASK.min(limit));
            asked.spawn(async move {
                let said = others.status_of(&member.contact.address).await.ok();
                // Another start of its node may be there by now.
                let said = said.filter(|said| said.member == member.id);
                (at, answered(&member, said.as_ref()))
            });
        }
        let mut members = asked.join_all().await;
        members.sort_by_key(|(at, _)| *at);
        Ok(members.into_iter().map(|(_, member)| member).collect())
    }

    /// The member of this address, or whose id begins so.
    async fn member(&self, group: &Group<V>, named: &str) -> Result<MemberReport, Refusal> {
        let report = self.report(group).await?;
        let is_named = |member: &MemberReport| {
            member.contact.address == named || (!named.is_empty() && format!("{:?}", member.id).starts_with(named))
        };
        let mut found: Vec<MemberReport> = report.members.into_iter().filter(is_named).collect();
        match (found.pop(), found.is_empty()) {
            (Some(member), true) => Ok(member),
            (Some(_), false) => {
                Err(Refusal::certain(format!("{named:?} names more than one member: say more of its id")))
            }
            (None, _) => Err(Refusal::certain(format!("group {:?} has no member {named:?}", group.name()))),
        }
    }
}

fn view(view: &impl Serialize) -> Result<serde_json::Value, Refusal> {
    serde_json::to_value(view).map_err(Refusal::certain)
}

fn answered(member: &MemberReport, said: Option<&StatusReport>) -> MemberView {
    MemberView {
        id: format!("{:?}", member.id),
        address: member.contact.address.clone(),
        voter: member.voter,
        role: said.map(|said| said.role.clone()),
        term: said.map(|said| said.term.0),
        commit: said.map(|said| said.commit.0),
        applied: said.map(|said| said.applied.0),
        last_term: said.map(|said| said.last_entry().term.0),
        last: said.map(|said| said.last.0),
    }
}

fn unasked(member: &MemberReport) -> MemberView {
    answered(member, None)
}
