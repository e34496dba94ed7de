//! Members on disk: all processes are killed at once, and start again as they were.

use crate::fleet::{Fleet, Load, Process};
use crate::values::queue::Query;
use std::path::PathBuf;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_processes_are_killed_at_once_and_nothing_is_lost() {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("durable-{}", std::process::id()));
    let dir = |at: usize| root.join(at.to_string()).to_str().expect("a path in text").to_owned();
    let mut fleet = Fleet::of_durable(&[dir(0), dir(1), dir(2)]).await;
    fleet.whole().await;
    let load = Load::start(&fleet.client);
    load.progresses(&fleet.client).await;
    let put = load.stop().await;
    let addresses = fleet.addresses();
    fleet.processes.iter_mut().for_each(Process::kill);
    fleet.processes.clear();
    for (at, address) in addresses.iter().enumerate() {
        fleet.processes.push(Process::spawn(&["--listen", address, "--data-dir", &dir(at)]));
    }
    for process in &mut fleet.processes {
        process.next("ready");
    }
    fleet.whole().await;
    assert_eq!(fleet.client.query(Query::Length).await.expect("a length"), put);
    std::fs::remove_dir_all(root).expect("its own directory");
}
