//! How users call a group: ids of their own, many commands at once, in order, of one member, and at what is full.

mod common;

use common::{ADDRESSES, Command, Journal, Query, quick, three, three_with};
use rafted_value::{Client, CommandError, CommandId, Config, Group};
use std::time::Duration;

#[tokio::test]
async fn an_id_that_the_caller_gave_is_one_command_whoever_asks_for_it() {
    let three = three().await;
    let id = || CommandId::new("billing", "invoice 17");
    let push = |entry: &str| Command::Push(entry.to_owned());
    let reply = three.groups[0].command_with(id(), push("17")).await.unwrap();
    three.groups[0].command(push("something else")).await.unwrap();
    // Another handle with another session, another process, after another leader.
    assert_eq!(three.groups[1].command_with(id(), push("17")).await.unwrap(), reply);
    let client = Client::<Journal>::connect(three.network.at("client"), "journal", ["c"]).await.unwrap();
    assert_eq!(client.command_with(id(), push("17")).await.unwrap(), reply);
    three.nodes[three.leader().await].stop().await;
    assert_eq!(client.command_with(id(), push("17")).await.unwrap(), reply);

    let error = client.command_with(id(), push("18")).await.unwrap_err();
    assert!(matches!(error, CommandError::IdReused { .. }), "{error:?}");
    let shipping = CommandId::new("shipping", "invoice 17");
    assert_eq!(client.command_with(shipping, push("17")).await.unwrap(), 3, "ids belong to their client");
    assert_eq!(client.query(Query::Length).await.unwrap(), 3);

    for bad in [CommandId::new("", "1"), CommandId::new("billing", "1".repeat(256))] {
        let error = client.command_with(bad, push("never")).await.unwrap_err();
        assert!(matches!(error, CommandError::InvalidId { .. }), "{error:?}");
    }
}

/// Replicated time passes by commands of another handle.
async fn let_sessions_end(other: &Group<Journal>) {
    let begin = other.command(Command::Time).await.unwrap();
    let passing = async { while other.command(Command::Time).await.unwrap() <= begin + 500 {} };
    tokio::time::timeout(Duration::from_secs(20), passing).await.unwrap();
}

fn forgetful() -> Config {
    let mut config = quick();
    config.session_timeout = Duration::from_millis(400);
    config
}

#[tokio::test]
async fn an_idle_handle_whose_session_ended_registers_again_and_nobody_notices() {
    let three = three_with(forgetful()).await;
    let leader = three.leader().await;
    let (idle, other) = (&three.groups[(leader + 1) % 3], &three.groups[leader]);
    assert_eq!(idle.command(Command::Push("first".into())).await.unwrap(), 1);
    let_sessions_end(other).await;
    let before = other.status().await.unwrap().last.0;
    assert_eq!(idle.command(Command::Push("second".into())).await.unwrap(), 2);
    let after = other.status().await.unwrap().last.0;
    assert_eq!(after - before, 3, "refused, registered, applied");
}

#[tokio::test]
async fn an_ended_session_surfaces_on_a_real_retry() {
    let three = three_with(forgetful()).await;
    let leader = three.leader().await;
    let (idle, other) = (three.groups[(leader + 1) % 3].clone(), &three.groups[leader]);
    idle.command(Command::Push("first".into())).await.unwrap();
    // It hears nothing any more, but is heard: the command is applied, its reply is lost.
    three.network.cut(ADDRESSES[leader], ADDRESSES[(leader + 1) % 3]);
    let retried = tokio::spawn({
        let patient = idle.with_timeout(Duration::from_secs(60));
        async move { patient.command(Command::Push("second".into())).await }
    });
    let applied = async { while other.query(Query::Length).await.unwrap() < 2 {} };
    tokio::time::timeout(Duration::from_secs(20), applied).await.unwrap();
    let_sessions_end(other).await;
    three.network.heal_all();
    let error = retried.await.unwrap().unwrap_err();
    assert!(matches!(error, CommandError::SessionExpired { .. }) && error.is_unknown(), "{error:?}");
    assert_eq!(other.query(Query::Length).await.unwrap(), 2, "applied once");
    assert_eq!(idle.command(Command::Push("third".into())).await.unwrap(), 3, "the next call is not affected");
}
