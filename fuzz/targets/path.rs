//! Text as a path in a manifest: what is taken stays inside the pack, by an independent reading of the rules.
#![no_main]

use std::path::{Component, Path};

libfuzzer_sys::fuzz_target!(|path: &str| {
    if kernel_pack::check_path(path).is_ok() {
        assert!(path.len() <= 255 && path.is_ascii());
        assert!(!path.contains(['\\', ':', '\0', ' ']));
        let parts: Vec<_> = Path::new(path).components().collect();
        assert!(!parts.is_empty());
        assert!(
            parts
                .iter()
                .all(|part| matches!(part, Component::Normal(_)))
        );
        assert_eq!(parts.len(), path.split('/').count());
    }
});
