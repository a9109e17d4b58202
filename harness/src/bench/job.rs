//! What is measured: cells that share a module, each with its input, the call and the output that must come of it.

mod own;
mod ring;

use self::own::{UNROLLED, empty, shapes, trap, triad};
use crate::conform::{
    plan::{select, subjects},
    subject::{self, Subject},
};
use anyhow::{Context, Result};
use kernel_cases::{
    case::Case,
    generate,
    truth::{self, Verdict},
};
use kernel_pack::{Pack, PackKernel};
use runtime_api::{Budget, Limits};
use runtime_host::{Call, Fill, Form, Frame, Invocation, Read, Write};

/// Bytes of call stack that kernels get.
const STACK_BYTES: u32 = 512 * 1024;

/// Calls of a batch.
const BATCH: usize = 16;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Of the inputs.
    pub seed: u64,
    /// Whether this is the desk check: fewer sizes, base modules only.
    pub quick: bool,
}

/// A module and what is measured with it.
pub struct Group {
    /// Kernel id, or the name of a module of the harness itself.
    pub kernel: String,
    /// `base` or the variant's features.
    pub variant: String,
    /// The module; for the native worker what that takes for one, `native:` and a name.
    pub wasm: Vec<u8>,
    /// Its name to the native worker; `None` where that has nothing to compare with.
    pub native: Option<String>,
    /// What an engine must have to run it, for the pack's gate; `None` for modules of the harness itself.
    pub subject: Option<Subject>,
    /// What the module may take.
    pub limits: Limits,
    /// Its cells.
    pub jobs: Vec<Job>,
    /// Whether only the native worker has it.
    pub native_only: bool,
}

/// A cell without engine and budget.
pub struct Job {
    /// The shape.
    pub case: String,
    /// Class of size.
    pub size: &'static str,
    /// Elements of the main tensor.
    pub elements: u64,
    /// Bytes that a call reads and writes at least.
    pub bytes: u64,
    /// Floating-point operations of a call, where a formula says.
    pub operations: Option<u64>,
    /// Pages of memory for the call.
    pub pages: u32,
    /// Its inputs.
    pub writes: Vec<Write>,
    /// An export of two parameters that a fresh instance gets first.
    pub init: Option<[u32; 2]>,
    /// The export that is called.
    pub entry: String,
    /// What it is called with.
    pub argument: u32,
    /// What must come of it.
    pub expect: Expect,
    /// Whether a call changes what the next one starts from, so that inputs are written again before each batch.
    pub restore: bool,
    /// Whether budgets are compared on it.
    pub budgets: bool,
    /// Whether no budget is compared with itself beside them.
    pub beside: bool,
    /// The same call again and again, each beside the ones before, where calls are also timed in batches.
    pub batch: Vec<Frame>,
    /// Calls of the same shape on different inputs, each beside the ones before, and what must come of them; none where memory would be measured.
    pub ring: Vec<Expect>,
    /// Whether the phases and the ways of an invocation are timed on it.
    pub phases: bool,
    /// Whether the engine is compared with itself on it, in a process of its own.
    pub apart: bool,
}

/// What must come of a call.
pub enum Expect {
    /// Status 0, the frame intact and this output.
    Frame {
        /// Regions and guard bands.
        frame: Box<Frame>,
        /// The output.
        output: Vec<u8>,
        /// What other outputs are judged by, within the tolerance; `None` where the bits are due.
        case: Option<Box<Case>>,
    },
    /// The argument, and these bytes at this address.
    Bytes {
        /// Where.
        at: u32,
        /// The bytes.
        bytes: Vec<u8>,
        /// The argument.
        returned: i32,
    },
    /// Status 0, and `kernel_cleanup` finds nothing wrong.
    Cleanup,
    /// The trap `Unreachable`; with this argument it returns it instead.
    Trap {
        /// The argument.
        alive: u32,
    },
}

impl Expect {
    /// The frame of a call.
    pub(super) fn frame(&self) -> Option<&Frame> {
        match self {
            Expect::Frame { frame, .. } => Some(frame),
            _ => None,
        }
    }

    /// What is wrong with what a call left of all that it may have touched.
    pub(super) fn check(&self, after: &[u8]) -> Result<(), String> {
        match self {
            Expect::Frame { frame, .. } => self.check_frame(frame, after),
            Expect::Bytes { bytes, .. } => check_output(after, bytes),
            Expect::Cleanup | Expect::Trap { .. } => Ok(()),
        }
    }

    /// What is wrong with what a call left of a frame, its own or that of the same call elsewhere.
    fn check_frame(&self, frame: &Frame, after: &[u8]) -> Result<(), String> {
        frame
            .check(after, true)
            .map_err(|violation| violation.to_string())?;
        self.check_output_read(frame.output(after))
    }

    /// What is wrong with an output.
    fn check_output_read(&self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Expect::Frame {
                case: Some(case),
                output,
                ..
            } if bytes != output => match truth::judge(case, bytes) {
                Verdict::Pass { .. } => Ok(()),
                Verdict::Fail(mismatch) => Err(format!("its output is wrong: {mismatch}")),
                Verdict::NotApplicable(reason) | Verdict::Unknown(reason) => {
                    Err(format!("its output cannot be judged: {reason}"))
                }
            },
            Expect::Frame { output, .. } => check_output(bytes, output),
            Expect::Bytes {
                bytes: expected, ..
            } => check_output(bytes, expected),
            Expect::Cleanup | Expect::Trap { .. } => Ok(()),
        }
    }
}

fn check_output(output: &[u8], expected: &[u8]) -> Result<(), String> {
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

impl Job {
    /// What a call returns.
    pub fn returned(&self) -> i32 {
        match &self.expect {
            Expect::Frame { .. } | Expect::Cleanup => 0,
            Expect::Bytes { returned, .. } => *returned,
            Expect::Trap { alive } => alive.cast_signed(),
        }
    }

    /// What is read to check all that the call may have touched.
    pub fn check_read(&self) -> Option<Read> {
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
    ///
    /// # Errors
    /// That, in words.
    pub fn check(&self, after: &[u8]) -> Result<(), String> {
        self.expect.check(after)
    }

    /// What is wrong with what a call left of a frame of the job's batch.
    pub(super) fn check_frame(&self, frame: &Frame, after: &[u8]) -> Result<(), String> {
        self.expect.check_frame(frame, after)
    }

    /// What a host reads of a call: the output alone.
    pub fn output_read(&self) -> Option<Read> {
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
    ///
    /// # Errors
    /// That, in words.
    pub fn check_output_read(&self, bytes: &[u8]) -> Result<(), String> {
        self.expect.check_output_read(bytes)
    }

    /// Inputs written to an instance.
    pub fn writing(&self) -> Invocation {
        Invocation {
            pages: self.pages,
            writes: self.writes.clone(),
            calls: Vec::new(),
            reads: Vec::new(),
        }
    }

    /// Writing all inputs, one call, and reading its output.
    pub fn whole(&self, budget: Budget) -> Invocation {
        Invocation {
            calls: vec![Call {
                export: self.entry.clone(),
                arguments: vec![self.argument],
                budget,
            }],
            reads: self.output_read().into_iter().collect(),
            ..self.writing()
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
    let mut groups = vec![empty(scope.quick)?, trap()?, triad(scope.quick)];
    if kernels.is_empty() {
        groups.extend([
            shapes("naive", 1, scope.quick)?,
            shapes("unrolled", UNROLLED, scope.quick)?,
        ]);
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
            groups.push(of_pack(subject, jobs));
        }
    }
    Ok((groups, notes))
}

fn of_pack(subject: Subject, jobs: Vec<Job>) -> Group {
    Group {
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
    }
}

/// Names of the classes of size that a kernel is measured at.
pub fn size_names(kernel: &str) -> Vec<&'static str> {
    let names = sizes(kernel, false).into_iter();
    names.map(|(name, ..)| name).collect()
}

/// The base module of a kernel with one cell, of the class of size that [`size_names`] calls so.
///
/// # Errors
/// If there is none; the harness's own failure if the native kernel is wrong.
pub fn single(kernel: &PackKernel, size: &str, seed: u64) -> Result<Group> {
    let scope = Scope { seed, quick: false };
    let subject = subjects(kernel).remove(0);
    let of_size = sizes(kernel.id(), false)
        .into_iter()
        .find(|(name, ..)| *name == size)
        .with_context(|| format!("{} has no size {size}", kernel.id()))?;
    let job = job(&subject, of_size, scope)?.map_err(anyhow::Error::msg)?;
    Ok(of_pack(subject, vec![job]))
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

/// A call of a kernel with 4 Ki elements in its main tensor, for what is compared at one size: fuel, and times of two packs. `None` for
/// a kernel that this harness has no contract for.
pub(crate) fn reference_case(kernel: &str, seed: u64) -> Option<Case> {
    let size = budget_size(true);
    let (_, dimensions, ..) = sizes(kernel, true)
        .into_iter()
        .find(|(name, ..)| *name == size)?;
    generate::sized(kernel, dimensions, seed)
}

/// A cell of a kernel, its output computed natively and judged by the oracle first. The inner error is why there is none.
fn job(
    subject: &Subject,
    (size, dimensions, elements, operations): Size,
    scope: Scope,
) -> Result<Result<Job, String>> {
    // Variants sum in another order: the yardstick of their output is the native build of the same lanes.
    let Some(kernel) = subject.standard.definition else {
        return Ok(Err(
            "its contract names no built-in definition, whose native build is the yardstick"
                .to_owned(),
        ));
    };
    let case = generate::sized(kernel.id, dimensions, scope.seed)
        .with_context(|| format!("failed to make inputs for {}", subject.kernel))?;
    let prepared = match subject::prepare(case, subject, 0) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(format!("failed to {error}"))),
    };
    let native = match prepared.native {
        Some(native) => native,
        None => subject::run_natively(&prepared.case, &prepared.first, subject, kernel),
    };
    anyhow::ensure!(
        native.status == 0,
        "the native {} refuses its input: status {}",
        subject.kernel,
        native.status
    );
    let truth = match prepared.native_truth {
        Some(truth) => truth,
        None => truth::judge(&prepared.case, &native.output),
    };
    if let Verdict::Fail(mismatch) = truth {
        anyhow::bail!("the native {} is wrong: {mismatch}", subject.kernel)
    }
    let case = &prepared.case;
    let frame = prepared.first.frame;
    let params = frame.placed().params;
    let compared = size == budget_size(scope.quick);
    let rmsnorm = subject.kernel == "rmsnorm_f32";
    let smallest = size == "small" && rmsnorm;
    let phases = smallest && subject.variant == "base";
    let batch = if phases {
        beside_each_other(case, subject)?
    } else {
        Vec::new()
    };
    let ring = ring::ring(subject, kernel, (dimensions, elements), scope.seed)?;
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
        // Each kind of budget is a module of its own to compile: a desk check looks at one kernel.
        budgets: (compared && (!scope.quick || rmsnorm)) || smallest,
        beside: compared && subject.variant == "base" && (!scope.quick || rmsnorm),
        batch,
        ring,
        phases,
        apart: compared && rmsnorm && subject.variant == "base",
        expect: Expect::Frame {
            frame: Box::new(frame),
            output: native.output,
            // Another source need not give the same bits.
            case: (!subject.standard.same_source).then(|| Box::new(prepared.case)),
        },
    }))
}

/// The frames of a batch of the same call.
fn beside_each_other(case: &Case, subject: &Subject) -> Result<Vec<Frame>> {
    let tensors = subject::tensors(case);
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
