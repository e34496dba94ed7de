//! Real processes over TCP: killed, stopped, swapped, while callers put jobs in.

#[path = "../src/queue.rs"]
mod queue;

use queue::{Command, Jobs, Query};
use rafted_value::{Client, InsecureTcp, StatusReport};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process with one member; killed when dropped.
struct Process {
    address: String,
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    fn start(listen: &str, join: &[String]) -> Process {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rafted"));
        command.args(["member", "--listen", listen]);
        if !join.is_empty() {
            command.args(["--join", &join.join(",")]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut process = Process { address: String::new(), child, said };
        process.address = process.next("listening ");
        process
    }

    fn next(&mut self, what: &str) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        let rest = line.trim_end().strip_prefix(what);
        rest.unwrap_or_else(|| panic!("{} said {line:?} instead of {what:?}", self.address)).to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a signal to a process of this test");
    }

    fn kill(&mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("its end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three processes and a client in this one.
struct Fleet {
    processes: Vec<Process>,
    client: Client<Jobs>,
}

impl Fleet {
    async fn start() -> Fleet {
        let mut processes: Vec<Process> = Vec::new();
        for _ in 0..3 {
            let join: Vec<String> = processes.iter().map(|process| process.address.clone()).collect();
            let mut process = Process::start("127.0.0.1:0", &join);
            process.next("ready");
            processes.push(process);
        }
        let addresses: Vec<String> = processes.iter().map(|process| process.address.clone()).collect();
        let client = Client::connect(InsecureTcp::dial_only(), "jobs", addresses).await.expect("a client");
        Fleet { processes, client: client.with_timeout(PATIENCE) }
    }

    fn addresses(&self) -> Vec<String> {
        self.processes.iter().map(|process| process.address.clone()).collect()
    }

    async fn report(&self, at: usize) -> Option<StatusReport> {
        let quick = self.client.with_timeout(Duration::from_millis(500));
        quick.status_of(&self.processes[at].address).await.ok()
    }

    /// The place of the member that leads by its own word, in the highest term that anyone mentions.
    async fn leader(&self) -> usize {
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
    async fn whole(&self) {
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
struct Load {
    stop: Arc<AtomicBool>,
    callers: JoinSet<usize>,
}

impl Load {
    fn start(client: &Client<Jobs>) -> Load {
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
                }
                number
            });
        }
        Load { stop, callers }
    }

    /// Waits until something was answered that was asked now.
    async fn progresses(&self, client: &Client<Jobs>) {
        let before = client.query(Query::Length).await.expect("a length");
        let grown = async { while client.query(Query::Length).await.expect("a length") <= before + 20 {} };
        tokio::time::timeout(PATIENCE, grown).await.expect("commands are answered");
    }

    /// Every job is in the queue once, in its caller's order.
    async fn check(self, client: &Client<Jobs>) {
        self.stop.store(true, Ordering::Relaxed);
        let put: usize = self.callers.join_all().await.into_iter().sum();
        let mut next = [0; 4];
        let mut taken = 0;
        while let Some(job) = client.command(Command::Dequeue).await.expect("a job") {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_and_leaders_are_killed_under_load_and_nothing_is_lost() {
    let mut fleet = Fleet::start().await;
    let load = Load::start(&fleet.client);
    for round in 0..4 {
        load.progresses(&fleet.client).await;
        let leader = fleet.leader().await;
        let victim = if round % 2 == 0 { (leader + 1) % 3 } else { leader };
        fleet.processes[victim].kill();
        load.progresses(&fleet.client).await;
        let address = fleet.processes[victim].address.clone();
        fleet.processes[victim] = Process::start(&address, &fleet.addresses());
        fleet.processes[victim].next("ready");
        fleet.whole().await;
    }
    load.check(&fleet.client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stands_still_for_longer_than_an_election_follows_when_it_goes_on() {
    let fleet = Fleet::start().await;
    let load = Load::start(&fleet.client);
    for _ in 0..2 {
        load.progresses(&fleet.client).await;
        let leader = fleet.leader().await;
        let before = fleet.report(leader).await.expect("a report").term;
        fleet.processes[leader].signal(Signal::STOP);
        load.progresses(&fleet.client).await;
        let next = fleet.leader().await;
        assert_ne!(next, leader, "another leads while it stands still");
        fleet.processes[leader].signal(Signal::CONT);
        fleet.whole().await;
        let after = fleet.report(leader).await.expect("a report");
        assert!(after.term > before && after.role == "follower", "{after:?}");
    }
    load.check(&fleet.client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_join_and_leave_under_load() {
    let mut fleet = Fleet::start().await;
    let load = Load::start(&fleet.client);
    for _ in 0..3 {
        load.progresses(&fleet.client).await;
        let mut newcomer = Process::start("127.0.0.1:0", &fleet.addresses());
        newcomer.next("ready");
        fleet.processes.push(newcomer);
        fleet.whole().await;
        load.progresses(&fleet.client).await;
        let leader = fleet.leader().await;
        let leaver = (leader + 1) % fleet.processes.len();
        let gone = fleet.report(leaver).await.expect("a report").member;
        fleet.client.remove_follower(gone).await.expect("a removal");
        fleet.processes.remove(leaver);
        fleet.whole().await;
    }
    load.check(&fleet.client).await;
}
