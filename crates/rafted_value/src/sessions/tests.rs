use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;

const MAX_SESSIONS: u32 = 3;
const MAX_RESULTS: u64 = 4;

const TIMEOUT: u64 = 10;

/// One millisecond after the other.
fn at(index: u64) -> Moment {
    Moment { place: (LogIndex(index), 0), time_ms: index }
}

fn reply(number: u64) -> Response {
    Response::Applied(Bytes::from(number.to_string()))
}

/// Runs a command of the session at `place`; whether it ran, and the response.
fn run(sessions: &mut Sessions, place: u64, id: SessionId, number: u64, unacknowledged: u64) -> (bool, Response) {
    let mut ran = false;
    let response = sessions.once(at(place), Ticket { id, number, unacknowledged }, MAX_RESULTS, || {
        ran = true;
        Outcome::Applied(Bytes::from(number.to_string()))
    });
    (ran, response)
}

#[test]
fn a_command_runs_once_whatever_the_order_of_numbers() {
    let refused = |refused| (false, Response::Refused(refused));
    let mut sessions = Sessions::default();
    let id = sessions.register(at(1), 7, MAX_SESSIONS);
    let cases = [
        ("the first", 0, 0, (true, reply(0))),
        ("its retry", 0, 0, (false, reply(0))),
        ("past a hole", 3, 0, (true, reply(3))),
        ("too far ahead", 4, 0, refused(Refused::Busy)),
        ("the hole", 1, 0, (true, reply(1))),
        ("acknowledges 0 and 1", 4, 2, (true, reply(4))),
        ("acknowledged", 1, 0, refused(Refused::Forgotten)),
        ("acknowledged, never taken back", 0, 0, refused(Refused::Forgotten)),
        ("still remembered", 3, 2, (false, reply(3))),
        ("the hole above the bound", 2, 2, (true, reply(2))),
        ("acknowledges itself", 5, 6, refused(Refused::Forgotten)),
        ("acknowledges everything", u64::MAX, u64::MAX, (true, reply(u64::MAX))),
    ];
    for (place, (what, number, unacknowledged, expected)) in (2..).zip(cases) {
        assert_eq!(run(&mut sessions, place, id, number, unacknowledged), expected, "{what}");
    }
}

#[test]
fn unknown_sessions_apply_nothing() {
    let mut sessions = Sessions::default();
    let id = sessions.register(at(1), 7, MAX_SESSIONS);
    for unknown in [SessionId { offset: 1, ..id }, SessionId { nonce: 8, ..id }, SessionId { index: LogIndex(2), ..id }]
    {
        let answer = run(&mut sessions, 3, unknown, 0, 0);
        assert_eq!(answer, (false, Response::Refused(Refused::NoSuchSession)));
    }
}

#[test]
fn the_least_recently_used_session_goes() {
    let mut sessions = Sessions::default();
    let [a, b, c] = [1, 2, 3].map(|index| sessions.register(at(index), 7, MAX_SESSIONS));
    run(&mut sessions, 4, a, 0, 0);
    let d = sessions.register(at(5), 7, MAX_SESSIONS);
    assert_eq!(sessions.by_id.keys().copied().collect::<Vec<_>>(), [a, c, d]);
    assert_eq!(run(&mut sessions, 6, b, 0, 0), (false, Response::Refused(Refused::NoSuchSession)));

    // Fewer allowed than there are: as many go as must.
    let e = sessions.register(at(7), 7, 2);
    assert_eq!(sessions.by_id.keys().copied().collect::<Vec<_>>(), [d, e]);
}

#[test]
fn a_session_goes_when_it_was_not_used_for_longer_than_its_time() {
    let mut sessions = Sessions::default();
    let [a, b] = [1, 2].map(|index| sessions.register(at(index), 7, MAX_SESSIONS));
    run(&mut sessions, 6, a, 0, 0);
    sessions.expire(12, TIMEOUT);
    assert_eq!(sessions.len(), 2, "ten are not longer than ten");
    sessions.expire(13, TIMEOUT);
    assert_eq!(sessions.by_id.keys().copied().collect::<Vec<_>>(), [a], "what is used stays");
    assert_eq!(run(&mut sessions, 13, b, 0, 0), (false, Response::Refused(Refused::NoSuchSession)));
    assert_eq!(run(&mut sessions, 14, a, 0, 0), (false, reply(0)), "a retry is a use");
    sessions.expire(100, TIMEOUT);
    assert_eq!((sessions.len(), sessions.by_use.len()), (0, 0));
}

#[test]
fn a_refused_command_counts_as_a_use_too() {
    let mut sessions = Sessions::default();
    let [a, b] = [1, 2].map(|index| sessions.register(at(index), 7, 2));
    run(&mut sessions, 3, a, 100, 0);
    sessions.register(at(4), 7, 2);
    assert_eq!(run(&mut sessions, 5, a, 0, 0), (true, reply(0)));
    assert_eq!(run(&mut sessions, 6, b, 0, 0).1, Response::Refused(Refused::NoSuchSession));
}

#[test]
fn debug_output_holds_no_reply() {
    let mut sessions = Sessions::default();
    let id = sessions.register(at(1), 7, MAX_SESSIONS);
    sessions.once(at(2), Ticket { id, number: 0, unacknowledged: 0 }, 1, || {
        Outcome::Applied(Bytes::from_static(b"secret"))
    });
    let debug = format!("{sessions:?}");
    assert!(debug.contains("Applied(6 bytes)") && !debug.contains("secret"), "{debug}");
}

#[test]
fn records_that_were_never_written_are_refused() {
    let result = |number| ResultRecord::of(number, &Outcome::Applied(Bytes::new()));
    let record = SessionRecord { index: 1, used_index: 1, unacknowledged: 3, ..SessionRecord::default() };
    let later = SessionRecord { used_index: 2, ..record.clone() };
    let sooner = SessionRecord { index: 2, used_index: 2, used_ms: 5, ..record.clone() };
    let after = SessionRecord { index: 3, used_index: 3, used_ms: 4, ..record.clone() };
    let with = |results| vec![SessionRecord { results, ..record.clone() }];
    let cases = [
        (vec![record.clone(), record.clone()], "two sessions used at the same place"),
        (vec![record.clone(), later], "two sessions with the same id"),
        (vec![sooner, after], "a session used earlier than those before it"),
        (with(vec![result(2)]), "a result that was acknowledged"),
        (with(vec![result(3), result(3)]), "two results of the same number"),
        (with(vec![ResultRecord { number: 3, outcome: None }]), "a result of an unknown kind"),
    ];
    for (records, error) in cases {
        assert_eq!(Sessions::from_records(records), Err(error));
    }
}

/// Remembers everything for ever, and looks through all of it every time.
#[derive(Default)]
struct Model {
    registered: Vec<SessionId>,
    evicted: BTreeSet<SessionId>,
    /// Who used a session and when, newest last; a registration is a use.
    uses: Vec<(SessionId, u64)>,
    acknowledged: BTreeMap<SessionId, u64>,
    replies: BTreeMap<(SessionId, u64), u64>,
}

impl Model {
    fn alive(&self) -> Vec<SessionId> {
        self.registered.iter().filter(|id| !self.evicted.contains(id)).copied().collect()
    }

    fn expire(&mut self, now: u64) {
        for id in self.alive() {
            let (_, last_use) = self.uses.iter().rfind(|(used, _)| *used == id).unwrap();
            if now - last_use > TIMEOUT {
                self.evicted.insert(id);
            }
        }
    }

    fn register(&mut self, now: u64, id: SessionId) {
        if self.alive().len() == MAX_SESSIONS as usize {
            let last_use = |id: &SessionId| self.uses.iter().rposition(|(used, _)| used == id);
            let oldest = self.alive().into_iter().min_by_key(last_use).unwrap();
            self.evicted.insert(oldest);
        }
        self.registered.push(id);
        self.uses.push((id, now));
    }

    /// The response, with a reply that says when the command ran.
    fn command(&mut self, now: u64, ticket: Ticket) -> Response {
        if !self.alive().contains(&ticket.id) {
            return Response::Refused(Refused::NoSuchSession);
        }
        self.uses.push((ticket.id, now));
        let bound = self.acknowledged.entry(ticket.id).or_default();
        *bound = ticket.unacknowledged.max(*bound);
        if ticket.number < *bound {
            return Response::Refused(Refused::Forgotten);
        }
        if ticket.number - *bound >= MAX_RESULTS {
            return Response::Refused(Refused::Busy);
        }
        reply(*self.replies.entry((ticket.id, ticket.number)).or_insert(now))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Register,
    Command { session: prop::sample::Index, number: u64, unacknowledged: u64 },
    ThroughSnapshot,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Register),
        9 => (any::<prop::sample::Index>(), 0..12_u64, 0..10_u64).prop_map(|(session, number, back)| {
            Step::Command { session, number, unacknowledged: number.saturating_sub(back / 2) }
        }),
        1 => Just(Step::ThroughSnapshot),
    ]
}

proptest! {
    #[test]
    fn the_same_as_remembering_everything(steps in prop::collection::vec(any_step(), 0..120)) {
        let mut sessions = Sessions::default();
        let mut model = Model::default();
        for (now, step) in (1..).zip(steps) {
            sessions.expire(now, TIMEOUT);
            model.expire(now);
            match step {
                Step::Register => {
                    let id = sessions.register(at(now), 7, MAX_SESSIONS);
                    prop_assert_eq!(id, SessionId { index: LogIndex(now), offset: 0, nonce: 7 });
                    model.register(now, id);
                }
                Step::Command { session, number, unacknowledged } if !model.registered.is_empty() => {
                    // Any that ever was, the evicted ones too.
                    let id = *session.get(&model.registered);
                    let ticket = Ticket { id, number, unacknowledged };
                    let response = sessions.once(at(now), ticket, MAX_RESULTS, || {
                        Outcome::Applied(Bytes::from(now.to_string()))
                    });
                    prop_assert_eq!(response, model.command(now, ticket));
                }
                Step::Command { .. } => {}
                Step::ThroughSnapshot => {
                    let restored = Sessions::from_records(sessions.to_records());
                    prop_assert_eq!(restored.as_ref(), Ok(&sessions));
                    sessions = restored.unwrap();
                }
            }
            let alive: BTreeSet<_> = model.alive().into_iter().collect();
            prop_assert!(sessions.by_id.keys().eq(alive.iter()));
            prop_assert_eq!(sessions.len(), sessions.by_use.len());
            for session in sessions.by_id.values() {
                prop_assert!(session.results.len() <= MAX_RESULTS as usize);
            }
        }
    }
}
