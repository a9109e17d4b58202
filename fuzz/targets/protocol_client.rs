//! Bytes as what a worker answers: a reply or an error, and a reply means the same when it is written again.
#![no_main]

use assay_worker::protocol::Reply;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(reply) = serde_json::from_slice::<Reply>(bytes) {
        let line = serde_json::to_vec(&reply).expect("a reply can be written");
        let again: Reply = serde_json::from_slice(&line).expect("what was written can be read");
        assert_eq!(reply, again);
    }
});
