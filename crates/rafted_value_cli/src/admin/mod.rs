//! The verbs of administration: asked here, heard by the processes that host members.

mod desk;
mod listener;
mod protocol;
mod remote;

pub(crate) use desk::Desk;
pub(crate) use listener::Listener;

use crate::address;
use crate::outcome::{Exit, Failure, Outcome};
use crate::settings::{self, Setting};
use crate::table::table;
use crate::values::Said;
use protocol::{GroupView, MemberView, StatusView, Verb};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whom to ask.
#[derive(clap::Args, Clone)]
pub(crate) struct Target {
    /// Where processes hear the verbs of administration; one that answers is enough
    #[arg(long, env = "RAFTED_ADMIN", value_name = "ADDRESS,..", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:8101", value_parser = address::parse)]
    admin: Vec<String>,
    /// The name of the group; may be left out, as a process hosts one
    #[arg(long)]
    name: Option<String>,
    /// How long it may take
    #[arg(long, env = "RAFTED_TIMEOUT", value_name = "TIME", default_value = "5s")]
    #[arg(value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct RemoveFollower {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Its address, or the beginning of its id
    member: String,
}

#[derive(clap::Args)]
pub(crate) struct ReplaceLeader {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Who shall lead: its address, or the beginning of its id
    #[arg(required_unless_present = "cancel", conflicts_with = "cancel")]
    member: Option<String>,
    /// Take back a transfer that has not happened
    #[arg(long)]
    cancel: bool,
}

/// For when a majority is lost for good, and only then: goes on from the survivor that has most, without the members that
/// are lost. What they had acknowledged and no survivor has is gone.
///
/// First shows every survivor that can be reached with the entry that its log ends with. Nothing is done without
/// --accept-data-loss and that entry of the first one. The other survivors join it by themselves.
#[derive(clap::Args)]
pub(crate) struct ForceRemoveMember {
    #[command(flatten)]
    pub(crate) target: Target,
    /// "The log to go on from ends with this entry. I accept that whatever was done after it is lost"
    #[arg(long, value_name = "TERM,INDEX", value_parser = entry)]
    accept_data_loss: Option<(u64, u64)>,
    /// All that are lost for good: their addresses, or the beginnings of their ids
    #[arg(required = true, value_name = "LOST")]
    lost: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct ChangeConfig {
    #[command(flatten)]
    pub(crate) target: Target,
    /// What shall be otherwise, like election_timeout=2s; without any, the settings are shown
    #[arg(value_name = "FIELD=VALUE", value_parser = settings::parse)]
    settings: Vec<Setting>,
}

/// Every process that is listed says how it is. Comes to nothing only if none of them answers.
pub(crate) async fn status(target: &Target) -> Outcome {
    let answers = remote::ask_each::<StatusView>(target, &Verb::Status).await;
    let failures: Vec<&Failure> = answers.iter().filter_map(|(_, answer)| answer.as_ref().err()).collect();
    if failures.len() == answers.len() {
        return Err(remote::nobody(&answers));
    }
    let rows = answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).map(StatusView::row);
    let mut text = table(StatusView::HEADS, rows.collect());
    for (address, failure) in answers.iter().filter_map(|(address, answer)| Some((address, answer.as_ref().err()?))) {
        text.push_str(&format!("\n--admin {address}: {}", failure.message()));
    }
    let objects: Vec<_> = answers.iter().map(|(address, answer)| remote::object(address, answer)).collect();
    Ok(Said::new(text, objects))
}

/// The membership as the first process that answers knows it, and what each member says of itself.
pub(crate) async fn members(target: &Target) -> Outcome {
    let members: Vec<MemberView> = remote::ask_one(target, &Verb::Members).await?;
    let text = table(MemberView::HEADS, members.iter().map(MemberView::row).collect());
    Ok(Said::new(text, json(&members)))
}

/// The groups of the first process that answers.
pub(crate) async fn groups(target: &Target) -> Outcome {
    let groups: Vec<GroupView> = remote::ask_one(target, &Verb::Groups).await?;
    let text = table(GroupView::HEADS, groups.iter().map(GroupView::row).collect());
    Ok(Said::new(text, json(&groups)))
}

pub(crate) async fn remove_follower(verb: &RemoveFollower) -> Outcome {
    let request = Verb::RemoveFollower { member: verb.member.clone() };
    let removed: MemberView = remote::ask_one(&verb.target, &request).await?;
    Ok(Said::new(format!("removed {} at {}", removed.short_id(), removed.address), json(&removed)))
}

pub(crate) async fn replace_leader(verb: &ReplaceLeader) -> Outcome {
    let request = Verb::ReplaceLeader { member: verb.member.clone() };
    let leader: Option<MemberView> = remote::ask_one(&verb.target, &request).await?;
    let text = match &leader {
        Some(leader) => format!("{} at {} leads", leader.short_id(), leader.address),
        None => "no transfer is under way any more".to_owned(),
    };
    Ok(Said::new(text, json(&leader)))
}

pub(crate) async fn change_config(verb: &ChangeConfig) -> Outcome {
    let request = Verb::ChangeConfig { settings: verb.settings.clone() };
    let settings: Vec<Setting> = remote::ask_one(&verb.target, &request).await?;
    let rows = settings.iter().map(|setting| [setting.field.clone(), setting.value.clone()]);
    let map: BTreeMap<&str, &str> = settings.iter().map(|setting| (&*setting.field, &*setting.value)).collect();
    Ok(Said::new(table(["setting", "value"], rows.collect()), json(&map)))
}

/// Every member that can be reached with the entry that its log ends with, the one that has most first.
pub(crate) async fn survivors(target: &Target) -> Outcome {
    let survivors: Vec<MemberView> = remote::ask_one(target, &Verb::Survivors).await?;
    Ok(Said::new(survivor_table(&survivors), json(&survivors)))
}

pub(crate) async fn force_remove_member(verb: &ForceRemoveMember) -> Outcome {
    let survivors: Vec<MemberView> = remote::ask_one(&verb.target, &Verb::Survivors).await?;
    let shown = survivor_table(&survivors);
    let is_lost = |member: &MemberView| {
        verb.lost
            .iter()
            .any(|lost| *lost == member.address || (!lost.is_empty() && member.id.starts_with(lost.as_str())))
    };
    let refused = |why: String| Failure::new(Exit::NotDone, why).with(shown.lines().map(str::to_owned));
    let best = survivors.iter().find(|member| !is_lost(member));
    let Some((best, entry)) = best.and_then(|best| Some((best, best.last_entry()?))) else {
        return Err(refused("nobody to go on from answers".to_owned()));
    };
    let (term, index) = entry;
    let Some((last_term, last)) = verb.accept_data_loss else {
        let why = format!("nothing was done: to go on from {} say --accept-data-loss {term},{index}", best.address);
        return Err(refused(why));
    };
    if !verb.target.json {
        println!("{shown}");
    }
    // The survivor itself must be told, and only its own process does that.
    let answers = remote::ask_each::<StatusView>(&verb.target, &Verb::Status).await;
    let its_own = answers.iter().find(|(_, answer)| answer.as_ref().is_ok_and(|status| status.member == best.id));
    let Some((address, _)) = its_own else {
        return Err(refused(format!("--admin does not name the process of {}, which has most", best.address)));
    };
    let survivor = Target { admin: vec![address.clone()], ..verb.target.clone() };
    let request = Verb::ForceRemoveMember { lost: verb.lost.clone(), last_term, last };
    let recovered: StatusView = remote::ask_one(&survivor, &request).await?;
    let text = format!("{} goes on alone from {term},{index}; other survivors join it", recovered.address);
    Ok(Said::new(text, serde_json::json!({ "survivors": survivors, "recovered": recovered })))
}

fn survivor_table(survivors: &[MemberView]) -> String {
    table(MemberView::SURVIVOR_HEADS, survivors.iter().map(MemberView::survivor_row).collect())
}

fn entry(text: &str) -> Result<(u64, u64), String> {
    let entry = text.split_once(',').and_then(|(term, index)| Some((term.parse().ok()?, index.parse().ok()?)));
    entry.ok_or_else(|| "an entry is TERM,INDEX, like 3,17".to_owned())
}

fn json(view: &impl Serialize) -> serde_json::Value {
    // Views have nothing that JSON does not.
    serde_json::to_value(view).unwrap_or_default()
}
