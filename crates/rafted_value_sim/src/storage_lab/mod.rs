//! The storage lab: everything that a disk may do to the log of a node, one after the other, and after each whether
//! what was confirmed is still there, unchanged, or reported as damaged.

pub mod workload;

use rafted_value::storage::disk::Disk;
use rafted_value::storage::disk::simulated::{Call, Fault, Loss, SimulatedDisk};
use rafted_value::storage::{Found, OpenFailure, Wal, node_id};
use serde::Serialize;
use std::sync::Arc;
use workload::{OPTIONS, Workload, look};

/// How much of everything there was.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Calls of the recorded workload that change something.
    pub calls: u64,
    /// Calls before, in or after which power was lost, times what was lost with it.
    pub crash_points: u64,
    /// Bytes after which a write was torn.
    pub torn_offsets: u64,
    /// Bits that were flipped.
    pub bit_flips: u64,
    /// Of those: how many were reported, and how many changed nothing.
    pub flips_reported: u64,
    /// The others were in the last batch, which nothing behind it confirms.
    pub flips_in_last_batch: u64,
    /// Calls that failed, times how.
    pub failed_calls: u64,
    /// How many bytes were written for each byte of commands.
    pub bytes_written: u64,
    /// Each is a bug: of the log, or of the lab.
    pub violations: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_violations: Vec<String>,
}

/// One run of the lab.
pub struct Lab {
    workload: Workload,
    /// Takes every so many of the offsets and bits: 1 for all.
    stride: usize,
    /// How many disks were looked at after a loss of power.
    checks: u64,
    report: Report,
}

type Shared = Arc<SimulatedDisk>;

impl Lab {
    /// A workload of so many steps; `stride` 1 tries everything.
    pub fn new(seed: u64, steps: usize, stride: usize) -> Lab {
        Lab { workload: Workload::new(seed, steps), stride, checks: 0, report: Report::default() }
    }

    /// Tries everything; tells `progress` what it is at.
    pub fn run(mut self, mut progress: impl FnMut(&str)) -> Report {
        let disk = Shared::default();
        let (done, _) = self.story(&disk);
        if done != self.workload.steps.len() {
            self.violation(format!("without any fault the workload ends after {done} steps"));
        }
        let calls = disk.log();
        (self.report.calls, self.report.bytes_written) = (disk.calls(), disk.written());
        for call in 1..=calls.len() as u64 {
            if call % 100 == 1 {
                progress(&format!("call {call} of {}", calls.len()));
            }
            self.crash_at(call, calls[call as usize - 1]);
            self.fail_at(call);
        }
        progress("bits");
        self.flip_bits(&disk.after(Loss::Nothing));
        self.report
    }

    /// Power is lost in a call; then, in the next story, again while the log is being read.
    fn crash_at(&mut self, call: u64, kind: Call) {
        let disk = Shared::default();
        disk.fail_at(call, Fault::PowerLoss);
        let (done, _) = self.story(&disk);
        let losses =
            [Loss::Everything, Loss::Nothing, Loss::Random(call), Loss::Random(call ^ 0x5555), Loss::Random(!call)];
        for loss in losses {
            self.report.crash_points += 1;
            self.check(&disk.after(loss), done, || format!("power lost in call {call} ({kind:?}), {loss:?}"));
        }
        for again in 1..=3 {
            self.report.crash_points += 1;
            let disk = Arc::new(disk.after(Loss::Random(call)));
            disk.fail_at(again, Fault::PowerLoss);
            if open(&disk).is_err() {
                let what = || format!("power lost in call {call} ({kind:?}) and in call {again} of recovery");
                self.check(&disk.after(Loss::Random(call ^ again)), done, what);
            }
        }
        if kind == Call::Sync {
            for kept in (0..=disk.last_write()).step_by(self.stride) {
                self.report.torn_offsets += 1;
                let what = || format!("write before call {call} torn after {kept} bytes");
                self.check(&disk.after(Loss::LastWriteAfter(kept)), done, what);
            }
        }
    }

    fn fail_at(&mut self, call: u64) {
        for fault in [Fault::Io, Fault::Full, Fault::Short] {
            self.report.failed_calls += 1;
            let disk = Shared::default();
            disk.fail_at(call, fault);
            let (done, _) = self.story(&disk);
            for loss in [Loss::Everything, Loss::Nothing, Loss::Random(call)] {
                self.check(&disk.after(loss), done, || format!("{fault:?} in call {call}, then power lost, {loss:?}"));
            }
        }
    }

    /// Does the workload on an empty disk; how many steps were confirmed.
    fn story(&self, disk: &Shared) -> (usize, Option<String>) {
        match open(disk) {
            Ok((mut wal, _)) => {
                let disk: Arc<dyn Disk> = disk.clone();
                match self.workload.run(&mut wal, &disk, 0) {
                    Ok(()) => (self.workload.steps.len(), None),
                    Err((done, why)) => (done, Some(why)),
                }
            }
            Err(error) => (0, Some(error.to_string())),
        }
    }

    /// After a restart everything confirmed is there, the step under way is there in full or not at all, nothing is
    /// called damaged, and the rest of the story can be told.
    fn check(&mut self, disk: &SimulatedDisk, done: usize, what: impl Fn() -> String) {
        let disk = Arc::new(disk.after(Loss::Nothing));
        let (mut wal, found) = match open(&disk) {
            Ok(opened) => opened,
            Err(error) => return self.violation(format!("{}: {error}", what())),
        };
        if !found.damage.is_empty() {
            return self.violation(format!("{}: {:?}", what(), found.damage));
        }
        let (world, damaged) = look(&wal);
        let upto = (done + 1).min(self.workload.steps.len());
        let Some(at) = (done..=upto).rev().find(|at| self.workload.worlds[*at] == world) else {
            let expected = &self.workload.worlds[done];
            return self
                .violation(format!("{}: {damaged:?} after {done} steps:\n{world:?}\nnot\n{expected:?}", what()));
        };
        // Not after every one: the story is long.
        self.checks += 1;
        if self.checks.is_multiple_of(16) {
            let shared: Arc<dyn Disk> = disk.clone();
            let ended = self.workload.run(&mut wal, &shared, at).is_ok();
            drop(wal);
            let last = open(&disk).map(|(wal, _)| look(&wal).0);
            if !ended || last.ok().as_ref() != self.workload.worlds.last() {
                self.violation(format!("{}: the story does not end as it should", what()));
            }
        }
    }

    fn flip_bits(&mut self, disk: &SimulatedDisk) {
        let last = self.workload.worlds.last().cloned().unwrap_or_default();
        for name in disk.list().unwrap_or_default() {
            let bytes = disk.size(&name).unwrap_or(0) as usize;
            for byte in (0..bytes).step_by(self.stride) {
                for bit in 0..8 {
                    self.report.bit_flips += 1;
                    let disk = Arc::new(disk.after(Loss::Nothing));
                    disk.flip(&name, byte, bit);
                    self.judge(&disk, &last, &format!("bit {bit} of byte {byte} of {name}"));
                }
            }
        }
    }

    /// Whatever is not reported is unchanged; only of the last batch nothing behind it says that it was whole.
    fn judge(&mut self, disk: &Shared, last: &workload::World, what: &str) {
        let (wal, found) = match open(disk) {
            Ok(opened) => opened,
            Err(error) => return self.violation(format!("{what}: {error}")),
        };
        let (world, damaged) = look(&wal);
        if found.torn.is_some() && found.damage.is_empty() {
            self.report.flips_in_last_batch += 1;
            let steps = self.workload.steps.len();
            if !self.workload.worlds[steps.saturating_sub(3)..].contains(&world) {
                self.violation(format!("{what}: more than the last batch is gone"));
            }
            return;
        }
        let reported = !found.damage.is_empty() || !damaged.is_empty();
        self.report.flips_reported += u64::from(reported);
        for (group, view) in last {
            let says = damaged.iter().any(|(damaged, _)| damaged == group);
            if !says && world.get(group) != Some(view) {
                self.violation(format!("{what}: {group:?} is changed and not reported"));
            }
        }
        if world.keys().any(|group| !last.contains_key(group)) {
            self.violation(format!("{what}: a group from nowhere"));
        }
    }

    fn violation(&mut self, what: String) {
        self.report.violations += 1;
        if self.report.first_violations.len() < 5 {
            self.report.first_violations.push(what);
        }
    }
}

fn open(disk: &Shared) -> Result<(Wal, Found), OpenFailure> {
    Wal::open(disk.clone(), OPTIONS, (node_id(7), 0x6d61_726b_206f_6620))
}
