//! An id that a caller gives its command, so that another call, or another process, can ask for the same again.

use std::fmt;

/// A name that a caller chose for one command of one client.
///
/// A handle makes its own retries safe by itself. An id is for retries that outlive the handle: the same request that
/// arrives twice, a program that was restarted and does not know how far it came. See
/// [`Group::command_with`](crate::Group::command_with).
///
/// ```
/// use rafted_value::CommandId;
/// let id = CommandId::new("billing", "invoice 17");
/// assert_eq!(id.to_string(), "\"invoice 17\" of \"billing\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId {
    client: String,
    id: String,
}

impl CommandId {
    /// How long each of the two texts may be, in bytes. Neither may be empty.
    pub const LIMIT: usize = 255;

    /// The command `id` of `client`. Clients choose ids without regard to each other: the same id of two clients
    /// names two commands.
    pub fn new(client: impl Into<String>, id: impl Into<String>) -> CommandId {
        CommandId { client: client.into(), id: id.into() }
    }

    /// Whose command it is.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Which of the client's commands it is.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether both texts are as long as they may be.
    pub(crate) fn is_valid(&self) -> bool {
        [&self.client, &self.id].into_iter().all(|text| (1..=CommandId::LIMIT).contains(&text.len()))
    }

    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> u64 {
        (self.client.len() + self.id.len()) as u64
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.id, self.client)
    }
}
