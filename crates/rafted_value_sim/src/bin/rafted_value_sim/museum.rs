//! `museum`: which invariant notices which bug, and after how many seeds.

use clap::Args;
use rafted_value_sim::museum::{self, MUTANTS, Mutant, Noticed, RECORDED};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which mutants, and how hard to look.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these mutants.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// After how many seeds a start gives up.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// How many starts, each with seeds of its own; the median counts.
    #[arg(long, default_value_t = 5)]
    starts: u64,
    /// Only sees whether each mutant in the recorded table still dies; a fresh seed is looked for if the recorded one
    /// kills no more, because the runs have changed.
    #[arg(long)]
    recorded: bool,
    /// Writes the first seed that kills each mutant into the recorded table.
    #[arg(long, conflicts_with = "recorded")]
    record: bool,
    /// Prints one line of JSON instead.
    #[arg(long)]
    json: bool,
}

/// What became of one mutant.
#[derive(Serialize)]
struct Shown {
    id: &'static str,
    what: &'static str,
    /// The invariant that fired, the most frequent first.
    by: Vec<String>,
    /// How many seeds it took, one number for each start that noticed.
    seeds: Vec<u64>,
    median: Option<u64>,
    /// How many scenarios fail.
    scenarios: usize,
    #[serde(skip)]
    first: Option<Noticed>,
}

/// What all came to.
#[derive(Serialize)]
struct Summary {
    mutants: usize,
    killed: usize,
    survived: Vec<&'static str>,
    table: Vec<Shown>,
}

/// Seeds of one start are this far from those of the next.
const APART: u64 = 1_000_000;

pub(crate) fn run(options: &Options) -> ExitCode {
    if !museum::breaks(MUTANTS.first().map(|(mutant, ..)| *mutant)) {
        eprintln!("no rule can be broken in this build: RUSTFLAGS='--cfg museum' makes one, as `just museum` does");
        return ExitCode::from(2);
    }
    museum::hush();
    let chosen = |id: &str| options.only.is_empty() || options.only.iter().any(|only| only == id);
    if options.recorded {
        return still_dead(chosen, options.seeds);
    }
    let scenarios = scenarios();
    let mut table = Vec::new();
    for (mutant, id, what) in MUTANTS.iter().filter(|(_, id, _)| chosen(id)) {
        museum::breaks(Some(*mutant));
        let failing = scenarios.iter().filter(|text| museum::fails(text)).count();
        let starts = hunt(options);
        // A mutant is killed only by what passes without it.
        museum::breaks(None);
        if let Some(seed) =
            starts.iter().flatten().map(|(_, noticed)| noticed.seed).find(|seed| museum::play(*seed).is_some())
        {
            eprintln!("seed {seed} goes wrong although nothing is broken: see `run --seed {seed}`");
            return ExitCode::FAILURE;
        }
        let shown = show(id, what, failing, &starts);
        if !options.json {
            println!("{}", line(&shown));
        }
        table.push(shown);
    }
    if options.record {
        record(&table);
    }
    finish(table, options.json)
}

/// Every start looks for its first seed that goes wrong; as many at a time as there are cores.
fn hunt(options: &Options) -> Vec<Option<(u64, Noticed)>> {
    let found = Mutex::new(BTreeMap::new());
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let start = next.fetch_add(1, Ordering::Relaxed);
                    if start >= options.starts {
                        break;
                    }
                    let mut tries = (1..=options.seeds).map(|nth| (nth, museum::play(start * APART + nth)));
                    let noticed = tries.find_map(|(nth, noticed)| Some((nth, noticed?)));
                    found.lock().expect("no thread panics in it").insert(start, noticed);
                }
            });
        }
    });
    found.into_inner().expect("no thread panics in it").into_values().collect()
}

fn show(id: &'static str, what: &'static str, scenarios: usize, starts: &[Option<(u64, Noticed)>]) -> Shown {
    let mut seeds: Vec<u64> = starts.iter().flatten().map(|(nth, _)| *nth).collect();
    seeds.sort();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    starts.iter().flatten().for_each(|(_, noticed)| *times.entry(&noticed.by).or_default() += 1);
    let mut by: Vec<(&str, usize)> = times.into_iter().collect();
    by.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    // Starts that noticed nothing come last, so the middle one may be among them.
    let median = seeds.get(starts.len() / 2).copied();
    let first = starts.iter().flatten().min_by_key(|(nth, _)| *nth).map(|(_, noticed)| noticed.clone());
    Shown { id, what, by: by.into_iter().map(|(by, _)| by.to_owned()).collect(), seeds, median, scenarios, first }
}

fn line(shown: &Shown) -> String {
    let Shown { id, what, by, seeds, median, scenarios, .. } = shown;
    let median = match (median, seeds.len()) {
        (Some(median), _) => median.to_string(),
        (None, 0) => "survived".to_owned(),
        (None, some) => format!("{some} of the starts"),
    };
    format!("| {id} | {what} | {} | {median} | {scenarios} |", by.join(", "))
}

fn finish(table: Vec<Shown>, json: bool) -> ExitCode {
    let survived: Vec<&str> = table.iter().filter(|shown| shown.seeds.is_empty()).map(|shown| shown.id).collect();
    let summary = Summary { mutants: table.len(), killed: table.len() - survived.len(), survived, table };
    if json {
        println!("{}", serde_json::to_string(&summary).expect("plain data"));
    } else {
        println!("{} mutants, {} killed, survived: {}", summary.mutants, summary.killed, summary.survived.join(" "));
    }
    if summary.survived.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each mutant of the table must die by its seed, or by another if the runs have changed since.
fn still_dead(chosen: impl Fn(&str) -> bool, patience: u64) -> ExitCode {
    let table = museum::recorded(RECORDED).expect("the table in the repository");
    let mut alive = Vec::new();
    let mut stale = 0;
    for entry in table.iter().filter(|entry| chosen(entry.id)) {
        museum::breaks(Some(entry.mutant));
        let fresh = || (1..=patience).find_map(museum::play).inspect(|_| stale += 1);
        if museum::play(entry.seed).or_else(fresh).is_none() {
            alive.push(entry.id);
        }
    }
    println!("{} mutants, {} alive: {}; {stale} seeds are stale", table.len(), alive.len(), alive.join(" "));
    if alive.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record(table: &[Shown]) {
    let kept = museum::recorded(RECORDED).unwrap_or_default();
    let of = |mutant: Mutant| kept.iter().find(|entry| entry.mutant == mutant).map(|entry| (entry.seed, String::new()));
    let mut text = "# A mutant, a seed that kills it, what notices. Written by `just museum --record`.\n".to_owned();
    for (mutant, id, _) in MUTANTS {
        let fresh = table.iter().find(|shown| shown.id == *id).and_then(|shown| shown.first.clone());
        if let Some((seed, by)) = fresh.map(|noticed| (noticed.seed, noticed.by)).or_else(|| of(*mutant)) {
            text.push_str(format!("{id} {seed} {by}").trim_end());
            text.push('\n');
        }
    }
    fs::write(folder().join("src/museum/recorded.txt"), text).expect("the table can be written");
}

fn scenarios() -> Vec<String> {
    let files = fs::read_dir(folder().join("tests/scenarios")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
