//! A process of the demonstration: one node with one member.

use crate::queue::Jobs;
use rafted_value::{InsecureTcp, Node};
use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use tokio::io::AsyncReadExt as _;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where to listen.
    #[arg(long)]
    listen: String,
    /// Nodes whose group to join; without any, found it.
    #[arg(long, value_delimiter = ',')]
    join: Vec<String>,
}

/// Says `listening ADDRESS` and `ready` on its output, and lives until its input ends: with its parent.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let node = Node::builder().transport(InsecureTcp::listen(options.listen.as_str())).start().await?;
    say(&format!("listening {}", node.address()))?;
    let opening = match options.join.is_empty() {
        true => node.group::<Jobs>().bootstrap(),
        false => node.group::<Jobs>().join(options.join),
    };
    let _jobs = opening.open().await?;
    say("ready")?;
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
