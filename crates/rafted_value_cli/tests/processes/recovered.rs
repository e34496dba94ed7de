//! A majority is lost for good, and an operator goes on from what is left.

use crate::fleet::{Fleet, Load, rafted};
use crate::values::queue::Query;
use crate::verbs::{json, text, wait_for_status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_five_go_on_when_an_operator_gives_three_up() {
    let mut fleet = Fleet::of(5, &[]).await;
    fleet.whole().await;
    let load = Load::start(&fleet.client);
    load.progresses(&fleet.client).await;
    let put = load.stop().await;
    let all: Vec<String> = fleet.processes.iter().map(|process| process.admin.clone()).collect();
    // What only the three have would be lost: here nothing is.
    wait_for_status(&all.join(","), |said| said.iter().all(|status| status["applied"] == said[0]["applied"]));

    // While a majority lives, nothing can be given up.
    let leader = fleet.leader().await;
    let follower = fleet.addresses()[(leader + 1) % 5].clone();
    let admin = all.join(",");
    let force = |admin: &str, more: &[&str]| {
        let verb = ["force-remove-member", "--json", "--timeout", "3s", "--admin", admin];
        json(&[&verb[..], more].concat())
    };
    let (survivors, _) = json(&["survivors", "--json", "--admin", &admin]);
    let entry = format!("{},{}", survivors[0]["last_term"], survivors[0]["last"]);
    let (refused, code) = force(&admin, &["--accept-data-loss", &entry, &follower]);
    assert_eq!(code, Some(1), "{refused}");

    let lost: Vec<String> = [0, 1, 2].iter().map(|more| fleet.addresses()[(leader + more) % 5].clone()).collect();
    for address in &lost {
        let at = fleet.processes.iter().position(|process| process.address == *address).expect("a process");
        fleet.processes.remove(at).kill();
    }
    let lost: Vec<&str> = lost.iter().map(String::as_str).collect();
    let admin = fleet.processes.iter().map(|process| process.admin.as_str()).collect::<Vec<_>>().join(",");

    // The loss is shown before anything is done, and nothing is done without a word about just that entry.
    let (refused, code) = force(&admin, &lost);
    let entry = refused["error"].as_str().and_then(|error| error.rsplit_once(' ')).expect("an entry").1.to_owned();
    assert_eq!(code, Some(1));
    assert!(refused["details"][0].as_str().is_some_and(|heads| heads.ends_with("term,index")), "{refused}");
    let (refused, code) = force(&admin, &[&["--accept-data-loss", "1,1"][..], &lost].concat());
    assert_eq!(code, Some(1), "{refused}");
    let (refused, code) = force(&admin, &[&["--accept-data-loss", &entry][..], &lost[..1]].concat());
    assert_eq!(code, Some(1), "{refused}");

    let verb = ["force-remove-member", "--timeout", "60s", "--admin", &admin, "--accept-data-loss", &entry];
    let output = rafted(&[&verb[..], &lost].concat());
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains(&entry), "{}", text(&output));
    fleet.whole().await;
    assert_eq!(fleet.client.query(Query::Length).await.expect("a length"), put);
    let load = Load::start(&fleet.client);
    load.progresses(&fleet.client).await;
    let more = load.stop().await;
    assert_eq!(fleet.client.query(Query::Length).await.expect("a length"), put + more);
}
