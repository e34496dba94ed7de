//! How users call a group: ids of their own, many commands at once, in order, of one member, and at what is full.

mod common;

use common::{Command, Journal, Query, three};
use rafted_value::{Client, CommandError, CommandId};

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
