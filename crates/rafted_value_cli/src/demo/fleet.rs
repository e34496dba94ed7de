//! The three processes: started, watched, killed, started again.

use crate::demo::screen::Screen;
use crate::values::queue::Queue;
use rafted_value::{Client, StatusReport};
use std::error::Error;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// The name of their group.
pub(crate) const GROUP: &str = "demo";

/// How often each member is asked how it is.
const LOOK: Duration = Duration::from_millis(100);

/// A process with one member. Killed when dropped.
struct Process {
    address: String,
    child: Child,
    /// Where it says what it is doing.
    said: Lines<BufReader<ChildStdout>>,
}

/// The processes.
pub(crate) struct Fleet {
    processes: Mutex<Vec<Process>>,
    addresses: Vec<String>,
    reports: watch::Receiver<Reports>,
    watcher: Option<JoinHandle<()>>,
    disk: Option<Disk>,
}

/// Where the members are kept; gone with it.
struct Disk(PathBuf);

impl Disk {
    fn new() -> Result<Disk, Box<dyn Error>> {
        let path = std::env::temp_dir().join(format!("rafted-demo-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Disk(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left behind is in the directory for what may be left behind.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What each member said of itself last, in the order of the processes.
pub(crate) type Reports = Vec<Option<StatusReport>>;

impl Process {
    async fn spawn(listen: &str, join: &[String], dir: Option<PathBuf>) -> Result<Process, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--name", GROUP, "--admin", "none", "--listen", listen]);
        match join.is_empty() {
            true => command.arg("--bootstrap"),
            false => command.arg("--join").arg(join.join(",")),
        };
        if let Some(dir) = dir {
            command.arg("--data-dir").arg(dir);
        }
        // It lives until its input ends: with this process, however that ends.
        command.arg("--until-input-ends");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = child.stdout.take().ok_or("a process without output")?;
        let mut process = Process { address: String::new(), child, said: BufReader::new(output).lines() };
        process.address = process.expect("listening ").await?;
        Ok(process)
    }

    async fn expect(&mut self, what: &str) -> Result<String, Box<dyn Error>> {
        let line = self.said.next_line().await?;
        let rest = line.as_deref().and_then(|line| line.strip_prefix(what));
        rest.map(str::to_owned).ok_or_else(|| "a member's process ended; what it said stands above".into())
    }
}

impl Fleet {
    /// Starts three processes: the first founds the group, the others join it.
    pub(crate) async fn start(patience: Duration, durable: bool) -> Result<Fleet, Box<dyn Error>> {
        let disk = if durable { Some(Disk::new()?) } else { None };
        let starting = async {
            let mut processes: Vec<Process> = Vec::new();
            let mut addresses: Vec<String> = Vec::new();
            for place in 0..3 {
                let dir = directory(disk.as_ref(), place);
                let mut process = Process::spawn("127.0.0.1:0", &addresses, dir).await?;
                process.expect("ready").await?;
                addresses.push(process.address.clone());
                processes.push(process);
            }
            Ok::<_, Box<dyn Error>>((processes, addresses))
        };
        let (processes, addresses) =
            tokio::time::timeout(patience, starting).await.map_err(|_| "the processes did not start in time")??;
        let (_, reports) = watch::channel(Vec::new());
        Ok(Fleet { processes: Mutex::new(processes), addresses, reports, watcher: None, disk })
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }

    /// Keeps asking every member how it is, and shows it.
    pub(crate) fn watched(mut self, client: Client<Queue>, screen: &Screen) -> Fleet {
        let (said, reports) = watch::channel(vec![None; self.addresses.len()]);
        let (client, screen, addresses) = (client.with_timeout(5 * LOOK), screen.clone(), self.addresses.clone());
        self.reports = reports;
        self.watcher = Some(tokio::spawn(async move {
            let mut look = tokio::time::interval(LOOK);
            loop {
                look.tick().await;
                let mut reports = Reports::new();
                for address in &addresses {
                    reports.push(client.status_of(address).await.ok());
                }
                screen.members(&addresses, &reports);
                said.send_replace(reports);
            }
        }));
        self
    }

    /// Waits until three members vote, all of them alive, none besides, and one of them leads.
    pub(crate) async fn wait_until_whole(&self, patience: Duration) -> Result<(), Box<dyn Error>> {
        let mut reports = self.reports.clone();
        let whole = reports.wait_for(|reports| is_whole(reports, self.addresses.len()));
        match tokio::time::timeout(patience, whole).await {
            Ok(whole) => whole.map(|_| ()).map_err(Into::into),
            Err(_) => Err("the group did not come back to three voters in time".into()),
        }
    }

    /// Kills the process of the leader, and says which it was.
    pub(crate) async fn kill_leader(&self, patience: Duration) -> Result<String, Box<dyn Error>> {
        let mut reports = self.reports.clone();
        let led = reports.wait_for(|reports| leader(reports).is_some());
        let at = tokio::time::timeout(patience, led).await.map_err(|_| "nobody leads")?.map(|it| leader(&it))?;
        let at = at.ok_or("nobody leads")?;
        let mut processes = self.processes.lock().await;
        processes[at].child.start_kill()?;
        processes[at].child.wait().await?;
        Ok(self.addresses[at].clone())
    }

    /// What a process has that starts again.
    pub(crate) fn begins(&self) -> &'static str {
        if self.disk.is_some() { "from its disk" } else { "empty" }
    }

    /// Starts a process that was killed again, at the same address and with nothing in memory.
    pub(crate) async fn restart(&self, address: &str, patience: Duration) -> Result<(), Box<dyn Error>> {
        let others: Vec<String> = self.addresses.iter().filter(|other| *other != address).cloned().collect();
        let place = self.addresses.iter().position(|other| other == address).unwrap_or(0);
        let dir = directory(self.disk.as_ref(), place);
        let starting = async {
            let mut process = Process::spawn(address, &others, dir).await?;
            process.expect("ready").await?;
            Ok::<_, Box<dyn Error>>(process)
        };
        let started =
            tokio::time::timeout(patience, starting).await.map_err(|_| "it did not start again in time")??;
        let mut processes = self.processes.lock().await;
        if let Some(place) = processes.iter_mut().find(|process| process.address == address) {
            *place = started;
        }
        Ok(())
    }

    pub(crate) fn members(&self) -> Reports {
        self.reports.borrow().clone()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
    }
}

/// Where the process of this place keeps its member, if it does.
fn directory(disk: Option<&Disk>, place: usize) -> Option<PathBuf> {
    disk.map(|Disk(path)| path.join(place.to_string()))
}

fn leader(reports: &[Option<StatusReport>]) -> Option<usize> {
    let leads = |report: &Option<StatusReport>| report.as_ref().is_some_and(|report| report.role == "leader");
    reports.iter().position(leads)
}

fn is_whole(reports: &[Option<StatusReport>], size: usize) -> bool {
    let living: Vec<_> = reports.iter().flatten().map(|report| report.member).collect();
    let Some(report) = leader(reports).and_then(|at| reports[at].as_ref()) else { return false };
    let voters: Vec<_> = report.members.iter().filter(|member| member.voter).map(|member| member.id).collect();
    living.len() == size
        && report.members.len() == size
        && voters.len() == size
        && living.iter().all(|member| voters.contains(member))
}
