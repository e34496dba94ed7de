//! A clock of a member's own: it ticks at a rate of its own, and only it tells the member what time it is.

use rafted_value_core::Time;
use std::time::Duration;

/// How fast a right clock runs.
pub const RIGHT: u32 = 1_000_000;

/// Maps the time of the simulation to what one member believes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clock {
    /// Microseconds shown per second passed.
    rate: u32,
    /// Since when it runs at this rate, and what it showed then.
    since: (Duration, Time),
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { rate: RIGHT, since: (Duration::ZERO, Time::default()) }
    }
}

impl Clock {
    /// What it shows at `real`.
    pub fn shows(&self, real: Duration) -> Time {
        let passed = real.saturating_sub(self.since.0).as_nanos() * u128::from(self.rate) / u128::from(RIGHT);
        Time(self.since.1.0 + passed as u64)
    }

    /// The first instant at which it shows at least `time`.
    pub fn when(&self, time: Time) -> Duration {
        let missing = u128::from(time.0.saturating_sub(self.since.1.0));
        let passed = (missing * u128::from(RIGHT)).div_ceil(u128::from(self.rate));
        self.since.0 + Duration::from_nanos(passed as u64)
    }

    /// From `real` on it runs at another rate.
    pub fn set_rate(&mut self, real: Duration, rate: u32) {
        *self = Clock { rate, since: (real, self.shows(real)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_gets_there_first_and_never_goes_back() {
        let mut clock = Clock::default();
        let second = Duration::from_secs(1);
        clock.set_rate(second, 2 * RIGHT);
        assert_eq!(clock.shows(second), Time(1_000_000_000));
        assert_eq!(clock.shows(2 * second), Time(3_000_000_000));
        assert_eq!(clock.when(Time(3_000_000_000)), 2 * second);
    }
}
