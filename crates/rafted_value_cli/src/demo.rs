//! Three processes, a replicated queue, and a kill in the middle: nothing is lost, nothing happens twice.

mod feed;
mod fleet;
mod screen;
mod verdict;

use crate::values::queue::{Command, Query, Queue, Reply};
use feed::Feed;
use fleet::Fleet;
use rafted_value::{Client, InsecureTcp};
use screen::Screen;
use std::error::Error;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use verdict::Verdict;

/// The text that ships.
const TEXT: &str = include_str!("../assets/demo.txt");

/// How long anything may take that is not bounded otherwise, before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a command may take: longer than any failover.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The text whose lines go into the queue; `-` reads them from standard input. Without it, a text that ships.
    #[arg(long)]
    input: Option<PathBuf>,
    /// How many callers put lines into the queue at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    callers: u16,
    /// How many times the leader is killed on the way.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=100))]
    kills: u16,
    /// Keep the members on disk, in a directory that goes with the demonstration: whoever is killed starts again as it was.
    #[arg(long)]
    durable: bool,
    /// Print one JSON object at the end.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let lines = read_lines(&options)?;
    let screen = Screen::new(lines.len() as u64);
    screen.say("starting three processes, each with a member of one group");
    let fleet = Fleet::start(PATIENCE, options.durable).await?;
    let client = Client::<Queue>::connect(InsecureTcp::dial_only(), fleet::GROUP, fleet.addresses()).await?;
    let client = client.with_timeout(TIMEOUT);
    let fleet = fleet.watched(client.clone(), &screen);
    fleet.wait_until_whole(PATIENCE).await?;

    let feed = Feed::new(lines, options.callers, options.kills);
    let began = Instant::now();
    let callers = feed.start(&client, &screen);
    let mut failovers = Vec::new();
    let mut paused = Duration::ZERO;
    for kill in 0..options.kills {
        feed.reached(kill).await;
        let full = Instant::now();
        fleet.wait_until_whole(PATIENCE).await?;
        paused += full.elapsed();
        feed.open_gate(kill);
        failovers.push(fail_over(&fleet, &client, &screen).await?);
    }
    feed.finished(callers).await?;
    // The rate is that of a group with a leader: without failovers, and without the waits for three voters.
    let took = began.elapsed().saturating_sub(paused + failovers.iter().sum());
    fleet.wait_until_whole(PATIENCE).await?;

    screen.say("every line is in the queue; taking them out again");
    let taken = drain(&client, &screen).await?;
    let members = fleet.members();
    screen.finish();
    let verdict = Verdict::new(feed.lines(), &taken, &failovers, took, members);
    println!("{}", if options.json { verdict.json()? } else { verdict.report() });
    Ok(if verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_lines(options: &Options) -> Result<Vec<String>, Box<dyn Error>> {
    let text = match &options.input {
        None => TEXT.to_owned(),
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match lines.is_empty() {
        true => Err("the input has no lines".into()),
        false => Ok(lines),
    }
}

/// Kills the leader, measures until the next one answers a query that was asked after the kill (so that its own first
/// entry is committed, and a majority has confirmed it), and starts the process again.
async fn fail_over(fleet: &Fleet, client: &Client<Queue>, screen: &Screen) -> Result<Duration, Box<dyn Error>> {
    let killed = fleet.kill_leader(PATIENCE).await?;
    let at = Instant::now();
    screen.say(&format!("kill -9 of the leader {killed}"));
    client.query(Query::Length).await?;
    let failover = at.elapsed();
    screen.say(&format!(
        "a new leader answers after {} ms; {killed} starts again, {}",
        failover.as_millis(),
        fleet.begins()
    ));
    fleet.restart(&killed, PATIENCE).await?;
    Ok(failover)
}

async fn drain(client: &Client<Queue>, screen: &Screen) -> Result<Vec<String>, Box<dyn Error>> {
    let length = client.query(Query::Length).await?;
    let mut taken = Vec::with_capacity(length);
    while let Reply::Dequeued(Some(line)) = client.command(Command::Dequeue).await? {
        taken.push(line);
        screen.drained(taken.len() as u64, length as u64);
    }
    Ok(taken)
}
