use super::super::connection::{Connection, SILENCE};
use super::super::handshake::{answer, dial, judge};
use super::DEADLINE;
use crate::contact::{ClusterId, NodeId};
use crate::wire::{Hello, Purpose, Reason, Role};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
use tokio::time::timeout;

fn hello(node: u128) -> Hello {
    Hello {
        newest: 1,
        oldest: 1,
        cluster: None,
        node: NodeId(node),
        expected: None,
        role: Role::Node,
        purpose: Purpose::Control,
        address: "a:1".into(),
    }
}

/// Lets two sides greet each other; what each makes of it.
async fn greet(dials: Hello, listens: Hello) -> (io::Result<Hello>, io::Result<Hello>) {
    let (near, far) = duplex(4096);
    let ((near_read, near_write), (far_read, far_write)) = (split(near), split(far));
    let ours = |purpose| Hello { purpose, ..listens.clone() };
    let there = async {
        let answered = answer(far_read, far_write, ours, |_| 1 << 20).await;
        answered.map(|Connection { theirs, .. }| theirs)
    };
    let here = async {
        let dialled = dial(near_read, near_write, &dials, 1 << 20).await;
        dialled.map(|Connection { theirs, .. }| theirs)
    };
    timeout(DEADLINE, async { tokio::join!(here, there) }).await.unwrap()
}

#[tokio::test]
async fn both_sides_learn_who_the_other_is() {
    let dials = Hello { expected: Some(NodeId(2)), purpose: Purpose::Bulk, cluster: Some(ClusterId(7)), ..hello(1) };
    let (here, there) = greet(dials.clone(), hello(2)).await;
    assert_eq!(here.unwrap(), Hello { purpose: Purpose::Bulk, ..hello(2) });
    assert_eq!(there.unwrap(), dials);
}

#[tokio::test]
async fn each_reason_to_refuse_is_told_to_both_sides() {
    let of_cluster = |node, cluster| Hello { cluster: Some(ClusterId(cluster)), ..hello(node) };
    let cases = [
        (Hello { newest: 3, oldest: 2, ..hello(1) }, hello(2), "Version"),
        (Hello { newest: 0, oldest: 0, ..hello(1) }, hello(2), "Version"),
        (of_cluster(1, 7), of_cluster(2, 8), "Cluster"),
        (Hello { expected: Some(NodeId(3)), ..hello(1) }, hello(2), "Node"),
        (hello(1), hello(1), "Itself"),
    ];
    for (dials, listens, reason) in cases {
        let (here, there) = greet(dials, listens).await;
        let here = here.unwrap_err().to_string();
        assert!(here.contains(&format!("reason: {reason}")), "{reason}: {here}");
        assert!(there.is_err(), "{reason}");
    }
}

#[test]
fn the_dialling_side_judges_too() {
    let ours = Hello { expected: Some(NodeId(2)), ..hello(1) };
    assert_eq!(judge(&ours, &hello(3)).unwrap_err().reason, Reason::Node);
    assert_eq!(judge(&ours, &hello(2)), Ok(()));
}

#[test]
fn the_older_of_the_newest_versions_is_spoken() {
    let newer = Hello { newest: 5, oldest: 1, ..hello(2) };
    assert_eq!(judge(&hello(1), &newer), Ok(()));
    assert_eq!(judge(&newer, &hello(1)), Ok(()));
}

#[tokio::test]
async fn strangers_are_closed_quickly() {
    let too_long = crate::wire::Refusal::new(Reason::Node, "").encode();
    let mut too_long = too_long.to_vec();
    too_long[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00", &too_long] {
        let (mut near, far) = duplex(4096);
        near.write_all(garbage).await.unwrap();
        let (read, write) = split(far);
        let answered = timeout(DEADLINE, answer(read, write, |_| hello(2), |_| 1)).await.unwrap();
        assert_eq!(answered.err().unwrap().kind(), io::ErrorKind::InvalidData);
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert!(answer.is_empty(), "nothing is said to who does not speak the protocol");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_trickles_does_not_stay() {
    let (mut near, far) = duplex(4096);
    let (read, write) = split(far);
    let trickle = async {
        for byte in hello(1).encode().unwrap() {
            near.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(SILENCE / 4).await; // time is paused: this takes none
        }
    };
    let answered = answer(read, write, |_| hello(2), |_| 1);
    tokio::select! {
        answered = answered => assert_eq!(answered.err().unwrap().kind(), io::ErrorKind::TimedOut),
        () = trickle => panic!("it was heard to the end"),
    }
}
