//! A process that hosts a member of a group.

mod ending;

use crate::address;
use crate::admin::{Desk, Listener};
use crate::settings::{self, Setting};
use crate::values::counter::Counter;
use crate::values::kv::Kv;
use crate::values::queue::Queue;
use crate::values::{BuiltIn, Kind};
use ending::Ending;
use rafted_value::{Config, Group, GroupBuilder, InsecureTcp, Node, StatusError};
use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How often a process looks after its member.
const LOOK: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
#[command(after_help = ABOUT, group(clap::ArgGroup::new("start").args(["bootstrap", "join", "data_dir"]).required(true).multiple(true)))]
pub(crate) struct Options {
    /// Where other members and clients reach this process; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7101", value_parser = address::parse)]
    listen: String,
    /// What others are told, if they reach it elsewhere
    #[arg(long, value_name = "ADDRESS", value_parser = address::parse)]
    advertise: Option<String>,
    /// Found the group, unless a process at one of the addresses to join hosts it already
    #[arg(long)]
    bootstrap: bool,
    /// Processes that host the group; one that answers is enough
    #[arg(long, value_name = "ADDRESS,..", value_delimiter = ',', value_parser = address::parse)]
    join: Vec<String>,
    /// Keep the member in this directory, so that it is the same one when the process starts again; else it is in memory
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Join without ever voting
    #[arg(long, conflicts_with = "bootstrap")]
    as_learner: bool,
    /// What the group holds
    #[arg(long, value_enum, default_value_t = Kind::Queue)]
    value: Kind,
    /// The name of the group
    #[arg(long, default_value = "main")]
    name: String,
    /// Settings of the group that is founded, where they are not to be the defaults
    #[arg(long, value_name = "FIELD=VALUE,..", value_delimiter = ',', value_parser = settings::parse)]
    #[arg(requires = "bootstrap")]
    config: Vec<Setting>,
    /// Where the verbs of administration are heard; `none`: nowhere. Default: this machine only, at the port of
    /// `--listen` plus 1000
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// How long joining may take
    #[arg(long, env = "RAFTED_TIMEOUT", value_name = "TIME", default_value = "30s")]
    #[arg(value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Listen and connect beyond this machine in plain text: whoever is on the way can read and change everything
    #[arg(long)]
    insecure_network: bool,
    /// Let whoever reaches the address of `--admin` administer the group, beyond this machine too
    #[arg(long)]
    insecure_admin_network: bool,
    /// Stop when standard input ends: with the process that started this one
    #[arg(long, hide = true)]
    until_input_ends: bool,
}

const ABOUT: &str = "\
A group is founded once, in one process, with --bootstrap; every other process joins it. A member lives in memory unless
there is --data-dir: a process without one that starts again joins again, and takes the place of its earlier start.
Never start it with --bootstrap alone while the others live, for that would be a second group of the same name: with
--join as well it is refused. With --data-dir a process starts again as it was, by the same words or by that option alone.";

impl Options {
    fn transport(&self) -> InsecureTcp {
        let mut transport = InsecureTcp::listen(self.listen.as_str());
        if let Some(advertise) = &self.advertise {
            transport = transport.advertise(advertise.as_str());
        }
        match self.insecure_network {
            true => transport.on_untrusted_networks(),
            false => transport,
        }
    }

    /// Where the verbs of administration are heard, if anywhere.
    fn admin(&self) -> Result<Option<String>, String> {
        match self.admin.as_deref() {
            Some("none") => Ok(None),
            Some(admin) => match address::parse(admin) {
                Ok(admin) => Ok(Some(admin)),
                Err(why) => Err(format!("--admin {admin:?}: {why}")),
            },
            None => match address::port(&self.listen) {
                Some(0) => Ok(Some("127.0.0.1:0".to_owned())),
                Some(port) => match port.checked_add(1000) {
                    Some(port) => Ok(Some(format!("127.0.0.1:{port}"))),
                    None => Err(format!("there is no port 1000 above that of {}: say --admin", self.listen)),
                },
                None => Err(format!("{} has no port: say --admin", self.listen)),
            },
        }
    }

    fn opening<V: BuiltIn>(&self, node: &Node) -> Result<GroupBuilder<V>, String> {
        let config = settings::apply(&Config::default(), &self.config).map_err(|why| format!("--config: {why}"))?;
        let mut opening = node.group::<V>().name(self.name.as_str()).timeout(self.timeout).join(self.join.clone());
        if self.bootstrap {
            opening = opening.bootstrap().config(config);
        }
        Ok(if self.as_learner { opening.as_learner() } else { opening })
    }
}

pub(crate) async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    match options.value {
        Kind::Queue => host::<Queue>(options).await,
        Kind::Counter => host::<Counter>(options).await,
        Kind::Kv => host::<Kv>(options).await,
    }
}

/// Says `listening ADDRESS`, `admin ADDRESS` and `ready ..` on its output, each in a line of its own.
async fn host<V: BuiltIn>(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let mut ending = Ending::watch(options.until_input_ends)?;
    if !options.insecure_network && !address::is_loopback(&options.listen) {
        return Err(insecure(&options.listen).into());
    }
    let admin = match options.admin()? {
        Some(address) => Some(Listener::bind(&address, options.insecure_admin_network).await?),
        None => None,
    };
    let mut node = Node::builder().transport(options.transport());
    if let Some(dir) = &options.data_dir {
        node = node.data_dir(dir);
    }
    let node = node.start().await?;
    say(&format!("listening {}", node.address()));
    if let Some(admin) = &admin {
        say(&format!("admin {}", admin.address()));
    }
    let group = tokio::select! {
        group = options.opening::<V>(&node)?.open() => group?,
        why = ending.asked() => return stop(&node, &mut ending, why).await,
    };
    say(&format!("ready: member {} of group {:?}, a {}", group.member(), group.name(), V::NAME));
    let desk = Desk::new(group.clone(), options.insecure_network).await?;
    let administered = async {
        match admin {
            Some(admin) => admin.serve(desk).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        why = ending.asked() => stop(&node, &mut ending, why).await,
        () = look_after(&group) => match group.is_removed() {
            true => stop(&node, &mut ending, "the group has removed this member").await,
            false => Err("the member has halted; what it met stands in its log".into()),
        },
        never = administered => match never {},
    }
}

fn insecure(listen: &str) -> String {
    format!(
        "--listen {listen} can be reached from other machines, nothing is encrypted, and nobody is asked who they are: \
         say --insecure-network if that is meant"
    )
}

/// Hands over, and waits for that, unless a second signal comes. A signal after the end of the input is no second one:
/// whoever ends often does both.
async fn stop(node: &Node, ending: &mut Ending, why: &str) -> Result<ExitCode, Box<dyn Error>> {
    say(&format!("stopping: {why}"));
    let insists = async {
        if why == ending::END_OF_INPUT {
            ending.signalled().await;
        }
        ending.signalled().await
    };
    tokio::select! {
        () = node.stop() => {
            say("stopped");
            Ok(ExitCode::SUCCESS)
        }
        _ = insists => Err("asked to end twice: leadership may not be handed over".into()),
    }
}

/// Runs the value's chores while its member leads; answers when there is no member any more.
async fn look_after<V: BuiltIn>(group: &Group<V>) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if let Err(StatusError::Stopped { .. }) = group.status().await {
            return;
        }
        if group.is_leader()
            && let Ok(Some(chore)) = group.read(V::chore).await
            && let Err(error) = group.command(chore).await
        {
            tracing::info!(%error, "a chore was not done; the next leader does it");
        }
    }
}

/// If nobody reads it any more, the member goes on all the same, and hands over in the end.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
