//! What callers do, and how long it takes them.

use crate::system::{PAYLOAD, System};
use clap::ValueEnum;
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What callers ask for, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Commands of 16 bytes.
    Write,
    /// Linearizable reads that trust no clock.
    Readindex,
    /// Linearizable reads under a lease, where the library has one.
    Lease,
}

/// What one run of one system came to.
pub struct Sample {
    /// Answers per second.
    pub rate: f64,
    /// How long each took, in nanoseconds, from asking to the answer.
    pub latency: Histogram<u64>,
    /// Processor time of this whole process per answer.
    pub cpu: Duration,
    /// Resident memory at the end, in bytes.
    pub memory: u64,
}

const WARM_UP: Duration = Duration::from_millis(300);

/// `clients` callers, each a task that asks again as soon as it is answered, for `time`, on a runtime of its own with a
/// thread per core.
pub fn closed_loop<S: System>(work: Work, clients: usize, members: usize, time: Duration) -> Sample {
    on_a_runtime(async move {
        let system = Arc::new(S::start(members).await);
        ask_for(&system, work, clients, WARM_UP).await;
        let (began, cpu) = (Instant::now(), cpu_time());
        let latency = ask_for(&system, work, clients, time).await;
        let (took, cpu) = (began.elapsed(), cpu_time() - cpu);
        let memory = memory();
        stop(system).await;
        let answers = latency.len();
        Sample {
            rate: answers as f64 / took.as_secs_f64(),
            latency,
            cpu: cpu / u32::try_from(answers.max(1)).unwrap_or(u32::MAX),
            memory,
        }
    })
}

/// `rate` questions per second whether or not the earlier ones are answered; each is timed from when it was *due*, so
/// that a stall counts for everything that it delays.
pub fn open_loop<S: System>(work: Work, rate: f64, members: usize, time: Duration) -> Sample {
    on_a_runtime(async move {
        let system = Arc::new(S::start(members).await);
        ask_for(&system, work, 64, WARM_UP).await;
        let (began, cpu) = (Instant::now(), cpu_time());
        let mut asked = tokio::task::JoinSet::new();
        let mut latency = histogram();
        let mut due = 0_u64;
        while began.elapsed() < time {
            let now = began.elapsed();
            while (due as f64 / rate) < now.as_secs_f64() {
                let (system, at) = (system.clone(), began + Duration::from_secs_f64(due as f64 / rate));
                asked.spawn(async move {
                    ask(&*system, work).await;
                    at.elapsed()
                });
                due += 1;
            }
            while let Some(done) = asked.try_join_next() {
                latency.saturating_record(done.unwrap().as_nanos() as u64);
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        while let Some(done) = asked.join_next().await {
            latency.saturating_record(done.unwrap().as_nanos() as u64);
        }
        let (took, cpu, memory) = (began.elapsed(), cpu_time() - cpu, memory());
        stop(system).await;
        let answers = latency.len();
        let rate = answers as f64 / took.as_secs_f64();
        Sample { rate, latency, cpu: cpu / u32::try_from(answers.max(1)).unwrap_or(u32::MAX), memory }
    })
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn stop<S: System>(system: Arc<S>) {
    match Arc::try_unwrap(system) {
        Ok(system) => system.stop().await,
        Err(_) => unreachable!("every caller has ended"),
    }
}

async fn ask<S: System>(system: &S, work: Work) {
    match work {
        Work::Write => system.write([7; PAYLOAD]).await,
        Work::Readindex => system.read_index().await,
        Work::Lease => system.lease_read().await,
    }
}

async fn ask_for<S: System>(system: &Arc<S>, work: Work, clients: usize, time: Duration) -> Histogram<u64> {
    let began = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let system = system.clone();
        callers.spawn(async move {
            let mut latency = histogram();
            let mut asked = Instant::now();
            while asked - began < time {
                ask(&*system, work).await;
                let answered = Instant::now();
                latency.saturating_record((answered - asked).as_nanos() as u64);
                asked = answered;
                // A read that never waits must not keep the others from their turn.
                tokio::task::coop::consume_budget().await;
            }
            latency
        });
    }
    let mut all = histogram();
    while let Some(latency) = callers.join_next().await {
        all.add(latency.expect("a caller")).expect("the same bounds");
    }
    all
}

/// From a nanosecond to a minute, to within one percent.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("bounds")
}

/// What this process has spent on all processors.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything: the 12th and 13th field, in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// What this process keeps in memory.
fn memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * 4096
}
