//! What a leader tells its user's code of what the group does.

use crate::context::Context;
use crate::value::Value;
use rafted_value_core::{MemberId, Term};

/// Is told what a group does, on the member that leads: to send mail, to feed a metric, to wake somebody.
///
/// Registered under a name with [`GroupBuilder::hook`](crate::GroupBuilder::hook) on every node, and chosen by
/// [`Config::leader_hook`](crate::Config::leader_hook), which is replicated: so the next leader runs the same one. A
/// member that did not register the hook that the config names may not join, and
/// [`change_config`](crate::Group::change_config) is refused as long as any member lacks it.
///
/// # When, where and how often
///
/// Calls come one after the other, in the order of the log, on a thread of their own: a hook holds up neither
/// consensus nor commands nor queries, however slow it is. A caller may have its reply before the hook is called.
///
/// Only the leader calls, and only for what it applied as one: what a snapshot or a restart brings back is not told
/// again. Around a change of leaders a hook may be called **twice**, by the old leader and by the new one, or, if the old
/// leader ends between the commit and the call, **not at all**; and an old leader may still call for what it
/// had committed. What must happen exactly once belongs into the value: keep a list of what is to be done there, do
/// it under [`Group::leadership`](crate::Group::leadership), and record by a command that it is done.
///
/// # A hook that is too slow
///
/// At most 4,096 calls wait, and at most 64 MiB of commands and replies; with
/// [`wants_values`](LeaderHook::wants_values) at most 64. What comes beyond is not told, but counted:
/// [`on_overrun`](LeaderHook::on_overrun) says how many were missed, and a warning is logged.
///
/// # Panics
///
/// A panic in a hook ends that call and nothing else. It is logged as an error.
///
/// # Example
///
/// ```
/// # use rafted_value::{Context, Value};
/// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// # struct Jobs(u64);
/// # impl Value for Jobs {
/// #     const NAME: &'static str = "jobs";
/// #     type Command = String;
/// #     type Reply = u64;
/// #     type Query = ();
/// #     type Answer = u64;
/// #     fn new() -> Jobs { Jobs(0) }
/// #     fn command(&mut self, _: String, _: &Context) -> u64 { self.0 += 1; self.0 }
/// #     fn query(&self, _: ()) -> u64 { self.0 }
/// # }
/// use rafted_value::{Config, LeaderHook, Node};
///
/// struct Mail(std::sync::mpsc::Sender<String>);
///
/// impl LeaderHook<Jobs> for Mail {
///     fn on_command_committed(&self, _: Option<&Jobs>, job: &String, number: &u64, _: Option<&Jobs>, _: &Context) {
///         let _ = self.0.send(format!("job {number} is {job}"));
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mails, sent) = std::sync::mpsc::channel();
/// let node = Node::builder().start().await?;
/// let config = Config::builder().leader_hook("mail").build()?;
/// let jobs = node.group::<Jobs>().hook("mail", Mail(mails)).config(config).bootstrap().open().await?;
/// jobs.command("sweep".to_owned()).await?;
/// assert_eq!(sent.recv()?, "job 1 is sweep");
/// # Ok(()) }
/// ```
// The names of what a hook is told are part of the documentation.
#[allow(unused_variables)]
pub trait LeaderHook<V: Value>: Send + Sync + 'static {
    /// Whether the hook shall see values. If not, which is the default, they are `None` everywhere. If so, each command
    /// and each query that the leader takes costs a `clone` of the value: free with persistent collections only.
    fn wants_values(&self) -> bool {
        false
    }

    /// A command was committed and applied. Not called for one that panicked, nor for a retry of one that was applied.
    ///
    /// Index and offset of `context` name the command for good: whoever is told twice can notice by them.
    fn on_command_committed(
        &self,
        before: Option<&V>,
        command: &V::Command,
        reply: &V::Reply,
        after: Option<&V>,
        context: &Context,
    ) {
    }

    /// The leader answered a query. Not called for closures ([`Group::read`](crate::Group::read)), nor for queries that
    /// panicked.
    fn on_query_answered(&self, value: Option<&V>, query: &V::Query, answer: &V::Answer) {}

    /// A member was taken in, which is committed. It is a learner at first.
    fn on_follower_added(&self, value: Option<&V>, member: MemberId) {}

    /// A member was removed, which is committed: by somebody's wish, because another took its place, or because it was
    /// a learner that said nothing.
    fn on_follower_removed(&self, value: Option<&V>, member: MemberId) {}

    /// This member was elected, and its value contains everything that earlier leaders committed.
    fn on_elected(&self, value: Option<&V>, term: Term) {}

    /// This member was restored from the node's directory and leads for the first time since: called before
    /// [`on_elected`](LeaderHook::on_elected), once per restart. What it had applied before is not told again.
    fn on_restored_from_files(&self, value: Option<&V>) {}

    /// The hook was too slow: it was not told of this many things, which happened since the call before.
    fn on_overrun(&self, missed: u64) {}
}
