//! Messages of the worker protocol: one JSON object per line, requests on the worker's stdin, one reply per request on its
//! stdout, in order. Bytes are base64.

use runtime_api::{Budget, Error, Form, Info, Options};
use runtime_host::{Invocation, Observation, base64_bytes};
use serde::{Deserialize, Serialize};

/// Version of the protocol; both sides state it in `hello`.
pub const VERSION: u32 = 1;

/// A line longer than this, on either side, ends the conversation.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// A request with its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Repeated in the reply.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub operation: Operation,
}

/// What the harness asks of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Who are you? The first request, answered by [`Answer::Hello`].
    Hello {
        /// The harness's [`VERSION`].
        protocol: u32,
    },
    /// Compile a module, answered by [`Answer::Loaded`].
    Load {
        /// The binary module.
        #[serde(with = "base64_bytes")]
        wasm: Vec<u8>,
        /// Limits and the kind of budget that calls will carry.
        options: Options,
    },
    /// Exchange with an instance of a module, answered by [`Answer::Ran`].
    Run {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// Whether to make a new instance.
        instance: InstanceChoice,
        /// What instantiation may cost; only for a fresh instance.
        budget: Budget,
        /// What to do with the instance.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Value of an exported i32 global of a module's instance, answered by [`Answer::Global`]. Optional: only for workers whose
    /// hello names it among its operations.
    Global {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// The export's name.
        export: String,
    },
    /// Show what the engine makes of a module, answered by [`Answer::Inspected`]. Optional, as `global` is.
    Inspect {
        /// The binary module.
        #[serde(with = "base64_bytes")]
        wasm: Vec<u8>,
        /// As for `load`: what calls will carry may change the code.
        options: Options,
        /// What to show.
        form: Form,
    },
    /// Forget a module and its instance, answered by [`Answer::Dropped`].
    Drop {
        /// The module, as numbered by `loaded`.
        module: u64,
    },
}

/// Which instance of a module a run uses; a module has at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceChoice {
    /// Drop the module's instance, if there is one, and make a new one.
    Fresh,
    /// The one of the last run, with the memory it left; an error if there is none.
    Same,
}

/// A reply with the number of its request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// As in the request.
    pub id: u64,
    /// What came of it.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Answer to `hello`.
    Hello {
        /// The worker's [`VERSION`].
        protocol: u32,
        /// Identity and capabilities, probed.
        info: Box<Info>,
        /// The optional operations that the worker knows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        operations: Vec<String>,
    },
    /// Answer to `load`.
    Loaded {
        /// The module's number, for `run` and `drop`.
        module: u64,
    },
    /// Answer to `run`.
    Ran(Observation),
    /// Answer to `global`.
    Global {
        /// The global's value.
        value: i32,
    },
    /// Answer to `inspect`.
    Inspected {
        /// For people.
        text: String,
    },
    /// Answer to `drop`.
    Dropped {},
    /// The operation failed; the worker is ready for the next request.
    Error(Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_api::{BudgetKind, Limits, Stage, Trap};
    use runtime_host::{Call, Fetched, Form, Outcome, Read, Write};

    /// The wire format is relied upon by adapters in other languages: these lines may be added to, never changed.
    #[test]
    fn the_lines_are_those_of_the_documentation() {
        let limits = Limits {
            max_memory_pages: 512,
            max_table_elements: 8,
            max_stack_bytes: 65_536,
        };
        let options = Options {
            limits,
            metering: BudgetKind::Epoch,
        };
        let requests = [
            (
                Operation::Hello { protocol: 1 },
                r#"{"id":7,"op":"hello","protocol":1}"#,
            ),
            (
                Operation::Load {
                    wasm: vec![0, 97, 115, 109],
                    options,
                },
                r#"{"id":7,"op":"load","wasm":"AGFzbQ==","options":{"limits":{"max_memory_pages":512,"max_table_elements":8,"max_stack_bytes":65536},"metering":"epoch"}}"#,
            ),
            (
                Operation::Run {
                    module: 1,
                    instance: InstanceChoice::Fresh,
                    budget: Budget::None,
                    invocation: Invocation {
                        pages: 2,
                        writes: vec![
                            Write::Bytes {
                                at: 1024,
                                bytes: vec![1, 2],
                            },
                            Write::Fill {
                                at: 2048,
                                length: 9,
                                fill: 213,
                            },
                        ],
                        calls: vec![Call {
                            export: "kernel_forward".to_owned(),
                            arguments: vec![1024],
                            budget: Budget::Epoch(100),
                        }],
                        reads: vec![Read {
                            at: 1024,
                            length: 2,
                            form: Form::Sha256,
                        }],
                    },
                },
                r#"{"id":7,"op":"run","module":1,"instance":"fresh","budget":"none","pages":2,"writes":[{"at":1024,"bytes":"AQI="},{"at":2048,"length":9,"fill":213}],"calls":[{"export":"kernel_forward","arguments":[1024],"budget":{"epoch":100}}],"reads":[{"at":1024,"length":2,"form":"sha256"}]}"#,
            ),
            (
                Operation::Global {
                    module: 1,
                    export: "heap_base".to_owned(),
                },
                r#"{"id":7,"op":"global","module":1,"export":"heap_base"}"#,
            ),
            (
                Operation::Inspect {
                    wasm: vec![0, 97, 115, 109],
                    options,
                    form: runtime_api::Form::LlvmIr,
                },
                r#"{"id":7,"op":"inspect","wasm":"AGFzbQ==","options":{"limits":{"max_memory_pages":512,"max_table_elements":8,"max_stack_bytes":65536},"metering":"epoch"},"form":"llvm-ir"}"#,
            ),
            (
                Operation::Drop { module: 1 },
                r#"{"id":7,"op":"drop","module":1}"#,
            ),
        ];
        for (operation, line) in requests {
            let request = Request { id: 7, operation };
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
            assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
        }

        let trap = Error::trap(Stage::Call, Trap::Unreachable);
        let replies = [
            (
                Answer::Loaded { module: 1 },
                r#"{"id":7,"loaded":{"module":1}}"#,
            ),
            (
                Answer::Ran(Observation {
                    calls: vec![Outcome::Returned(0), Outcome::Failed(trap.clone())],
                    reads: vec![Fetched(vec![1, 2])],
                    pages: 2,
                }),
                r#"{"id":7,"ran":{"calls":[{"returned":0},{"failed":{"kind":"trap","stage":"call","trap":"Unreachable"}}],"reads":["AQI="],"pages":2}}"#,
            ),
            (
                Answer::Global { value: -7 },
                r#"{"id":7,"global":{"value":-7}}"#,
            ),
            (
                Answer::Inspected {
                    text: "ret i32 0".to_owned(),
                },
                r#"{"id":7,"inspected":{"text":"ret i32 0"}}"#,
            ),
            (Answer::Dropped {}, r#"{"id":7,"dropped":{}}"#),
            (
                Answer::Error(trap),
                r#"{"id":7,"error":{"kind":"trap","stage":"call","trap":"Unreachable"}}"#,
            ),
        ];
        for (answer, line) in replies {
            let reply = Reply { id: 7, answer };
            assert_eq!(serde_json::to_string(&reply).unwrap(), line);
            assert_eq!(serde_json::from_str::<Reply>(line).unwrap(), reply);
        }
    }
}
