//! Asks the processes that host members.

use super::Target;
use super::protocol::{Reply, Request, Verb, read_line, write_line};
use crate::outcome::{Exit, Failure};
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How much longer than a request may take its answer may take: it has to travel.
const TRAVEL: Duration = Duration::from_secs(2);

/// What an address answered.
pub(crate) type Answer<T> = (String, Result<T, Failure>);

/// Asks one address after the other, until one can be reached.
pub(crate) async fn ask_one<T: DeserializeOwned>(target: &Target, verb: &Verb) -> Result<T, Failure> {
    let mut unreached: Vec<Answer<T>> = Vec::new();
    for address in &target.admin {
        match timeout(target.timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return understood(address, converse(stream, address, target, verb).await?),
            Ok(Err(error)) => unreached.push((address.clone(), Err(Failure::new(Exit::NotDone, error)))),
            Err(_) => unreached.push((address.clone(), Err(Failure::new(Exit::NotDone, "no answer in time")))),
        }
    }
    Err(nobody(&unreached))
}

/// Asks all addresses at once; the answers come in the order of the addresses.
pub(crate) async fn ask_each<T: DeserializeOwned + Send + 'static>(target: &Target, verb: &Verb) -> Vec<Answer<T>> {
    let mut asking = JoinSet::new();
    for (at, address) in target.admin.iter().enumerate() {
        let alone = Target { admin: vec![address.clone()], ..target.clone() };
        let (address, verb) = (address.clone(), verb.clone());
        asking.spawn(async move {
            let stream = timeout(alone.timeout, TcpStream::connect(&address)).await;
            let answer = match stream {
                Ok(Ok(stream)) => converse(stream, &address, &alone, &verb).await,
                Ok(Err(error)) => Err(Failure::new(Exit::NotDone, error)),
                Err(_) => Err(Failure::new(Exit::NotDone, "no answer in time")),
            };
            let answer = answer.and_then(|answer| understood(&address, answer));
            (at, (address, answer))
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// That nobody could be reached, and why.
pub(crate) fn nobody<T>(answers: &[Answer<T>]) -> Failure {
    let line = |(address, answer): &Answer<T>| match answer {
        Ok(_) => address.clone(),
        Err(failure) => format!("{address}: {}", failure.message()),
    };
    Failure::new(Exit::NotDone, "no process hears verbs of administration where it was looked for:")
        .with(answers.iter().map(line))
}

/// An answer among others.
pub(crate) fn object<T: serde::Serialize>(address: &str, answer: &Result<T, Failure>) -> serde_json::Value {
    let mut object = match answer {
        Ok(answer) => super::json(answer),
        Err(failure) => serde_json::json!({ "error": failure.message() }),
    };
    if let Some(object) = object.as_object_mut() {
        object.insert("admin".to_owned(), address.into());
    }
    object
}

async fn converse(
    stream: TcpStream,
    address: &str,
    target: &Target,
    verb: &Verb,
) -> Result<serde_json::Value, Failure> {
    let request = Request {
        group: target.name.clone(),
        timeout_ms: u64::try_from(target.timeout.as_millis()).unwrap_or(u64::MAX),
        verb: verb.clone(),
    };
    let exchange = async {
        let (from, mut to) = stream.into_split();
        write_line(&mut to, &request).await?;
        let line = read_line(&mut BufReader::new(from)).await?;
        line.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    };
    // Whoever asks for a change and hears nothing cannot know.
    let lost = |why: String| Failure::new(Exit::Unknown, format!("{address} was asked, and did not answer: {why}"));
    let line = match timeout(target.timeout.saturating_add(TRAVEL), exchange).await {
        Ok(Ok(line)) => line,
        Ok(Err(error)) => return Err(lost(error.to_string())),
        Err(_) => return Err(lost("the time is up".to_owned())),
    };
    match serde_json::from_slice(&line) {
        Ok(Reply::Done(done)) => Ok(done),
        Ok(Reply::Failed { error, unknown }) => {
            Err(Failure::new(if unknown { Exit::Unknown } else { Exit::NotDone }, error))
        }
        Err(error) => Err(Failure::new(Exit::Unknown, format!("{address} answered something else: {error}"))),
    }
}

fn understood<T: DeserializeOwned>(address: &str, answer: serde_json::Value) -> Result<T, Failure> {
    let other = |error| Failure::new(Exit::DoneWithoutReply, format!("{address} answered something else: {error}"));
    serde_json::from_value(answer).map_err(other)
}
