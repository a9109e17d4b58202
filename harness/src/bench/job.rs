//! What is measured: cells that share a module, each with its input, the call and the output that must come of it.

mod expect;
mod open;
mod own;
mod ring;
mod sizes;

use self::own::{UNROLLED, empty, shapes, trap, triad};
pub(super) use self::sizes::budget_size;
pub(crate) use self::sizes::reference_case;
use self::sizes::{Size, sizes};
pub use self::{expect::Expect, sizes::size_names};
use crate::conform::{
    plan::{select, subjects},
    subject::{self, Placed, Subject},
    truths::Oracles,
};
use crate::time_limits::{Asked, TimeLimits};
use anyhow::{Context, Result};
use kernel_cases::{
    case::Case,
    generate,
    truth::{self, Verdict},
};
use kernel_pack::{Pack, PackKernel};
use runtime_api::{Budget, Limits};
use runtime_call::{Call, Fill, Form, Frame, Invocation, Read, Write};

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
    let selected = select(pack, kernels)?;
    let limits = TimeLimits::begin(Asked::default(), false, 0);
    let mut oracles = Oracles::new(&[], &selected, limits)?;
    for kernel in selected {
        let mut all = subjects(kernel);
        if scope.quick {
            // The module that every engine runs.
            all.truncate(1);
        }
        let open = open::cells(pack, kernel, &mut oracles, scope)?;
        for subject in all {
            let mut jobs = Vec::new();
            let mut keep = |size: &str, job: Result<Job, String>| match job {
                Ok(job) => jobs.push(job),
                Err(reason) => notes.push(format!("{} {size}: {reason}", subject.kernel)),
            };
            for of_size in subject
                .standard
                .definition
                .map_or_else(Vec::new, |known| sizes(known.id, scope.quick))
            {
                keep(of_size.0, job(&subject, of_size, scope)?);
            }
            for cell in open.iter().flatten() {
                keep(cell.size, open_job(&subject, cell, scope));
            }
            if jobs.is_empty() {
                let reason = open
                    .as_ref()
                    .err()
                    .map_or("no call of it could be made", String::as_str);
                notes.push(format!("{}: not measured: {reason}", subject.kernel));
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
        native: subject
            .standard
            .definition
            .filter(|_| subject.variant == "base")
            .map(|known| known.id.to_owned()),
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

/// A cell of a kernel, its output computed natively and judged by the oracle first. The inner error is why there is none.
fn job(
    subject: &Subject,
    (size, dimensions, elements, operations): Size,
    scope: Scope,
) -> Result<Result<Job, String>> {
    // Variants sum in another order: the yardstick of their output is the native build of the same lanes.
    let kernel = subject
        .standard
        .definition
        .context("only a definition has sizes")?;
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
    let ring = ring::native(subject, kernel, (dimensions, elements), scope.seed)?;
    let cell = Timed {
        size,
        elements,
        operations,
        output: native.output,
        // Another source need not give the same bits.
        is_judged: !subject.standard.same_source,
        ring,
    };
    made(subject, prepared.case, prepared.first, cell, scope).map(Ok)
}

/// A call of a kernel with a contract of its own, and others of about its shape.
struct Cell {
    size: &'static str,
    case: Case,
    ring: Vec<Case>,
}

impl Cell {
    fn of(size: &'static str, case: Case) -> Self {
        Self {
            size,
            case,
            ring: Vec::new(),
        }
    }
}

/// A cell that truths or vectors judge. The error is why there is none.
fn open_job(subject: &Subject, cell: &Cell, scope: Scope) -> Result<Job, String> {
    let prepared = subject::prepare(cell.case.clone(), subject, 0)
        .map_err(|error| format!("failed to {error}"))?;
    let outputs = cell.case.open.iter().flat_map(|call| &call.outputs);
    let timed = Timed {
        size: cell.size,
        elements: outputs
            .map(|tensor| tensor.elements() as u64)
            .max()
            .unwrap_or(1),
        operations: None,
        output: Vec::new(),
        is_judged: true,
        ring: ring::judged(subject, &cell.ring).map_err(|error| error.to_string())?,
    };
    made(subject, prepared.case, prepared.first, timed, scope).map_err(|error| error.to_string())
}

/// What a cell has besides its call.
struct Timed {
    size: &'static str,
    elements: u64,
    operations: Option<u64>,
    /// Of the native build; empty where there is none.
    output: Vec<u8>,
    /// Whether other outputs than that may be right.
    is_judged: bool,
    ring: Vec<Expect>,
}

fn made(subject: &Subject, case: Case, placed: Placed, timed: Timed, scope: Scope) -> Result<Job> {
    let Timed {
        size,
        elements,
        operations,
        output,
        is_judged,
        ring,
    } = timed;
    let frame = placed.frame;
    let params = frame.placed().params;
    let compared = size == budget_size(scope.quick);
    let rmsnorm = subject.kernel == "rmsnorm_f32";
    let smallest = size == "small" && rmsnorm;
    let phases = smallest && subject.variant == "base";
    let batch = if phases {
        beside_each_other(&case, subject)?
    } else {
        Vec::new()
    };
    let updated = case.base.as_ref().map_or(0, Vec::len);
    let bytes = case.a.len() + case.b.len() + case.output_size as usize + updated;
    Ok(Job {
        case: case.name.trim_start_matches("sized:").to_owned(),
        size,
        elements,
        bytes: bytes as u64,
        operations,
        pages: placed.pages,
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
            output,
            dtype: truth::output_dtype(&case),
            case: is_judged.then(|| Box::new(case)),
        },
    })
}

/// The frames of a batch of the same call.
fn beside_each_other(case: &Case, subject: &Subject) -> Result<Vec<Frame>> {
    let tensors = case.tensors();
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
