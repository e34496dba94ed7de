//! The `rafted` program.

mod address;
mod admin;
mod ask;
mod demo;
mod inspect;
mod outcome;
mod serve;
mod settings;
mod table;
mod values;

use clap::{Parser, Subcommand};
use outcome::Outcome;
use std::process::ExitCode;

/// Replicated values, from the command line.
#[derive(Parser)]
#[command(name = "rafted", version, about, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 not done; 2 not understood; 3 unknown: it may be done or not; 4 done, without a reply.";

#[derive(Subcommand)]
enum Verb {
    /// Watch a replicated queue in three processes lose its leader to kill -9 and go on without losing a line
    Demo(demo::Options),
    /// Host a member of a group, until SIGTERM or SIGINT
    Serve(serve::Options),
    /// Have a command applied, exactly once
    Command(ask::Options),
    /// Ask the value, linearizably
    Query(ask::Options),
    /// What is in a member's directory, and whether all of it is sound; reads everything, changes nothing
    #[command(visible_alias = "verify")]
    Inspect(inspect::Options),
    /// How members are, each as its own process says
    Status(admin::Target),
    /// Who is in the group, as one member says, and how each of them is
    Members(admin::Target),
    /// The groups that have a member in a process
    Groups(admin::Target),
    /// Remove a member; its process ends when it learns of it
    RemoveFollower(admin::RemoveFollower),
    /// Hand leadership over
    ReplaceLeader(admin::ReplaceLeader),
    /// Change the group's settings, or show them
    ChangeConfig(admin::ChangeConfig),
    /// Every member with the entry that its log ends with, the one that has most first
    Survivors(admin::Target),
    /// Go on without members that are lost for good, though they were a majority: data may be lost
    ForceRemoveMember(admin::ForceRemoveMember),
}

fn main() -> ExitCode {
    let Arguments { verb } = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let outcome = runtime.block_on(perform(verb));
    // What still waits for its input must not keep the program.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) => failed(&*error),
    }
}

async fn perform(verb: Verb) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let code = |(outcome, json): (Outcome, bool)| Ok(outcome::say(outcome, json));
    match verb {
        Verb::Demo(options) => demo::run(options).await,
        Verb::Serve(options) => serve::run(options).await,
        Verb::Command(options) => code((ask::command(&options).await, options.json())),
        Verb::Query(options) => code((ask::query(&options).await, options.json())),
        Verb::Inspect(options) => inspect::run(&options),
        Verb::Status(target) => code((admin::status(&target).await, target.json)),
        Verb::Members(target) => code((admin::members(&target).await, target.json)),
        Verb::Groups(target) => code((admin::groups(&target).await, target.json)),
        Verb::RemoveFollower(change) => code((admin::remove_follower(&change).await, change.target.json)),
        Verb::Survivors(target) => code((admin::survivors(&target).await, target.json)),
        Verb::ForceRemoveMember(change) => code((admin::force_remove_member(&change).await, change.target.json)),
        Verb::ChangeConfig(change) => code((admin::change_config(&change).await, change.target.json)),
        Verb::ReplaceLeader(change) => code((admin::replace_leader(&change).await, change.target.json)),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("rafted: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        // Errors of this program's libraries tell their cause themselves.
        if !error.to_string().contains(&cause.to_string()) {
            eprintln!("  because: {cause}");
        }
        source = cause.source();
    }
    ExitCode::FAILURE
}
