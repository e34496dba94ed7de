//! Commands that look, and record what they see.

use super::stage::{Stage, describe};
use super::words::Said;
use crate::name::Name;
use crate::portrait::Portrait;
use crate::tale::members;
use rafted_value_core::RoleKind;

/// `logs`, `values`, `packets`, `show A`
pub(super) fn show(stage: &Stage, verb: &str, words: &[&str], lines: &mut Vec<String>) -> Said<()> {
    match verb {
        "packets" => lines.extend(stage.cluster.network().packets().map(|(_, packet)| describe(packet))),
        "values" => {
            for member in stage.cluster.latest() {
                lines.push(format!("{}: {}", Name(member.id), member.notes().join(" ")));
            }
        }
        "logs" => {
            let latest = stage.cluster.latest().map(|member| &stage.cluster.portraits()[&member.id]);
            lines.extend(latest.map(|portrait| log_line(portrait)));
        }
        _ => {
            for word in words {
                let id = super::words::member(&stage.cluster, word)?;
                let portrait = stage.cluster.portraits().get(&id).ok_or("no such member")?;
                lines.push(state_line(portrait));
            }
        }
    }
    Ok(())
}

/// `A: 1 1 2 | commit 2`, with a bar where the member's own log begins if it let go of something.
fn log_line(portrait: &Portrait) -> String {
    let down = if portrait.up { "" } else { " (down)" };
    let commit = portrait.commit;
    format!("{}{down}: {} | commit {commit}", Name(portrait.id), terms(portrait))
}

/// The terms in a log, in order.
pub(super) fn terms(portrait: &Portrait) -> String {
    let mut terms: Vec<String> = portrait.log.backwards().map(|link| link.id.term.to_string()).collect();
    terms.reverse();
    terms.join(" ")
}

fn state_line(portrait: &Portrait) -> String {
    let role = match portrait.role {
        RoleKind::Follower => "follows",
        RoleKind::PreCandidate => "asks around",
        RoleKind::Candidate => "campaigns",
        RoleKind::Leader => "leads",
    };
    let vote = portrait.hard_state.voted_for().map_or("nobody".to_owned(), |id| Name(id).to_string());
    let matched = portrait.matched.iter().map(|(id, matched)| format!(", {} has {matched}", Name(*id)));
    format!(
        "{} {role} in term {}, voted for {vote}, members {}, commit {} of {}{}",
        Name(portrait.id),
        portrait.term(),
        members(&portrait.membership),
        portrait.commit,
        portrait.last,
        matched.collect::<String>()
    )
}
