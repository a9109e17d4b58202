//! What is measured: cells that share a module, each with its input, the call and the output that must come of it.

use super::native;
use crate::conform::{
    case::Case,
    generate,
    plan::{select, subjects},
    subject::{self, Subject},
    truth::Verdict,
};
use anyhow::{Context, Result};
use kernel_abi::{PAGE_BYTES, export};
use kernel_pack::Pack;
use runtime_api::Limits;
use runtime_host::{Fill, Form, Frame, Invocation, Output, Read, Tensors, Write};

/// Bytes of call stack that kernels get.
const STACK_BYTES: u32 = 512 * 1024;
/// Elements of the loops that compare shapes.
const LOOP_ELEMENTS: u32 = 65_536;
/// Elements that the better shape works on before it branches back.
const UNROLLED: u32 = 32;

/// Calls of a batch.
const BATCH: usize = 16;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) seed: u64,
    pub(super) quick: bool,
}

/// A module and what is measured with it.
pub(super) struct Group {
    pub(super) kernel: String,
    pub(super) variant: String,
    /// The module; for the native worker the one of [`native::module`].
    pub(super) wasm: Vec<u8>,
    /// Its name to the native worker; `None` where that has nothing to compare with.
    pub(super) native: Option<String>,
    /// What an engine must have to run it, for the pack's gate; `None` for modules of the harness itself.
    pub(super) subject: Option<Subject>,
    pub(super) limits: Limits,
    pub(super) jobs: Vec<Job>,
    /// Whether only the native worker has it.
    pub(super) native_only: bool,
}

/// A cell without engine and budget.
pub(super) struct Job {
    pub(super) case: String,
    /// Class of size.
    pub(super) size: &'static str,
    pub(super) elements: u64,
    pub(super) bytes: u64,
    pub(super) operations: Option<u64>,
    pub(super) pages: u32,
    pub(super) writes: Vec<Write>,
    /// An export of two parameters that a fresh instance gets first.
    pub(super) init: Option<[u32; 2]>,
    pub(super) entry: String,
    pub(super) argument: u32,
    pub(super) expect: Expect,
    /// Whether a call changes what the next one starts from, so that inputs are written again before each batch.
    pub(super) restore: bool,
    /// Whether budgets are compared on it.
    pub(super) budgets: bool,
    /// Whether no budget is compared with itself beside them.
    pub(super) beside: bool,
    /// The same call again and again, each beside the ones before, where calls are also timed in batches.
    pub(super) batch: Vec<Frame>,
    /// Whether the phases and the ways of an invocation are timed on it.
    pub(super) phases: bool,
    /// Whether the engine is compared with itself on it, in a process of its own.
    pub(super) apart: bool,
}

/// What must come of a call.
pub(super) enum Expect {
    /// Status 0, the frame intact and this output.
    Frame { frame: Box<Frame>, output: Vec<u8> },
    /// The argument, and these bytes at this address.
    Bytes {
        at: u32,
        bytes: Vec<u8>,
        returned: i32,
    },
    /// Status 0, and `kernel_cleanup` finds nothing wrong.
    Cleanup,
    /// The trap `Unreachable`; with this argument it returns it instead.
    Trap { alive: u32 },
}

impl Job {
    /// What a call returns.
    pub(super) fn returned(&self) -> i32 {
        match &self.expect {
            Expect::Frame { .. } | Expect::Cleanup => 0,
            Expect::Bytes { returned, .. } => *returned,
            Expect::Trap { alive } => alive.cast_signed(),
        }
    }

    /// What is read to check all that the call may have touched.
    pub(super) fn check_read(&self) -> Option<Read> {
        let read = |at, length: usize| Read {
            at,
            length: length as u32,
            form: Form::Bytes,
        };
        match &self.expect {
            Expect::Frame { frame, .. } => Some(read(frame.start(), frame.image().len())),
            Expect::Bytes { at, bytes, .. } => Some(read(*at, bytes.len())),
            Expect::Cleanup | Expect::Trap { .. } => None,
        }
    }

    /// What is wrong with what [`check_read`](Self::check_read) gave.
    pub(super) fn check(&self, after: &[u8]) -> Result<(), String> {
        match &self.expect {
            Expect::Frame { frame, .. } => self.check_frame(frame, after),
            Expect::Bytes { bytes, .. } => self.check_output(after, bytes),
            Expect::Cleanup | Expect::Trap { .. } => Ok(()),
        }
    }

    /// What is wrong with what a call left of a frame, the job's own or one of its batch.
    pub(super) fn check_frame(&self, frame: &Frame, after: &[u8]) -> Result<(), String> {
        frame
            .check(after, true)
            .map_err(|violation| violation.to_string())?;
        self.check_output_read(frame.output(after))
    }

    /// What a host reads of a call: the output alone.
    pub(super) fn output_read(&self) -> Option<Read> {
        let (at, length) = match &self.expect {
            Expect::Frame { frame, .. } => {
                let output = frame.placed().output;
                (output.offset, output.size)
            }
            Expect::Bytes { at, bytes, .. } => (*at, bytes.len() as u32),
            Expect::Cleanup | Expect::Trap { .. } => return None,
        };
        (length > 0).then_some(Read {
            at,
            length,
            form: Form::Bytes,
        })
    }

    /// What is wrong with what [`output_read`](Self::output_read) gave.
    pub(super) fn check_output_read(&self, bytes: &[u8]) -> Result<(), String> {
        match &self.expect {
            Expect::Frame { output, .. } => self.check_output(bytes, output),
            Expect::Bytes {
                bytes: expected, ..
            } => self.check_output(bytes, expected),
            Expect::Cleanup | Expect::Trap { .. } => Ok(()),
        }
    }

    fn check_output(&self, output: &[u8], expected: &[u8]) -> Result<(), String> {
        if output == expected {
            return Ok(());
        }
        let at = output
            .iter()
            .zip(expected)
            .position(|(ours, theirs)| ours != theirs)
            .unwrap_or(output.len().min(expected.len()));
        Err(format!(
            "the output of what was timed is wrong, from byte {at} of {} on",
            expected.len()
        ))
    }

    /// Inputs written to an instance.
    pub(super) fn writing(&self) -> Invocation {
        Invocation {
            pages: self.pages,
            writes: self.writes.clone(),
            calls: Vec::new(),
            reads: Vec::new(),
        }
    }
}

/// All groups of a run, and what could not be made, with the reason.
///
/// # Errors
/// Usage for a kernel name that fits nothing; the harness's own failure if its modules or native kernels are wrong.
pub(super) fn groups(
    pack: &Pack,
    kernels: &[String],
    scope: Scope,
) -> Result<(Vec<Group>, Vec<String>)> {
    let mut groups = vec![empty()?, trap()?, triad(scope.quick)];
    if kernels.is_empty() {
        groups.extend([shapes("naive", 1)?, shapes("unrolled", UNROLLED)?]);
    }
    let mut notes = Vec::new();
    for kernel in select(pack, kernels)? {
        let mut all = subjects(kernel);
        if scope.quick {
            // The module that every engine runs.
            all.truncate(1);
        }
        for subject in all {
            let mut jobs = Vec::new();
            for (size, dimensions, elements, operations) in sizes(&subject.kernel, scope.quick) {
                match job(&subject, (size, dimensions, elements, operations), scope)? {
                    Ok(job) => jobs.push(job),
                    Err(reason) => notes.push(format!("{} {size}: {reason}", subject.kernel)),
                }
            }
            if jobs.is_empty() {
                notes.push(format!(
                    "{}: this harness has no contract for it: not measured",
                    subject.kernel
                ));
                continue;
            }
            groups.push(Group {
                kernel: subject.kernel.clone(),
                variant: subject.variant.clone(),
                wasm: subject.wasm.clone(),
                native: (subject.variant == "base").then(|| subject.kernel.clone()),
                limits: Limits {
                    max_memory_pages: subject.max_pages,
                    max_table_elements: subject.max_table_elements,
                    max_stack_bytes: STACK_BYTES,
                },
                subject: Some(subject),
                jobs,
                native_only: false,
            });
        }
    }
    Ok((groups, notes))
}

/// The class of size at which budgets are compared.
pub(super) fn budget_size(quick: bool) -> &'static str {
    if quick { "4Ki" } else { "64Ki" }
}

/// Class, dimensions as [`generate::sized`] takes them, elements, operations.
type Size = (&'static str, [u32; 4], u64, Option<u64>);

/// Sizes of a kernel.
fn sizes(kernel: &str, quick: bool) -> Vec<Size> {
    let half = kernel.ends_with("_f16");
    // Rows for 4 Ki and 64 Ki elements, and for a main tensor of 1 MiB.
    let (family, rows): (&str, [u32; 3]) = match kernel {
        "rope_q8" => ("rope_q8", [8, 128, 2048]),
        name if name.starts_with("rope") => ("rope", [8, 128, if half { 1024 } else { 512 }]),
        name if name.starts_with("kv") => ("kv", [32, 512, 2048]),
        name if name.starts_with("lora") => ("lora", [4, 64, if half { 512 } else { 256 }]),
        name if name.starts_with("rmsnorm") => ("rmsnorm", [4, 64, if half { 512 } else { 256 }]),
        name if name.starts_with("swiglu") => ("swiglu", [4, 64, if half { 512 } else { 256 }]),
        _ => return Vec::new(),
    };
    let of = |rows: u32, small: bool| -> ([u32; 4], u64, Option<u64>) {
        let one =
            |dimensions: [u32; 4], per_row: u32| (dimensions, u64::from(rows) * u64::from(per_row));
        let (dimensions, elements) = match (family, small) {
            ("rope", true) => one([1, 1, 1, 32], 64),
            ("rope", false) => one([1, rows, 8, 32], 512),
            ("rope_q8", true) => one([1, 1, 1, 2], 64),
            ("rope_q8", false) => one([1, rows, 8, 2], 512),
            ("kv", true) => one([1, 2, 1, 1], 64),
            ("kv", false) => one([rows, 4, 1, 1], 128),
            ("lora", true) => one([1, 64, 8, 64], 64),
            ("lora", false) => one([rows, 1024, 8, 1024], 1024),
            (_, true) => one([1, 64, 1, 1], 64),
            (_, false) => one([rows, 1024, 1, 1], 1024),
        };
        let operations = match family {
            // Four products and two sums of a pair.
            "rope" => Some(3 * elements),
            // A square and a sum, two products.
            "rmsnorm" => Some(4 * elements),
            "lora" => {
                let [rows, input, rank, output] = dimensions.map(u64::from);
                Some(2 * rows * rank * (input + output) + 2 * rows * output)
            }
            _ => None,
        };
        (dimensions, elements, operations)
    };
    let size = |name: &'static str, rows: u32, small: bool| {
        let (dimensions, elements, operations) = of(rows, small);
        (name, dimensions, elements, operations)
    };
    if quick {
        let mut sizes = vec![size("4Ki", rows[0], false)];
        if kernel == "rmsnorm_f32" {
            sizes.push(size("small", 1, true));
        }
        return sizes;
    }
    let mut sizes = vec![
        size("small", 1, true),
        size("4Ki", rows[0], false),
        size("64Ki", rows[1], false),
        size("1MiB", rows[2], false),
    ];
    if kernel == "rope_f32" {
        let elements = 512 * 32 * 128;
        sizes.push(("seq512", [1, 512, 32, 64], elements, Some(3 * elements)));
    }
    sizes
}

/// A cell of a kernel, its output computed natively and judged by the oracle first. The inner error is why there is none.
fn job(
    subject: &Subject,
    (size, dimensions, elements, operations): Size,
    scope: Scope,
) -> Result<Result<Job, String>> {
    // Variants sum in another order: the yardstick of their output is the native build of the same lanes.
    let Some(kernel) = kernel_core::variant(&subject.kernel, &subject.features) else {
        return Ok(Err("this harness has no contract for it".to_owned()));
    };
    let case = generate::sized(&subject.kernel, dimensions, scope.seed)
        .with_context(|| format!("failed to make inputs for {}", subject.kernel))?;
    let prepared = match subject::prepare(case, subject, kernel) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(format!("failed to {error}"))),
    };
    match &prepared.native_truth {
        Some(Verdict::Pass { .. } | Verdict::NotApplicable(_)) => {}
        Some(Verdict::Fail(mismatch)) => {
            anyhow::bail!("the native {} is wrong: {mismatch}", subject.kernel)
        }
        None => anyhow::bail!(
            "the native {} refuses its input: status {}",
            subject.kernel,
            prepared.native.status
        ),
    }
    let case = &prepared.case;
    let frame = prepared.first.frame;
    let params = frame.placed().params;
    let compared = size == budget_size(scope.quick);
    let smallest = size == "small" && subject.kernel == "rmsnorm_f32";
    let phases = smallest && subject.variant == "base";
    let batch = if phases {
        beside_each_other(case, subject)?
    } else {
        Vec::new()
    };
    let updated = case.base.as_ref().map_or(0, Vec::len);
    let bytes = case.a.len() + case.b.len() + case.output_size as usize + updated;
    Ok(Ok(Job {
        case: case.name.trim_start_matches("sized:").to_owned(),
        size,
        elements,
        bytes: bytes as u64,
        operations,
        pages: prepared.first.pages,
        writes: vec![Write::Bytes {
            at: frame.start(),
            bytes: frame.image().to_vec(),
        }],
        init: Some([params.offset, params.size]),
        entry: subject.entry_point.clone(),
        argument: frame.descriptor_address(),
        restore: case.base.is_some(),
        budgets: compared || smallest,
        beside: compared && (!scope.quick || subject.kernel == "rmsnorm_f32"),
        batch,
        phases,
        apart: compared && subject.kernel == "rmsnorm_f32" && subject.variant == "base",
        expect: Expect::Frame {
            frame: Box::new(frame),
            output: prepared.native.output,
        },
    }))
}

/// The frames of a batch of the same call.
fn beside_each_other(case: &Case, subject: &Subject) -> Result<Vec<Frame>> {
    let tensors = Tensors {
        params: &case.params,
        a: &case.a,
        b: &case.b,
        output: match &case.base {
            Some(base) => Output::Updated(base),
            None => Output::Written(case.output_size),
        },
        scratch_size: case.scratch_size,
    };
    let mut base = subject.heap_base;
    let mut frames = Vec::new();
    for _ in 0..BATCH {
        let frame = Frame::place(&tensors, base, subject.max_pages, Fill::FIRST)
            .with_context(|| format!("failed to make a batch of {}", subject.kernel))?;
        base = u32::try_from(frame.end())?;
        frames.push(frame);
    }
    Ok(frames)
}

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
fn empty() -> Result<Group> {
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
            phases: true,
            apart: true,
        },
    )
}

/// A call that executes `unreachable`, unless it is told not to.
fn trap() -> Result<Group> {
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
            phases: false,
            apart: false,
        },
    )
}

/// y[i] = x[i] / 2 with so many elements between two branches back: what the shape of a loop costs where branches are counted.
fn shapes(variant: &str, unrolled: u32) -> Result<Group> {
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
            beside: true,
            batch: Vec::new(),
            phases: false,
            apart: false,
        },
    )
}

/// What memory can do: arrays as large as the tensors of 1 MiB, and larger than any cache.
fn triad(quick: bool) -> Group {
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
