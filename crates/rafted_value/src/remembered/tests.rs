use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const LIMITS: Limits = Limits { results: 3, bytes: u64::MAX };

fn id(client: &str, id: &str) -> Arc<CommandId> {
    Arc::new(CommandId::new(client, id))
}

/// Gives a command an id at `place`; whether it ran, and what became of it. The reply says where it ran.
fn give(
    remembered: &mut Remembered,
    place: u64,
    of: &Arc<CommandId>,
    command: &str,
    limits: Limits,
) -> (bool, Outcome) {
    let mut ran = false;
    let outcome = remembered.once((LogIndex(place), 0), of, command.as_bytes(), limits, || {
        ran = true;
        reply(place)
    });
    (ran, outcome)
}

fn reply(place: u64) -> Outcome {
    Outcome::Applied(Bytes::from(place.to_string()))
}

#[test]
fn an_id_names_one_command_of_one_client() {
    let mut remembered = Remembered::default();
    let cases = [
        ("the first", "a", "1", "x", (true, reply(1))),
        ("its retry", "a", "1", "x", (false, reply(1))),
        ("the same id of another client", "b", "1", "x", (true, reply(3))),
        ("other bytes", "a", "1", "y", (false, Outcome::IdReused)),
        ("a longer command", "a", "1", "xx", (false, Outcome::IdReused)),
        ("the retry once more", "a", "1", "x", (false, reply(1))),
        ("another id", "a", "2", "y", (true, reply(7))),
    ];
    for (place, (what, client, name, command, expected)) in (1..).zip(cases) {
        assert_eq!(give(&mut remembered, place, &id(client, name), command, LIMITS), expected, "{what}");
    }
}

#[test]
fn the_oldest_result_is_forgotten_first_whoever_asks_for_it() {
    let mut remembered = Remembered::default();
    for place in 1..=3 {
        let _ = give(&mut remembered, place, &id("a", &place.to_string()), "x", LIMITS);
    }
    assert_eq!(give(&mut remembered, 4, &id("a", "1"), "x", LIMITS), (false, reply(1)), "three are remembered");
    let _ = give(&mut remembered, 5, &id("b", "new"), "x", LIMITS);
    assert_eq!(give(&mut remembered, 6, &id("a", "2"), "x", LIMITS), (false, reply(2)));
    assert_eq!(give(&mut remembered, 7, &id("a", "1"), "x", LIMITS), (true, reply(7)), "forgotten is new");
}

#[test]
fn bytes_are_bounded_too_and_the_latest_result_stays() {
    let mut remembered = Remembered::default();
    let limits = Limits { results: 100, bytes: 10_000 };
    for place in 1..=20 {
        let large = Outcome::Applied(Bytes::from(vec![0; 1_000]));
        let _ = remembered.once((LogIndex(place), 0), &id("a", &place.to_string()), b"x", limits, || large.clone());
        assert!(remembered.bytes <= limits.bytes);
    }
    assert_eq!(remembered.by_id.len(), 8, "of a little more than 1,128 bytes each");

    let huge = Outcome::Applied(Bytes::from(vec![0; 20_000]));
    let _ = remembered.once((LogIndex(21), 0), &id("a", "huge"), b"x", limits, || huge.clone());
    assert_eq!(remembered.by_id.len(), 1);
    assert_eq!(give(&mut remembered, 22, &id("a", "huge"), "x", limits), (false, huge), "its retry is safe");
}

#[test]
fn less_is_kept_as_soon_as_less_is_allowed() {
    let mut remembered = Remembered::default();
    for place in 1..=3 {
        let _ = give(&mut remembered, place, &id("a", &place.to_string()), "x", LIMITS);
    }
    remembered.shrink(Limits { results: 1, ..LIMITS });
    assert_eq!(remembered.by_place.values().collect::<Vec<_>>(), [&id("a", "3")]);
    assert_eq!(remembered.bytes, OVERHEAD + 3);
}

#[test]
fn records_that_were_never_written_are_refused() {
    let mut remembered = Remembered::default();
    let _ = give(&mut remembered, 1, &id("a", "1"), "x", LIMITS);
    let good = remembered.to_records().remove(0);
    let later = RememberedRecord { index: 2, ..good.clone() };
    let cases = [
        (vec![good.clone(), later], "two results of the same given id"),
        (
            vec![good.clone(), RememberedRecord { id: "2".into(), ..good.clone() }],
            "results of given ids out of their order",
        ),
        (
            vec![RememberedRecord { client: String::new(), ..good.clone() }],
            "an id of a command that is too long or empty",
        ),
        (vec![RememberedRecord { outcome: None, ..good }], "a result of an unknown kind"),
    ];
    for (records, error) in cases {
        assert_eq!(Remembered::from_records(records), Err(error));
    }
}

proptest! {
    /// Beside a list of everything that ran, of which the last few count.
    #[test]
    fn the_same_as_a_list(steps in prop::collection::vec((0..6_u8, 0..2_u8, 1..5_u32, any::<bool>()), 0..60)) {
        let mut remembered = Remembered::default();
        let mut list: Vec<(u8, u8, u64)> = Vec::new();
        for (place, (name, command, results, through_snapshot)) in (1..).zip(steps) {
            let kept = list.len().saturating_sub(if place % 7 == 0 { results as usize } else { 100 });
            let limits = Limits { results: if place % 7 == 0 { results } else { 100 }, bytes: u64::MAX };
            remembered.shrink(limits);
            list.drain(..kept);
            let expected = match list.iter().find(|(known, ..)| *known == name) {
                Some((_, bytes, ran)) if *bytes == command => (false, reply(*ran)),
                Some(_) => (false, Outcome::IdReused),
                None => (true, reply(place)),
            };
            if expected.0 {
                list.push((name, command, place));
                list.drain(..list.len().saturating_sub(limits.results as usize));
            }
            let given = give(&mut remembered, place, &id("a", &name.to_string()), &command.to_string(), limits);
            prop_assert_eq!(given, expected);
            if through_snapshot {
                let restored = Remembered::from_records(remembered.to_records());
                prop_assert_eq!(restored.as_ref(), Ok(&remembered));
                remembered = restored.unwrap();
            }
        }
    }
}
