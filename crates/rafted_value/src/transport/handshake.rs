//! The first frame of each side, and who is turned away.

use super::connection::{Connection, Reader};
use crate::wire::{self, HELLO_LIMIT, Hello, Malformed, Purpose, Reason, Refusal, Role};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long both Hellos together may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The side that dialled speaks first, so that a listener says nothing to who says nothing.
pub(super) async fn dial<R, W>(read: R, write: W, ours: &Hello, limit: u32) -> io::Result<Connection<R, W>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let greet = async {
        let (mut reader, mut writer) = (Reader::new(read, HELLO_LIMIT), write);
        say(&mut writer, ours).await?;
        let theirs = hear(&mut reader, &mut writer, ours).await?;
        reader.set_limit(limit);
        Ok(Connection { reader, writer, theirs })
    };
    timeout(DEADLINE, greet).await.map_err(|_| late())?
}

/// The side that listened answers for the same purpose, and reads frames as long as the other side's role allows.
pub(super) async fn answer<R, W>(
    read: R,
    write: W,
    ours: impl Fn(Purpose) -> Hello,
    limit: impl Fn(Role) -> u32,
) -> io::Result<Connection<R, W>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let greet = async {
        let (mut reader, mut writer) = (Reader::new(read, HELLO_LIMIT), write);
        let theirs = hear(&mut reader, &mut writer, &ours(Purpose::Control)).await?;
        say(&mut writer, &ours(theirs.purpose)).await?;
        reader.set_limit(limit(theirs.role));
        Ok(Connection { reader, writer, theirs })
    };
    timeout(DEADLINE, greet).await.map_err(|_| late())?
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no hello in time")
}

async fn say(writer: &mut (impl AsyncWrite + Unpin), ours: &Hello) -> io::Result<()> {
    let frame = ours.encode().map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    writer.write_all(&frame).await
}

/// Reads the other side's Hello; tells it why if it is turned away.
async fn hear<R, W>(reader: &mut Reader<R>, writer: &mut W, ours: &Hello) -> io::Result<Hello>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let frame = reader.frame().await?;
    let refusal = match wire::decode_hello(frame) {
        Ok(Ok(theirs)) => match judge(ours, &theirs) {
            Ok(()) => return Ok(theirs),
            Err(refusal) => refusal,
        },
        Ok(Err(refusal)) => {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, format!("refused there, {refusal:?}")));
        }
        Err(why) => unreadable(&why),
    };
    writer.write_all(&refusal.encode()).await?;
    writer.shutdown().await?;
    Err(io::Error::new(io::ErrorKind::ConnectionRefused, refusal))
}

fn unreadable(why: &Malformed) -> Refusal {
    Refusal::new(Reason::Malformed, why.to_string())
}

/// Whether the two sides may talk; the rules are the same for both.
pub(super) fn judge(ours: &Hello, theirs: &Hello) -> Result<(), Refusal> {
    if theirs.newest < ours.oldest || theirs.oldest > ours.newest {
        let text = format!("{}-{} there, {}-{} here", theirs.oldest, theirs.newest, ours.oldest, ours.newest);
        return Err(Refusal::new(Reason::Version, text));
    }
    if theirs.node == ours.node {
        return Err(Refusal::new(Reason::Itself, format!("both sides are node {}", ours.node)));
    }
    if let (Some(there), Some(here)) = (theirs.cluster, ours.cluster)
        && there != here
    {
        return Err(Refusal::new(Reason::Cluster, format!("{there} there, {here} here")));
    }
    let mistaken = |expected: &Hello, found: &Hello| expected.expected.filter(|node| *node != found.node);
    if let Some(expected) = mistaken(theirs, ours) {
        return Err(Refusal::new(Reason::Node, format!("this is node {}, not {expected}", ours.node)));
    }
    if let Some(expected) = mistaken(ours, theirs) {
        return Err(Refusal::new(Reason::Node, format!("that is node {}, not {expected}", theirs.node)));
    }
    Ok(())
}
