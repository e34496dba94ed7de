use super::snapshot::SnapshotError;
use super::*;
use crate::batch::tests::{command, register, with_id};
use proptest::prelude::*;
use rafted_value_core::MemberId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;

mod fuzz;
mod snapshots;

/// Keeps what it was told, with the seed it was told it under, and fails however it is asked to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tape {
    said: Vec<(String, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Say {
    word: String,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Fate {
    Fine,
    PanicBefore,
    PanicAfter,
    ReplyFails,
    ReplyPanics,
    CommandPanics(Explosive),
}

const FATES: [Fate; 6] = [
    Fate::Fine,
    Fate::PanicBefore,
    Fate::PanicAfter,
    Fate::ReplyFails,
    Fate::ReplyPanics,
    Fate::CommandPanics(Explosive),
];

/// Can be written, and panics when read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Explosive;

impl<'de> Deserialize<'de> for Explosive {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Explosive, D::Error> {
        panic!("read")
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Heard {
    count: usize,
    #[serde(skip, default = "fine")]
    fate: Fate,
}

fn fine() -> Fate {
    Fate::Fine
}

impl Serialize for Heard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.fate {
            Fate::ReplyFails => Err(serde::ser::Error::custom("unspeakable")),
            Fate::ReplyPanics => panic!("choked"),
            _ => self.count.serialize(serializer),
        }
    }
}

impl Value for Tape {
    const NAME: &'static str = "tape";
    type Command = Say;
    type Reply = Heard;
    type Query = Fate;
    type Answer = Heard;

    fn new() -> Tape {
        Tape::default()
    }

    fn command(&mut self, Say { word, fate }: Say, context: &Context) -> Heard {
        assert!(fate != Fate::PanicBefore, "before {word}");
        self.said.push((word, context.seed()));
        assert!(fate != Fate::PanicAfter, "after");
        Heard { count: self.said.len(), fate }
    }

    fn query(&self, fate: Fate) -> Heard {
        assert!(fate != Fate::PanicBefore, "asked");
        Heard { count: self.said.len(), fate }
    }
}

fn machine_with(config: &Config) -> StateMachine<Tape> {
    let base = SnapshotMeta { config: Arc::new(config.to_core()), ..SnapshotMeta::empty() };
    StateMachine::new(Tape::new(), base).unwrap()
}

fn machine(on_panic: OnPanic) -> StateMachine<Tape> {
    machine_with(&Config::builder().on_panic(on_panic).build().unwrap())
}

fn entry(index: u64, payload: Payload) -> Entry {
    Entry { id: EntryId::new(1, index), payload }
}

fn commands(index: u64, envelopes: Vec<Envelope>) -> Entry {
    entry(index, Payload::Commands(Batch { elapsed_ms: 10, seed: index, envelopes }.encode()))
}

/// Says `number` in the session that the first entry registered.
fn say(number: u64, fate: Fate) -> Envelope {
    let word = number.to_string();
    command((1, 0), number, 0, encode(&Say { word, fate }).unwrap())
}

fn words(machine: &StateMachine<Tape>) -> Vec<&str> {
    machine.value.said.iter().map(|(word, _)| word.as_str()).collect()
}

fn count(count: usize) -> Response {
    Response::Applied(encode(&count).unwrap())
}

fn panicked(message: &str) -> Response {
    Response::Refused(Refused::Panicked { message: message.to_owned() })
}

fn undecodable(message: &str) -> Response {
    Response::Refused(Refused::Undecodable { message: message.to_owned() })
}

#[test]
fn every_failure_is_an_outcome_and_the_policy_says_what_the_value_is() {
    // What becomes of a command; whether its word stays with Keep; whether it is a panic.
    let cases = [
        (Fate::Fine, count(2), true, false),
        (Fate::PanicBefore, panicked("before 1"), false, true),
        (Fate::PanicAfter, panicked("after"), true, true),
        (Fate::ReplyFails, panicked("the reply cannot be encoded: unspeakable"), true, true),
        (Fate::ReplyPanics, panicked("choked"), true, true),
        (Fate::CommandPanics(Explosive), undecodable("a panic: read"), false, false),
    ];
    for (fate, response, stays, panics) in cases {
        for on_panic in [OnPanic::Keep, OnPanic::Restore, OnPanic::Halt] {
            let mut machine = machine(on_panic);
            let _ = machine.apply(&commands(1, vec![register(), say(0, Fate::Fine)]));
            let applied = machine.apply(&commands(2, vec![say(1, fate)]));
            assert_eq!(applied.responses, std::slice::from_ref(&response), "{fate:?} {on_panic:?}");

            let halts = panics && on_panic == OnPanic::Halt;
            assert_eq!(applied.halt.is_some(), halts, "{fate:?} {on_panic:?}");
            if halts {
                continue;
            }
            let kept = stays && !(panics && on_panic == OnPanic::Restore);
            assert_eq!(words(&machine), if kept { vec!["0", "1"] } else { vec!["0"] }, "{fate:?} {on_panic:?}");

            let retried = machine.apply(&commands(3, vec![say(1, Fate::Fine)]));
            assert_eq!(
                retried.responses,
                std::slice::from_ref(&response),
                "a retry gets the same: {fate:?} {on_panic:?}"
            );
        }
    }
}

#[test]
fn after_a_halt_nothing_is_applied_answered_or_saved() {
    let mut machine = machine(OnPanic::Halt);
    let _ = machine.apply(&commands(1, vec![register()]));
    let batch = vec![say(0, Fate::Fine), say(1, Fate::PanicAfter), say(2, Fate::Fine)];
    let applied = machine.apply(&commands(2, batch));
    assert_eq!(applied.responses, [count(1), panicked("after")]);
    let halted = applied.halt.unwrap();
    assert_eq!(halted.to_string(), "command 1 of entry (1,2) panicked: after");

    assert_eq!(machine.applied(), EntryId::new(1, 1), "it is read again by a build that does not panic");
    let later = machine.apply(&commands(3, vec![say(3, Fate::Fine)]));
    assert_eq!((later.responses.len(), later.halt), (0, Some(halted)));
    assert_eq!(machine.query(&encode(&Fate::Fine).unwrap()), Err(Refused::Stopped));
    assert_eq!(machine.value().err(), Some(Refused::Stopped));
    assert_eq!(machine.encode_snapshot().err(), Some(SnapshotError::Halted));
    assert_eq!(machine.freeze().err(), Some(SnapshotError::Halted));
}

#[test]
fn a_panic_remembered_from_before_halt_was_chosen_halts_nothing() {
    let mut machine = machine(OnPanic::Keep);
    let _ = machine.apply(&commands(1, vec![register(), say(0, Fate::PanicAfter)]));
    let halt = Config::builder().on_panic(OnPanic::Halt).build().unwrap();
    let _ = machine.apply(&entry(2, Payload::Config(Arc::new(halt.to_core()))));
    let applied = machine.apply(&commands(3, vec![say(0, Fate::PanicAfter)]));
    assert_eq!((applied.responses, applied.halt), (vec![panicked("after")], None));
}

#[test]
fn an_unreadable_batch_is_consumed_and_a_newer_one_is_not() {
    let mut machine = machine(OnPanic::Keep);
    let applied = machine.apply(&entry(1, Payload::Commands(Bytes::from_static(b"\x01"))));
    assert_eq!(applied.responses, [undecodable("a batch ends within its elapsed time")]);
    assert_eq!((applied.halt, machine.applied()), (None, EntryId::new(1, 1)));

    let applied = machine.apply(&entry(2, Payload::Commands(Bytes::from_static(b"\x03"))));
    let message = "entry (1,2) holds a batch of version 3, this build knows up to 2";
    assert_eq!((applied.responses.len(), applied.halt.unwrap().to_string().as_str()), (0, message));
    assert_eq!(machine.applied(), EntryId::new(1, 1));
}

#[test]
fn settings_of_a_newer_build_halt() {
    let mut machine = machine(OnPanic::Keep);
    let config = CoreConfig { extra: Bytes::from_static(b"\x07"), ..CoreConfig::default() };
    let applied = machine.apply(&entry(1, Payload::Config(Arc::new(config))));
    let message = "entry (1,1) holds settings of version 7, this build knows version 1";
    assert_eq!(applied.halt.unwrap().to_string(), message);
}

#[test]
fn undecodable_commands_are_refused_alike_for_ever() {
    let mut machine = machine(OnPanic::Keep);
    let _ = machine.apply(&commands(1, vec![register()]));
    let garbage = command((1, 0), 0, 0, Bytes::from_static(b"\xc1"));
    let first = machine.apply(&commands(2, vec![garbage])).responses;
    assert!(matches!(&first[..], [Response::Refused(Refused::Undecodable { .. })]), "{first:?}");
    assert_eq!(machine.apply(&commands(3, vec![say(0, Fate::Fine)])).responses, first);
}

#[test]
fn a_given_id_runs_once_in_whatever_session_until_it_is_forgotten() {
    let config = Config::builder().max_retained_command_results(2).build().unwrap();
    let mut machine = machine_with(&config);
    // Of two sessions, as of a program before and after its restart.
    let in_session = |offset, number, id: &str, word: &str| {
        let bytes = encode(&Say { word: word.to_owned(), fate: Fate::Fine }).unwrap();
        with_id("billing", id, command((1, offset), number, number, bytes))
    };
    let _ = machine.apply(&commands(1, vec![register(), register()]));
    let first = machine.apply(&commands(2, vec![in_session(0, 0, "a", "once")])).responses;
    assert_eq!(first, [count(1)]);
    assert_eq!(machine.apply(&commands(3, vec![in_session(1, 0, "a", "once")])).responses, first);
    let other = machine.apply(&commands(4, vec![in_session(1, 1, "a", "other")])).responses;
    assert_eq!(other, [Response::Refused(Refused::IdReused)]);
    assert_eq!(machine.apply(&commands(5, vec![in_session(1, 1, "a", "other")])).responses, other, "its retry");

    // Two more take its place; the same id is a new command.
    let _ = machine.apply(&commands(6, vec![in_session(0, 1, "b", "b"), in_session(0, 2, "c", "c")]));
    assert_eq!(machine.apply(&commands(7, vec![in_session(1, 2, "a", "once")])).responses, [count(4)]);
    assert_eq!(words(&machine), ["once", "b", "c", "once"]);
}

#[test]
fn a_retry_of_the_same_call_is_safe_though_its_id_is_forgotten() {
    let mut machine = machine_with(&Config::builder().max_retained_command_results(1).build().unwrap());
    let named = |number, id| with_id("billing", id, say(number, Fate::Fine));
    let _ = machine.apply(&commands(1, vec![register(), named(0, "a"), named(1, "b")]));
    assert_eq!(machine.apply(&commands(2, vec![named(0, "a")])).responses, [count(1)], "its session has the result");
    assert_eq!(words(&machine), ["0", "1"]);
}

#[test]
fn a_panic_under_a_given_id_is_its_result() {
    let mut machine = machine(OnPanic::Keep);
    let bad = |number| with_id("billing", "a", command((1, 0), number, number, say(7, Fate::PanicAfter).command));
    let _ = machine.apply(&commands(1, vec![register(), bad(0)]));
    assert_eq!(machine.apply(&commands(2, vec![bad(1)])).responses, [panicked("after")]);
    assert_eq!(words(&machine), ["7"], "it ran once");
}

#[test]
fn fewer_results_are_remembered_as_soon_as_the_settings_say_so() {
    let mut machine = machine(OnPanic::Keep);
    let envelopes = (0..10).map(|number| with_id("billing", &number.to_string(), say(number, Fate::Fine)));
    let _ = machine.apply(&commands(1, [register()].into_iter().chain(envelopes).collect()));
    assert_eq!(machine.remembered.to_records().len(), 10);
    let config = Config::builder().max_retained_command_results(3).build().unwrap();
    let _ = machine.apply(&entry(2, Payload::Config(Arc::new(config.to_core()))));
    assert_eq!(machine.remembered.to_records().len(), 3);
}

#[test]
fn sessions_end_in_replicated_time_at_the_same_entry_everywhere() {
    // Each batch takes ten milliseconds.
    let config = Config { session_timeout: Duration::from_millis(25), ..Config::default() };
    let mut machine = machine_with(&config);
    let _ = machine.apply(&commands(1, vec![register(), register(), say(0, Fate::Fine)]));
    for index in 2..=3 {
        let _ = machine.apply(&commands(index, vec![command((1, 1), index, index, say(index, Fate::Fine).command)]));
        assert_eq!(machine.session_count(), 2);
    }
    let mut restored =
        StateMachine::<Tape>::restore(machine.snapshot_meta(), machine.encode_snapshot().unwrap()).unwrap();
    for machine in [&mut machine, &mut restored] {
        // A real retry: it was applied, and is not again.
        let applied = machine.apply(&commands(4, vec![say(0, Fate::Fine), register()]));
        assert_eq!(applied.responses[0], Response::Refused(Refused::NoSuchSession));
        assert_eq!((machine.session_count(), words(machine)), (2, vec!["0", "2", "3"]));
    }
    let idle = Config { session_timeout: Duration::from_millis(5), ..Config::default() };
    let _ = machine.apply(&entry(5, Payload::Config(Arc::new(idle.to_core()))));
    assert_eq!(machine.session_count(), 2, "time stands still without commands");
    let _ = machine.apply(&commands(6, vec![]));
    assert_eq!(machine.session_count(), 0);
}

#[test]
fn commands_know_where_and_when_they_run() {
    let mut machine = machine(OnPanic::Keep);
    let _ = machine.apply(&commands(1, vec![register(), say(0, Fate::Fine), say(1, Fate::Fine)]));
    let _ = machine.apply(&commands(2, vec![]));
    assert_eq!(machine.time(), Duration::from_millis(20));
    let seed = |offset| Context::new(machine.applied().index, offset, machine.applied().term, machine.time(), 1).seed();
    assert_eq!(machine.value().unwrap().said, [("0".to_owned(), seed(1)), ("1".to_owned(), seed(2))]);
}

#[test]
fn queries_answer_or_fail_for_their_caller_alone() {
    let mut machine = machine(OnPanic::Keep);
    let _ = machine.apply(&commands(1, vec![register(), say(0, Fate::Fine)]));
    let refused = |message: &str| Err(Refused::Panicked { message: message.to_owned() });
    let cases = [
        (Fate::Fine, Ok(encode(&1).unwrap())),
        (Fate::PanicBefore, refused("asked")),
        (Fate::ReplyFails, refused("the answer cannot be encoded: unspeakable")),
        (Fate::ReplyPanics, refused("choked")),
        (Fate::CommandPanics(Explosive), Err(Refused::Undecodable { message: "a panic: read".into() })),
    ];
    for (query, answer) in cases {
        assert_eq!(machine.query(&encode(&query).unwrap()), answer, "{query:?}");
    }
    assert!(matches!(machine.query(b""), Err(Refused::Undecodable { .. })));
    assert_eq!(machine.look(|tape| tape.said.len()), Ok(1));
    assert_eq!(machine.look(|_| -> u8 { panic!("looked") }), refused("looked").map(|_: Bytes| 0));
}

#[test]
fn settings_and_members_are_those_of_the_last_applied_entry() {
    let mut machine = machine(OnPanic::Keep);
    let config = Arc::new(Config::builder().max_sessions(1).build().unwrap().to_core());
    let membership = Arc::new(Membership::sole_voter(MemberId(7), Bytes::new()));
    let _ = machine.apply(&entry(1, Payload::Noop));
    let _ = machine.apply(&entry(2, Payload::Membership(Arc::clone(&membership))));
    let _ = machine.apply(&entry(3, Payload::Config(Arc::clone(&config))));
    assert_eq!(machine.snapshot_meta(), SnapshotMeta { last_included: EntryId::new(1, 3), membership, config });
    let _ = machine.apply(&commands(4, vec![register(), register()]));
    assert_eq!((machine.config().max_sessions, machine.session_count()), (1, 1));
}

#[test]
#[should_panic(expected = "committed entries are applied in order")]
fn entries_are_never_skipped() {
    let _ = machine(OnPanic::Keep).apply(&entry(2, Payload::Noop));
}

/// A log of registrations, commands of every fate, retries, settings and damage.
fn any_log() -> impl Strategy<Value = Vec<Entry>> {
    let said = (1..4_u64, 0..2_u32, 0..8_u64, 0..4_u64, prop::sample::select(FATES.to_vec()));
    let said = said.prop_map(|(index, offset, number, back, fate)| {
        let word = format!("{index} {offset} {number}");
        let bytes = encode(&Say { word, fate }).unwrap();
        command((index, offset), number, number.saturating_sub(back), bytes)
    });
    let named = ("[ab]", "[a-d]", said.clone()).prop_map(|(client, id, said)| with_id(&client, &id, said));
    let envelope = prop_oneof![1 => Just(register()), 5 => said, 2 => named];
    let batch = (0..50_u64, any::<u64>(), prop::collection::vec(envelope, 0..6));
    let payload = prop_oneof![
        20 => batch.prop_map(|(elapsed_ms, seed, envelopes)| {
            Payload::Commands(Batch { elapsed_ms, seed, envelopes }.encode())
        }),
        1 => Just(Payload::Noop),
        1 => Just(Payload::Commands(Bytes::from_static(b"\x01damaged"))),
    ];
    prop::collection::vec(payload, 0..25)
        .prop_map(|payloads| (1..).zip(payloads).map(|(index, payload)| entry(index, payload)).collect())
}

fn any_config() -> impl Strategy<Value = Config> {
    let policies = vec![OnPanic::Keep, OnPanic::Restore, OnPanic::Halt];
    (prop::sample::select(policies), 1..4_u32, 1..4_u32, 20..200_u64).prop_map(
        |(on_panic, max_sessions, results, ms)| {
            let config = Config::builder().on_panic(on_panic).max_sessions(max_sessions);
            let config = config.max_retained_command_results(results).build().unwrap();
            Config { session_timeout: Duration::from_millis(ms), ..config }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_same_log_gives_the_same_state_through_any_snapshot(log in any_log(), config in any_config(), cut in 0..25_usize) {
        let mut one = machine_with(&config);
        let mut other = machine_with(&config);
        for (applied, entry) in log.iter().enumerate() {
            if applied == cut && other.halted.is_none() {
                let frozen = other.freeze().unwrap();
                let bytes = frozen.encode().unwrap();
                prop_assert_eq!(&bytes, &other.encode_snapshot().unwrap());
                other = StateMachine::restore(frozen.meta().clone(), bytes).unwrap();
            }
            let (left, right) = (one.apply(entry), other.apply(entry));
            prop_assert_eq!(left.responses, right.responses);
            prop_assert_eq!(left.halt, right.halt);
        }
        prop_assert_eq!(&one.value, &other.value);
        prop_assert_eq!(&one.sessions, &other.sessions);
        prop_assert_eq!(&one.remembered, &other.remembered);
        prop_assert_eq!((one.time_ms, one.applied, one.halted), (other.time_ms, other.applied, other.halted));
    }

    #[test]
    fn no_command_runs_twice(log in any_log(), max_sessions in 1..4_u32) {
        let mut machine = machine_with(&Config::builder().max_sessions(max_sessions).build().unwrap());
        for entry in &log {
            let _ = machine.apply(entry);
        }
        // A word names its session and number.
        let words = words(&machine);
        prop_assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
    }
}
