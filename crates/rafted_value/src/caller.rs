//! Finds the leader, asks it, and asks again until the caller's time is up.

use crate::contact::Contact;
use crate::host::Host;
use crate::mailbox::Event;
use crate::member::View;
use crate::packet::{Change, Envelope, Freshness, Refused, Request, Response};
use crate::timers;
use crate::waiting;
use bytes::Bytes;
use rafted_value_core::{MemberId, RoleKind, Time};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// After how long without a response another member is asked: its node may be gone without a word.
const ATTEMPT: Duration = Duration::from_secs(1);

/// How long to wait before asking again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// What is asked of a group.
#[derive(Clone)]
pub(crate) enum Ask {
    Command(Envelope),
    /// Of one session, to be applied in their order.
    Commands(Vec<Envelope>),
    Query(Bytes, Freshness),
    ReadIndex,
    Change(Change),
    Status,
}

/// Who is asked.
#[derive(Clone)]
pub(crate) enum Whom {
    /// Whoever leads, as often as it takes.
    Leader,
    /// The same, but not again if it is busy.
    LeaderUnlessBusy,
    /// The member at this node, this very one if it is named, once.
    Only(Contact, Option<MemberId>),
}

/// One handle's way to its group.
pub(crate) struct Caller {
    host: Arc<Host>,
    group: String,
    value: &'static str,
    here: Option<Here>,
    /// Where to ask, best guess first.
    known: Mutex<VecDeque<Contact>>,
    /// Whether it runs on a thread of the caller's, which may as well do the work.
    takes_turns: bool,
}

/// The member in this process.
#[derive(Clone)]
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
        Caller { host, group: group.to_owned(), value, here, known, takes_turns: true }
    }

    /// The same way to the group for what runs on the node's own thread, where no user code may run.
    pub(crate) fn apart(&self) -> Caller {
        let (host, group, here) = (self.host.clone(), self.group.clone(), self.here.clone());
        let known = Mutex::new(self.known().clone());
        Caller { host, group, value: self.value, here, known, takes_turns: false }
    }

    /// The name of the group.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Runs something beside the caller, on the node's own runtime: as long as the node lives.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.host.runtime.spawn(work);
    }

    /// Where a member is, as far as the member here knows; nothing if it knows none of this id.
    pub(crate) async fn find(&self, member: MemberId) -> Result<Contact, Refused> {
        let Some(here) = &self.here else { return Err(Refused::NoSuchMember) };
        let Response::Status(report) = self.ask_here(here, &Ask::Status).await else { return Err(Refused::Stopped) };
        let found = report.members.into_iter().find(|known| known.id == member);
        found.map(|known| known.contact).ok_or(Refused::NoSuchMember)
    }

    /// Asks until there is an answer that asking again would not change. Cancellation safe: what was asked may be done.
    pub(crate) async fn ask(&self, ask: &Ask, whom: &Whom, deadline: Time) -> Asked {
        let mut asked = Asked::default();
        let response = match whom {
            Whom::Only(contact, member) => {
                asked.perhaps_done = true;
                self.until(deadline, self.ask_one(contact, *member, ask)).await
            }
            Whom::Leader | Whom::LeaderUnlessBusy => {
                let patient = matches!(whom, Whom::Leader);
                self.until(deadline, self.ask_until_answered(ask, patient, &mut asked)).await
            }
        };
        if response.is_some() && matches!(whom, Whom::Only(..)) {
            asked.perhaps_done = false;
        }
        Asked { response, ..asked }
    }

    /// One member and nobody else; nothing is repeated but what was asked too early.
    async fn ask_one(&self, contact: &Contact, member: Option<MemberId>, ask: &Ask) -> Response {
        let mut pause = PAUSE.0;
        loop {
            match self.ask_once(contact, member, ask).await {
                Response::Refused(Refused::Behind { .. }) => self.pause(&mut pause).await,
                // Of the group, that very member is missing at least.
                Response::Refused(Refused::NoSuchGroup) if member.is_some() => {
                    return Response::Refused(Refused::NoSuchMember);
                }
                response => return shared_fate(response),
            }
        }
    }

    async fn ask_once(&self, contact: &Contact, member: Option<MemberId>, ask: &Ask) -> Response {
        let request = match member {
            Some(member) => Request::Of(member, Box::new(self.request(ask))),
            None => self.request(ask),
        };
        if contact.node != Some(self.host.node) {
            return self.host.requests.send(&*self.host.network, contact, request).await;
        }
        let (caller, response) = waiting::Caller::here();
        self.ask_the_loop(Event::Request { request, caller }, response).await
    }

    async fn ask_until_answered(&self, ask: &Ask, patient: bool, state: &mut Asked) -> Response {
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
            let response = shared_fate(self.attempt(&target, ask).await);
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
                (Target::There(asked), Refused::NoSuchGroup | Refused::GroupRemoved | Refused::Stopped) => {
                    self.defer(asked)
                }
                (Target::Here, Refused::NotLeader { .. } | Refused::OutcomeUnknown) => {}
                // It went over to another incarnation of the group while this was on its way.
                (Target::Here, Refused::NoSuchGroup) => {}
                (_, Refused::Busy) if patient => {}
                (_, Refused::Change(why)) if why.passes() => {}
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
            Ask::Commands(envelopes) => Event::Commands { group, envelopes: envelopes.clone(), caller },
            Ask::Query(..) | Ask::ReadIndex => Event::Read { group, caller },
            Ask::Change(change) => Event::Change { group, change: change.clone(), caller },
            Ask::Status => Event::Status { group, caller },
        };
        self.ask_the_loop(event, response).await
    }

    async fn ask_the_loop(&self, event: Event, response: oneshot::Receiver<Response>) -> Response {
        let mailbox = &self.host.mailbox;
        let _asking = match self.takes_turns {
            true => Some(mailbox.offer_and_turn(event).await),
            false => {
                mailbox.offer(event);
                None
            }
        };
        response.await.unwrap_or(Response::Refused(Refused::Stopped))
    }

    fn request(&self, ask: &Ask) -> Request {
        let (group, value) = (self.group.clone(), self.value.to_owned());
        match ask {
            Ask::Command(envelope) => Request::Command { group, value, envelope: envelope.clone() },
            Ask::Commands(envelopes) => Request::Commands { group, value, envelopes: envelopes.clone() },
            Ask::Query(query, freshness) => {
                Request::Query { group, value, query: query.clone(), freshness: *freshness }
            }
            Ask::Status => Request::Status { group },
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

/// Commands that went together are asked for again together: if one of them may have another chance, so have all, and
/// those that had theirs are remembered.
fn shared_fate(response: Response) -> Response {
    let again = |response: &Response| match response {
        Response::Refused(why @ (Refused::NotLeader { .. } | Refused::OutcomeUnknown)) => Some(why.clone()),
        Response::Refused(why @ (Refused::Busy | Refused::Stopped)) => Some(why.clone()),
        _ => None,
    };
    match &response {
        Response::Many(parts) => parts.iter().find_map(again).map_or(response, Response::Refused),
        _ => response,
    }
}
