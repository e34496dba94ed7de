//! The hook that a leader runs: what it is told, what it can never hold up, and who must have it.

mod common;

use common::{Command, Dir, Journal, Query, until};
use rafted_value::{ChangeError, Config, Context, Group, LeaderHook, Loopback, MemberId, Node, OpenError, Term, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps what it was told.
#[derive(Clone, Default)]
struct Diary {
    told: Arc<Mutex<Vec<String>>>,
    values: bool,
}

impl Diary {
    fn with_values() -> Diary {
        Diary { values: true, ..Diary::default() }
    }

    fn write(&self, line: String) {
        self.told.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until `line` was told; everything up to there.
    async fn read_until(&self, line: &str) -> Vec<String> {
        until(|| self.lines().iter().any(|told| told == line).then(|| self.lines())).await
    }
}

fn length(value: Option<&Journal>) -> String {
    value.map_or("?".to_owned(), |journal| journal.entries.len().to_string())
}

impl LeaderHook<Journal> for Diary {
    fn wants_values(&self) -> bool {
        self.values
    }

    fn on_command_committed(
        &self,
        before: Option<&Journal>,
        command: &Command,
        reply: &usize,
        after: Option<&Journal>,
        _: &Context,
    ) {
        self.write(format!("{command:?} gave {reply}: {} to {}", length(before), length(after)));
    }

    fn on_query_answered(&self, value: Option<&Journal>, query: &Query, answer: &usize) {
        self.write(format!("{query:?} is {answer} of {}", length(value)));
    }

    fn on_follower_added(&self, value: Option<&Journal>, member: MemberId) {
        self.write(format!("added {member} at {}", length(value)));
    }

    fn on_follower_removed(&self, value: Option<&Journal>, member: MemberId) {
        self.write(format!("removed {member} at {}", length(value)));
    }

    fn on_elected(&self, value: Option<&Journal>, term: Term) {
        self.write(format!("elected in {term} at {}", length(value)));
    }

    fn on_overrun(&self, missed: u64) {
        self.write(format!("missed {missed}"));
    }
}

fn hooked(hook: &str) -> Config {
    let builder = Config::builder().heartbeat_interval(Duration::from_millis(50));
    builder.election_timeout(Duration::from_millis(250)).leader_hook(hook).build().unwrap()
}

async fn node(network: &Loopback, address: &str) -> Node {
    Node::builder().transport(network.at(address)).start().await.unwrap()
}

async fn push(group: &Group<Journal>, entry: &str) {
    group.command(Command::Push(entry.into())).await.unwrap();
}

#[tokio::test]
async fn a_hook_is_told_of_everything_in_order_and_on_the_leader_only() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    let (here, there) = (Diary::default(), Diary::default());
    let first = a.group().hook("diary", here.clone()).config(hooked("diary")).bootstrap().open().await.unwrap();
    push(&first, "x").await;
    let second = b.group::<Journal>().hook("diary", there.clone()).join(["a"]).open().await.unwrap();
    push(&second, "y").await;
    // Asked where the member leads, and where it does not.
    assert_eq!(first.query(Query::Length).await.unwrap(), 2);
    assert_eq!(second.query(Query::Length).await.unwrap(), 2);
    first.remove_follower(second.member()).await.unwrap();
    push(&first, "z").await;

    let told = here.read_until("Push(\"z\") gave 3: ? to ?").await;
    let expected = [
        "elected in 2 at ?".to_owned(),
        "Push(\"x\") gave 1: ? to ?".to_owned(),
        format!("added {} at ?", second.member()),
        "Push(\"y\") gave 2: ? to ?".to_owned(),
        "Length is 2 of ?".to_owned(),
        "Length is 2 of ?".to_owned(),
        format!("removed {} at ?", second.member()),
        "Push(\"z\") gave 3: ? to ?".to_owned(),
    ];
    assert_eq!(told, expected);
    assert!(there.lines().is_empty(), "a follower tells nothing: {:?}", there.lines());
}

#[tokio::test]
async fn a_hook_that_wants_values_sees_those_before_and_after() {
    let network = Loopback::new();
    let a = node(&network, "a").await;
    let diary = Diary::with_values();
    let group = a.group().hook("diary", diary.clone()).config(hooked("diary")).bootstrap().open().await.unwrap();
    push(&group, "x").await;
    assert_eq!(group.query(Query::Length).await.unwrap(), 1);
    group.command(Command::Panic("left behind".into())).await.unwrap_err();
    push(&group, "y").await;
    let told = diary.read_until("Push(\"y\") gave 3: 2 to 3").await;
    let expected =
        ["elected in 2 at 0", "Push(\"x\") gave 1: 0 to 1", "Length is 1 of 1", "Push(\"y\") gave 3: 2 to 3"];
    assert_eq!(told, expected, "and nothing of the command that panicked");
}

#[tokio::test]
async fn the_next_leader_runs_its_own_and_is_not_told_of_what_came_with_the_value() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    let (old, new) = (Diary::default(), Diary::with_values());
    let first = a.group().hook("diary", old.clone()).config(hooked("diary")).bootstrap().open().await.unwrap();
    push(&first, "by the first").await;
    let second = b.group::<Journal>().hook("diary", new.clone()).join(["a"]).open().await.unwrap();
    push(&first, "seen by both").await;
    assert_eq!(second.read(|journal| journal.entries.len()).await.unwrap(), 2, "it knows what is committed");
    second.replace_leader(Some(second.member())).await.unwrap();
    push(&first, "by the second").await;

    let told = new.read_until("Push(\"by the second\") gave 3: 2 to 3").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("elected in ") && told[0].ends_with(" at 2"), "{told:?}");
    assert!(!old.lines().iter().any(|line| line.contains("by the second")), "{:?}", old.lines());
}

#[tokio::test]
async fn what_a_restart_brings_back_is_not_told_again_and_takes_the_hook_to_begin() {
    let (network, dir) = (Loopback::new(), Dir::new());
    let a = async || Node::builder().transport(network.at("a")).data_dir(dir.of("a")).start().await.unwrap();
    let first = a().await;
    let diary = Diary::default();
    let group = first.group().hook("diary", diary.clone()).config(hooked("diary")).bootstrap().open().await.unwrap();
    push(&group, "told").await;
    diary.read_until("Push(\"told\") gave 1: ? to ?").await;
    first.crash().await;

    let second = a().await;
    let error = second.group::<Journal>().hook("other", Diary::default()).open().await.err().unwrap();
    assert!(matches!(&error, OpenError::NoSuchHook { hook, .. } if hook == "diary"), "{error}");
    let diary = Diary::with_values();
    let group = second.group::<Journal>().hook("diary", diary.clone()).open().await.unwrap();
    push(&group, "after the restart").await;
    let told = diary.read_until("Push(\"after the restart\") gave 2: 1 to 2").await;
    assert!(told.len() == 2 && told[0].starts_with("elected in ") && told[0].ends_with(" at 1"), "{told:?}");
}

/// Stands still until it is let go.
struct Stuck {
    diary: Diary,
    let_go: Arc<AtomicBool>,
}

impl LeaderHook<Journal> for Stuck {
    fn on_command_committed(
        &self,
        _: Option<&Journal>,
        command: &Command,
        _: &usize,
        _: Option<&Journal>,
        _: &Context,
    ) {
        while !self.let_go.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        self.diary.write(format!("{command:?}"));
    }

    fn on_overrun(&self, missed: u64) {
        self.diary.on_overrun(missed);
    }
}

#[tokio::test]
async fn a_hook_that_never_returns_holds_up_nobody_and_hears_how_much_it_missed() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    let (diary, let_go) = (Diary::default(), Arc::new(AtomicBool::new(false)));
    let stuck = Stuck { diary: diary.clone(), let_go: let_go.clone() };
    let group = a.group().hook("stuck", stuck).config(hooked("stuck")).bootstrap().open().await.unwrap();
    b.group::<Journal>().hook("stuck", Diary::default()).join(["a"]).open().await.unwrap();
    let term = group.status().await.unwrap().term;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let group = group.clone();
        callers.spawn(async move {
            for n in 0..100 {
                push(&group, &n.to_string()).await;
            }
        });
    }
    callers.join_all().await;
    assert_eq!(group.query(Query::Length).await.unwrap(), 5000);
    assert_eq!(group.status().await.unwrap().term, term, "nobody campaigned");

    // One is being told and 4,096 wait; the rest is counted, and the hook hears of it before anything newer.
    let_go.store(true, Ordering::Relaxed);
    until(|| (diary.told.lock().unwrap().len() >= 4096).then_some(())).await;
    push(&group, "afterwards").await;
    let told = diary.read_until("Push(\"afterwards\")").await;
    let missed: usize = told.iter().filter_map(|line| line.strip_prefix("missed ")?.parse::<usize>().ok()).sum();
    let heard = told.iter().filter(|line| line.starts_with("Push")).count();
    assert!(heard >= 4096 && missed > 0, "{heard} heard, {missed} missed");
    assert_eq!(heard + missed, 5001 + 1, "the commands and the query");
}

/// Panics at every turn.
struct Clumsy(Diary);

impl LeaderHook<Journal> for Clumsy {
    fn on_command_committed(
        &self,
        _: Option<&Journal>,
        command: &Command,
        _: &usize,
        _: Option<&Journal>,
        _: &Context,
    ) {
        self.0.write(format!("{command:?}"));
        panic!("a clumsy hook");
    }

    fn on_elected(&self, _: Option<&Journal>, _: Term) {
        panic!("a clumsy hook");
    }

    fn wants_values(&self) -> bool {
        panic!("a clumsy hook");
    }
}

#[tokio::test]
async fn a_panic_in_a_hook_ends_that_call_only() {
    let network = Loopback::new();
    let a = node(&network, "a").await;
    let diary = Diary::default();
    let clumsy = Clumsy(diary.clone());
    let group = a.group().hook("clumsy", clumsy).config(hooked("clumsy")).bootstrap().open().await.unwrap();
    push(&group, "one").await;
    push(&group, "two").await;
    assert_eq!(diary.read_until("Push(\"two\")").await, ["Push(\"one\")", "Push(\"two\")"]);
    assert_eq!(group.query(Query::Length).await.unwrap(), 2);
}

#[tokio::test]
async fn a_member_without_the_hook_may_not_be_in_the_group() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    let error = a.group::<Journal>().config(hooked("diary")).bootstrap().open().await.err().unwrap();
    assert!(matches!(&error, OpenError::NoSuchHook { hook, .. } if hook == "diary"), "{error}");

    let diary = Diary::default();
    let group = a.group().hook("diary", diary).config(hooked("diary")).bootstrap().open().await.unwrap();
    let error = b.group::<Journal>().hook("other", Diary::default()).join(["a"]).open().await.err().unwrap();
    assert!(matches!(&error, OpenError::NoSuchHook { hook, .. } if hook == "diary"), "{error}");
    assert_eq!(group.status().await.unwrap().members.len(), 1, "nobody was taken in");
    b.group::<Journal>().hook("diary", Diary::default()).join(["a"]).open().await.unwrap();
}

#[tokio::test]
async fn settings_whose_hook_some_member_lacks_are_refused_by_its_name() {
    let network = Loopback::new();
    let (a, b) = (node(&network, "a").await, node(&network, "b").await);
    let (one, other) = (Diary::default(), Diary::default());
    let opening = a.group().hook("one", one.clone()).hook("other", other.clone()).config(hooked("one"));
    let group = opening.bootstrap().open().await.unwrap();
    let second = b.group::<Journal>().hook("one", Diary::default()).join(["a"]).open().await.unwrap();

    let before = group.status().await.unwrap().last;
    let error = group.change_config(&hooked("other")).await.unwrap_err();
    let named = matches!(&error, ChangeError::NoSuchHook { member, hook, .. }
        if *member == second.member() && hook == "other");
    assert!(named, "{error}");
    assert_eq!(group.status().await.unwrap().last, before, "a refusal leaves no trace");

    // Asked through the other member: the refusal travels.
    let error = second.change_config(&hooked("third")).await.unwrap_err();
    assert!(matches!(&error, ChangeError::NoSuchHook { hook, .. } if hook == "third"), "{error}");

    second.node().stop().await;
    group.remove_follower(second.member()).await.unwrap();
    push(&group, "x").await;
    group.change_config(&hooked("other")).await.unwrap();
    push(&group, "y").await;
    let mut none = hooked("other");
    none.leader_hook = None;
    group.change_config(&none).await.unwrap();
    push(&group, "z").await;
    other.read_until("Push(\"y\") gave 2: ? to ?").await;
    let lines = [one.lines(), other.lines()].concat();
    let pushes: Vec<_> = lines.iter().filter(|line| line.starts_with("Push")).collect();
    assert_eq!(pushes, ["Push(\"x\") gave 1: ? to ?", "Push(\"y\") gave 2: ? to ?"], "each by the hook in force");
}

#[tokio::test]
async fn names_that_no_config_can_choose_are_refused() {
    let network = Loopback::new();
    let a = node(&network, "a").await;
    for name in [String::new(), "x".repeat(256)] {
        let error = a.group().hook(name, Diary::default()).bootstrap().open().await.err().unwrap();
        assert!(matches!(error, OpenError::InvalidHooks { .. }), "{error}");
    }
    let many = (0..65).fold(a.group(), |group, n| group.hook(n.to_string(), Diary::default()));
    assert!(matches!(many.bootstrap().open().await.err().unwrap(), OpenError::InvalidHooks { .. }));
}

/// Counts what it costs.
#[derive(Default)]
struct Counted(u64);

static CLONES: AtomicU64 = AtomicU64::new(0);
static ENCODINGS: AtomicU64 = AtomicU64::new(0);

impl Clone for Counted {
    fn clone(&self) -> Counted {
        CLONES.fetch_add(1, Ordering::Relaxed);
        Counted(self.0)
    }
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Counted, D::Error> {
        u64::deserialize(deserializer).map(Counted)
    }
}

#[derive(Deserialize)]
struct Look;

impl Serialize for Look {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODINGS.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_unit_struct("Look")
    }
}

impl Value for Counted {
    const NAME: &'static str = "counted";
    type Command = ();
    type Reply = ();
    type Query = Look;
    type Answer = u64;

    fn new() -> Counted {
        Counted(0)
    }

    fn command(&mut self, (): (), _: &Context) {
        self.0 += 1;
    }

    fn query(&self, _: Look) -> u64 {
        self.0
    }
}

struct Bystander {
    wants_values: bool,
    told: std::sync::mpsc::Sender<u64>,
}

impl LeaderHook<Counted> for Bystander {
    fn wants_values(&self) -> bool {
        self.wants_values
    }

    fn on_query_answered(&self, _: Option<&Counted>, _: &Look, answer: &u64) {
        let _ = self.told.send(*answer);
    }
}

/// What ten commands and ten queries under a lease cost: clones of the value, and encodings of queries.
async fn cost(hook: Option<bool>) -> (u64, u64) {
    let a = Node::builder().start().await.unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let mut config = Config::default();
    let mut opening = a.group::<Counted>();
    if let Some(wants_values) = hook {
        config.leader_hook = Some("bystander".into());
        opening = opening.hook("bystander", Bystander { wants_values, told });
    }
    config.clock_drift_margin = Duration::from_millis(100);
    let group = opening.config(config).bootstrap().open().await.unwrap();
    group.command(()).await.unwrap();
    until(|| group.has_lease().then_some(())).await;
    let before = (CLONES.load(Ordering::Relaxed), ENCODINGS.load(Ordering::Relaxed));
    for n in 2..12 {
        group.command(()).await.unwrap();
        assert_eq!(group.query(Look).await.unwrap(), n);
    }
    if hook.is_some() {
        until(|| heard.try_recv().ok().filter(|answer| *answer == 11)).await;
    }
    let after = (CLONES.load(Ordering::Relaxed), ENCODINGS.load(Ordering::Relaxed));
    (after.0 - before.0, after.1 - before.1)
}

#[tokio::test]
async fn values_are_copied_only_for_a_hook_that_wants_them_and_without_one_a_read_costs_nothing() {
    let (clones, encodings) = cost(None).await;
    assert_eq!(clones, 0);
    // A read that meets a command goes through the loop, and is encoded for that.
    assert!(encodings < 10, "{encodings}");
    let (clones, encodings) = cost(Some(false)).await;
    assert!(clones == 0 && encodings >= 10, "{clones} clones, {encodings} encodings");
    let (clones, _) = cost(Some(true)).await;
    assert_eq!(clones, 10 * 2 + 10, "before and after each command, and for each query");
}
