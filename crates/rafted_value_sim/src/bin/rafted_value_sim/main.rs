//! The simulator as a program: one subcommand per chooser.

mod exhaust;
mod museum;
mod run;
mod storage_lab;
mod storage_speed;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Whole clusters of the real core in simulated time.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Throws dice: each seed is a run with other faults.
    Run(run::Options),
    /// Visits every state within bounds.
    Exhaust(exhaust::Options),
    /// Breaks one rule of the core at a time, and shows what notices.
    Museum(museum::Options),
    /// Does to the log of a node everything that a disk may do.
    StorageLab(storage_lab::StorageLab),
    /// Measures the log of a node on a disk of this machine.
    StorageSpeed(storage_speed::StorageSpeed),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Exhaust(options) => exhaust::run(&options),
        Command::Museum(options) => museum::run(&options),
        Command::StorageLab(lab) => lab.run(),
        Command::StorageSpeed(speed) => speed.run(),
    }
}
