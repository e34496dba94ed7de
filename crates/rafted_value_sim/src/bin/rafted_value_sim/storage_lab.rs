//! `storage-lab`: everything a disk may do, and whether anything confirmed is gone.

use clap::Args;
use rafted_value_sim::storage_lab::{Lab, Report};
use std::process::ExitCode;

/// How much of it.
#[derive(Args)]
pub(crate) struct StorageLab {
    /// Which workload.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many steps it has; each is about five calls.
    #[arg(long, default_value_t = 300)]
    steps: usize,
    /// Tries every so many of the torn offsets and flipped bytes.
    #[arg(long, default_value_t = 1)]
    stride: usize,
    /// Prints the figures as one line of JSON.
    #[arg(long)]
    json: bool,
}

impl StorageLab {
    pub(crate) fn run(&self) -> ExitCode {
        let bar = indicatif::ProgressBar::new_spinner();
        let report = Lab::new(self.seed, self.steps, self.stride).run(|at| {
            bar.set_message(at.to_owned());
            bar.tick();
        });
        bar.finish_and_clear();
        if self.json {
            println!("{}", serde_json::to_string(&report).unwrap_or_default());
        } else {
            print(&report);
        }
        if report.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn print(report: &Report) {
    let Report { calls, crash_points, torn_offsets, bit_flips, failed_calls, violations, .. } = report;
    println!("{calls} calls recorded");
    println!("{crash_points} crash points, {torn_offsets} torn offsets, {failed_calls} failed calls");
    let Report { flips_reported, flips_in_last_batch, .. } = report;
    println!(
        "{bit_flips} bits flipped: {flips_reported} reported, {flips_in_last_batch} in the last batch, others harmless"
    );
    println!("{violations} violations");
    for violation in &report.first_violations {
        println!("  {violation}");
    }
}
