//! Paints members for the tests of properties: each property must be seen to fire.

use super::{Property, Seen, World};
use crate::chain::Chain;
use crate::event::Event;
use crate::name::Node;
use crate::portrait::Portrait;
use bytes::Bytes;
use rafted_value::simulation::SessionId;
use rafted_value_core::{
    Entry, EntryId, HardState, LogIndex, Member, MemberId, Membership, Payload, RoleKind, Seat, Term,
};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn member(letter: char) -> MemberId {
    Node::of_letter(letter).expect("a letter").member(1)
}

fn seated(letters: &str, seat: Seat) -> impl Iterator<Item = (MemberId, Member)> + '_ {
    letters.chars().map(move |letter| (member(letter), Member { contact: Bytes::new(), seat }))
}

pub(crate) fn voters(letters: &str) -> Membership {
    Membership::new(seated(letters, Seat::Voter))
}

pub(crate) fn joint(old: &str, new: &str) -> Membership {
    let only = |these: &str, those: &str| these.chars().filter(|letter| !those.contains(*letter)).collect::<String>();
    let (outgoing, incoming) = (only(old, new), only(new, old));
    let both: String = old.chars().filter(|letter| new.contains(*letter)).collect();
    let seats = seated(&both, Seat::Voter).chain(seated(&outgoing, Seat::Outgoing));
    Membership::new(seats.chain(seated(&incoming, Seat::Incoming)))
}

/// A log given by its terms; entry 0 of `memberships` stands at the index it names.
pub(crate) fn log(terms: &[u64], memberships: &[(u64, Membership)]) -> Chain {
    let payload = |index: u64| match memberships.iter().find(|(at, _)| *at == index) {
        Some((_, membership)) => Payload::Membership(Arc::new(membership.clone())),
        None => Payload::Commands(Bytes::new()),
    };
    let entry = |(term, index): (&u64, u64)| Entry { id: EntryId::new(*term, index), payload: payload(index) };
    let entries: Vec<Entry> = terms.iter().zip(1..).map(entry).collect();
    let mut chain = Chain::rooted(Arc::new(voters("ABC")));
    chain.replace(LogIndex(1), &entries);
    chain
}

/// A member of {A, B, C} with this log, all of it synced.
pub(crate) fn portrait(letter: char, term: u64, terms: &[u64]) -> Portrait {
    let mut portrait = Portrait::blank(member(letter));
    portrait.up = true;
    portrait.hard_state = HardState::new(Term(term), None);
    portrait.log = log(terms, &[]);
    portrait.last = portrait.log.last().index;
    portrait.membership = Arc::new(voters("ABC"));
    portrait.durable.log = portrait.log.clone();
    portrait.durable.hard_state = portrait.hard_state;
    portrait
}

/// The same, but it leads.
pub(crate) fn leader(letter: char, term: u64, terms: &[u64]) -> Portrait {
    let mut portrait = portrait(letter, term, terms);
    portrait.role = RoleKind::Leader;
    portrait.hard_state = HardState::new(Term(term), Some(portrait.id));
    portrait.durable.hard_state = portrait.hard_state;
    portrait
}

pub(crate) fn committed(mut portrait: Portrait, commit: u64) -> Portrait {
    portrait.commit = LogIndex(commit);
    portrait
}

pub(crate) fn moved(before: &Portrait, after: &Portrait) -> Event {
    Event::Moved { before: Arc::new(before.clone()), after: Arc::new(after.clone()) }
}

/// The first command of the first session stands in one entry and says that it ran in another.
pub(crate) fn ran(here: u64, place: u64, asked: bool) -> Event {
    let session = SessionId { index: LogIndex(1), offset: 0, nonce: 1 };
    Event::Ran { by: member('A'), ticket: (session, 1), here: (here, 0), place: (place, 0), found: None, asked }
}

/// Remembers that all of these came to be, one after the other.
pub(crate) fn having_seen(portraits: &[&Portrait]) -> Seen {
    let mut seen = Seen::default();
    for portrait in portraits {
        seen.remember(moved(&Portrait::blank(portrait.id), portrait));
    }
    seen
}

fn verdict(property: &Property, event: &Event, seen: &Seen, others: &[&Portrait]) -> Result<(), String> {
    let mut portraits: std::collections::BTreeMap<MemberId, Arc<Portrait>> =
        others.iter().map(|portrait| (portrait.id, Arc::new((*portrait).clone()))).collect();
    if let Event::Moved { after, .. } = event {
        portraits.insert(after.id, after.clone());
    }
    (property.check)(event, seen, &World { now: Duration::from_secs(1), portraits: &portraits })
}

#[track_caller]
pub(crate) fn holds(property: &Property, event: &Event, seen: &Seen, others: &[&Portrait]) {
    assert_eq!(verdict(property, event, seen, others), Ok(()), "{}", property.name);
}

#[track_caller]
pub(crate) fn fires(property: &Property, event: &Event, seen: &Seen, others: &[&Portrait]) {
    assert!(verdict(property, event, seen, others).is_err(), "{} does not fire", property.name);
}
