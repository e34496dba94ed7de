//! Members are killed, stopped and swapped, while callers put jobs in.

use crate::fleet::{Fleet, Load, Process};
use rustix::process::Signal;

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
