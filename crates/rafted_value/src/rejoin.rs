//! What becomes of the other survivors when a group was recovered at one of them: a member that no leader talks to asks
//! around whether the group went on as another incarnation; if so it gives up what it has and joins that one as a new
//! member, under the handles that it had.

use crate::contact::MemberOf;
use crate::host::Host;
use crate::join::Joining;
use crate::mailbox::Event;
use crate::member::View;
use crate::packet::Response;
use crate::report::StatusReport;
use crate::timers;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long one attempt to be taken in may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How long to wait before the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks every other member once which incarnation it is of. `running` is held as long as that takes.
pub(crate) fn search(at: MemberOf, others: Joining, running: Arc<()>) {
    others.host.runtime.clone().spawn(async move {
        if let Some(report) = successor(at, &others).await {
            supersede(&others.host, at, &report);
        }
        drop(running);
    });
}

/// Once the machine has let go of its value: asks to be taken in until it is, or has become another member yet, or is no
/// more.
pub(crate) fn join(at: MemberOf, joining: Joining, fresh: oneshot::Receiver<()>, view: watch::Receiver<View>) {
    joining.host.runtime.clone().spawn(async move {
        if fresh.await.is_err() {
            return joining.host.mailbox.post(Event::Failed { group: at.group, member: at.member });
        }
        let waits = || {
            let view = view.borrow();
            view.ended.is_none() && view.at == at && !view.member
        };
        while waits() {
            if let Some(report) = successor(at, &joining).await {
                return supersede(&joining.host, at, &report);
            }
            match attempt(at, &joining).await {
                Ok(()) => return,
                Err(why) => tracing::warn!(group = %joining.group, %why, "the recovered group did not take it in yet"),
            }
            timers::sleep(&joining.host.deadlines, timers::jittered(PAUSE)).await;
        }
    });
}

async fn attempt(at: MemberOf, joining: &Joining) -> Result<(), crate::OpenError> {
    let deadline = timers::now().after(ATTEMPT);
    let report = joining.find_where(deadline, |report| report.group == at.group && report.leader.is_some()).await?;
    joining.ask_to_join(at, report, deadline).await
}

/// The latest incarnation after the member's own that anybody knows of; nothing if two are as late: which of them is meant
/// to live is for whoever began them both to say.
async fn successor(at: MemberOf, others: &Joining) -> Option<StatusReport> {
    let mut latest: Option<StatusReport> = None;
    for address in &others.addresses {
        let deadline = timers::now().after(ATTEMPT);
        let Some(Response::Status(report)) = others.status_at(address, deadline).await else { continue };
        if !report.group.follows(at.group) {
            continue;
        }
        match &latest {
            Some(other) if other.group != report.group && !report.group.follows(other.group) => {
                if !other.group.follows(report.group) {
                    let (one, two) = (other.group, report.group);
                    tracing::error!(group = %others.group, %one, %two, "the group was recovered twice: stop one of them");
                    return None;
                }
            }
            _ => latest = Some(*report),
        }
    }
    latest
}

fn supersede(host: &Host, member: MemberOf, by: &StatusReport) {
    let found = by.members.iter().map(|member| member.contact.address.clone()).collect();
    host.mailbox.post(Event::Superseded { member, by: by.group, found });
}
