//! Real processes over TCP, on this machine.

mod fleet;
mod handed_over;
mod kill_nine;
mod killed;
// The values' own tests run with the program's.
mod readme;
mod recovered;
mod stale;
#[allow(dead_code)]
#[path = "../../src/values/mod.rs"]
mod values;
mod verbs;
