//! Real processes over TCP, on this machine.

mod durable;
mod fleet;
mod kill_nine;
mod handed_over;
mod killed;
// The values' own tests run with the program's.
mod readme;
mod recovered;
mod stale;
#[allow(dead_code)]
#[path = "../../src/values/mod.rs"]
mod values;
mod verbs;
