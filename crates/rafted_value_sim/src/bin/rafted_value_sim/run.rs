//! `run`: many seeds, on as many threads as there are cores.

use clap::Args;
use indicatif::ProgressBar;
use rafted_value_sim::dice;
use serde::Serialize;
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
    /// Takes it for wrong if this is said: to look for runs in which it is.
    #[arg(long)]
    never: Option<String>,
    /// Tells the story of the one seed; if it goes wrong, as a scenario that goes wrong in the same way.
    #[arg(long, requires = "seed")]
    explain: bool,
    /// Holds every step against the specification as well.
    #[arg(long)]
    conformance: bool,
    /// Prints one line of JSON instead.
    #[arg(long)]
    json: bool,
}

impl Options {
    fn watch(&self) -> dice::Watch {
        // Lives as long as the program.
        let never = self.never.clone().map(|text| &*text.leak());
        dice::Watch { conformance: self.conformance, story: false, never }
    }
}

/// What all seeds came to.
#[derive(Default, Serialize)]
struct Summary {
    seeds: u64,
    violations: u64,
    simulated_seconds: f64,
    wall_seconds: f64,
    actions: u64,
    operations_checked: u64,
    coverage: dice::Coverage,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    // A panic of the core is a finding like others, with a seed to it.
    std::panic::set_hook(Box::new(|_| {}));
    if let (Some(seed), true) = (options.seed, options.explain) {
        return explain(seed, options.watch());
    }
    let (first, count) = options.seed.map_or((options.from, options.seeds), |seed| (seed, 1));
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or_else(cores).max(1);
    let bar = if options.json { ProgressBar::hidden() } else { ProgressBar::new(count) };
    let began = now();
    let deadline = options.minutes.map(|minutes| began + Duration::from_secs_f64(minutes * 60.0));
    let watch = options.watch();
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
                    let played = dice::play_watched(seed, watch);
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

fn explain(seed: u64, watch: dice::Watch) -> ExitCode {
    let watch = dice::Watch { story: true, ..watch };
    let failure = match dice::play_watched(seed, watch) {
        Ok(run) => {
            run.story.iter().for_each(|line| println!("{line}"));
            return ExitCode::SUCCESS;
        }
        Err(failure) => failure,
    };
    println!("{failure}");
    match dice::shrink::shrink(&failure) {
        Some(shrunk) => {
            println!("# {} of {} commands are left.", shrunk.commands, shrunk.of);
            match rafted_value_sim::script::run(&shrunk.text) {
                Ok(recorded) => println!("{recorded}"),
                Err(broken) => println!("{}{}", broken.so_far, broken.what),
            }
        }
        None => println!("# Its commands alone do not lead there."),
    }
    ExitCode::FAILURE
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
                self.operations_checked += run.operations;
                self.simulated_seconds += run.simulated.as_secs_f64();
                run.coverage.into_iter().for_each(|(mark, times)| *self.coverage.entry(mark).or_default() += times);
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
