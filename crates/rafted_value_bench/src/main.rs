//! Benchmarks beside peers: the same work, the same run, interleaved rounds.
//!
//! Absolute figures depend on the machine and on what else it does; only ratios of one run count.

mod contender;
mod openraft_010;
mod openraft_09;
mod ours;
mod raft_rs;
mod report;
mod system;
mod work;

use clap::{Parser, Subcommand};
use contender::{Contender, Peer, contenders};
use indicatif::{ProgressBar, ProgressStyle};
use report::{Result, Row};
use std::path::PathBuf;
use std::time::Duration;
use work::{Sample, Work};

#[derive(Parser)]
#[command(about = "Measures rafted_value beside its peers")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Ours and the peers at the same work, in rounds A B C A B C.
    Compare(Compare),
}

#[derive(clap::Args)]
struct Compare {
    /// Whom to measure beside ours.
    #[arg(long, value_enum, default_value = "all")]
    peer: Peer,
    /// How many callers, each waiting for its answer before it asks again.
    #[arg(long, value_delimiter = ',', default_value = "1,64,256,1024,4096")]
    clients: Vec<usize>,
    /// What they ask for.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "write,readindex,lease")]
    work: Vec<Work>,
    /// How many rounds of each; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each round measures, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    millis: u64,
    /// How many members the group has.
    #[arg(long, default_value_t = 3)]
    members: usize,
    /// Instead of callers that wait: this many questions per second, timed from when they were due.
    #[arg(long)]
    offered: Option<f64>,
    /// Only run ours: for a profiler.
    #[arg(long)]
    alone: bool,
    /// One JSON object per row instead of a table.
    #[arg(long)]
    json: bool,
    /// Also writes `results.md` and `results.svg` there.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> std::io::Result<()> {
    let What::Compare(arguments) = Arguments::parse().what;
    let rows: Vec<(Work, usize)> = match arguments.offered {
        Some(_) => arguments.work.iter().map(|work| (*work, 0)).collect(),
        None => arguments.work.iter().flat_map(|work| arguments.clients.iter().map(|n| (*work, *n))).collect(),
    };
    let bar = ProgressBar::new((rows.len() * arguments.rounds) as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({eta} left)").expect("a template"));
    let rows: Vec<Row> = rows.into_iter().map(|(work, clients)| arguments.row(work, clients, &bar)).collect();
    bar.finish_and_clear();
    if arguments.json {
        rows.iter().for_each(|row| println!("{}", row.json()));
    } else {
        print!("{}", report::markdown(&rows));
    }
    if let Some(out) = &arguments.out {
        std::fs::create_dir_all(out)?;
        std::fs::write(out.join("results.md"), report::markdown(&rows))?;
        std::fs::write(out.join("results.svg"), report::svg(&rows))?;
    }
    Ok(())
}

impl Compare {
    fn row(&self, work: Work, clients: usize, bar: &ProgressBar) -> Row {
        let mut contenders = contenders(work, self.peer);
        if self.alone {
            contenders.truncate(1);
        }
        let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.rounds {
            for (contender, samples) in contenders.iter().zip(&mut samples) {
                bar.set_message(format!("{work:?}, {clients} callers, {}", contender.name));
                samples.push(self.sample(contender, work, clients));
            }
            bar.inc(1);
        }
        let results = contenders.iter().zip(samples).map(|(it, samples)| Result::of(it.name, samples)).collect();
        Row { work, clients, results }
    }

    fn sample(&self, contender: &Contender, work: Work, clients: usize) -> Sample {
        let time = Duration::from_millis(self.millis);
        match self.offered {
            Some(rate) => contender.open_loop(work, rate, self.members, time),
            None => contender.closed_loop(work, clients, self.members, time),
        }
    }
}
