//! Bytes as a module: the pre-pass decides, in bounded time; what it takes for a kernel it also takes for a module.
#![no_main]

use kernel_pack::{ModuleRules, entry_parameters, inspect_module, inspect_plain_module};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let rules = ModuleRules {
        entry_point: "kernel_forward",
        max_memory_pages: 4096,
        max_table_elements: 65_536,
    };
    let kernel = inspect_module(bytes, &rules);
    let plain = inspect_plain_module(bytes, 4096, 65_536);
    if let Ok(facts) = &kernel {
        let plain = plain.as_ref().expect("a kernel is a module");
        assert_eq!(plain.features_used, facts.features_used);
        assert_eq!(entry_parameters(bytes, "kernel_forward"), Some(1));
        assert!(facts.memory_minimum_pages <= 4096);
    }
    let _ = entry_parameters(bytes, "run");
});
