//! What tests of this module share.

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
