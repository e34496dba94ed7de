use super::super::tcp::TcpNetwork;
use super::super::{InsecureTcp, Network};
use super::{DEADLINE, Mailbox, chunk, contact, done, entries, local, request, small};
use crate::contact::{Contact, NodeId};
use crate::packet::Packet;
use crate::wire::{Hello, OLDEST_PROTOCOL, PROTOCOL, Purpose, Role};
use std::io;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

struct Node {
    network: TcpNetwork,
    mailbox: Arc<Mailbox>,
    contact: Contact,
}

async fn start_at(address: &str, node: u128, cluster: Option<u128>) -> Node {
    let mailbox = Arc::new(Mailbox::default());
    let network = InsecureTcp::listen(address).open(local(node, cluster), mailbox.clone()).await.unwrap();
    let contact = contact(network.address(), node);
    Node { network, mailbox, contact }
}

/// Node 2 once more, as soon as the runtime has let go of the former listener.
async fn start_again(address: &str) -> Node {
    while std::net::TcpStream::connect(address).is_ok() {
        tokio::task::yield_now().await;
    }
    start_at(address, 2, None).await
}

async fn start(node: u128) -> Node {
    start_at("127.0.0.1:0", node, None).await
}

#[tokio::test]
async fn two_nodes_exchange_packets() {
    let (a, b) = (start(1).await, start(2).await);
    a.network.send(&b.contact, small(1));
    a.network.send(&b.contact, entries(2, 1 << 20));
    a.network.send(&b.contact, request(3));
    a.network.send_chunk(&b.contact, chunk(0, 1 << 20)).await.unwrap();
    for packet in [small(1), entries(2, 1 << 20), request(3), Packet::Chunk(chunk(0, 1 << 20))] {
        assert_eq!(b.mailbox.wait(&packet).await, NodeId(1));
    }
    assert_eq!(a.mailbox.wait(&done(3)).await, NodeId(2), "an answer comes back on the same connection");
    b.network.send(&a.contact, small(4));
    a.mailbox.wait(&small(4)).await;
}

#[tokio::test]
async fn chunks_arrive_in_order() {
    let (a, b) = (start(1).await, start(2).await);
    for n in 0..64 {
        a.network.send_chunk(&b.contact, chunk(n << 17, 1 << 17)).await.unwrap();
    }
    b.mailbox.wait(&Packet::Chunk(chunk(63 << 17, 1 << 17))).await;
    let offsets: Vec<u64> = b
        .mailbox
        .packets()
        .into_iter()
        .filter_map(|packet| if let Packet::Chunk(chunk) = packet { Some(chunk.offset) } else { None })
        .collect();
    assert_eq!(offsets, (0..64).map(|n| n << 17).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_node_that_starts_again_is_reached_again() {
    let (a, b) = (start(1).await, start(2).await);
    a.network.send(&b.contact, small(1));
    b.mailbox.wait(&small(1)).await;
    let address = b.contact.address.clone();
    drop(b.network);
    let b = timeout(DEADLINE, start_again(&address)).await.expect("the address is free again");
    b.mailbox.wait_for(&small(2), || a.network.send(&b.contact, small(2))).await;
}

#[tokio::test]
async fn a_node_that_is_another_one_now_is_told_nothing() {
    let (a, b) = (start(1).await, start(2).await);
    let former = contact(b.contact.address.clone(), 9);
    a.network.send(&former, small(1));
    assert!(a.network.send_chunk(&former, chunk(0, 1)).await.is_err());
    a.network.send(&b.contact, small(2));
    b.mailbox.wait(&small(2)).await;
    assert_eq!(b.mailbox.packets(), [small(2)]);
}

#[tokio::test]
async fn a_node_does_not_connect_to_itself() {
    let a = start(1).await;
    let failed = a.network.send_chunk(&a.contact, chunk(0, 1)).await;
    assert!(failed.is_err());
    assert!(a.mailbox.packets().is_empty());
}

#[tokio::test]
async fn two_clusters_do_not_talk() {
    let a = start_at("127.0.0.1:0", 1, Some(7)).await;
    let b = start_at("127.0.0.1:0", 2, Some(8)).await;
    assert!(a.network.send_chunk(&b.contact, chunk(0, 1)).await.is_err());
    assert!(b.mailbox.packets().is_empty());
}

#[tokio::test]
async fn an_unreachable_node_costs_bounded_memory_and_no_time() {
    let a = start(1).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap(); // nobody listens any more
    let nobody = contact(free.to_string(), 2);
    for term in 0..200 {
        a.network.send(&nobody, entries(term, 1 << 20));
        a.network.send(&nobody, small(term));
    }
    let (_, bytes) = a.network.peer(&nobody).waiting(Purpose::Bulk);
    assert!(bytes <= 32 << 20, "{bytes} bytes wait");
    assert!(timeout(DEADLINE, a.network.send_chunk(&nobody, chunk(0, 1))).await.unwrap().is_err());
}

/// Says hello as node 2 to whoever connects, and reads nothing after that.
async fn deaf(listener: TcpListener) {
    let mut silent = Vec::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut theirs = [0; 64];
        let _ = stream.read(&mut theirs).await;
        let hello = Hello {
            newest: PROTOCOL,
            oldest: OLDEST_PROTOCOL,
            cluster: None,
            node: NodeId(2),
            expected: None,
            role: Role::Node,
            purpose: Purpose::Bulk,
            address: String::new(),
        };
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &hello.encode().unwrap()).await;
        silent.push(stream);
    }
}

#[tokio::test]
async fn a_node_that_never_reads_costs_bounded_memory_and_is_given_up() {
    let a = start(1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let contact = contact(listener.local_addr().unwrap().to_string(), 2);
    let deaf = tokio::spawn(deaf(listener));
    for term in 0..200 {
        a.network.send(&contact, entries(term, 1 << 20));
    }
    let (_, bytes) = a.network.peer(&contact).waiting(Purpose::Bulk);
    assert!(bytes <= 32 << 20, "{bytes} bytes wait");
    let waited = timeout(DEADLINE, a.network.send_chunk(&contact, chunk(0, 1))).await.expect("given up in time");
    assert!(waited.is_err());
    deaf.abort();
}

/// A network that listens nowhere, and what arrives there.
async fn client() -> (TcpNetwork, Arc<Mailbox>) {
    let mailbox = Arc::new(Mailbox::default());
    let network = InsecureTcp::dial_only().open(local(9, None), mailbox.clone()).await.unwrap();
    (network, mailbox)
}

#[tokio::test]
async fn who_is_gone_for_good_leaves_nothing_behind() {
    let (a, b) = (start(1).await, start(2).await);
    a.network.send(&b.contact, small(1));
    b.mailbox.wait(&small(1)).await;
    let peer = Arc::downgrade(&a.network.peer(&b.contact));
    drop(b);
    a.mailbox.wait_until_lost().await;
    // Whoever is next makes room.
    let c = start(3).await;
    let gone = async {
        while peer.upgrade().is_some() {
            a.network.stop();
            a.network.send(&c.contact, small(2));
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, gone).await.unwrap();
}

#[tokio::test]
async fn a_client_asks_and_knows_when_the_connection_is_lost() {
    let b = start(2).await;
    let (network, mailbox) = client().await;
    network.send(&b.contact, request(8));
    mailbox.wait(&done(8)).await;
    let contact = b.contact.clone();
    drop(b);
    mailbox.wait_until_lost().await;
    // Nobody is there: whoever asks is told, at once or when the attempt has failed.
    network.send(&contact, request(9));
    mailbox.wait_until_lost().await;
}

#[tokio::test]
async fn a_client_may_only_ask() {
    let b = start(2).await;
    let (network, mailbox) = client().await;
    network.send(&b.contact, small(1));
    mailbox.wait_until_lost().await;
    assert!(b.mailbox.packets().is_empty());
}

#[tokio::test]
async fn addresses_that_cannot_be_are_named() {
    let open = async |tcp: InsecureTcp| {
        let opened = tcp.open(local(1, None), Arc::new(Mailbox::default())).await;
        opened.err().expect("refused")
    };
    let beyond = open(InsecureTcp::listen("192.0.2.1:7101")).await;
    assert_eq!(beyond.kind(), io::ErrorKind::PermissionDenied);
    assert!(beyond.to_string().contains("192.0.2.1:7101"), "{beyond}");

    let everywhere = open(InsecureTcp::listen("0.0.0.0:0").on_untrusted_networks()).await;
    assert!(everywhere.to_string().contains("advertise"), "{everywhere}");

    let holder = start(2).await;
    let taken = holder.contact.address.clone();
    let in_use = open(InsecureTcp::listen(taken.clone())).await;
    assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
    assert!(in_use.to_string().contains(&taken), "{in_use}");
}

#[tokio::test]
async fn plain_text_does_not_leave_the_machine_unasked() {
    let a = start(1).await;
    let beyond = contact("192.0.2.1:7101", 2);
    let failed = timeout(DEADLINE, a.network.send_chunk(&beyond, chunk(0, 1))).await.unwrap();
    assert!(failed.is_err());
}

#[tokio::test]
async fn the_advertised_address_is_what_others_are_told() {
    let tcp = InsecureTcp::listen("127.0.0.1:0").advertise("localhost:1");
    let network = tcp.open(local(1, None), Arc::new(Mailbox::default())).await.unwrap();
    assert_eq!(network.address(), "localhost:1");
}
