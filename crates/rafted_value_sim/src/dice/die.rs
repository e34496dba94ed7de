//! Numbers that are random enough, and the same for the same seed for ever.

/// A generator (xorshift64*, Vigna 2016). A seed that failed once fails again in a year, so it is our own.
#[derive(Clone, Debug)]
pub struct Die(u64);

impl Die {
    /// Starts from a seed; seeds next to each other are no more alike than others.
    pub fn new(seed: u64) -> Die {
        Die(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}
