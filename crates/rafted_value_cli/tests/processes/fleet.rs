//! Processes of the program, and callers that put jobs into what they host.

use crate::values::queue::{Command, Query, Queue, Reply};
use rafted_value::{Client, InsecureTcp, StatusReport};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process with one member; killed when dropped.
pub(crate) struct Process {
    pub(crate) address: String,
    /// Where it hears the verbs of administration.
    pub(crate) admin: String,
    child: Child,
    said: Receiver<String>,
}

impl Process {
    /// Starts it, and hears where it listens. It is not in the group yet.
    pub(crate) fn start(listen: &str, join: &[String]) -> Process {
        match join.is_empty() {
            true => Process::spawn(&["--listen", listen, "--bootstrap"]),
            false => Process::spawn(&["--listen", listen, "--join", &join.join(",")]),
        }
    }

    /// `rafted serve` with these arguments.
    pub(crate) fn spawn(arguments: &[&str]) -> Process {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rafted"));
        command.args(["serve", "--admin", "127.0.0.1:0", "--until-input-ends"]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let said = lines_of(&mut child);
        let mut process = Process { address: String::new(), admin: String::new(), child, said };
        process.address = process.next("listening ");
        process.admin = process.next("admin ");
        process
    }

    /// The next line that it says, which must begin so.
    pub(crate) fn next(&mut self, what: &str) -> String {
        let line = self.said.recv_timeout(PATIENCE);
        let rest = line.as_deref().ok().and_then(|line| line.strip_prefix(what));
        rest.unwrap_or_else(|| panic!("{} said {line:?} instead of {what:?}", self.address)).to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a signal to a process of this test");
    }

    /// Waits for its end, and says its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        end_of(&mut self.child).code()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("its end");
    }
}

/// What a process says, line by line. Once nobody receives it any more, its output is closed.
pub(crate) fn lines_of(child: &mut Child) -> Receiver<String> {
    let said = BufReader::new(child.stdout.take().expect("its output"));
    let (heard, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || said.lines().map_while(Result::ok).all(|line| heard.send(line).is_ok()));
    lines
}

/// Waits for the end of a process. Unlike `Child::wait`, not for ever, and its input stays open.
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        match child.try_wait().expect("its state") {
            Some(ended) => return ended,
            None => assert!(began.elapsed() < PATIENCE, "it does not end"),
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What the program says to these arguments, from a shell that knows of no group.
pub(crate) fn rafted(arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rafted"));
    command.env_remove("RAFTED_AT").env_remove("RAFTED_ADMIN").args(arguments);
    command.stdin(Stdio::null()).output().expect("the program")
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three processes and a client in this one.
pub(crate) struct Fleet {
    pub(crate) processes: Vec<Process>,
    pub(crate) client: Client<Queue>,
}

impl Fleet {
    pub(crate) async fn start() -> Fleet {
        Fleet::start_with(&[]).await
    }

    /// A group with these settings.
    pub(crate) async fn start_with(settings: &[&str]) -> Fleet {
        Fleet::of(3, settings).await
    }

    /// A group of so many.
    pub(crate) async fn of(size: usize, settings: &[&str]) -> Fleet {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--config", setting]).collect();
        let mut processes: Vec<Process> = Vec::new();
        for _ in 0..size {
            let join = processes.iter().map(|process| process.address.as_str()).collect::<Vec<_>>().join(",");
            let mut process = match join.is_empty() {
                true => Process::spawn(&[&["--listen", "127.0.0.1:0", "--bootstrap"], &settings[..]].concat()),
                false => Process::spawn(&["--listen", "127.0.0.1:0", "--join", &join]),
            };
            process.next("ready");
            processes.push(process);
        }
        let addresses: Vec<String> = processes.iter().map(|process| process.address.clone()).collect();
        let client = Client::connect(InsecureTcp::dial_only(), "main", addresses).await.expect("a client");
        Fleet { processes, client: client.with_timeout(PATIENCE) }
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.processes.iter().map(|process| process.address.clone()).collect()
    }

    pub(crate) async fn report(&self, at: usize) -> Option<StatusReport> {
        let quick = self.client.with_timeout(Duration::from_millis(500));
        quick.status_of(&self.processes[at].address).await.ok()
    }

    /// The place of the member that leads by its own word, in the highest term that anyone mentions.
    pub(crate) async fn leader(&self) -> usize {
        let found = async {
            loop {
                let mut best = None;
                for at in 0..self.processes.len() {
                    if let Some(report) = self.report(at).await
                        && report.role == "leader"
                    {
                        best = best.max(Some((report.term, at)));
                    }
                }
                if let Some((_, at)) = best {
                    return at;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("a leader")
    }

    /// Waits until just these processes vote, and a leader says so.
    pub(crate) async fn whole(&self) {
        let found = async {
            loop {
                let mut living = Vec::new();
                for at in 0..self.processes.len() {
                    living.extend(self.report(at).await);
                }
                let leads = living.iter().find(|report| report.role == "leader");
                let ids: Vec<_> = living.iter().map(|report| report.member).collect();
                if living.len() == self.processes.len()
                    && leads.is_some_and(|leader| {
                        leader.members.len() == ids.len()
                            && leader.members.iter().all(|member| member.voter && ids.contains(&member.id))
                    })
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("a whole group");
    }
}

/// Callers that put numbered jobs in until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    callers: JoinSet<usize>,
}

impl Load {
    pub(crate) fn start(client: &Client<Queue>) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for caller in 0..4 {
            let (client, stop) = (client.clone(), stop.clone());
            callers.spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let job = Command::Enqueue(format!("{caller} {number}"));
                    client.command(job).await.expect("no command fails");
                    number += 1;
                    if number % 8 == 0 {
                        assert!(client.query(Query::Length).await.expect("no query fails") >= number);
                    }
                }
                number
            });
        }
        Load { stop, callers }
    }

    /// Waits until something was answered that was asked now.
    pub(crate) async fn progresses(&self, client: &Client<Queue>) {
        let before = client.query(Query::Length).await.expect("a length");
        let grown = async { while client.query(Query::Length).await.expect("a length") <= before + 20 {} };
        tokio::time::timeout(PATIENCE, grown).await.expect("commands are answered");
    }

    /// Ends it, and says how many jobs were put in.
    pub(crate) async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.join_all().await.into_iter().sum()
    }

    /// Every job is in the queue once, in its caller's order.
    pub(crate) async fn check(self, client: &Client<Queue>) {
        let put = self.stop().await;
        let mut next = [0; 4];
        let mut taken = 0;
        while let Reply::Dequeued(Some(job)) = client.command(Command::Dequeue).await.expect("a job") {
            let (caller, number) = job.split_once(' ').expect("a tag");
            let expected: &mut usize = &mut next[caller.parse::<usize>().expect("a caller")];
            assert_eq!(number.parse::<usize>().expect("a number"), *expected, "of caller {caller}");
            *expected += 1;
            taken += 1;
        }
        assert_eq!(taken, put);
        assert!(taken > 100, "the load was a load: {taken}");
    }
}
