//! Leadership as something to hold: for whoever must do things in the world that only the leader may do.

use crate::contact::MemberOf;
use crate::host::Host;
use crate::hosted::Hosted;
use crate::mailbox::Event;
use crate::member::View;
use crate::packet::Response;
use crate::timers;
use crate::waiting::Caller;
use rafted_value_core::{LogIndex, RoleKind, Term};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// One leadership of the member in this process; see [`Group::leadership`](crate::Group::leadership).
///
/// # What may be concluded
///
/// Nobody can know for sure that they lead *now*: a process may be suspended between looking and acting, and others elect another
/// meanwhile. There are two ways to act safely all the same:
///
/// - **By fencing**: hand [`token`](Leadership::token) to whatever you act upon, and have that refuse a token smaller
///   than the greatest it has seen. Every later leadership has a greater one, whichever member has it. Needs no clock.
/// - **By time**: act only as long as [`held_for`](Leadership::held_for) says. That takes a lease, which is off by
///   default, and is as good as the clocks: see [`Config::clock_drift_margin`](crate::Config::clock_drift_margin).
///
/// What only changes the value needs neither: a command of whoever no longer leads goes to the leader like any
/// other. To have a command refused once leadership has gone on, keep the greatest token in the value and compare there.
///
/// | | if so | if not |
/// |---|---|---|
/// | [`is_held`](Leadership::is_held) | perhaps another leads already, for at most twice the election timeout | this leadership is over for good |
/// | [`held_for`](Leadership::held_for) | for so long nobody else leads | nothing |
/// | [`confirm`](Leadership::confirm) | it led at some instant during the call | nothing |
///
/// Dropping it gives nothing up: [`Group::replace_leader`](crate::Group::replace_leader) does.
///
/// # Example
///
/// ```no_run
/// # use rafted_value::{Group, Value};
/// # async fn bill(token: u128) {}
/// # async fn example<V: Value>(group: Group<V>) -> Result<(), Box<dyn std::error::Error>> {
/// loop {
///     let leadership = group.leadership().await?;
///     tokio::select! {
///         // Whoever keeps the books refuses a token that is smaller than one it has seen.
///         () = bill(leadership.token().number()) => {}
///         () = leadership.lost() => {}
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Leadership {
    token: FencingToken,
    /// The member, which begins another life when its group is recovered from it.
    at: MemberOf,
    host: Arc<Host>,
    hosted: Hosted,
}

/// Orders leaderships of one group: whoever leads later has a greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken {
    /// The term, in which nobody else ever leads.
    pub term: Term,
    /// What was committed when leadership was confirmed. Tells two calls in one leadership apart.
    pub index: LogIndex,
}

impl FencingToken {
    /// The same as one number, for things that compare numbers: in the same order.
    pub fn number(self) -> u128 {
        u128::from(self.term.0) << 64 | u128::from(self.index.0)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.index)
    }
}

/// How long to wait after leadership was not confirmed though the member seemed to lead.
const PAUSE: Duration = Duration::from_millis(10);

impl Leadership {
    /// Waits until the member leads, and a majority has said so; and up to which entry the value is then current. None if the
    /// member ends.
    pub(crate) async fn won(host: Arc<Host>, hosted: Hosted) -> Option<Leadership> {
        let mut view = hosted.view.clone();
        loop {
            let leads = |view: &View| view.ended.is_some() || view.role == RoleKind::Leader;
            let (at, term) = {
                let view = view.wait_for(leads).await.ok()?;
                if view.ended.is_some() {
                    return None;
                }
                (view.at, view.term)
            };
            if let Some(index) = read_index(&host, at).await {
                let leadership =
                    Leadership { token: FencingToken { term, index }, at, host: host.clone(), hosted: hosted.clone() };
                if leadership.is_held() {
                    return Some(leadership);
                }
            }
            timers::sleep(&host.deadlines, timers::jittered(PAUSE)).await;
        }
    }

    /// What to hand to things that only the latest leader may act upon.
    pub fn token(&self) -> FencingToken {
        self.token
    }

    /// Whether the member believes that it still leads as it did; once it does not, this leadership is over for good.
    pub fn is_held(&self) -> bool {
        self.is_of(&self.hosted.view.borrow())
    }

    /// For how long from now nobody else can lead, in this group, as far as clocks can be trusted. None if there is no lease.
    ///
    /// The time that passes between the call and what you do is yours to count.
    pub fn held_for(&self) -> Option<Duration> {
        // First the lease: the loop tells the view that a leadership is over before it publishes the lease of another.
        let until = self.hosted.lease.until();
        let now = timers::now();
        (self.is_held() && now < until).then(|| until.since(now))
    }

    /// Asks a majority whether this leadership still holds. False if it does not, or if that could not be known in time.
    /// Cancellation safe.
    pub async fn confirm(&self, timeout: Duration) -> bool {
        let asked = read_index(&self.host, self.at);
        let confirmed = timers::within(&self.host.deadlines, timeout, asked).await;
        confirmed.flatten().is_some() && self.is_held()
    }

    /// Returns once this leadership is known here to be over, however long that takes: another member may lead before.
    /// Cancellation safe.
    pub async fn lost(&self) {
        let mut view: watch::Receiver<View> = self.hosted.view.clone();
        // An error says that the member ended.
        let _ = view.wait_for(|view| !self.is_of(view)).await;
    }

    fn is_of(&self, view: &View) -> bool {
        let leads = view.ended.is_none() && view.role == RoleKind::Leader;
        leads && (view.at, view.term) == (self.at, self.token.term)
    }
}

/// From which entry on the value of the member here is current, if it leads.
async fn read_index(host: &Host, at: MemberOf) -> Option<LogIndex> {
    let (caller, response) = Caller::here();
    host.mailbox.post(Event::Read { group: at.group, caller });
    match response.await {
        Ok(Response::ReadIndex(index)) => Some(index),
        _ => None,
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leadership({}, held: {})", self.token, self.is_held())
    }
}
