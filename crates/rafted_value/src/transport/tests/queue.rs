use super::super::queue::{Bounds, NotQueued, Queue};
use super::DEADLINE;
use bytes::Bytes;
use std::io::IoSlice;
use std::sync::Arc;
use tokio::time::timeout;

const BOUNDS: Bounds = Bounds { messages: 3, bytes: 10 };

fn frame(length: usize) -> Bytes {
    vec![0; length].into()
}

#[test]
fn it_is_bounded_in_messages_and_in_bytes() {
    let queue = Queue::new(BOUNDS);
    assert_eq!(queue.push(frame(6)), Ok(()));
    assert_eq!(queue.push(frame(5)), Err(NotQueued::Full), "in bytes");
    assert_eq!(queue.push(frame(1)), Ok(()));
    assert_eq!(queue.push(frame(1)), Ok(()));
    assert_eq!(queue.push(frame(1)), Err(NotQueued::Full), "in messages");
    assert_eq!(queue.waiting(), (3, 8));
}

#[test]
fn a_frame_that_never_fits_goes_alone() {
    let queue = Queue::new(BOUNDS);
    assert_eq!(queue.push(frame(100)), Ok(()));
    assert_eq!(queue.push(frame(1)), Err(NotQueued::Full));
}

#[test]
fn what_is_being_written_still_counts() {
    let queue = Queue::new(BOUNDS);
    queue.push(frame(4)).unwrap();
    queue.push(frame(4)).unwrap();
    let mut batch = queue.take();
    assert_eq!(queue.waiting(), (2, 8));
    batch.advance(3);
    assert_eq!(queue.waiting(), (2, 8), "half a frame is no frame");
    batch.advance(2);
    assert_eq!(queue.waiting(), (1, 4));
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(batch.slices(&mut slices), 1);
    assert_eq!(slices[0].len(), 3);
    drop(batch);
    assert_eq!(queue.waiting(), (0, 0), "the rest is lost");
    assert_eq!(queue.written(), 5);
}

#[tokio::test]
async fn a_patient_frame_waits_for_room_and_until_it_is_written() {
    let queue = Arc::new(Queue::new(BOUNDS));
    queue.push(frame(8)).unwrap();
    let waiting = Arc::clone(&queue);
    let patient = tokio::spawn(async move { waiting.push_and_write(frame(5), 10).await });
    tokio::task::yield_now().await;
    assert_eq!(queue.waiting(), (1, 8));
    queue.take().advance(8);
    assert!(timeout(DEADLINE, queue.filled()).await.unwrap());
    assert!(!patient.is_finished());
    queue.take().advance(5);
    assert!(timeout(DEADLINE, patient).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_patient_frame_learns_that_it_is_lost() {
    for close in [false, true] {
        let queue = Arc::new(Queue::new(BOUNDS));
        let waiting = Arc::clone(&queue);
        let patient = tokio::spawn(async move { waiting.push_and_write(frame(5), 10).await });
        assert!(timeout(DEADLINE, queue.filled()).await.unwrap());
        if close {
            queue.close()
        } else {
            queue.clear()
        }
        assert!(!timeout(DEADLINE, patient).await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_closed_queue_takes_nothing() {
    let queue = Queue::new(BOUNDS);
    queue.push(frame(1)).unwrap();
    queue.close();
    assert_eq!(queue.waiting(), (0, 0));
    assert_eq!(queue.push(frame(1)), Err(NotQueued::Closed));
    assert!(!queue.push_and_write(frame(1), 10).await);
    assert!(!queue.filled().await);
}
