//! Commands and queries from a shell, through a client of the group's members.

use crate::address;
use crate::outcome::{Exit, Failure, Outcome};
use crate::values::counter::Counter;
use crate::values::kv::Kv;
use crate::values::queue::{self, Queue};
use crate::values::{BuiltIn, Kind, Said};
use rafted_value::{Client, InsecureTcp, QueryError};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long each address is asked what is wrong, once something is.
const EXPLAIN: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
#[command(after_help = GRAMMAR)]
pub(crate) struct Options {
    /// Where members listen; one that answers is enough
    #[arg(long, env = "RAFTED_AT", value_name = "ADDRESS,..", value_delimiter = ',', default_value = "127.0.0.1:7101")]
    #[arg(value_parser = address::parse)]
    at: Vec<String>,
    /// The name of the group
    #[arg(long, default_value = "main")]
    name: String,
    /// How long it may take
    #[arg(long, env = "RAFTED_TIMEOUT", value_name = "TIME", default_value = "5s")]
    #[arg(value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Connect beyond this machine in plain text: whoever is on the way can read and change everything
    #[arg(long)]
    insecure_network: bool,
    /// What to say to the value; options stand before it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "WORDS")]
    words: Vec<String>,
}

const GRAMMAR: &str = "\
Commands:
  queue    enqueue LINE
           dequeue
  counter  set NUMBER
           inc [NUMBER]
  kv       put KEY VALUE [--ttl TIME]
           compare-and-swap KEY EXPECTED VALUE [--ttl TIME]
           put-if-absent KEY VALUE [--ttl TIME]
           delete KEY
Queries:
  queue    length
  counter  get
  kv       get KEY
           list [PREFIX]
Times are written like 10s or 5m.";

impl Options {
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// An option of this program that stands behind the words would be taken for one of them, and silently not do what it
    /// says.
    fn words(&self) -> Result<Vec<&str>, Failure> {
        const OURS: [&str; 5] = ["--at", "--name", "--timeout", "--json", "--insecure-network"];
        let is_ours = |word: &&String| OURS.iter().any(|ours| word.split('=').next() == Some(ours));
        match self.words.iter().find(is_ours) {
            Some(option) => Err(Failure::new(
                Exit::NotUnderstood,
                format!("{option} stands behind the words: options stand before"),
            )),
            None => Ok(self.words.iter().map(String::as_str).collect()),
        }
    }

    async fn client<V: BuiltIn>(&self, timeout: Duration) -> Result<Client<V>, Failure> {
        let transport = match self.insecure_network {
            true => InsecureTcp::dial_only().on_untrusted_networks(),
            false => InsecureTcp::dial_only(),
        };
        let client = Client::connect(transport, &self.name, self.at.clone()).await;
        Ok(client.map_err(|error| Failure::new(Exit::NotDone, error))?.with_timeout(timeout))
    }
}

pub(crate) async fn command(options: &Options) -> Outcome {
    let (kind, left) = find_kind(options).await?;
    match kind {
        Kind::Queue => command_to::<Queue>(options, left).await,
        Kind::Counter => command_to::<Counter>(options, left).await,
        Kind::Kv => command_to::<Kv>(options, left).await,
    }
}

pub(crate) async fn query(options: &Options) -> Outcome {
    let (kind, left) = find_kind(options).await?;
    match kind {
        Kind::Queue => query_to::<Queue>(options, left).await,
        Kind::Counter => query_to::<Counter>(options, left).await,
        Kind::Kv => query_to::<Kv>(options, left).await,
    }
}

async fn command_to<V: BuiltIn>(options: &Options, left: Duration) -> Outcome {
    let words = options.words()?;
    let command = V::parse_command(&words).map_err(|why| misread::<V>("commands", V::COMMANDS, &why))?;
    let reply = options.client::<V>(left).await?.command(command).await?;
    let Said { text, json } = V::say_reply(&reply);
    Ok(Said::new(text, json!({ "reply": json })))
}

async fn query_to<V: BuiltIn>(options: &Options, left: Duration) -> Outcome {
    let words = options.words()?;
    let query = V::parse_query(&words).map_err(|why| misread::<V>("queries", V::QUERIES, &why))?;
    let answer = options.client::<V>(left).await?.query(query).await?;
    let Said { text, json } = V::say_answer(&answer);
    Ok(Said::new(text, json!({ "answer": json })))
}

fn misread<V: BuiltIn>(what: &str, forms: &[&str], why: &str) -> Failure {
    let message = format!("{why}; the {what} of a {} are:", V::NAME);
    Failure::new(Exit::NotUnderstood, message).with(forms.iter().map(|form| (*form).to_owned()))
}

/// Which value the group holds, and how much time is left then. A group that is asked about another value than its own
/// says which it has.
async fn find_kind(options: &Options) -> Result<(Kind, Duration), Failure> {
    let began = Instant::now();
    let client = options.client::<Queue>(options.timeout).await?;
    let kind = match client.query(queue::Query::Length).await {
        Ok(_) => Kind::Queue,
        Err(QueryError::OtherValue { group, value }) => Kind::named(&value).ok_or_else(|| {
            Failure::new(Exit::NotDone, format!("group {group:?} holds a {value:?}, which this program does not know"))
        })?,
        Err(error) => return Err(Failure::from(error).with(explain(&client).await)),
    };
    Ok((kind, options.timeout.saturating_sub(began.elapsed())))
}

/// What there is to be heard from each address.
async fn explain(client: &Client<Queue>) -> Vec<String> {
    let client = client.with_timeout(EXPLAIN);
    let mut said = Vec::new();
    for address in client.addresses() {
        said.push(match client.status_of(address).await {
            Ok(report) => format!("{address}: {} in term {}", report.role, report.term),
            Err(error) => format!("{address}: {error}"),
        });
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Asking {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn an_option_behind_the_words_is_refused_by_name() {
        let words = |line: &str| {
            let arguments = ["rafted", "--at", "127.0.0.1:1"].into_iter().chain(line.split(' '));
            Asking::parse_from(arguments).options.words().map(|words| words.len()).ok()
        };
        assert_eq!(words("--json list"), Some(1));
        assert_eq!(words("put a 1 --ttl 1h"), Some(5), "an option of the value's own");
        for line in ["list --json", "get a --timeout 2s", "get --name=other a"] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
