//! The `rafted` program.

mod demo;
mod member;
mod queue;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Replicated values, from the command line.
#[derive(Parser)]
#[command(name = "rafted", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch a replicated queue in three processes lose its leader to kill -9 and go on without losing a line.
    Demo(demo::Options),
    /// One of the processes of the demonstration.
    #[command(hide = true)]
    Member(member::Options),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Demo(options) => demo::run(options).await,
            Command::Member(options) => member::run(options).await,
        }
    });
    match outcome {
        Ok(code) => code,
        Err(error) => failed(&*error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("rafted: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}
