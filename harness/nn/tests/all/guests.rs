//! Guests that are not the fixtures': what an engine refuses to link, what has no memory, what is late.

use crate::conformance::engines;
use runtime_api::{Budget, BudgetKind, Error, Functions, Options, Stage, Trap};
use runtime_nn::{
    Backend, Dtype, Encoding, Error as NnError, Graph, Guest, Input, Limits, Nn, Target, Tensor,
    abi::{Abi, Errno, IMPORTS},
    backends::Native,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const BUDGET: Budget = Budget::Epoch(10_000);

fn options() -> Options {
    Options {
        limits: runtime_api::Limits::default(),
        metering: BudgetKind::Epoch,
    }
}

fn nn() -> Arc<Nn> {
    Arc::new(Nn::new(Limits::default()))
}

fn guest(runtime: &dyn runtime_api::Runtime, text: &str, nn: Arc<Nn>) -> Result<Guest, Error> {
    let wasm = wat::parse_str(text).unwrap();
    Guest::compile(runtime, &wasm, &options(), nn)
}

#[test]
fn nothing_else_is_linked() {
    for engine in engines() {
        for import in [
            r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#,
            r#"(import "wasi_ephemeral_nn" "unload" (func (param i32) (result i32)))"#,
            r#"(import "wasi_ephemeral_nn" "compute" (func (param i64) (result i32)))"#,
            r#"(import "wasi_ephemeral_nn" "compute" (func (param i32)))"#,
            r#"(import "wasi_ephemeral_nn" "compute" (global i32))"#,
            r#"(import "wasi_ephemeral_nn" "memory" (memory 1))"#,
        ] {
            let refused = guest(&*engine, &format!("(module {import})"), nn());
            let refused = refused.err().unwrap();
            assert!(
                matches!(&refused, Error::Rejected { stage: Stage::Compile, message } if message.contains("import of")),
                "{}: {refused:?}",
                engine.info().id
            );
        }
    }
}

/// Kernels still import nothing: the way by which they come refuses the module that the other one links.
#[test]
fn a_guest_is_no_kernel() {
    let wasm = runtime_nn::check::MODEL_GUEST;
    for engine in engines() {
        let refused = engine.compile(wasm, &options()).err().unwrap();
        assert!(
            refused.to_string().contains("wasi_ephemeral_nn"),
            "{refused}"
        );
    }
}

#[test]
fn a_function_may_be_imported_twice_and_a_guest_without_memory_has_a_code_of_its_own() {
    let text = r#"(module
        (import "wasi_ephemeral_nn" "compute" (func $one (param i32) (result i32)))
        (import "wasi_ephemeral_nn" "compute" (func $two (param i32) (result i32)))
        (func (export "run") (result i32)
            (i32.add (call $one (i32.const 0)) (call $two (i32.const 0)))))"#;
    for engine in engines() {
        let guest = guest(&*engine, text, nn()).unwrap();
        let mut instance = guest.instantiate(BUDGET).unwrap();
        let run = instance.entry("run", 0).unwrap();
        let code = Errno::MissingMemory as i32;
        assert_eq!(instance.call(run, &[], BUDGET), Ok(2 * code));
    }
}

/// A graph that takes its time, within the limit of a computation.
struct Slow;

impl Backend for Slow {
    fn id(&self) -> &'static str {
        "slow"
    }

    fn encoding(&self) -> Encoding {
        Encoding::Openvino
    }

    fn recognises(&self, _: &[Vec<u8>]) -> bool {
        true
    }

    fn load(&self, _: &[Vec<u8>], _: Target) -> Result<Arc<dyn Graph>, NnError> {
        Ok(Arc::new(Slow))
    }
}

impl Graph for Slow {
    fn inputs(&self) -> &[Input] {
        &[]
    }

    fn compute(&self, _: &[Arc<Tensor>], _: Duration) -> Result<Vec<Tensor>, NnError> {
        thread::sleep(Duration::from_millis(30));
        Ok(vec![Tensor::new(Dtype::U8, vec![1], vec![7])?])
    }
}

/// The time inside functions counts against ticks: a guest that spends no fuel of its own is stopped all the same.
#[test]
fn ticks_count_the_time_inside_functions() {
    let text = r#"(module
        (import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "init_execution_context" (func $init (param i32 i32) (result i32)))
        (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "run") (result i32)
            (drop (call $load (i32.const 0) (i32.const 0) (i32.const 0)))
            (drop (call $init (i32.const 0) (i32.const 0)))
            (loop $again (br_if $again (i32.eqz (call $compute (i32.const 0)))))
            (i32.const 1)))"#;
    for engine in engines() {
        let nn = Nn::new(Limits::default()).named("", &Slow, Vec::new());
        let guest = guest(&*engine, text, Arc::new(nn.unwrap())).unwrap();
        let mut instance = guest.instantiate(BUDGET).unwrap();
        let run = instance.entry("run", 0).unwrap();
        let start = Instant::now();
        let stopped = instance.call(run, &[], Budget::Epoch(10));
        let due = Error::trap(Stage::Call, Trap::EpochDeadline);
        assert_eq!(stopped, Err(due), "{}", engine.info().id);
        // Far from what would happen without: Limits::time, 60 s.
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}

/// Where fuel does not count the time inside functions, a limit of its own does.
#[test]
fn functions_have_a_time_in_sum() {
    let limits = Limits {
        time: Duration::from_millis(50),
        ..Limits::default()
    };
    let nn = Arc::new(Nn::new(limits).named("", &Slow, Vec::new()).unwrap());
    let mut session = nn.session();
    let graph = session.load_by_name("").unwrap();
    let context = session.init_execution_context(graph).unwrap();
    let ended: Vec<_> = (0..4).map(|_| session.compute(context)).collect();
    assert!(
        matches!(ended.last(), Some(Err(NnError::Failed(_)))),
        "{ended:?}"
    );
    assert_eq!(ended[0], Ok(()));

    let mut abi = Abi::new(nn.session());
    let mut memory = [0; 4];
    let mut call = |function: &str, arguments: &[u32]| {
        let mut names = IMPORTS.functions.iter().map(|function| function.name);
        let index = names.position(|name| name == function).unwrap();
        let ended = abi.call(index, arguments, Some(&mut memory)).unwrap();
        Errno::of(ended).unwrap()
    };
    assert_eq!(call("load_by_name", &[0, 0, 0]), Errno::Success);
    assert_eq!(call("init_execution_context", &[0, 0]), Errno::Success);
    let ended = [(); 4].map(|()| call("compute", &[0]));
    assert_eq!(ended[0], Errno::Success);
    assert_eq!(ended[3], Errno::RuntimeError);
    // Those that only copy take time too.
    assert_eq!(call("load_by_name", &[0, 0, 0]), Errno::RuntimeError);
}

/// Counts what is loaded.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Backend for Counting {
    fn id(&self) -> &'static str {
        "counting"
    }

    fn encoding(&self) -> Encoding {
        Encoding::Kernels
    }

    fn recognises(&self, parts: &[Vec<u8>]) -> bool {
        Native::base().recognises(parts)
    }

    fn load(&self, parts: &[Vec<u8>], target: Target) -> Result<Arc<dyn Graph>, NnError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Native::base().load(parts, target)
    }
}

#[test]
fn the_same_graph_is_loaded_once_and_different_ones_are_limited() {
    let backend = Arc::new(Counting::default());
    let limits = Limits {
        graphs: 3,
        graph_bytes: 1000,
        held_bytes: 3000,
        ..Limits::default()
    };
    let nn = Arc::new(Nn::new(limits).backend(backend.clone()));
    let mut session = nn.session();
    let graph = runtime_nn::check::models::all()[0].kernels;
    // Blanks are another graph.
    let mut load = |blanks: usize| {
        let mut bytes = graph.to_vec();
        bytes.resize(graph.len() + blanks, b' ');
        session.load(vec![bytes], Encoding::Autodetect, Target::Cpu)
    };
    for _ in 0..1000 {
        assert_eq!(load(0), Ok(0));
    }
    assert_eq!(backend.0.load(Ordering::Relaxed), 1);
    assert_eq!((load(1), load(2)), (Ok(1), Ok(2)));
    assert!(matches!(load(3), Err(NnError::TooLarge(_))));
    assert!(matches!(load(500), Err(NnError::TooLarge(_))));
    assert_eq!(load(0), Ok(0), "what is there still is");
    assert!(session.held_bytes() <= 3000);
}

/// A memory of 1 GiB is one graph of a guest: refused before anything is copied.
#[test]
fn a_graph_of_one_gibibyte_is_refused() {
    // Never touched but for the list at its end, so that it takes no memory.
    let mut memory = vec![0_u8; 1 << 30];
    let list = memory.len() - 16;
    let length = (list as u32).to_le_bytes();
    memory[list + 4..list + 8].copy_from_slice(&length);
    let nn = nn();
    let mut abi = Abi::new(nn.session());
    let arguments = [list as u32, 1, 1, 0, list as u32 + 8];
    let ended = abi.call(0, &arguments, Some(&mut memory));
    assert_eq!(ended, Ok(Errno::TooLarge as i32));
    assert_eq!(abi.session().held_bytes(), 0);
}
