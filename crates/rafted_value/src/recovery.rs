//! The words of the one unsafe operation: [`Group::force_remove_member`](crate::Group::force_remove_member).

use crate::contact::Contact;
use crate::error::StatusError;
use crate::report::StatusReport;
use rafted_value_core::{EntryId, MemberId};

/// An operator's word that data may be lost, which [`Group::force_remove_member`](crate::Group::force_remove_member) asks
/// for: it names the end of the survivor's log, so that nobody gives it without having looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptDataLoss {
    pub(crate) last: EntryId,
}

impl AcceptDataLoss {
    /// "The survivor's log ends with this entry, and no other survivor's ends later. I accept that everything that was
    /// done after it is lost, acknowledged or not; and that what stands in the log up to it is done, even if its callers
    /// were told that the outcome is unknown."
    pub fn after(last: EntryId) -> AcceptDataLoss {
        AcceptDataLoss { last }
    }
}

/// A member as it says itself, if it says anything; see [`Group::survivors`](crate::Group::survivors).
#[derive(Clone, Debug)]
pub struct Survivor {
    /// Which member, as the membership here has it.
    pub member: MemberId,
    /// Where it is.
    pub contact: Contact,
    /// Its own word. Who does not answer may be lost, or only out of reach.
    pub status: Result<StatusReport, StatusError>,
}

impl Survivor {
    /// The end of its log; nothing if it does not answer. Of all survivors the one with the largest has everything that
    /// any of them has.
    pub fn last_entry(&self) -> Option<EntryId> {
        self.status.as_ref().ok().map(StatusReport::last_entry)
    }
}
