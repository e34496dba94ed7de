//! `exhaust`: visits every state within bounds.

use clap::{Args, ValueEnum};
use rafted_value_sim::exhaust::{Bound, Patience, Searched, models, search};
use rafted_value_sim::museum::{self, MUTANTS};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How far, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// How far the search goes.
    #[arg(long, value_enum, default_value_t = Far::Small)]
    bound: Far,
    /// Only models whose name begins so.
    #[arg(long)]
    only: Option<String>,
    /// Gives up on a model after this many minutes.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Gives up on a model after this many states: each is remembered by some twenty bytes.
    #[arg(long, default_value_t = 200_000_000)]
    states: u64,
    /// Breaks this rule first (see `museum`).
    #[arg(long)]
    broken: Option<String>,
    /// Prints one line of JSON instead.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Far {
    Small,
    Large,
}

/// What all models came to.
#[derive(Default, Serialize)]
struct Summary {
    states: u64,
    violations: u64,
    complete: bool,
    wall_seconds: f64,
    models: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    model: &'static str,
    states: u64,
    steps: u64,
    depth: u64,
    complete: bool,
    wall_seconds: f64,
    broken: Option<String>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    if let Some(id) = &options.broken {
        let mutant = MUTANTS.iter().find(|(_, known, _)| known == id).map(|(mutant, ..)| *mutant);
        if mutant.is_none() || !museum::breaks(mutant) {
            eprintln!("{id} cannot be broken in this build: see `museum`");
            return ExitCode::from(2);
        }
    }
    let bound = match options.bound {
        Far::Small => Bound::Small,
        Far::Large => Bound::Large,
    };
    let mut summary = Summary { complete: true, ..Summary::default() };
    for model in models(bound) {
        if options.only.as_ref().is_some_and(|only| !model.name.starts_with(only.as_str())) {
            continue;
        }
        let began = now();
        let searched = within(options, || Patience::until(options.states), |patience| search(&model, patience));
        let line = line(&searched, began.elapsed());
        if !options.json {
            print(&line, model.about, &searched);
        }
        summary.add(line);
    }
    if options.json {
        println!("{}", serde_json::to_string(&summary).expect("plain data"));
    } else {
        let Summary { states, violations, complete, wall_seconds, .. } = &summary;
        println!("{states} states, {violations} violations, complete: {complete}, in {wall_seconds:.0} s");
    }
    if summary.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends the search's patience when its time is over.
fn within(options: &Options, begin: impl Fn() -> Patience, search: impl Fn(&Patience) -> Searched) -> Searched {
    let patience = begin();
    let (done, waits) = mpsc::channel::<()>();
    let limit = Duration::from_secs_f64(options.minutes * 60.0);
    std::thread::scope(|scope| {
        let watched = &patience;
        scope.spawn(move || {
            if waits.recv_timeout(limit).is_err_and(|why| why == mpsc::RecvTimeoutError::Timeout) {
                watched.end();
            }
        });
        let searched = search(&patience);
        drop(done);
        searched
    })
}

/// How fast the search itself is; nothing in it knows.
#[expect(clippy::disallowed_methods, reason = "measures the simulator from outside")]
fn now() -> Instant {
    Instant::now()
}

fn line(searched: &Searched, took: Duration) -> Line {
    let Searched { model, states, steps, depth, complete, broken } = searched;
    Line {
        model,
        states: *states,
        steps: *steps,
        depth: *depth,
        complete: *complete,
        wall_seconds: took.as_secs_f64(),
        broken: broken.as_ref().map(|(broken, _)| broken.to_string()),
    }
}

fn print(line: &Line, about: &str, searched: &Searched) {
    let Line { model, states, steps, depth, complete, wall_seconds, .. } = line;
    println!("{model}: {about}");
    println!("    {states} states, {steps} steps, depth {depth}, complete: {complete}, {wall_seconds:.1} s");
    if let Some((broken, actions)) = &searched.broken {
        println!("    {broken}");
        actions.iter().for_each(|action| println!("        {action:?}"));
    }
}

impl Summary {
    fn add(&mut self, line: Line) {
        self.states += line.states;
        self.violations += u64::from(line.broken.is_some());
        self.complete &= line.complete;
        self.wall_seconds += line.wall_seconds;
        self.models.push(line);
    }
}
