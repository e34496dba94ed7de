//! What was found: a table for people, a drawing, an object per row for programs.

use crate::work::{Sample, Work};
use std::fmt::Write as _;
use std::time::Duration;

/// All rounds of one contender in one row.
pub struct Result {
    /// Whose.
    pub name: &'static str,
    /// Answers per second, least first.
    pub rates: Vec<f64>,
    /// Over all rounds.
    pub p50: Duration,
    /// Over all rounds.
    pub p99: Duration,
    /// Over all rounds.
    pub p999: Duration,
    /// Processor time per answer: the median round.
    pub cpu: Duration,
    /// Resident memory of the process, in bytes: the largest round.
    pub memory: u64,
}

/// One kind of work at one number of callers, ours first.
pub struct Row {
    /// What was asked.
    pub work: Work,
    /// By how many callers.
    pub clients: usize,
    /// Ours, then the peers.
    pub results: Vec<Result>,
}

impl Result {
    /// Joins the rounds.
    pub fn of(name: &'static str, samples: Vec<Sample>) -> Result {
        let mut rates: Vec<f64> = samples.iter().map(|sample| sample.rate).collect();
        rates.sort_by(f64::total_cmp);
        let mut cpus: Vec<Duration> = samples.iter().map(|sample| sample.cpu).collect();
        cpus.sort();
        let memory = samples.iter().map(|sample| sample.memory).max().unwrap_or(0);
        let mut all = samples[0].latency.clone();
        samples[1..].iter().for_each(|sample| all.add(&sample.latency).expect("the same bounds"));
        let at = |quantile| Duration::from_nanos(all.value_at_quantile(quantile));
        Result { name, p50: at(0.5), p99: at(0.99), p999: at(0.999), cpu: cpus[cpus.len() / 2], memory, rates }
    }

    /// The median of the rounds.
    pub fn median(&self) -> f64 {
        self.rates[self.rates.len() / 2]
    }
}

impl Row {
    fn ours(&self) -> &Result {
        &self.results[0]
    }

    /// The peer with the highest rate.
    fn best(&self) -> Option<&Result> {
        self.results[1..].iter().max_by(|a, b| a.median().total_cmp(&b.median()))
    }

    fn work(&self) -> String {
        format!("{:?}", self.work).to_lowercase()
    }

    /// One line for programs.
    pub fn json(&self) -> serde_json::Value {
        let ours = self.ours();
        let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
        let all = self.results.iter().map(|it| {
            serde_json::json!({
                "name": it.name, "min": it.rates[0], "median": it.median(), "max": it.rates[it.rates.len() - 1],
                "p50_us": micros(it.p50), "p99_us": micros(it.p99), "p999_us": micros(it.p999),
                "cpu_us": micros(it.cpu), "memory_bytes": it.memory,
            })
        });
        serde_json::json!({
            "work": self.work(), "clients": self.clients, "ours": ours.median(), "ours_p99": micros(ours.p99),
            "peer": self.best().map(|best| best.median()), "peer_name": self.best().map(|best| best.name),
            "peer_p99": self.best().map(|best| micros(best.p99)),
            "ratio": self.best().map(|best| ours.median() / best.median()), "all": all.collect::<Vec<_>>(),
        })
    }
}

/// One line per contender and row.
pub fn markdown(rows: &[Row]) -> String {
    let mut table = "| work | callers | library | min /s | median /s | max /s | p50 | p99 | p99.9 | CPU | memory |\n\
        |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in rows {
        for it in &row.results {
            let (min, max) = (it.rates[0], it.rates[it.rates.len() - 1]);
            let _ = writeln!(
                table,
                "| {} | {} | {} | {min:.0} | {:.0} | {max:.0} | {:.1?} | {:.1?} | {:.1?} | {:.2?} | {} MB |",
                row.work(),
                row.clients,
                it.name,
                it.median(),
                it.p50,
                it.p99,
                it.p999,
                it.cpu,
                it.memory >> 20,
            );
        }
    }
    table
}

/// Bars: the median of each contender, a group of bars per row, each row to its own scale.
pub fn svg(rows: &[Row]) -> String {
    const COLOURS: [&str; 5] = ["#1b6ca8", "#c06c3e", "#d9a441", "#6b8f4e", "#8a5a8f"];
    let (width, bar, gap) = (640.0, 18.0, 34.0);
    let bars: usize = rows.iter().map(|row| row.results.len()).sum();
    let height = bars as f64 * bar + rows.len() as f64 * gap + 10.0;
    let mut drawing = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut y = 0.0;
    for row in rows {
        y += gap;
        let _ = writeln!(
            drawing,
            "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}, {} callers</text>",
            y - 8.0,
            row.work(),
            row.clients
        );
        let largest = row.results.iter().map(Result::median).fold(1.0, f64::max);
        for (it, colour) in row.results.iter().zip(COLOURS) {
            let length = 340.0 * it.median() / largest;
            let _ = writeln!(
                drawing,
                "<rect x=\"160\" y=\"{y}\" width=\"{length:.0}\" height=\"{:.0}\" fill=\"{colour}\"/>\
                 <text x=\"154\" y=\"{:.0}\" text-anchor=\"end\">{}</text><text x=\"{:.0}\" y=\"{:.0}\">{:.0} /s</text>",
                bar - 3.0,
                y + 12.0,
                it.name,
                166.0 + length,
                y + 12.0,
                it.median(),
            );
            y += bar;
        }
    }
    drawing + "</svg>\n"
}
