//! Members on disk, kill -9 of any of them, all of them included, again and again under load.

use crate::fleet::{Load, PATIENCE};
use crate::values::queue::Queue;
use rafted_value::{Client, InsecureTcp, MemberId, StatusReport};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Which of the three are killed in each round.
const ROUNDS: [[bool; 3]; 8] = [
    [true, false, false],
    [true, true, true],
    [false, true, false],
    [false, true, true],
    [true, true, true],
    [true, false, true],
    [false, false, true],
    [true, true, true],
];

/// A process whose member is kept in a directory; killed when dropped.
struct Durable {
    address: String,
    dir: PathBuf,
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Durable {
    /// With more words at its first start; later its directory is enough.
    fn start(listen: &str, dir: PathBuf, first: &[&str]) -> Durable {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rafted"));
        command.args(["serve", "--admin", "none", "--until-input-ends", "--listen", listen, "--data-dir"]);
        let mut child = command.arg(&dir).args(first).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut process = Durable { address: String::new(), dir, child, said };
        process.address = process.next("listening ");
        process
    }

    fn next(&mut self, what: &str) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        let rest = line.trim_end().strip_prefix(what);
        rest.unwrap_or_else(|| panic!("{} said {line:?} instead of {what:?}", self.address)).to_owned()
    }

    fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until all three live and vote, and one of them leads; who they are.
async fn whole(client: &Client<Queue>, processes: &[Durable]) -> Vec<MemberId> {
    let quick = client.with_timeout(Duration::from_millis(500));
    let found = async {
        loop {
            let mut living: Vec<StatusReport> = Vec::new();
            for process in processes {
                living.extend(quick.status_of(&process.address).await);
            }
            let leads = living.iter().find(|report| report.role == "leader");
            let voters = leads.map_or(0, |leader| leader.members.iter().filter(|member| member.voter).count());
            if living.len() == 3 && voters == 3 {
                return living.into_iter().map(|report| report.member).collect();
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("a whole group")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_subset_is_killed_under_load_and_nothing_is_lost_or_done_twice() {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kill-nine-{}", std::process::id()));
    let mut processes: Vec<Durable> = Vec::new();
    for at in 0..3 {
        let join = processes.iter().map(|process| process.address.as_str()).collect::<Vec<_>>().join(",");
        let first = if at == 0 { vec!["--bootstrap"] } else { vec!["--join", &join] };
        let mut process = Durable::start("127.0.0.1:0", root.join(at.to_string()), &first);
        process.next("ready");
        processes.push(process);
    }
    let addresses: Vec<String> = processes.iter().map(|process| process.address.clone()).collect();
    let client = Client::connect(InsecureTcp::dial_only(), "main", addresses).await.expect("a client");
    let client = client.with_timeout(PATIENCE);
    let members = whole(&client, &processes).await;
    let load = Load::start(&client);
    for (round, killed) in ROUNDS.into_iter().enumerate() {
        load.progresses(&client).await;
        let victims: Vec<usize> = (0..3).filter(|at| killed[*at]).collect();
        victims.iter().for_each(|at| processes[*at].kill());
        // In another order each time.
        for n in 0..victims.len() {
            let victim = &mut processes[victims[(n + round) % victims.len()]];
            *victim = Durable::start(&victim.address, victim.dir.clone(), &[]);
        }
        for at in victims {
            processes[at].next("ready");
        }
        assert_eq!(whole(&client, &processes).await, members, "nobody is another, in round {round}");
    }
    load.check(&client).await;
    processes.clear();
    std::fs::remove_dir_all(root).expect("its own directory");
}
