//! The wire, as it is documented.

use super::*;
use runtime_api::{BudgetKind, Limits, Stage, Trap};
use runtime_call::{Call, Fetched, Form, Outcome, Read, Write};

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
                    reads: [Form::Sha256, Form::Xxh3(u64::MAX)]
                        .map(|form| Read {
                            at: 1024,
                            length: 2,
                            form,
                        })
                        .to_vec(),
                },
            },
            r#"{"id":7,"op":"run","module":1,"instance":"fresh","budget":"none","pages":2,"writes":[{"at":1024,"bytes":"AQI="},{"at":2048,"length":9,"fill":213}],"calls":[{"export":"kernel_forward","arguments":[1024],"budget":{"epoch":100}}],"reads":[{"at":1024,"length":2,"form":"sha256"},{"at":1024,"length":2,"form":{"xxh3":18446744073709551615}}]}"#,
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
