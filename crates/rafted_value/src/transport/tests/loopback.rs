use super::super::{Loopback, Network, Transport};
use super::{DEADLINE, Mailbox, chunk, contact, done, local, request, small};
use crate::packet::Packet;
use std::io;
use std::sync::Arc;

async fn start(network: &Loopback, address: &str, node: u128) -> (Arc<dyn Network>, Arc<Mailbox>) {
    let mailbox = Arc::new(Mailbox::default());
    let network = Box::new(network.at(address)).start(local(node, None), mailbox.clone()).await.unwrap();
    (network, mailbox)
}

#[tokio::test]
async fn packets_and_answers_arrive() {
    let network = Loopback::new();
    let (a, at_a) = start(&network, "a", 1).await;
    let (_b, at_b) = start(&network, "b", 2).await;
    a.send(&contact("b", 2), request(5));
    a.send_chunk(&contact("b", 2), chunk(0, 9)).await.unwrap();
    assert_eq!(at_b.wait(&Packet::Chunk(chunk(0, 9))).await.0, 1);
    assert_eq!(at_a.wait(&done(5)).await.0, 2);
}

#[tokio::test]
async fn an_address_belongs_to_one_node_at_a_time() {
    let network = Loopback::new();
    let (a, _) = start(&network, "a", 1).await;
    let again = Box::new(network.at("a")).start(local(2, None), Arc::new(Mailbox::default())).await;
    assert_eq!(again.err().unwrap().kind(), io::ErrorKind::AddrInUse);
    drop(a);
    start(&network, "a", 2).await;
}

#[tokio::test]
async fn what_cannot_arrive_is_dropped() {
    let network = Loopback::new();
    let (a, _) = start(&network, "a", 1).await;
    let (b, at_b) = start(&network, "b", 2).await;
    a.send(&contact("nowhere", 2), small(1));
    a.send(&contact("b", 3), small(2)); // another node than expected
    network.cut("a", "b");
    a.send(&contact("b", 2), small(3));
    assert!(a.send_chunk(&contact("b", 2), chunk(0, 1)).await.is_err());
    network.heal("a", "b");
    a.send(&contact("b", 2), small(4));
    at_b.wait(&small(4)).await;
    assert_eq!(at_b.packets(), [small(4)]);
    drop(b);
    a.send(&contact("b", 2), small(5));
}

#[tokio::test]
async fn a_cut_has_a_direction() {
    let network = Loopback::new();
    let (a, at_a) = start(&network, "a", 1).await;
    let (b, at_b) = start(&network, "b", 2).await;
    network.cut("b", "a");
    a.send(&contact("b", 2), request(1)); // its answer is lost
    at_b.wait(&request(1)).await;
    network.heal_all();
    b.send(&contact("a", 1), small(1));
    at_a.wait(&small(1)).await;
    assert_eq!(at_a.packets(), [small(1)]);
}

#[tokio::test]
async fn the_same_seed_loses_the_same_packets() {
    let survivors = async || {
        let network = Loopback::new();
        let (a, _) = start(&network, "a", 1).await;
        let (_b, at_b) = start(&network, "b", 2).await;
        network.lose(0.5, 42);
        (0..100).for_each(|term| a.send(&contact("b", 2), small(term)));
        network.lose(0.0, 0);
        a.send(&contact("b", 2), small(1000));
        at_b.wait(&small(1000)).await;
        at_b.packets()
    };
    let (first, second) =
        tokio::time::timeout(DEADLINE, async { (survivors().await, survivors().await) }).await.unwrap();
    assert_eq!(first, second);
    assert!((20..80).contains(&first.len()), "{} survived", first.len());
}

#[tokio::test]
async fn two_clusters_do_not_talk() {
    let network = Loopback::new();
    let at_b = Arc::new(Mailbox::default());
    let a = Box::new(network.at("a")).start(local(1, Some(7)), Arc::new(Mailbox::default())).await.unwrap();
    let _b = Box::new(network.at("b")).start(local(2, Some(8)), at_b.clone()).await.unwrap();
    let (c, _) = start(&network, "c", 3).await; // of no cluster yet
    a.send(&contact("b", 2), small(1));
    c.send(&contact("b", 2), small(2));
    at_b.wait(&small(2)).await;
    assert_eq!(at_b.packets(), [small(2)]);
}
