//! Text as what WAMR throws: only whole strings are classes, everything else keeps its text.
#![no_main]

use runtime_api::Trap;

// The mapping alone: the adapter needs WAMR's C library.
#[allow(dead_code)]
#[path = "../../runtimes/wamr/src/exceptions.rs"]
mod exceptions;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let bare = text.strip_prefix("Exception: ").unwrap_or(text);
    match exceptions::trap("wamr", text) {
        Trap::EngineOther { engine, text: kept } => {
            assert_eq!((engine.as_str(), kept.as_str()), ("wamr", text));
            assert_eq!(exceptions::classify(bare), None);
        }
        class => {
            assert_eq!(exceptions::classify(bare), Some(class));
            assert_eq!(exceptions::classify(&format!("{bare} ")), None);
        }
    }
});
