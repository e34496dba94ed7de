//! What is said to a group from a shell, and what comes back.

use crate::fleet::{Fleet, PATIENCE, Process, rafted};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Output;

/// The JSON that the program says, and its exit code.
pub(crate) fn json(arguments: &[&str]) -> (Value, Option<i32>) {
    let output = rafted(arguments);
    let said = serde_json::from_slice(&output.stdout);
    (said.unwrap_or_else(|error| panic!("{error}: {}", text(&output))), output.status.code())
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Asks for the status of the members at these addresses until it is as wanted.
pub(crate) fn wait_for_status(admin: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    wait_for("status", admin, wanted)
}

/// Asks again until the answer is as wanted.
fn wait_for(verb: &str, admin: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let began = std::time::Instant::now();
    loop {
        let (said, _) = json(&[verb, "--json", "--admin", admin]);
        match said {
            Value::Array(said) if wanted(&said) => return said,
            said => assert!(began.elapsed() < PATIENCE, "{said}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_asked_looked_at_and_changed() {
    let fleet = Fleet::start().await;
    fleet.whole().await;
    let at = fleet.addresses().join(",");
    let admins: Vec<&str> = fleet.processes.iter().map(|process| process.admin.as_str()).collect();
    let admin = admins.join(",");

    assert_eq!(text(&rafted(&["command", "--at", &at, "enqueue", "sweep"])), "enqueued\n");
    assert_eq!(json(&["query", "--at", &at, "--json", "length"]).0["answer"], 1);
    assert_eq!(json(&["command", "--at", &at, "--json", "dequeue"]).0["reply"], "sweep");
    assert_eq!(text(&rafted(&["command", "--at", &at, "dequeue"])), "(empty)\n");

    let (groups, _) = json(&["groups", "--json", "--admin", &admin]);
    assert_eq!((&groups[0]["name"], &groups[0]["value"]), (&"main".into(), &"queue".into()));
    let counts =
        |members: &[Value], field: &str, value: &Value| members.iter().filter(|it| it[field] == *value).count();
    let members = wait_for("members", &admin, |members| {
        counts(members, "voter", &true.into()) == 3
            && counts(members, "role", &"leader".into()) == 1
            && counts(members, "role", &"follower".into()) == 2
    });

    let (settings, _) = json(&["change-config", "--json", "--admin", &admin]);
    assert_eq!((&settings["election_timeout"], &settings["on_panic"]), (&"1s".into(), &"keep".into()), "{settings}");
    let change = ["change-config", "--json", "--timeout", "30s", "--admin", &admin];
    let (changed, code) = json(&[&change[..], &["election_timeout=2s", "max_sessions=50"]].concat());
    assert_eq!((changed, code), (serde_json::json!({ "election_timeout": "2s", "max_sessions": "50" }), Some(0)));
    let (settings, _) = json(&change);
    assert_eq!((&settings["max_sessions"], &settings["clock_drift_margin"]), (&"50".into(), &"2s".into()));

    // The follower is named by its address, the leader by the beginning of its id.
    let heir = members.iter().find(|member| member["role"] == "follower").expect("a follower");
    let old = members.iter().find(|member| member["role"] == "leader").expect("a leader");
    let (heir, old) = (heir["address"].as_str().expect("an address"), old["id"].as_str().expect("an id"));
    let (refused, code) = json(&["remove-follower", "--json", "--admin", &admin, &old[..9]]);
    assert_eq!((&refused["conclusion"], code), (&"not done".into(), Some(1)), "{refused}");
    let (leads, code) = json(&["replace-leader", "--json", "--timeout", "30s", "--admin", &admin, heir]);
    assert_eq!((&leads["address"], code), (&heir.into(), Some(0)), "{leads}");
    let leads = |status: &Value| status["role"] == "leader" && status["address"] == heir;
    wait_for_status(&admin, |said| said.iter().any(leads));
    assert_eq!(rafted(&["replace-leader", "--cancel", "--admin", &admin]).status.code(), Some(0));

    let (removed, code) = json(&["remove-follower", "--json", "--timeout", "30s", "--admin", &admin, &old[..9]]);
    assert_eq!((&removed["id"], code), (&old.into(), Some(0)), "{removed}");
    let others: Vec<&str> = fleet
        .processes
        .iter()
        .filter(|process| !removed["address"].eq(&process.address))
        .map(|process| process.admin.as_str())
        .collect();
    wait_for_status(&others.join(","), |said| said.iter().all(|status| status["voters"] == 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_member_is_removed_ends() {
    // It is told: by itself it would ask after ten minutes.
    let mut fleet = Fleet::start_with(&["election_timeout=10min", "heartbeat_interval=200ms"]).await;
    fleet.whole().await;
    let leaver = (fleet.leader().await + 1) % 3;
    let admin = fleet.processes[(leaver + 1) % 3].admin.clone();
    let mut gone = fleet.processes.remove(leaver);
    let output = rafted(&["remove-follower", "--timeout", "30s", "--admin", &admin, &gone.address]);
    assert!(output.status.success(), "{}", text(&output));
    gone.next("stopping: the group has removed this member");
    gone.next("stopped");
    assert_eq!(gone.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_asked_to_end_hands_over_and_ends_well() {
    // Nobody campaigns by himself within this test: whoever leads then was asked to.
    let mut fleet = Fleet::start_with(&["election_timeout=10min", "heartbeat_interval=200ms"]).await;
    for signal in [Signal::TERM, Signal::INT] {
        fleet.whole().await;
        let leader = fleet.leader().await;
        let mut leaver = fleet.processes.remove(leader);
        leaver.signal(signal);
        leaver.next(if signal == Signal::TERM { "stopping: SIGTERM" } else { "stopping: SIGINT" });
        leaver.next("stopped");
        assert_eq!(leaver.wait(), Some(0));
        fleet.leader().await;
        let mut again = Process::start(&leaver.address, &fleet.addresses());
        again.next("ready");
        fleet.processes.push(again);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_is_named() {
    let mut only = Process::start("127.0.0.1:0", &[]);
    only.next("ready");
    let (at, admin) = (only.address.clone(), only.admin.clone());
    let cases: &[(&[&str], i32, &str)] = &[
        (&["serve", "--bootstrap", "--listen", &at, "--admin", "none"], 1, &at),
        (&["serve", "--bootstrap", "--listen", "127.0.0.1:0", "--admin", &admin], 1, &admin),
        (&["serve", "--bootstrap", "--listen", "127.0.0.1:0", "--join", &at], 1, "exists already"),
        (&["serve", "--join", &at, "--listen", "127.0.0.1:0", "--value", "kv"], 1, "type \"queue\""),
        (&["serve", "--join", "127.0.0.1:1", "--listen", "127.0.0.1:0", "--timeout", "1s"], 1, "127.0.0.1:1"),
        (&["serve", "--join", &at, "--listen", "127.0.0.1:0", "--name", "other", "--timeout", "1s"], 1, "\"other\""),
        (&["serve", "--bootstrap", "--listen", "192.0.2.1:7101"], 1, "--insecure-network"),
        (&["serve", "--bootstrap", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"], 1, "--insecure-admin-network"),
        (&["serve", "--bootstrap", "--listen", "nowhere"], 2, "'nowhere'"),
        (&["serve", "--bootstrap", "--listen", "127.0.0.1:65000"], 1, "--admin"),
        (&["serve", "--value", "table", "--bootstrap"], 2, "'table'"),
        (&["serve"], 2, "--bootstrap"),
        (&["command", "--at", &at, "jump"], 2, "enqueue LINE"),
        (&["query", "--at", &at, "length", "of", "it"], 2, "length"),
        (&["query", "--at", &at, "--name", "other", "--timeout", "1s", "length"], 1, "no member of group \"other\""),
        (&["query", "--at", "127.0.0.1:1", "--timeout", "1s", "length"], 1, "127.0.0.1:1"),
        (&["status", "--admin", "127.0.0.1:1"], 1, "127.0.0.1:1: Connection refused"),
        (&["status", "--admin", &admin, "--name", "other"], 1, "no member of group \"other\""),
        (&["remove-follower", "--admin", &admin, "127.0.0.1:1"], 1, "no member \"127.0.0.1:1\""),
        (&["remove-follower", "--admin", &admin, &at], 1, "cannot be removed"),
        (&["change-config", "--admin", &admin, "max_session=1"], 2, "max_sessions"),
        (&["change-config", "--admin", &admin, "max_sessions=0"], 1, "max_sessions"),
        (&["change-config", "--admin", &admin, "leader_hook=bell"], 1, "bell"),
    ];
    for (arguments, code, named) in cases {
        let output = rafted(arguments);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", text(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(named), "{arguments:?}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("rafted: ") || line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_listener_hears_requests_in_json_and_nothing_else() {
    let mut only = Process::start("127.0.0.1:0", &[]);
    only.next("ready");
    let say = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&only.admin).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        // It may have been closed already, by a listener that had enough.
        let _ = stream.write_all(bytes);
        let mut said = String::new();
        let _ = stream.read_to_string(&mut said);
        said
    };
    let request = "{\"verb\":\"groups\",\"timeout_ms\":5000}\n";
    let browser = format!("POST / HTTP/1.1\r\nHost: x\r\n\r\n{request}");
    let answer = say(browser.as_bytes());
    assert_eq!(answer.lines().count(), 1, "{answer}");
    assert!(answer.contains("not understood"), "{answer}");
    assert_eq!(say(&vec![b'['; 1 << 20]), "", "a line without an end is not read to its end");
    assert!(say(b"{\"verb\":\"format-disk\",\"timeout_ms\":1}\n").contains("format-disk"));

    // Two requests on one connection, answered in order; then the end.
    let mut stream = TcpStream::connect(&only.admin).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    stream.write_all(request.repeat(2).as_bytes()).expect("two requests");
    stream.shutdown(std::net::Shutdown::Write).expect("the end");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("two answers");
    assert_eq!(said.lines().filter(|line| line.starts_with("{\"done\":[{\"name\":\"main\"")).count(), 2, "{said}");
}
