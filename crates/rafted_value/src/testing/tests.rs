//! Each way of being wrong is found, and a value that is right passes.

use super::*;
use crate::Context;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

/// A value that is wrong in a way of your choice.
macro_rules! value {
    ($name:ident { $($field:ident: $type:ty $(= $attribute:meta)?),* }, $self:ident, $key:ident, $context:ident => $do:expr) => {
        #[derive(Clone, Default, Serialize, Deserialize)]
        struct $name { $($(#[$attribute])? $field: $type),* }

        impl Value for $name {
            const NAME: &'static str = stringify!($name);
            type Command = u64;
            type Reply = u64;
            type Query = ();
            type Answer = ();

            fn new() -> $name {
                $name::default()
            }

            fn command(&mut $self, $key: u64, $context: &Context) -> u64 {
                $do
            }

            fn query(&self, (): ()) {}
        }
    };
}

value!(Fine { seen: BTreeMap<u64, u64> }, self, key, context => {
    assert!(key != 7, "seven is not allowed");
    *self.seen.entry(key).or_default() += context.seed() ^ context.time().as_millis() as u64;
    self.seen.values().fold(context.index().0, |sum, n| sum.wrapping_add(*n))
});

value!(HashOrder { seen: HashMap<u64, u64> }, self, key, _context => {
    self.seen.insert(key, key);
    self.seen.keys().next().copied().unwrap_or_default()
});

value!(HashInside { seen: HashMap<u64, u64> }, self, key, _context => {
    self.seen.insert(key, key);
    0
});

static CALLS: AtomicU64 = AtomicU64::new(0);

value!(Global { last: u64 }, self, _key, _context => {
    self.last = CALLS.fetch_add(1, Ordering::Relaxed);
    0
});

value!(Forgetful { sum: u64, hidden: u64 = serde(skip) }, self, key, _context => {
    self.hidden += key;
    self.sum += self.hidden;
    self.sum
});

fn check<V: Value<Command = u64>>() -> Check<V> {
    Check::new(|dice| dice.below(10))
}

#[test]
fn a_value_that_is_right_passes_in_a_group_too() {
    check::<Fine>().histories(3).commands(60).run().unwrap();
}

#[test]
fn a_reply_that_depends_on_the_order_of_a_hash_map_is_found() {
    let failure = check::<HashOrder>().without_group().run().unwrap_err();
    assert!(failure.to_string().contains("has another reply on another member"), "{failure}");
}

#[test]
fn so_is_a_value_that_is_written_in_the_order_of_a_hash_map() {
    let failure = check::<HashInside>().without_group().run().unwrap_err();
    assert!(failure.to_string().contains("the value is another on another member"), "{failure}");
}

#[test]
fn so_is_what_members_of_one_process_share() {
    let failure = check::<Global>().without_group().run().unwrap_err();
    assert!(failure.to_string().contains("the value is another on another member"), "{failure}");
}

#[test]
fn so_is_a_field_that_snapshots_do_not_contain_and_its_seed_finds_it_again() {
    let failure = check::<Forgetful>().without_group().run().unwrap_err();
    assert!(failure.to_string().contains("which does not contain everything"), "{failure}");
    let again = check::<Forgetful>().without_group().seed(failure.seed()).run().unwrap_err();
    assert_eq!(again, failure);
}

#[test]
fn the_group_alone_finds_a_value_that_is_not_the_same_on_its_members() {
    let commands: Vec<Vec<u8>> = (0..40_u64).map(|n| encode(&(n % 10))).collect();
    let what = group::check::<HashInside>(&commands).unwrap_err();
    assert!(what.contains("are not the same"), "{what}");
}

#[test]
fn bytes_of_yesterday_are_read_or_named() {
    let old = encode(&Fine { seen: BTreeMap::from([(1, 2)]) });
    check::<Fine>().without_group().histories(1).old_value(&old).old_command(&encode(&3_u64)).run().unwrap();
    let failure = check::<Fine>().without_group().old_value(&old).old_value(b"\x81\xa4sean\x80").run().unwrap_err();
    assert!(failure.to_string().contains("old value 1 cannot be read any more"), "{failure}");
    let failure = check::<Fine>().without_group().old_command(&encode(&"three")).run().unwrap_err();
    assert!(failure.to_string().contains("old command 0 cannot be read any more"), "{failure}");
}
