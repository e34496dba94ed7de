//! The verbs of administration: asked here, heard by the processes that host members.

mod desk;
mod listener;
mod protocol;
mod remote;

pub(crate) use desk::Desk;
pub(crate) use listener::Listener;

use crate::address;
use crate::outcome::{Failure, Outcome};
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

fn json(view: &impl Serialize) -> serde_json::Value {
    // Views have nothing that JSON does not.
    serde_json::to_value(view).unwrap_or_default()
}
