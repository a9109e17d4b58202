//! That traps leave nothing behind in this process: on an emulated target the memory that the system shows is the emulator's too, so
//! what `assay traps` looks at from outside says little there.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod common;

use runtime_api::{Budget, BudgetKind, Error, Limits, Module, Options, Runtime, Stage, Trap};
use std::ffi::c_int;

/// Traps before memory is looked at first.
const WARM_UP: usize = 200;
/// Traps after that.
const TRAPS: usize = 1000;
/// What may come on top: less than a fifth of a page of linear memory for a hundred traps.
const GROWTH_BYTES: usize = 128 * 1024;

/// glibc's, with its small integers: any version has it.
#[repr(C)]
struct Mallinfo {
    arena: c_int,
    ordblks: c_int,
    smblks: c_int,
    hblks: c_int,
    hblkhd: c_int,
    usmblks: c_int,
    fsmblks: c_int,
    uordblks: c_int,
    fordblks: c_int,
    keepcost: c_int,
}

#[allow(unsafe_code, reason = "the C library is asked what it has given out")]
mod heap {
    unsafe extern "C" {
        fn mallinfo() -> super::Mallinfo;
    }

    /// Bytes that are allocated, in large pieces of their own or in the heap of the main thread.
    pub(super) fn allocated() -> usize {
        // SAFETY: it takes nothing, and answers a structure of ten integers.
        let info = unsafe { mallinfo() };
        [info.uordblks, info.hblkhd]
            .map(|bytes| usize::try_from(bytes).unwrap())
            .into_iter()
            .sum()
    }
}

/// Bytes of address space that this process has mapped; under an emulator, the program that it emulates.
fn mapped() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .map(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let [start, end] =
                [start, end].map(|address| usize::from_str_radix(address, 16).unwrap());
            end - start
        })
        .sum()
}

fn trap(module: &dyn Module, times: usize) -> (usize, usize) {
    for _ in 0..times {
        let mut instance = module.instantiate(Budget::Epoch(100)).unwrap();
        let entry = instance.entry("run", 0).unwrap();
        let ended = instance.call(entry, &[], Budget::Epoch(100));
        assert!(
            matches!(
                ended,
                Err(Error::Trap {
                    trap: Trap::Unreachable,
                    ..
                })
            ),
            "{ended:?}"
        );
    }
    (heap::allocated(), mapped())
}

fn options() -> Options {
    Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    }
}

/// The watchdog is a thread of its own, which starts with the first budget, and glibc maps a heap for each thread that allocates: all of it
/// is there once it has stopped a call.
fn interrupt(engine: &dyn Runtime) {
    let endless = r#"(module (memory (export "memory") 1)
      (func (export "run") (result i32) (loop $again (br $again)) unreachable))"#;
    let wasm = wat::parse_str(endless).unwrap();
    let module = engine.compile(&wasm, &options()).unwrap();
    let mut instance = module.instantiate(Budget::Epoch(100)).unwrap();
    let entry = instance.entry("run", 0).unwrap();
    let ended = instance.call(entry, &[], Budget::Epoch(1));
    assert!(
        matches!(
            ended,
            Err(Error::Trap {
                trap: Trap::EpochDeadline,
                ..
            })
        ),
        "{ended:?}"
    );
}

fn traps_keep_neither_allocations_nor_mappings(engine: &dyn Runtime) {
    let text = r#"(module (memory (export "memory") 1)
      (func (export "run") (result i32) (i32.store (i32.const 65532) (i32.const 1)) unreachable))"#;
    let wasm = wat::parse_str(text).unwrap();
    let module = engine.compile(&wasm, &options()).unwrap();
    interrupt(engine);
    let (heap, addresses) = trap(module.as_ref(), WARM_UP);
    let (later, more) = trap(module.as_ref(), TRAPS);
    let id = &engine.info().id;
    println!("{id}: {heap}, then {later} bytes allocated; {addresses}, then {more} mapped");
    assert!(later <= heap + GROWTH_BYTES, "{id} keeps allocations");
    assert!(more <= addresses + GROWTH_BYTES, "{id} keeps mappings");
    // The look itself sees what is kept.
    let kept: Vec<_> = (0..10)
        .map(|_| module.instantiate(Budget::Epoch(100)).unwrap())
        .collect();
    let (held, also) = trap(module.as_ref(), 1);
    assert!(held.max(also) > 0 && (held > later || also > more), "{id}");
    drop(kept);
}

fn a_thousand_traps_cost_no_memory(engine: &dyn Runtime) {
    let text = r#"(module (memory (export "memory") 4)
      (func (export "run") (param i32) (result i32) (i32.load (local.get 0))))"#;
    let resident_pages = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages = text.split_whitespace().nth(1).unwrap();
        pages.parse::<u64>().unwrap()
    };
    let wasm = wat::parse_str(text).unwrap();
    let module = engine.compile(&wasm, &options()).unwrap();
    let traps = |times| {
        for _ in 0..times {
            let mut instance = module.instantiate(Budget::Epoch(1000)).unwrap();
            let entry = instance.entry("run", 1).unwrap();
            let result = instance.call(entry, &[u32::MAX], Budget::Epoch(1000));
            assert_eq!(
                result,
                Err(Error::trap(Stage::Call, Trap::MemoryAccessViolation))
            );
        }
    };
    traps(100);
    let before = resident_pages();
    traps(1000);
    // 1000 instances are 750 MB of memory and stacks.
    let grown = resident_pages().saturating_sub(before) * 4096;
    assert!(grown < 64 << 20, "{}: {grown} bytes", engine.info().id);
}

// One test at a time, because what is looked at is of the whole process: those that are ignored run by themselves.

#[test]
fn traps_leave_nothing_behind() {
    let fast = runtime_wamr::fast().unwrap();
    traps_keep_neither_allocations_nor_mappings(&*fast);
    a_thousand_traps_cost_no_memory(&*fast);
}

mod needs_wamrc {
    #[test]
    #[ignore = "needs assay-wamrc"]
    fn traps_leave_nothing_behind() {
        let aot = crate::common::aot();
        super::traps_keep_neither_allocations_nor_mappings(&*aot);
        super::a_thousand_traps_cost_no_memory(&*aot);
    }
}
