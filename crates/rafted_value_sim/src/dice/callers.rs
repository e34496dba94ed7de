//! What clients do next: they call, ask again, give up, and register when they must.

use super::die::Die;
use super::swarm::Swarm;
use crate::action::Action;
use crate::clients::{Ask, Call, CallId, Clients};
use crate::cluster::Cluster;
use crate::heal::leader;
use rafted_value_core::MemberId;

/// How many calls a client leaves open before it only asks again.
const OPEN: usize = 4;

/// What a client does now.
pub(super) fn next(cluster: &Cluster, swarm: &Swarm, die: &mut Die, client: u8) -> Option<Action> {
    let at = somebody(cluster, die)?;
    let clients = cluster.clients();
    let calls = clients.calls().range(CallId(client, 0)..=CallId(client, u64::MAX));
    let fresh = CallId(client, calls.clone().next_back().map_or(0, |(id, _)| id.1) + 1);
    let open: Vec<(&CallId, &Call)> = calls.rev().take(50).filter(|(_, call)| call.is_open()).collect();
    if !open.is_empty() && (open.len() >= OPEN || die.chance(300)) {
        let (id, call) = open[die.below(open.len())];
        // Mostly a client is patient; what was refused it asks again at once.
        return Some(match die.below(20) {
            0 => Action::GiveUp(*id),
            1..8 => Action::CallAgain { id: *id, at },
            _ if call.unanswered == 0 => Action::CallAgain { id: *id, at },
            _ => return None,
        });
    }
    let ask = match clients.session(client) {
        None if die.chance(700) => Ask::Register,
        None => ask(clients, swarm, die, fresh).filter(|ask| matches!(ask, Ask::Get(_) | Ask::Peek(_)))?,
        // Too many sessions, now and then, so that others are evicted.
        Some(_) if die.chance(10) => Ask::Register,
        Some(_) => ask(clients, swarm, die, fresh)?,
    };
    let command = matches!(ask, Ask::Put(..) | Ask::Replace(..));
    Some(Action::Call { id: fresh, at, ask, held: command && die.chance(200) })
}

fn ask(clients: &Clients, swarm: &Swarm, die: &mut Die, id: CallId) -> Option<Ask> {
    let register = die.below(swarm.registers as usize) as u8;
    let item = (u64::from(id.0) << 32) | id.1;
    Some(match die.below(10) {
        0..4 => Ask::Put(register, item),
        4..6 => {
            // What somebody put there lately: it may still be there.
            let puts = clients.calls().values().rev().filter(|call| call.ask.register() == Some(register));
            let last = puts.take(5).find_map(|call| match call.ask {
                Ask::Put(_, item) | Ask::Replace(_, _, item) => Some(item),
                _ => None,
            });
            Ask::Replace(register, last, item)
        }
        6..8 => Ask::Peek(register),
        _ => Ask::Get(register),
    })
}

/// Mostly the leader; else anybody who runs, who may believe that it leads.
pub(super) fn somebody(cluster: &Cluster, die: &mut Die) -> Option<MemberId> {
    if die.chance(750)
        && let Some(leader) = leader(cluster)
    {
        return Some(leader);
    }
    let up: Vec<MemberId> = cluster.latest().filter(|member| member.raft.is_some()).map(|member| member.id).collect();
    (!up.is_empty()).then(|| die.one_of(&up))
}
