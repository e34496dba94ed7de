//! The loss of a majority, and another incarnation of the group. Its members are new ones, so that nothing said by those
//! of the former reaches them; and from then on the checker follows the new one alone: what it never had is given up.

use crate::cluster::Cluster;
use crate::history::{Fate, Wish};
use crate::invariants::Broken;
use crate::member::Member;
use crate::name::{life_of, node_of};
use crate::tale::Tale;
use rafted_value_core::MemberId;

impl Cluster {
    /// The node of `at` begins another incarnation, if the core of `at` says from what.
    pub(crate) fn recover(&mut self, at: MemberId, label: &str, lost: &[MemberId]) -> Result<(), Broken> {
        self.history.ask(label, Wish::Entry);
        let Some(member) = self.members.get(&at) else { return Ok(()) };
        let Some(raft) = &member.raft else { return Ok(()) };
        let id = node_of(at).member(life_of(at) + 1);
        let restored = match raft.recover(member.now(self.now), id, lost) {
            Ok(restored) => restored,
            Err(why) => {
                self.settle(label, Fate::Refused(why));
                return Ok(());
            }
        };
        let (machine, durability, mut chain) = (member.machine.clone(), member.disk.durability, member.chain.clone());
        let first = restored.entries.last().cloned();
        let first = first.into_iter().collect::<Vec<_>>();
        let (log_end, entry) = (chain.last().index, first[0].id);
        chain.replace(entry.index, &first);

        self.end(at)?;
        self.incarnation += 1;
        self.seen = self.seen.given_up_but(&chain);
        self.history.given_up_after(log_end);
        self.tales.push(Tale::Recovered(id, entry));
        self.settle(label, Fate::Done(entry));
        let member = Member::start(id, durability, self.now, restored, machine, chain);
        self.start(Member { incarnation: self.incarnation, ..member })
    }

    fn settle(&mut self, label: &str, fate: Fate) {
        self.history.settle(label, fate.clone());
        self.tales.push(Tale::Settled(label.to_owned(), fate));
    }
}
