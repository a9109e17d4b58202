//! Messages of the worker protocol: one JSON object per line, requests on the worker's stdin, one reply per request on its
//! stdout, in order. Bytes are base64.

use super::confinement::Confinement;
use runtime_api::{Budget, Error, Form, Info, Options};
use runtime_host::{Call, Fetched, Invocation, Observation, base64_bytes};
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
        /// What the module was compiled to by somebody whom the harness believes, to be loaded in the place of compiling it;
        /// empty: it is compiled. Optional: only for workers whose hello has `code` among its operations.
        #[serde(default, with = "base64_bytes", skip_serializing_if = "Vec::is_empty")]
        code: Vec<u8>,
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
    /// Compile a module for another machine, answered by [`Answer::Precompiled`]. Optional, as `global` is.
    Precompile {
        /// The binary module.
        #[serde(with = "base64_bytes")]
        wasm: Vec<u8>,
        /// As for `load`.
        options: Options,
        /// The machine, as the engine calls it.
        target: String,
    },
    /// Repeat something and say how long it took, answered by [`Answer::Timed`]. Optional, as `global`.
    Time {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// What is repeated.
        #[serde(flatten)]
        what: Timed,
        /// How often in a batch; 0: as often as fills `batch_ns`, found out before the first batch.
        iterations: u64,
        /// How long a batch lasts at least where `iterations` is 0, in nanoseconds; never under 1000 times the clock's resolution.
        batch_ns: u64,
        /// How many batches.
        batches: u32,
    },
    /// What else is known of a module and of the worker, answered by [`Answer::Facts`]. Optional, as `global`.
    Facts {
        /// The module, as numbered by `loaded`.
        module: u64,
    },
    /// How much memory of the process instances of a module take, answered by [`Answer::Footprint`]. Optional, as `global`.
    Footprint {
        /// The module, as numbered by `loaded`.
        module: u64,
        /// How many instances are made.
        instances: u64,
        /// What an instantiation may cost.
        budget: Budget,
        /// What each instance is then used for: growth and writes, then one call.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Give up for good what running loaded code does not need: files, the network, other processes. Answered by
    /// [`Answer::Confined`]; modules can be loaded from `code` then, and perhaps no longer be compiled. Optional, as `global`.
    Confine,
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

/// What a `time` operation repeats. The last four are known to a worker whose hello names them among its operations, as `batch`,
/// `inplace`, `reset` and `traps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Timed {
    /// Calls of an export of the module's instance through the engine traits, the export resolved before the clock starts.
    /// Series: `call`.
    Call {
        /// What is called.
        call: Call,
    },
    /// The same calls with the engine's own typed interface. Series: `hand`.
    Hand {
        /// What is called.
        call: Call,
    },
    /// Validation of the module. Series: `validate`.
    Validate,
    /// Compilation of the module, as it was loaded. Series: `compile`.
    Compile,
    /// Loading the module from a cache of compiled code on disk, which holds it: reading, checking, and what the engine does.
    /// Series: `load-cached`.
    #[serde(rename = "load-cached")]
    LoadCached,
    /// Writes of bytes to the instance's memory that are there already. Series: `write`.
    Write {
        /// First address.
        at: u32,
        /// How many bytes.
        length: u32,
    },
    /// Reads of the instance's memory. Series: `read`.
    Read {
        /// First address.
        at: u32,
        /// How many bytes.
        length: u32,
    },
    /// Invocations of fresh instances, stage by stage: so many instances are made, then each is given its memory, and so on.
    /// Series: `lookup` (of a module by name among 16), `instantiate`, `resolve`, `memory` (growth and writes), `call` (the first of
    /// each instance), `fetch` (reads), `drop`.
    Stages {
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Whole invocations one after the other, each of a fresh instance: all stages. Series: `path`.
    Path {
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Whole invocations one after the other of the module's one instance, which is made for this. Series: `reuse`.
    Reuse {
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Calls of an export of one parameter, one with each argument, by the engine traits' batches. Iterations are calls, in
    /// multiples of the arguments. Series: `batch`.
    Batch {
        /// What is called, with an argument for each call.
        call: Call,
    },
    /// The bytes of [`Timed::Write`], copied by their producer straight to where they belong. Series: `in-place`.
    InPlace {
        /// First address.
        at: u32,
        /// How many bytes.
        length: u32,
    },
    /// Resets of the module's one instance, which is made for this; then invocations that end with one. Series: `reset`, `pooled`.
    Reset {
        /// Where the host's memory begins: what lies below is restored, the rest cleared.
        heap_base: u32,
        /// What instantiation may cost.
        budget: Budget,
        /// The invocation that shows that the instance still serves.
        #[serde(flatten)]
        invocation: Invocation,
    },
    /// Calls that execute `unreachable`, each in an instance of its own (`iterations` of them at the same time), and the fresh
    /// instances in their place. Series: `call` (until the host is back in control) and `trap` (that, and the fresh instance with
    /// its export resolved).
    Traps {
        /// What is called.
        call: Call,
        /// An argument with which it returns: a fresh instance of each round is called with it.
        alive: u32,
        /// What an instantiation may cost.
        budget: Budget,
        /// How many modules are loaded, this one among them; the worker makes the others, small ones that all differ.
        modules: u32,
        /// How long loading them may take; `unsupported` if it takes longer or is about to.
        within_ms: u64,
    },
}

/// What came of a `time` operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// One or, for stages, several.
    pub series: Vec<Series>,
    /// Iterations before the first batch, which no batch holds.
    pub warm_up: u64,
    /// All values that calls returned, joined by OR; 0 where nothing was called.
    #[serde(default)]
    pub returned: i32,
    /// Reads of the last invocation, in its form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<Fetched>,
}

/// Times of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was timed, as [`Timed`] names it.
    pub name: String,
    /// In order.
    pub batches: Vec<Batch>,
}

/// A batch: so many iterations took so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// By a monotonic clock.
    pub nanoseconds: u64,
    /// At least 1.
    pub iterations: u64,
}

/// What is known of a module and of the worker; what is not is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Bytes of code that the engine made of the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_bytes: Option<u64>,
    /// What the last fuel budget of the module's instance left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_left: Option<u64>,
    /// Most memory that the process ever had resident, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// Smallest step of the clock that times, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_step_ns: Option<u64>,
}

/// Memory of the process per instance, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// Resident after all instances were made, over before, shared out among them.
    pub rss_per_instance_bytes: u64,
    /// The same after each was used.
    pub rss_per_used_instance_bytes: u64,
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
    /// Answer to `precompile`.
    Precompiled {
        /// In the engine's own form.
        #[serde(with = "base64_bytes")]
        code: Vec<u8>,
    },
    /// Answer to `time`.
    Timed(Times),
    /// Answer to `facts`.
    Facts(Facts),
    /// Answer to `footprint`.
    Footprint(Footprint),
    /// Answer to `confine`.
    Confined(Confinement),
    /// Answer to `drop`.
    Dropped {},
    /// The operation failed; the worker is ready for the next request.
    Error(Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_api::{BudgetKind, Limits, Stage, Trap};
    use runtime_host::{Form, Outcome, Read, Write};

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
                    code: Vec::new(),
                },
                r#"{"id":7,"op":"load","wasm":"AGFzbQ==","options":{"limits":{"max_memory_pages":512,"max_table_elements":8,"max_stack_bytes":65536},"metering":"epoch"}}"#,
            ),
            (
                Operation::Load {
                    wasm: vec![0, 97, 115, 109],
                    options,
                    code: vec![1, 2],
                },
                r#"{"id":7,"op":"load","wasm":"AGFzbQ==","options":{"limits":{"max_memory_pages":512,"max_table_elements":8,"max_stack_bytes":65536},"metering":"epoch"},"code":"AQI="}"#,
            ),
            (
                Operation::Precompile {
                    wasm: vec![0, 97, 115, 109],
                    options,
                    target: "armv7".to_owned(),
                },
                r#"{"id":7,"op":"precompile","wasm":"AGFzbQ==","options":{"limits":{"max_memory_pages":512,"max_table_elements":8,"max_stack_bytes":65536},"metering":"epoch"},"target":"armv7"}"#,
            ),
            (
                Operation::Time {
                    module: 1,
                    what: Timed::LoadCached,
                    iterations: 1,
                    batch_ns: 0,
                    batches: 3,
                },
                r#"{"id":7,"op":"time","module":1,"what":"load-cached","iterations":1,"batch_ns":0,"batches":3}"#,
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
                Operation::Time {
                    module: 1,
                    what: Timed::Call {
                        call: Call {
                            export: "kernel_forward".to_owned(),
                            arguments: vec![1024],
                            budget: Budget::None,
                        },
                    },
                    iterations: 0,
                    batch_ns: 1_000_000,
                    batches: 2,
                },
                r#"{"id":7,"op":"time","module":1,"what":"call","call":{"export":"kernel_forward","arguments":[1024],"budget":"none"},"iterations":0,"batch_ns":1000000,"batches":2}"#,
            ),
            (
                Operation::Time {
                    module: 1,
                    what: Timed::Path {
                        budget: Budget::None,
                        invocation: Invocation {
                            pages: 2,
                            writes: Vec::new(),
                            calls: Vec::new(),
                            reads: Vec::new(),
                        },
                    },
                    iterations: 5,
                    batch_ns: 0,
                    batches: 1,
                },
                r#"{"id":7,"op":"time","module":1,"what":"path","budget":"none","pages":2,"writes":[],"calls":[],"reads":[],"iterations":5,"batch_ns":0,"batches":1}"#,
            ),
            (
                Operation::Time {
                    module: 1,
                    what: Timed::Batch {
                        call: Call {
                            export: "kernel_forward".to_owned(),
                            arguments: vec![1024, 2048],
                            budget: Budget::None,
                        },
                    },
                    iterations: 0,
                    batch_ns: 1_000_000,
                    batches: 1,
                },
                r#"{"id":7,"op":"time","module":1,"what":"batch","call":{"export":"kernel_forward","arguments":[1024,2048],"budget":"none"},"iterations":0,"batch_ns":1000000,"batches":1}"#,
            ),
            (
                Operation::Time {
                    module: 1,
                    what: Timed::InPlace {
                        at: 1024,
                        length: 64,
                    },
                    iterations: 5,
                    batch_ns: 0,
                    batches: 1,
                },
                r#"{"id":7,"op":"time","module":1,"what":"inplace","at":1024,"length":64,"iterations":5,"batch_ns":0,"batches":1}"#,
            ),
            (
                Operation::Time {
                    module: 1,
                    what: Timed::Reset {
                        heap_base: 1024,
                        budget: Budget::None,
                        invocation: Invocation {
                            pages: 2,
                            writes: Vec::new(),
                            calls: Vec::new(),
                            reads: Vec::new(),
                        },
                    },
                    iterations: 5,
                    batch_ns: 0,
                    batches: 1,
                },
                r#"{"id":7,"op":"time","module":1,"what":"reset","heap_base":1024,"budget":"none","pages":2,"writes":[],"calls":[],"reads":[],"iterations":5,"batch_ns":0,"batches":1}"#,
            ),
            (
                Operation::Time {
                    module: 1,
                    what: Timed::Traps {
                        call: Call {
                            export: "kernel_forward".to_owned(),
                            arguments: vec![0],
                            budget: Budget::None,
                        },
                        alive: 1,
                        budget: Budget::None,
                        modules: 1000,
                        within_ms: 20_000,
                    },
                    iterations: 32,
                    batch_ns: 0,
                    batches: 10,
                },
                r#"{"id":7,"op":"time","module":1,"what":"traps","call":{"export":"kernel_forward","arguments":[0],"budget":"none"},"alive":1,"budget":"none","modules":1000,"within_ms":20000,"iterations":32,"batch_ns":0,"batches":10}"#,
            ),
            (
                Operation::Footprint {
                    module: 1,
                    instances: 32,
                    budget: Budget::None,
                    invocation: Invocation {
                        pages: 2,
                        writes: Vec::new(),
                        calls: Vec::new(),
                        reads: Vec::new(),
                    },
                },
                r#"{"id":7,"op":"footprint","module":1,"instances":32,"budget":"none","pages":2,"writes":[],"calls":[],"reads":[]}"#,
            ),
            (
                Operation::Facts { module: 1 },
                r#"{"id":7,"op":"facts","module":1}"#,
            ),
            (Operation::Confine, r#"{"id":7,"op":"confine"}"#),
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
            (
                Answer::Precompiled { code: vec![1, 2] },
                r#"{"id":7,"precompiled":{"code":"AQI="}}"#,
            ),
            (
                Answer::Timed(Times {
                    series: vec![Series {
                        name: "call".to_owned(),
                        batches: vec![Batch {
                            nanoseconds: 1_000_123,
                            iterations: 5000,
                        }],
                    }],
                    warm_up: 6000,
                    returned: 0,
                    reads: Vec::new(),
                }),
                r#"{"id":7,"timed":{"series":[{"name":"call","batches":[{"nanoseconds":1000123,"iterations":5000}]}],"warm_up":6000,"returned":0}}"#,
            ),
            (
                Answer::Facts(Facts {
                    code_bytes: Some(4096),
                    peak_rss_bytes: Some(1),
                    ..Facts::default()
                }),
                r#"{"id":7,"facts":{"code_bytes":4096,"peak_rss_bytes":1}}"#,
            ),
            (
                Answer::Footprint(Footprint {
                    rss_per_instance_bytes: 20_480,
                    rss_per_used_instance_bytes: 36_864,
                }),
                r#"{"id":7,"footprint":{"rss_per_instance_bytes":20480,"rss_per_used_instance_bytes":36864}}"#,
            ),
            (
                Answer::Confined(Confinement {
                    holds: vec!["no file can be opened".to_owned()],
                    lacks: vec!["system calls: no list".to_owned()],
                }),
                r#"{"id":7,"confined":{"holds":["no file can be opened"],"lacks":["system calls: no list"]}}"#,
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
