//! Modules of the harness itself: a call that does nothing, a trap, shapes of loops, and the bandwidth of memory.

use super::{Expect, Group, Job, STACK_BYTES};
use crate::bench::native;
use anyhow::{Context, Result};
use kernel_abi::{PAGE_BYTES, export};
use runtime_api::Limits;
use runtime_call::Write;

/// Elements of the loops that compare shapes.
const LOOP_ELEMENTS: u32 = 65_536;
/// Elements that the better shape works on before it branches back.
pub(super) const UNROLLED: u32 = 32;

/// A module of the harness itself.
fn own(kernel: &str, variant: &str, text: &str, native: Option<&str>, job: Job) -> Result<Group> {
    Ok(Group {
        kernel: kernel.to_owned(),
        variant: variant.to_owned(),
        wasm: wat::parse_str(text).with_context(|| format!("failed to assemble {kernel}"))?,
        native: native.map(str::to_owned),
        subject: None,
        limits: Limits {
            max_memory_pages: job.pages.max(1),
            max_table_elements: 0,
            max_stack_bytes: STACK_BYTES,
        },
        jobs: vec![job],
        native_only: false,
    })
}

/// A kernel that returns its argument at once.
pub(super) fn empty(quick: bool) -> Result<Group> {
    let argument = 1040;
    let text = r#"(module (memory (export "memory") 1)
        (func (export "kernel_forward") (param i32) (result i32) (local.get 0)))"#;
    own(
        native::EMPTY,
        "base",
        text,
        Some(native::EMPTY),
        Job {
            case: "returns at once".to_owned(),
            size: "empty",
            elements: 0,
            bytes: 0,
            operations: None,
            pages: 1,
            writes: Vec::new(),
            init: None,
            entry: export::FORWARD.to_owned(),
            argument,
            expect: Expect::Bytes {
                at: 0,
                bytes: Vec::new(),
                returned: argument.cast_signed(),
            },
            restore: false,
            budgets: true,
            beside: true,
            batch: Vec::new(),
            ring: Vec::new(),
            phases: true,
            apart: !quick,
        },
    )
}

/// A call that executes `unreachable`, unless it is told not to.
pub(super) fn trap() -> Result<Group> {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "kernel_forward") (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then unreachable))
          (local.get 0)))"#;
    own(
        native::TRAP,
        "base",
        text,
        None,
        Job {
            case: "unreachable".to_owned(),
            size: "trap",
            elements: 0,
            bytes: 0,
            operations: None,
            pages: 1,
            writes: Vec::new(),
            init: None,
            entry: export::FORWARD.to_owned(),
            argument: 0,
            expect: Expect::Trap { alive: 1 },
            restore: false,
            budgets: false,
            beside: false,
            batch: Vec::new(),
            ring: Vec::new(),
            phases: false,
            apart: false,
        },
    )
}

/// y[i] = x[i] / 2 with so many elements between two branches back: what the shape of a loop costs where branches are counted.
pub(super) fn shapes(variant: &str, unrolled: u32, quick: bool) -> Result<Group> {
    let bytes = LOOP_ELEMENTS * 4;
    let body: String = (0..unrolled)
        .map(|element| {
            let offset = element * 4;
            format!(
                "(f32.store offset={} (local.get $at) (f32.mul (f32.load offset={offset} (local.get $at)) (f32.const 0.5)))\n",
                bytes + offset
            )
        })
        .collect();
    let text = format!(
        r#"(module (memory (export "memory") {pages})
        (func (export "kernel_forward") (param $at i32) (result i32) (local $end i32)
          (local.set $end (i32.add (local.get $at) (i32.const {bytes})))
          (loop $again
            {body}
            (local.set $at (i32.add (local.get $at) (i32.const {step})))
            (br_if $again (i32.lt_u (local.get $at) (local.get $end))))
          (i32.const 0)))"#,
        pages = 2 * u64::from(bytes) / PAGE_BYTES,
        step = unrolled * 4,
    );
    let values = || (0..LOOP_ELEMENTS).map(|index| index as f32 - 1000.5);
    let input = values().flat_map(f32::to_le_bytes).collect();
    let output = values()
        .flat_map(|value| (value * 0.5).to_le_bytes())
        .collect();
    own(
        "loop",
        variant,
        &text,
        None,
        Job {
            case: format!("{LOOP_ELEMENTS} elements, {unrolled} per back edge"),
            size: "64Ki",
            elements: LOOP_ELEMENTS.into(),
            bytes: 2 * u64::from(bytes),
            operations: Some(LOOP_ELEMENTS.into()),
            pages: (2 * u64::from(bytes) / PAGE_BYTES) as u32,
            writes: vec![Write::Bytes {
                at: 0,
                bytes: input,
            }],
            init: None,
            entry: export::FORWARD.to_owned(),
            argument: 0,
            expect: Expect::Bytes {
                at: bytes,
                bytes: output,
                returned: 0,
            },
            restore: false,
            budgets: true,
            beside: !quick,
            batch: Vec::new(),
            ring: Vec::new(),
            phases: false,
            apart: false,
        },
    )
}

/// What memory can do: arrays as large as the tensors of 1 MiB, and larger than any cache.
pub(super) fn triad(quick: bool) -> Group {
    let sizes: &[(&str, u32)] = if quick {
        &[("1MiB", 131_072)]
    } else {
        &[("1MiB", 131_072), ("memory", 8 * 1024 * 1024)]
    };
    let job = |&(size, elements): &(&'static str, u32)| Job {
        case: format!("3 arrays of {elements} f64"),
        size,
        elements: elements.into(),
        bytes: 3 * 8 * u64::from(elements),
        operations: Some(2 * u64::from(elements)),
        pages: 0,
        writes: Vec::new(),
        init: Some([elements, 0]),
        entry: export::FORWARD.to_owned(),
        argument: 0,
        expect: Expect::Cleanup,
        restore: false,
        budgets: false,
        beside: false,
        batch: Vec::new(),
        ring: Vec::new(),
        phases: false,
        apart: false,
    };
    Group {
        kernel: native::TRIAD.to_owned(),
        variant: "base".to_owned(),
        wasm: Vec::new(),
        native: Some(native::TRIAD.to_owned()),
        subject: None,
        limits: Limits::default(),
        jobs: sizes.iter().map(job).collect(),
        native_only: true,
    }
}
