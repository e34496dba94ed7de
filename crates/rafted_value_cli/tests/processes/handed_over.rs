//! Leadership goes from one member to another on purpose, while callers put jobs in: no call fails.

use crate::fleet::{Fleet, Load, Process};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_round_under_load_and_no_call_fails() {
    // Elections are far away: only a transfer makes a leader.
    let fleet = Fleet::start_with(&["election_timeout=10min", "heartbeat_interval=200ms"]).await;
    let load = Load::start(&fleet.client);
    for _ in 0..6 {
        load.progresses(&fleet.client).await;
        let heir = (fleet.leader().await + 1) % 3;
        let member = fleet.report(heir).await.expect("a report").member;
        fleet.client.replace_leader(Some(member)).await.expect("a transfer");
        load.progresses(&fleet.client).await;
        assert_eq!(fleet.leader().await, heir);
    }
    load.check(&fleet.client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_are_restarted_one_by_one_twice_under_load_and_no_call_fails() {
    let mut fleet = Fleet::start().await;
    fleet.whole().await;
    let load = Load::start(&fleet.client);
    for at in [0, 1, 2, 0, 1, 2] {
        load.progresses(&fleet.client).await;
        fleet.processes[at].signal(Signal::TERM);
        assert_eq!(fleet.processes[at].wait(), Some(0));
        let address = fleet.processes[at].address.clone();
        fleet.processes[at] = Process::start(&address, &fleet.addresses());
        fleet.processes[at].next("ready");
        fleet.whole().await;
    }
    load.check(&fleet.client).await;
}
