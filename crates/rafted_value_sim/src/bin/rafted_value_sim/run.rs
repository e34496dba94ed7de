//! `run`: many seeds, on as many threads as there are cores.

use clap::Args;
use indicatif::ProgressBar;
use rafted_value_sim::dice;
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which seeds, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Plays exactly this seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// How many seeds to play.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Begins no other seed after this many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// How many threads; as many as there are cores unless said.
    #[arg(long)]
    threads: Option<usize>,
    /// Prints one line of JSON instead.
    #[arg(long)]
    json: bool,
}

/// What all seeds came to.
#[derive(Default, Serialize)]
struct Summary {
    seeds: u64,
    violations: u64,
    simulated_seconds: f64,
    wall_seconds: f64,
    actions: u64,
    coverage: BTreeMap<String, u64>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let (first, count) = options.seed.map_or((options.from, options.seeds), |seed| (seed, 1));
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or_else(cores).max(1);
    let bar = if options.json { ProgressBar::hidden() } else { ProgressBar::new(count) };
    let began = now();
    let deadline = options.minutes.map(|minutes| began + Duration::from_secs_f64(minutes * 60.0));
    let next = AtomicU64::new(first);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while deadline.is_none_or(|deadline| now() < deadline) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let played = dice::play(seed);
                    summary.lock().expect("no thread panics in it").add(played);
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut summary = summary.into_inner().expect("no thread panics in it");
    summary.wall_seconds = began.elapsed().as_secs_f64();
    summary.print(options.json);
    if summary.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How fast the simulator itself is; nothing in it knows.
#[expect(clippy::disallowed_methods, reason = "measures the simulator from outside")]
fn now() -> Instant {
    Instant::now()
}

impl Summary {
    fn add(&mut self, played: Result<dice::Run, Box<dice::Failure>>) {
        self.seeds += 1;
        match played {
            Ok(run) => {
                self.actions += run.actions;
                self.simulated_seconds += run.simulated.as_secs_f64();
                run.marks.into_iter().for_each(|(mark, times)| *self.coverage.entry(mark).or_default() += times);
            }
            Err(failure) => {
                self.violations += 1;
                eprintln!("{failure}");
            }
        }
    }

    fn print(&self, json: bool) {
        if json {
            return println!("{}", serde_json::to_string(self).expect("plain data"));
        }
        let Summary { seeds, violations, simulated_seconds, wall_seconds, actions, .. } = self;
        println!(
            "{seeds} seeds, {violations} violations, {actions} actions, {simulated_seconds:.0} simulated seconds in {wall_seconds:.1} s"
        );
        for (mark, times) in &self.coverage {
            println!("{times:>12}  {mark}");
        }
    }
}
