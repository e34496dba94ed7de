//! What is measured: a group of members in one process, with memory for storage and function calls for a network.

/// How many bytes a command carries.
pub const PAYLOAD: usize = 16;

/// A consensus library, wired as its own examples wire it. Every call waits for its answer.
pub trait System: Send + Sync + Sized + 'static {
    /// How reports name it.
    const NAME: &'static str;

    /// A group of this many voters with a leader.
    fn start(members: usize) -> impl Future<Output = Self> + Send;

    /// A command: agreed on, applied, answered.
    fn write(&self, payload: [u8; PAYLOAD]) -> impl Future<Output = ()> + Send;

    /// A linearizable read that trusts no clock.
    fn read_index(&self) -> impl Future<Output = ()> + Send;

    /// A linearizable read under a lease.
    fn lease_read(&self) -> impl Future<Output = ()> + Send;

    /// Ends everything that `start` began.
    fn stop(self) -> impl Future<Output = ()> + Send;
}
