//! Finds the leader, asks it, and asks again until the caller's time is up.

use crate::contact::Contact;
use crate::host::Host;
use crate::mailbox::Event;
use crate::member::View;
use crate::packet::{Change, ChangeRefused, Envelope, Refused, Request, Response};
use crate::timers;
use crate::waiting;
use bytes::Bytes;
use rafted_value_core::{RoleKind, Time};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// After how long without a response another member is asked: its node may be gone without a word.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How long to wait before asking again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// What is asked of a group, wherever its leader is.
#[derive(Clone)]
pub(crate) enum Ask {
    Command(Envelope),
    Query(Bytes),
    ReadIndex,
    Change(Change),
}

/// One handle's way to its group.
pub(crate) struct Caller {
    host: Arc<Host>,
    group: String,
    value: &'static str,
    here: Option<Here>,
    /// Where to ask, best guess first.
    known: Mutex<VecDeque<Contact>>,
}

/// The member in this process.
pub(crate) struct Here {
    pub(crate) view: watch::Receiver<View>,
}

/// What became of asking.
#[derive(Default)]
pub(crate) struct Asked {
    /// The last word; nothing if the time is up.
    pub(crate) response: Option<Response>,
    /// Whether something was asked that may have been, or may yet be, done, in spite of what was said last.
    pub(crate) perhaps_done: bool,
    /// Why the last attempt came to nothing.
    pub(crate) last: Option<Refused>,
}

#[derive(Clone)]
enum Target {
    Here,
    There(Contact),
}

impl Caller {
    pub(crate) fn new(
        host: Arc<Host>,
        (group, value): (&str, &'static str),
        here: Option<Here>,
        known: impl IntoIterator<Item = Contact>,
    ) -> Caller {
        let known = Mutex::new(known.into_iter().collect());
        Caller { host, group: group.to_owned(), value, here, known }
    }

    /// The name of the group.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Asks until there is an answer that asking again would not change. Cancellation safe: what was asked may be done.
    pub(crate) async fn ask(&self, ask: &Ask, deadline: Time) -> Asked {
        let mut asked = Asked::default();
        let response = self.until(deadline, self.ask_until_answered(ask, &mut asked)).await;
        Asked { response, ..asked }
    }

    async fn ask_until_answered(&self, ask: &Ask, state: &mut Asked) -> Response {
        let mut pause = PAUSE.0;
        loop {
            if self.here.as_ref().is_some_and(|here| here.view.borrow().ended.is_some()) {
                return Response::Refused(Refused::Stopped);
            }
            let Some(target) = self.target() else {
                self.pause(&mut pause).await;
                continue;
            };
            let before = std::mem::replace(&mut state.perhaps_done, true);
            let response = self.attempt(&target, ask).await;
            let Response::Refused(why) = response else {
                state.perhaps_done = before;
                return response;
            };
            state.last = Some(why.clone());
            if why != Refused::OutcomeUnknown {
                state.perhaps_done = before;
            }
            match (&target, why) {
                (_, Refused::NotLeader { leader: Some(leader) }) => {
                    let is_news = !matches!(&target, Target::There(asked) if *asked == leader);
                    self.prefer(leader);
                    // A member here hears of leaders by itself: it is waited for.
                    if is_news && self.here.is_none() {
                        // At once, but two members that point at each other are not asked at full speed.
                        self.sleep(timers::jittered(Duration::from_millis(1))).await;
                        continue;
                    }
                }
                (Target::There(asked), Refused::NotLeader { leader: None } | Refused::OutcomeUnknown) => {
                    self.defer(asked);
                }
                (Target::There(asked), Refused::NoSuchGroup | Refused::Stopped) => self.defer(asked),
                (Target::Here, Refused::NotLeader { .. } | Refused::OutcomeUnknown) => {}
                // It went over to another incarnation of the group while this was on its way.
                (Target::Here, Refused::NoSuchGroup) => {}
                (_, Refused::Busy | Refused::Change(ChangeRefused::InProgress)) => {}
                (_, final_word) => return Response::Refused(final_word),
            }
            self.pause(&mut pause).await;
        }
    }

    /// The member here if it leads; else where it says the leader is; else whoever is known.
    fn target(&self) -> Option<Target> {
        if let Some(here) = &self.here {
            let view = here.view.borrow();
            return match view.role {
                RoleKind::Leader => Some(Target::Here),
                _ => view.leader.clone().map(Target::There),
            };
        }
        self.known().front().cloned().map(Target::There)
    }

    async fn attempt(&self, target: &Target, ask: &Ask) -> Response {
        match (target, &self.here) {
            (Target::Here, Some(here)) => self.ask_here(here, ask).await,
            (Target::There(contact), _) => {
                let asked = self.host.requests.send(&*self.host.network, contact, self.request(ask));
                let answer = timers::within(&self.host.deadlines, ATTEMPT, asked).await;
                answer.unwrap_or(Response::Refused(Refused::OutcomeUnknown))
            }
            (Target::Here, None) => Response::Refused(Refused::NoSuchGroup),
        }
    }

    /// A query is answered with where to read: the caller reads for itself.
    async fn ask_here(&self, here: &Here, ask: &Ask) -> Response {
        let (caller, response) = waiting::Caller::here();
        let group = here.view.borrow().at.group;
        let event = match ask {
            Ask::Command(envelope) => Event::Command { group, envelope: envelope.clone(), caller },
            Ask::Query(_) | Ask::ReadIndex => Event::Read { group, caller },
            Ask::Change(change) => Event::Change { group, change: change.clone(), caller },
        };
        let _asking = self.host.mailbox.post_and_turn(event).await;
        response.await.unwrap_or(Response::Refused(Refused::Stopped))
    }

    fn request(&self, ask: &Ask) -> Request {
        let (group, value) = (self.group.clone(), self.value.to_owned());
        match ask {
            Ask::Command(envelope) => Request::Command { group, value, envelope: envelope.clone() },
            Ask::Query(query) => Request::Query { group, value, query: query.clone() },
            Ask::ReadIndex => Request::ReadIndex { group },
            Ask::Change(change) => Request::Change { group, change: change.clone() },
        }
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Contact>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prefer(&self, leader: Contact) {
        let mut known = self.known();
        // A node that started again under its address is another node: the newest word counts.
        known.retain(|contact| contact.address != leader.address);
        known.push_front(leader);
        known.truncate(16);
    }

    fn defer(&self, asked: &Contact) {
        let mut known = self.known();
        if known.front() == Some(asked) {
            known.pop_front();
            // Another start of a node may be there by now.
            known.push_back(Contact::anyone_at(&asked.address));
        }
    }

    /// Until it is worth asking again: a little longer each time, or until the member here sees something new.
    async fn pause(&self, pause: &mut Duration) {
        let sleep = self.sleep(timers::jittered(*pause));
        *pause = (*pause * 2).min(PAUSE.1);
        match &self.here {
            Some(here) => {
                let mut view = here.view.clone();
                view.mark_unchanged();
                let changed = async {
                    if view.changed().await.is_err() {
                        // There is no member any more to say anything.
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    () = sleep => {}
                    () = changed => {}
                }
            }
            None => sleep.await,
        }
    }

    async fn sleep(&self, duration: Duration) {
        timers::sleep(&self.host.deadlines, duration).await;
    }

    /// What `work` comes to, unless the deadline comes first.
    pub(crate) async fn until<T>(&self, deadline: Time, work: impl Future<Output = T>) -> Option<T> {
        timers::within(&self.host.deadlines, deadline.since(timers::now()), work).await
    }
}
