//! How users call a group: ids of their own, many commands at once, in order, of one member, and at what is full.

mod common;

use common::{ADDRESSES, Command, Journal, Query, quick, refusal, three, three_with, unhurried};
use rafted_value::{
    Client, CommandError, CommandId, Config, Group, InsecureTcp, LogIndex, MemberId, Node, QueryError, StatusError,
};
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

#[tokio::test]
async fn what_is_full_says_busy_at_once_to_who_only_tries_and_lets_others_wait() {
    let mut config = unhurried();
    (config.max_command_bytes, config.max_uncommitted_bytes) = (2_000, 10_000);
    let three = three_with(config).await;
    let leader = three.leader().await;
    let group = three.groups[leader].with_timeout(Duration::from_secs(60));
    group.command(Command::Push("first".into())).await.unwrap();
    three.isolate(leader);
    let mut trying = tokio::task::JoinSet::new();
    for n in 0..40 {
        let trial = group.clone();
        trying.spawn(async move { trial.try_command(Command::Push("x".repeat(1_000) + &n.to_string())).await });
        // One after the other: whatever waits together is one entry, and something always fits.
        tokio::task::yield_now().await;
        group.status().await.unwrap();
    }
    // Some have their place and wait for a majority. The others are told.
    for _ in 0..20 {
        let told = tokio::time::timeout(Duration::from_secs(20), trying.join_next()).await.expect("at once");
        let error = told.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, CommandError::Busy { .. }) && error.is_not_applied(), "{error:?}");
    }
    let hurried = group.with_timeout(Duration::from_millis(300));
    let waited = refusal(async || hurried.command(Command::Push("y".repeat(1_000))).await, CommandError::is_unknown);
    assert!(matches!(waited.await, CommandError::Busy { .. }));
    let patient = tokio::spawn({
        let group = group.clone();
        async move { group.command(Command::Push("z".repeat(1_000))).await }
    });
    three.network.heal_all();
    patient.await.unwrap().unwrap();
    let applied = trying.join_all().await.into_iter().filter(Result::is_ok).count();
    let all = group.query(Query::Length).await.unwrap();
    assert_eq!(all, 1 + applied + 1, "what was told that it was not applied is not");
}

#[tokio::test]
async fn many_commands_in_one_call_are_applied_in_order_and_each_has_its_own_outcome() {
    let mut config = quick();
    config.max_command_bytes = 1_000;
    let three = three_with(config).await;
    let push = |entry: &str| Command::Push(entry.to_owned());
    for group in &three.groups {
        let before = group.query(Query::Length).await.unwrap();
        let commands = [push("a"), push(&"x".repeat(2_000)), Command::Panic("b".into()), push("c")];
        let outcomes = group.commands(commands).await;
        assert!(
            matches!(
                &outcomes[..],
                [Ok(a), Err(CommandError::TooLarge { .. }), Err(CommandError::Panicked { .. }), Ok(c)]
                    if (*a, *c) == (before + 1, before + 3)
            ),
            "{outcomes:?}"
        );
        assert_eq!(group.commands([]).await, []);
    }
    // More than travel together.
    let before = three.groups[0].query(Query::Length).await.unwrap();
    let client = Client::<Journal>::connect(three.network.at("client"), "journal", ["c"]).await.unwrap();
    let outcomes = client.commands((0..10_000).map(|n| Command::Push(n.to_string()))).await;
    let expected: Vec<_> = (1..=10_000).map(|n| Ok(before + n)).collect();
    assert_eq!(outcomes, expected);
    let pushed = three.groups[0].read(|journal| journal.entries[before..].to_vec()).await.unwrap();
    assert!(pushed.iter().enumerate().all(|(n, entry)| *entry == n.to_string()));
}

#[tokio::test]
async fn many_commands_survive_a_leader_in_order_and_once() {
    let three = three().await;
    let leader = three.leader().await;
    let caller = three.groups[(leader + 1) % 3].with_timeout(Duration::from_secs(60));
    let load = tokio::spawn(async move {
        for lot in 0..40 {
            let commands = (0..100).map(|n| Command::Push((lot * 100 + n).to_string()));
            for outcome in caller.commands(commands).await {
                outcome.expect("each is applied");
            }
        }
    });
    let watching = &three.groups[(leader + 2) % 3];
    three.until(|| (watching.applied().0 > 20).then_some(())).await;
    three.nodes[leader].crash().await;
    load.await.unwrap();
    let entries = watching.read(|journal| journal.entries.clone()).await.unwrap();
    assert_eq!(entries, (0..4_000).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_ordered_handle_keeps_its_order_through_failovers_and_callers_that_give_up() {
    let three = three().await;
    let leader = three.leader().await;
    let other = &three.groups[(leader + 1) % 3];
    let ordered = other.ordered().with_timeout(Duration::from_secs(60));
    let mut replies = Vec::new();
    for n in 0..2_000 {
        let command = ordered.clone().command(Command::Push(n.to_string()));
        match n % 10 {
            // Given, and never asked for.
            3 => drop(command),
            _ => replies.push(tokio::spawn(command)),
        }
        if n == 1_000 {
            three.until(|| (other.applied().0 > 6).then_some(())).await;
            three.nodes[leader].crash().await;
        }
    }
    let mut last = 0;
    for reply in replies {
        let place = reply.await.unwrap().unwrap();
        assert!(place > last, "each saw those before it");
        last = place;
    }
    let entries = other.read(|journal| journal.entries.clone()).await.unwrap();
    let numbers: Vec<usize> = entries.iter().map(|entry| entry.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "in order and once");
    assert!((1_800..=2_000).contains(&numbers.len()), "those that nobody waits for may be left out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordered_handle_serves_one_command_right_after_the_other() {
    let node = Node::builder().start().await.unwrap();
    let group = node.group::<Journal>().bootstrap().open().await.unwrap();
    let ordered = group.ordered();
    let serving = tokio::spawn(async move {
        // The line comes to its end just when something is given to it again.
        for n in 1..=10_000 {
            assert_eq!(ordered.command(Command::Push(String::new())).await, Ok(n));
        }
    });
    serving.await.unwrap();
}

#[tokio::test]
async fn what_an_ordered_handle_gave_up_keeps_its_place_and_what_never_left_is_not_applied() {
    let three = three_with(unhurried()).await;
    let group = &three.groups[three.leader().await];
    let ordered = group.ordered();
    ordered.command(Command::Push("first".into())).await.unwrap();
    three.isolate(three.leader().await);
    let before = group.status().await.unwrap().last;
    let stuck = tokio::spawn(ordered.with_timeout(Duration::from_secs(1)).command(Command::Push("stuck".into())));
    let sent = async { while group.status().await.unwrap().last == before {} };
    tokio::time::timeout(Duration::from_secs(20), sent).await.unwrap();

    let hurried = ordered.with_timeout(Duration::from_millis(100));
    let behind = hurried.command(Command::Push("behind".into())).await.unwrap_err();
    assert!(matches!(behind, CommandError::NotSent { .. }) && behind.is_not_applied(), "{behind:?}");
    let gave_up = stuck.await.unwrap().unwrap_err();
    assert!(matches!(gave_up, CommandError::Timeout { .. }), "{gave_up:?}");
    three.network.heal_all();
    ordered.with_timeout(Duration::from_secs(30)).command(Command::Push("last".into())).await.unwrap();
    let entries = group.read(|journal| journal.entries.clone()).await.unwrap();
    assert_eq!(entries, ["first", "stuck", "last"]);
}

#[tokio::test]
async fn whoever_waits_in_an_ordered_line_is_told_when_the_node_stops() {
    let three = three().await;
    let leader = three.leader().await;
    let ordered = three.groups[leader].ordered().with_timeout(Duration::from_secs(60));
    ordered.command(Command::Push("first".into())).await.unwrap();
    three.isolate(leader);
    let waiting: Vec<_> = (0..100).map(|n| ordered.command(Command::Push(n.to_string()))).collect();
    three.nodes[leader].crash().await;
    let told = async {
        for command in waiting {
            command.await.unwrap_err();
        }
        ordered.command(Command::Push("too late".into())).await.unwrap_err()
    };
    let error = tokio::time::timeout(Duration::from_secs(20), told).await.expect("nobody is left waiting");
    assert!(error.is_not_applied(), "{error:?}");
}

#[tokio::test]
async fn one_member_is_asked_and_nobody_else() {
    let three = three().await;
    let leader = three.leader().await;
    let (me, third) = (&three.groups[(leader + 1) % 3], (leader + 2) % 3);
    let at = |n: usize| me.at(three.groups[n].member());

    assert_eq!(at(leader).command(Command::Push("x".into())).await.unwrap(), 1);
    assert_eq!(at(leader).query(Query::Length).await.unwrap(), 1);
    let id = CommandId::new("billing", "x");
    for member in [at(leader), three.groups[leader].at(three.groups[leader].member())] {
        assert_eq!(member.command_with(id.clone(), Command::Push("x".into())).await.unwrap(), 2, "once");
    }
    assert_eq!(at(leader).status().await.unwrap().role, "leader");
    assert_eq!(three.groups[leader].at(three.groups[leader].member()).query(Query::Length).await.unwrap(), 2);
    for n in [third, (leader + 1) % 3] {
        assert_eq!(at(n).status().await.unwrap().member, three.groups[n].member());
        match at(n).command(Command::Push("y".into())).await {
            Err(CommandError::NotLeader { leader: Some(contact), .. }) => {
                assert_eq!(contact.address, ADDRESSES[leader]);
            }
            other => panic!("{other:?}"),
        }
        let query = at(n).query(Query::Length).await;
        assert!(matches!(query, Err(QueryError::NotLeader { leader: Some(_), .. })), "{query:?}");
    }
    let stranger = me.at(MemberId(7));
    let error = stranger.command(Command::Push("y".into())).await.unwrap_err();
    assert!(matches!(error, CommandError::NoSuchMember { .. }) && error.is_not_applied(), "{error:?}");
    assert!(matches!(stranger.query(Query::Length).await, Err(QueryError::NoSuchMember { .. })));
    assert!(matches!(stranger.status().await, Err(StatusError::NoSuchMember { .. })));
    // It is a member still, and not there any more.
    three.groups[third].stop().await;
    assert!(matches!(at(third).status().await, Err(StatusError::NoSuchMember { .. })));

    let client = Client::<Journal>::connect(three.network.at("client"), "journal", ["c"]).await.unwrap();
    assert_eq!(client.at(ADDRESSES[leader]).command(Command::Push("z".into())).await.unwrap(), 3);
    let refused = client.at(ADDRESSES[(leader + 1) % 3]).command(Command::Push("y".into())).await;
    assert!(matches!(refused, Err(CommandError::NotLeader { .. })), "{refused:?}");
    assert_eq!(me.query(Query::Length).await.unwrap(), 3, "what was refused was not applied");
}

#[tokio::test]
async fn another_member_at_the_same_node_is_not_asked_instead() {
    let three = three().await;
    let leader = three.leader().await;
    let changed = (leader + 1) % 3;
    let old = three.groups[changed].member();
    let node = Node::builder().transport(three.network.at("d")).start().await.unwrap();
    let learner = node.group::<Journal>().join(ADDRESSES).as_learner().open().await.unwrap();
    // It does not hear of the change, and nobody needs it for one.
    three.network.cut(ADDRESSES[leader], "d");
    three.groups[changed].stop().await;
    let again = three.nodes[changed].group::<Journal>().join(ADDRESSES).open().await.unwrap();
    assert_ne!(again.member(), old);
    let at = learner.at(old);
    assert!(matches!(at.status().await, Err(StatusError::NoSuchMember { .. })));
    assert!(matches!(at.query(Query::Length).await, Err(QueryError::NoSuchMember { .. })));
    let error = at.command(Command::Push("x".into())).await.unwrap_err();
    assert!(matches!(error, CommandError::NoSuchMember { .. }), "{error:?}");
    assert_eq!(three.groups[leader].at(again.member()).status().await.unwrap().member, again.member());
}

#[tokio::test]
async fn a_member_that_says_nothing_leaves_it_open_and_nobody_hangs() {
    let three = three().await;
    let leader = three.leader().await;
    let me = (leader + 1) % 3;
    let at_leader = three.groups[me].at(three.groups[leader].member()).with_timeout(Duration::from_millis(500));
    at_leader.command(Command::Push("x".into())).await.unwrap();
    // It hears, and is not heard.
    three.network.cut(ADDRESSES[leader], ADDRESSES[me]);
    let error = at_leader.command(Command::Push("y".into())).await.unwrap_err();
    assert!(matches!(error, CommandError::Timeout { .. }) && error.is_unknown(), "{error:?}");
    let error = at_leader.query(Query::Length).await.unwrap_err();
    assert!(matches!(error, QueryError::Timeout { .. }), "{error:?}");
    // Without a session nothing was sent that could be applied.
    let fresh = three.nodes[me].group::<Journal>().bootstrap().open().await.unwrap();
    let fresh = fresh.at(three.groups[leader].member()).with_timeout(Duration::from_millis(300));
    let error = fresh.command(Command::Push("z".into())).await.unwrap_err();
    assert!(matches!(error, CommandError::NotSent { .. }) && error.is_not_applied(), "{error:?}");
    assert!(matches!(at_leader.status().await, Err(StatusError::Timeout { .. })));
    three.nodes[leader].crash().await;
    assert!(at_leader.command(Command::Push("y".into())).await.unwrap_err().is_unknown());
}

#[tokio::test]
async fn a_stale_answer_says_how_stale_and_can_be_asked_to_be_less_so() {
    let three = three().await;
    let leader = three.leader().await;
    let (late, other) = ((leader + 1) % 3, (leader + 2) % 3);
    three.groups[leader].command(Command::Push("x".into())).await.unwrap();
    let copy = &three.groups[late];
    let first = three.groups[leader].query_stale(Query::Length).await.unwrap();
    let same = copy.query_at_least(first.applied, Query::Length).await.unwrap();
    assert_eq!((first.answer, same.answer), (1, 1), "it comes by itself");
    three.isolate(late);
    let leading = three.groups[leader].with_timeout(Duration::from_secs(30));
    leading.command(Command::Push("y".into())).await.unwrap();
    let new = three.groups[leader].query_stale(Query::Length).await.unwrap();
    assert_eq!(new.answer, 2);

    let old = copy.query_stale(Query::Length).await.unwrap();
    assert_eq!((old.answer, old.applied), (1, copy.applied()), "without a word to anybody");
    let hurried = copy.with_timeout(Duration::from_millis(200));
    let error = hurried.query_at_least(new.applied, Query::Length).await.unwrap_err();
    assert!(matches!(error, QueryError::Timeout { .. }), "{error:?}");

    let patient = copy.with_timeout(Duration::from_secs(30));
    let waiting = tokio::spawn(async move { patient.query_at_least(new.applied, Query::Length).await });
    three.network.heal_all();
    let caught_up = waiting.await.unwrap().unwrap();
    assert!(caught_up.answer == 2 && caught_up.applied >= new.applied);

    // The same of a member elsewhere.
    let elsewhere = three.groups[other].at(copy.member()).with_timeout(Duration::from_secs(30));
    assert_eq!(elsewhere.query_at_least(new.applied, Query::Length).await.unwrap().answer, 2);
    assert_eq!(elsewhere.query_stale(Query::Length).await.unwrap().answer, 2);
    let hurried = elsewhere.with_timeout(Duration::from_millis(200));
    let never = hurried.query_at_least(LogIndex(1 << 40), Query::Length).await;
    assert!(matches!(never, Err(QueryError::Timeout { .. })));
}

#[tokio::test]
async fn reads_that_wait_for_a_majority_are_bounded() {
    const MORE: usize = 20_000;
    const ALLOWED: usize = 1 << 14;
    let three = three_with(unhurried()).await;
    let leader = three.leader().await;
    let group = &three.groups[leader];
    group.command(Command::Push("x".into())).await.unwrap();
    three.isolate(leader);
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..MORE {
        let at = group.at(group.member()).with_timeout(Duration::from_secs(60));
        reads.spawn(async move { at.query(Query::Length).await });
    }
    for _ in 0..MORE - ALLOWED {
        let told = tokio::time::timeout(Duration::from_secs(60), reads.join_next()).await.expect("told at once");
        let error = told.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, QueryError::Busy { .. }), "{error:?}");
    }
    three.network.heal_all();
    assert!(reads.join_all().await.into_iter().all(|answer| answer == Ok(1)), "those that were taken are answered");
}

#[tokio::test]
async fn more_handles_than_sessions_get_in_each_others_way_and_nothing_is_lost_or_repeated() {
    let mut config = quick();
    config.max_sessions = 1;
    let three = three_with(config).await;
    for n in 0..30 {
        let reply = three.groups[n % 3].command(Command::Push(n.to_string())).await;
        assert_eq!(reply, Ok(n + 1), "each handle registers again after the others");
    }
}

#[tokio::test]
async fn every_kind_of_call_crosses_a_network() {
    let node = Node::builder().transport(InsecureTcp::listen("127.0.0.1:0")).start().await.unwrap();
    let group = node.group::<Journal>().bootstrap().open().await.unwrap();
    let (tcp, address) = (InsecureTcp::dial_only(), node.address());
    let client = Client::<Journal>::connect(tcp, "journal", [address.clone()]).await.unwrap();
    let push = |n: usize| Command::Push(n.to_string());

    let outcomes = client.commands((1..=3_000).map(push)).await;
    assert_eq!(outcomes, (1..=3_000).map(Ok).collect::<Vec<_>>());
    let id = || CommandId::new("billing", "17");
    assert_eq!(client.command_with(id(), push(17)).await, Ok(3_001));
    assert_eq!(client.at(&address).command_with(id(), push(17)).await, Ok(3_001));
    assert!(matches!(client.command_with(id(), push(18)).await, Err(CommandError::IdReused { .. })));
    assert_eq!(client.try_command(push(0)).await, Ok(3_002));
    let ordered = client.ordered();
    let replies: Vec<_> = (0..100).map(|n| ordered.command(push(n))).collect();
    for (n, reply) in replies.into_iter().enumerate() {
        assert_eq!(reply.await, Ok(3_003 + n));
    }
    let at = client.at(&address);
    assert_eq!(at.query(Query::Length).await, Ok(3_102));
    assert_eq!(at.status().await.unwrap().member, group.member());
    let stale = at.query_stale(Query::Length).await.unwrap();
    assert_eq!(at.query_at_least(stale.applied, Query::Length).await.unwrap().answer, 3_102);
    let never = at.with_timeout(Duration::from_millis(200));
    let never = never.query_at_least(LogIndex(stale.applied.0 + 100), Query::Length).await;
    assert!(matches!(never, Err(QueryError::Timeout { .. })), "{never:?}");
}
