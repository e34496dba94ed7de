//! Numbers that are random enough, and the same for the same seed for ever.

use std::time::Duration;

/// A generator (xorshift64*, Vigna 2016). A seed that failed once fails again in a year, so it is our own.
#[derive(Clone, Debug)]
pub struct Die(u64);

impl Die {
    /// Starts from a seed; seeds next to each other are no more alike than others.
    pub fn new(seed: u64) -> Die {
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Die((mixed ^ (mixed >> 31)) | 1)
    }

    fn throw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.throw() >> 33) as usize % limit
    }

    /// Whether something happens that happens `times` in a thousand.
    pub fn chance(&mut self, times: u32) -> bool {
        self.below(1000) < times as usize
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A duration between two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let width = most.saturating_sub(least).as_nanos() as u64;
        least + Duration::from_nanos(if width == 0 { 0 } else { self.throw() % (width + 1) })
    }

    /// A duration that is mostly short and now and then long: as waiting times are, with this mean.
    ///
    /// A sum of halvings instead of a logarithm, which is not the same on every machine.
    pub fn around(&mut self, mean: Duration) -> Duration {
        let halvings = self.throw().trailing_zeros().min(6);
        self.between(Duration::ZERO, mean * (halvings + 1))
    }
}
