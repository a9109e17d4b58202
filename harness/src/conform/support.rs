//! What tests of this module share.

use super::{standard::Standard, subject::Subject};
use runtime_api::{Capabilities, Info, Kind};

/// An interpreter `one`, which holds all limits and has no budget.
pub(super) fn info() -> Info {
    Info {
        id: "one".to_owned(),
        engine: "one".to_owned(),
        version: "1.0.0".to_owned(),
        kind: Kind::Interpreter,
        build: Default::default(),
        capabilities: Capabilities {
            features: Vec::new(),
            budgets: Vec::new(),
            interruption: String::new(),
            memory_limit: true,
            table_limit: true,
            stack_limit: true,
        },
    }
}

/// A module of a kernel of this project, without code.
pub(super) fn subject(kernel: &str) -> Subject {
    Subject {
        kernel: kernel.to_owned(),
        named: kernel.to_owned(),
        variant: "base".to_owned(),
        features: Vec::new(),
        wasm: Vec::new(),
        entry_point: "kernel_forward".to_owned(),
        heap_base: 1032,
        minimum_pages: 1,
        max_pages: 64,
        max_table_elements: 0,
        max_stack_bytes: 1 << 16,
        ticks: 10,
        fuel: None,
        has_backward: true,
        code: None,
        standard: Standard::of_source(kernel).into(),
        state: Default::default(),
        flags: None,
    }
}
