//! Builds of two versions of a value's type in one group, and on one disk after another.

mod common;

use common::{Dir, quick};
use rafted_value::{CannotUpgrade, CommandError, Context, Group, Loopback, Node, OldValue, OpenError, Value};
use serde::{Deserialize, Serialize};

/// The first build: counts kilograms.
#[derive(Clone, Serialize, Deserialize)]
struct Kilograms {
    kilograms: u64,
}

#[derive(Serialize, Deserialize)]
enum OldCommand {
    Add(u64),
}

impl Value for Kilograms {
    const NAME: &'static str = "stock";
    type Command = OldCommand;
    type Reply = u32;
    type Query = ();
    type Answer = u64;

    fn new() -> Kilograms {
        Kilograms { kilograms: 0 }
    }

    fn command(&mut self, OldCommand::Add(kilograms): OldCommand, context: &Context) -> u32 {
        self.kilograms += kilograms;
        context.version()
    }

    fn query(&self, (): ()) -> u64 {
        self.kilograms * 1000
    }
}

/// The next build: counts grams, and knows another command.
#[derive(Clone, Serialize, Deserialize)]
struct Grams {
    grams: u64,
}

#[derive(Serialize, Deserialize)]
enum Command {
    Add(u64),
    AddGrams(u64),
}

impl Value for Grams {
    const NAME: &'static str = "stock";
    const VERSION: u32 = 1;
    type Command = Command;
    type Reply = u32;
    type Query = ();
    type Answer = u64;

    fn new() -> Grams {
        Grams { grams: 0 }
    }

    fn command(&mut self, command: Command, context: &Context) -> u32 {
        self.grams += match command {
            Command::Add(kilograms) => kilograms * 1000,
            Command::AddGrams(grams) => grams,
        };
        context.version()
    }

    fn query(&self, (): ()) -> u64 {
        self.grams
    }

    fn upgrade(old: OldValue<'_>) -> Result<Grams, CannotUpgrade> {
        let Kilograms { kilograms } = match old.version() {
            0 => old.decode()?,
            other => return Err(CannotUpgrade::because(format!("version {other} never was"))),
        };
        Ok(Grams { grams: kilograms * 1000 })
    }

    fn since(command: &Command) -> u32 {
        match command {
            Command::Add(_) => 0,
            Command::AddGrams(_) => 1,
        }
    }
}

async fn node(network: &Loopback, address: &str) -> Node {
    Node::builder().transport(network.at(address)).start().await.unwrap()
}

/// What both say, each from its own copy.
async fn grams(old: &Group<Kilograms>, new: &Group<Grams>) -> (u64, u64) {
    let old = old.read(|stock| stock.kilograms * 1000).await.unwrap();
    (old, new.read(|stock| stock.grams).await.unwrap())
}

#[tokio::test]
async fn members_are_upgraded_one_by_one_and_what_is_new_waits_for_the_last() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    let old = a.group::<Kilograms>().config(quick()).bootstrap().open().await.unwrap();
    old.command(OldCommand::Add(2)).await.unwrap();

    // The new build reads the old build's value, and both go on.
    let new = b.group::<Grams>().join(["a"]).open().await.unwrap();
    assert_eq!(new.command(Command::Add(3)).await.unwrap(), 0, "what every member knows");
    assert_eq!(old.command(OldCommand::Add(1)).await.unwrap(), 0);
    assert_eq!(grams(&old, &new).await, (6000, 6000));

    // Whoever leads: what only one of them knows is applied by neither.
    for leader in [old.member(), new.member()] {
        if new.leader().is_some_and(|it| it.address == "a") != (leader == old.member()) {
            new.replace_leader(Some(leader)).await.unwrap();
        }
        let error = new.command(Command::AddGrams(5)).await.unwrap_err();
        assert!(matches!(error, CommandError::Undecodable { .. }) && error.is_not_applied(), "{error}");
        assert_eq!(grams(&old, &new).await, (6000, 6000));
    }
    let report = new.status().await.unwrap();
    let versions: Vec<u32> = report.members.iter().map(|member| member.value_version).collect();
    assert!(report.value_version == 0 && versions.contains(&0) && versions.contains(&1), "{report:?}");

    // The last one goes, and with it what held back.
    a.remove_group("stock").await.unwrap();
    assert_eq!(new.command(Command::AddGrams(5)).await.unwrap(), 1);
    assert_eq!(new.query(()).await.unwrap(), 6005);
    assert_eq!(new.status().await.unwrap().value_version, 1);

    // There is no way back.
    let c = node(&network, "c").await;
    let error = c.group::<Kilograms>().join(["b"]).open().await.err().unwrap();
    let said = error.to_string();
    assert!(matches!(error, OpenError::OlderValue { needed: 1, known: 0, .. }), "{said}");
    assert!(said.contains("version 1") && said.contains("version 0"), "{said}");
    c.group::<Grams>().join(["b"]).open().await.unwrap();
}

#[tokio::test]
async fn what_an_old_build_kept_on_disk_is_read_by_a_new_one_and_never_the_other_way_round() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let start = async || Node::builder().transport(network.at("a")).data_dir(dir.of("a")).start().await.unwrap();
    let a = start().await;
    let old =
        a.group::<Kilograms>().initial(Kilograms { kilograms: 7 }).config(quick()).bootstrap().open().await.unwrap();
    old.command(OldCommand::Add(2)).await.unwrap();
    a.stop().await;

    let a = start().await;
    let new = a.group::<Grams>().open().await.unwrap();
    assert_eq!(new.query(()).await.unwrap(), 9000);
    a.remove_group("stock").await.unwrap();
    a.group::<Grams>().config(quick()).bootstrap().open().await.unwrap();
    a.stop().await;

    let a = start().await;
    let error = a.group::<Kilograms>().open().await.err().unwrap();
    let said = error.to_string();
    assert!(matches!(error, OpenError::Damaged { .. }), "{said}");
    assert!(said.contains("version 1") && said.contains("version 0"), "{said}");
}
