//! What a log takes of memory.

use std::fs;

use super::Place;

/// Law 9: a log of 100 MB, in writes as a pipe gives them.
#[tokio::test]
async fn memory_does_not_grow_with_the_log() {
    let place = Place::new();
    let mut log = place.open().await;
    let piece: Vec<u8> = (0..64 * 1024).map(|n: u32| b'a' + (n % 26) as u8).collect();
    let before = resident_bytes();
    let mut peak = before;
    for _ in 0..1600 {
        log.copy_from(piece.as_slice()).await.unwrap();
        peak = peak.max(resident_bytes());
    }
    let chunks = place.names().iter().filter(|it| it.starts_with("log.")).count() - 2;
    assert!(chunks <= 8, "about 100 blocks are in {chunks} chunks");
    log.finish().await.unwrap();
    assert_eq!(fs::metadata(place.path("log")).unwrap().len(), 1600 * 64 * 1024);
    // The log itself takes less than 3 MB; the rest is room for tests in other threads.
    assert!(peak - before < 24_000_000, "it grew by {} bytes", peak - before);
}

fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
