//! What is said to input that cannot be used: the thing is named, and nothing is lost.

mod common;

use common::{Command, Journal, Query, quick};
use rafted_value::{Client, CommandError, Config, Context, InsecureTcp, Loopback, Node, OpenError, Value};
use std::time::Duration;

/// Another value under the same name of a group.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
struct Other;

impl Value for Other {
    const NAME: &'static str = "other";
    type Command = ();
    type Reply = ();
    type Query = ();
    type Answer = ();

    fn new() -> Other {
        Other
    }

    fn command(&mut self, (): (), _context: &Context) {}

    fn query(&self, (): ()) {}
}

async fn node(network: &Loopback, address: &str) -> Node {
    Node::builder().transport(network.at(address)).start().await.unwrap()
}

#[tokio::test]
async fn a_group_that_nobody_hosts_is_not_found_and_every_address_is_named() {
    let network = Loopback::new();
    let a = node(&network, "a").await;
    let opening = a.group::<Journal>().join(["nowhere", "elsewhere"]).timeout(Duration::from_millis(300));
    let error = opening.open().await.err().unwrap();
    let said = error.to_string();
    assert!(
        matches!(error, OpenError::NoAnswer { .. }) && said.contains("nowhere") && said.contains("elsewhere"),
        "{said}"
    );
    assert!(a.groups().is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn a_group_without_origin_is_refused() {
    let network = Loopback::new();
    let a = node(&network, "a").await;
    let error = a.group::<Journal>().open().await.err().unwrap();
    assert!(matches!(error, OpenError::NothingToOpen { .. }), "{error}");
    let error = a.group::<Journal>().name("").bootstrap().open().await.err().unwrap();
    assert!(matches!(error, OpenError::InvalidName { .. }), "{error}");
}

#[tokio::test]
async fn a_group_is_founded_once() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    a.group::<Journal>().bootstrap().open().await.unwrap();
    let error = b.group::<Journal>().bootstrap().join(["a"]).open().await.err().unwrap();
    assert!(matches!(&error, OpenError::AlreadyExists { address, .. } if address == "a"), "{error}");
}

#[tokio::test]
async fn a_group_of_another_value_is_refused_by_both_names() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    let journal = a.group::<Journal>().config(quick()).name("group").bootstrap().open().await.unwrap();
    let error = b.group::<Other>().name("group").join(["a"]).open().await.err().unwrap();
    let said = error.to_string();
    assert!(said.contains("journal") && said.contains("other"), "{said}");
    let error = a.group::<Other>().name("group").bootstrap().open().await.err().unwrap();
    assert!(matches!(error, OpenError::OtherValue { .. }), "{error}");
    journal.command(Command::Push("still there".into())).await.unwrap();
    assert_eq!(journal.status().await.unwrap().members.len(), 1, "nobody was taken in");
}

#[tokio::test]
async fn a_config_that_cannot_be_used_names_the_field() {
    let error = Config::builder().election_timeout(Duration::from_millis(1)).build().unwrap_err();
    assert_eq!(error.field, "election_timeout");
    let network = Loopback::new();
    let a = node(&network, "a").await;
    let mut config = Config::default();
    config.heartbeat_interval = Duration::ZERO;
    let error = a.group::<Journal>().config(config).bootstrap().open().await.err().unwrap();
    assert!(error.to_string().contains("heartbeat_interval"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_and_a_port_for_everybody_are_named() {
    let first = Node::builder().transport(InsecureTcp::listen("127.0.0.1:0")).start().await.unwrap();
    let error = Node::builder().transport(InsecureTcp::listen(first.address())).start().await.err().unwrap();
    assert!(error.to_string().contains(&first.address()), "{error}");
    let error = Node::builder().transport(InsecureTcp::listen("0.0.0.0:0")).start().await.err().unwrap();
    assert!(error.to_string().contains("on_untrusted_networks"), "{error}");
    let network = Loopback::new();
    let _a = node(&network, "a").await;
    let error = Node::builder().transport(network.at("a")).start().await.err().unwrap();
    assert!(error.to_string().contains("`a`"), "{error}");
}

#[tokio::test]
async fn two_clusters_do_not_meet() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    a.group::<Journal>().bootstrap().open().await.unwrap();
    b.group::<Journal>().name("another").bootstrap().open().await.unwrap();
    assert_ne!(a.cluster(), b.cluster());
    let opening = b.group::<Journal>().join(["a"]).timeout(Duration::from_millis(300));
    assert!(opening.open().await.is_err());
}

#[tokio::test]
async fn after_a_node_has_ended_its_handles_say_so() {
    let network = Loopback::new();
    let a = node(&network, "a").await;
    let journal = a.group::<Journal>().bootstrap().open().await.unwrap();
    journal.command(Command::Push("x".into())).await.unwrap();
    a.crash().await;
    let error = journal.command(Command::Push("y".into())).await.unwrap_err();
    assert!(matches!(error, CommandError::Stopped { .. }) && error.is_not_applied(), "{error}");
    assert!(journal.query(Query::Length).await.is_err());
    assert!(journal.status().await.is_err());
}

#[tokio::test]
async fn a_group_that_could_not_be_founded_in_time_is_not_there() {
    let network = Loopback::new();
    let node = Node::builder().transport(network.at("a")).start().await.unwrap();
    let mut late = 0;
    for n in 0..20 {
        let name = format!("group {n}");
        let opening = node.group::<Journal>().name(&name).bootstrap();
        let Err(error) = opening.timeout(Duration::ZERO).open().await else { continue };
        assert!(matches!(error, OpenError::NoAnswer { .. }), "{error:?}");
        late += 1;
        // It takes a moment to end.
        let client = Client::<Journal>::connect(network.at(format!("client {n}")), &name, ["a"]).await.unwrap();
        let gone = async {
            while client.status_of("a").await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("nothing of it is left");
        node.group::<Journal>().name(&name).bootstrap().open().await.expect("the name is free");
    }
    assert!(late > 0, "no time at all was always enough");
}
