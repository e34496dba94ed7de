//! What happens, while it happens: lines that move on a terminal, plain lines elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rafted_value::StatusReport;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a plain line says how things are.
const PLAIN: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Screen {
    shown: Arc<Shown>,
}

enum Shown {
    Live { all: MultiProgress, progress: ProgressBar, members: [ProgressBar; 3] },
    Plain { total: u64, last: Mutex<(Instant, u64, String)> },
}

impl Screen {
    pub(crate) fn new(total: u64) -> Screen {
        let shown = match std::io::stderr().is_terminal() {
            true => live(total),
            false => Shown::Plain { total, last: Mutex::new((Instant::now(), 0, String::new())) },
        };
        Screen { shown: Arc::new(shown) }
    }

    pub(crate) fn say(&self, what: &str) {
        match &*self.shown {
            // A line above the moving ones; if the terminal is gone there is nobody to tell.
            Shown::Live { all, .. } => drop(all.println(what)),
            Shown::Plain { .. } => eprintln!("{what}"),
        }
    }

    pub(crate) fn answered(&self, answered: u64) {
        match &*self.shown {
            Shown::Live { progress, .. } => progress.set_position(answered),
            Shown::Plain { total, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let (since, before, members) = &mut *last;
                if since.elapsed() >= PLAIN || answered == *total {
                    let rate = (answered - *before) as f64 / since.elapsed().as_secs_f64();
                    eprintln!("{answered}/{total} commands, {rate:.0}/s   {members}");
                    (*since, *before) = (Instant::now(), answered);
                }
            }
        }
    }

    pub(crate) fn drained(&self, taken: u64, length: u64) {
        match &*self.shown {
            Shown::Live { progress, .. } => {
                progress.set_message(format!("taken out {taken}/{length}"));
            }
            Shown::Plain { .. } if taken == length => eprintln!("taken out {taken}/{length}"),
            Shown::Plain { .. } => {}
        }
    }

    pub(crate) fn members(&self, addresses: &[String], reports: &[Option<StatusReport>]) {
        let lines = addresses.iter().zip(reports).map(|(address, report)| member_line(address, report.as_ref()));
        match &*self.shown {
            Shown::Live { members, .. } => {
                for (bar, line) in members.iter().zip(lines) {
                    bar.set_message(line);
                }
            }
            Shown::Plain { last, .. } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                last.2 = lines.collect::<Vec<_>>().join(" | ");
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Shown::Live { progress, members, .. } = &*self.shown {
            progress.finish();
            members.iter().for_each(ProgressBar::finish);
        }
    }
}

fn live(total: u64) -> Shown {
    let all = MultiProgress::new();
    let progress = all.add(ProgressBar::new(total));
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} commands  {per_sec}  {msg}");
    if let Ok(style) = style {
        progress.set_style(style);
    }
    let members = [(); 3].map(|()| {
        let bar = all.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {msg}") {
            bar.set_style(style);
        }
        bar
    });
    Shown::Live { all, progress, members }
}

fn member_line(address: &str, report: Option<&StatusReport>) -> String {
    match report {
        Some(report) => {
            let voters = report.members.iter().filter(|member| member.voter).count();
            format!("{address} {} term {} commit {} voters {voters}", report.role, report.term, report.commit)
        }
        None => format!("{address} -"),
    }
}
