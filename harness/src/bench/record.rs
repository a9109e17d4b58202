//! What a run leaves: one JSON object per line, flushed as it happens. Every table follows from these records alone.

use crate::{machine::Fingerprint, outcome::Outcome};
use runtime_api::{BudgetKind, Info};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Name of the file in a results folder.
pub const FILE: &str = "bench.jsonl";

/// A line longer than this is no record.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// The first: where, with what and how.
    Run(Box<Run>),
    /// A process of an engine was started.
    Engine(Engine),
    /// A cell: its output was checked, and times follow or not.
    Cell(Cell),
    /// A batch.
    Sample(Sample),
    /// A number without noise, or one per process.
    Fact(Fact),
    /// The last: what became of the run.
    End(End),
}

/// How a run was asked for, and where it ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Version of these records.
    pub format: u32,
    /// The machine, the build and the command line.
    pub fingerprint: Fingerprint,
    /// What was measured.
    pub pack: Pack,
    /// Seed of the order of engines and cells, of inputs and of resamples.
    pub seed: u64,
    /// Processes per engine.
    pub processes: u32,
    /// Seconds of batches per cell and process.
    pub seconds: f64,
    /// Whether this is the desk check.
    pub quick: bool,
    /// Kinds of budget.
    pub budgets: Vec<BudgetKind>,
    /// The warm-up, in words.
    pub warm_up: String,
    /// Engines that were asked for and are not here, with the reason.
    pub absent: Vec<(String, String)>,
}

/// Identity of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // as in `results::PackIdentity`
pub struct Pack {
    pub name: String,
    pub version: String,
    pub key: String,
    pub manifest_sha256: String,
}

/// A process of an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Engine id.
    pub runtime: String,
    /// Which process of this engine, from 0.
    pub process: u32,
    /// Set where this process is the other half of a comparison of the engine with itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<Twin>,
    /// Its version, build options and capabilities.
    pub info: Info,
}

/// The second of two that are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Twin {
    /// Beside the first in the same process.
    Beside,
    /// In a process of its own.
    Apart,
}

/// What is measured, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Engine id.
    pub runtime: String,
    /// Kernel id; `empty` returns at once, `trap` does not return, `loop` compares shapes of loops, `triad` is the bandwidth of memory.
    pub kernel: String,
    /// `base`, or the variant's features joined with `+`.
    pub variant: String,
    /// The shape.
    pub case: String,
    /// The kind of budget that calls carried.
    pub budget: BudgetKind,
    /// Set where this is the other half of a comparison with itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<Twin>,
    /// `call` (steady), `hand`, `validate`, `compile`, `load-cached`, `lookup`, `instantiate`, `resolve`, `memory`, `first`, `fetch`, `drop`, `path`,
    /// `reuse`, `write`, `read`, `in-place`, `reset`, `batch`, `trap-1`, `trap-1000` (and `trap-1-call`, `trap-1000-call`):
    /// docs/measuring.md.
    pub quantity: String,
}

/// A cell of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What it is.
    #[serde(flatten)]
    pub key: Key,
    /// Which process of this engine.
    pub process: u32,
    /// `pass`: the output of what was timed was checked and is right, and its samples follow. Anything else: no samples.
    pub outcome: Outcome,
    /// Why there are no samples.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Class of size: `small`, `4Ki`, `64Ki`, `1MiB` or a name.
    pub size: String,
    /// Elements of the main tensor.
    pub elements: u64,
    /// Bytes that a call reads and writes at least.
    pub bytes: u64,
    /// Floating-point operations of a call, where a formula says; docs/measuring.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<u64>,
    /// Iterations before the first batch.
    #[serde(default)]
    pub warm_up: u64,
}

/// A batch of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Of which cell.
    #[serde(flatten)]
    pub key: Key,
    /// Which process of this engine.
    pub process: u32,
    /// Batches of one round ran beside each other. Round 0 is the warm-up: kept, and left out of all tables.
    pub round: u32,
    /// How long the batch took.
    pub nanoseconds: u64,
    /// How many iterations it had; at least 1.
    pub iterations: u64,
}

/// A number that is no time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Engine id.
    pub runtime: String,
    /// The engine's version: fuel and sizes belong to one.
    pub version: String,
    /// Which process of this engine.
    pub process: u32,
    /// Kernel id, or empty for the process as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel: String,
    /// Variant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Shape, for fuel, resident memory and pages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub case: String,
    /// Metering of the code, for sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metering: Option<BudgetKind>,
    /// `fuel`, `code_bytes`, `smallest_pages`, `rss_per_instance_bytes`, `rss_per_used_instance_bytes`, `peak_rss_bytes` or
    /// `clock_step_ns`.
    pub quantity: String,
    /// The number.
    pub value: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// How long it took.
    pub seconds: f64,
    /// Groups of cells that were left out because the time of the run was over, and all that there were.
    pub left_out: u64,
    /// See `left_out`.
    pub groups: u64,
}

/// Version of the records.
pub const FORMAT: u32 = 1;

/// Why measurements cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A file cannot be read, or is no record of this format.
    #[error("failed to read the measurements `{}`: {what}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the line.
        what: String,
    },
}

/// Reads the records of a results folder, or of the file itself.
///
/// # Errors
/// [`RecordError`], with the line: what cannot be read or is no record of this format.
pub fn read(path: &Path) -> Result<Vec<Record>, RecordError> {
    let file = if path.is_dir() {
        path.join(FILE)
    } else {
        path.to_owned()
    };
    let wrong = |what: String| RecordError::Unreadable {
        path: file.clone(),
        what,
    };
    let open = File::open(&file)
        .map_err(|error| wrong(format!("{error}; name a folder that `assay bench` wrote")))?;
    let mut reader = BufReader::new(open);
    let mut records = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let damaged = |what: String| {
            wrong(format!(
                "line {number}: {what}; the file is damaged: measure again"
            ))
        };
        let read = (&mut reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|error| damaged(error.to_string()))?;
        if read == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            return Err(damaged("it does not end".to_owned()));
        }
        let record: Record =
            serde_json::from_slice(&line).map_err(|error| damaged(error.to_string()))?;
        match &record {
            Record::Run(run) if number != 1 || run.format != FORMAT => {
                return Err(damaged(format!(
                    "a run of format {} is the first line only, and this version reads format {FORMAT}",
                    run.format
                )));
            }
            Record::Sample(sample) if sample.iterations == 0 || sample.nanoseconds == 0 => {
                return Err(damaged("a batch of no time or no iterations".to_owned()));
            }
            _ => {}
        }
        records.push(record);
    }
    if !matches!(records.first(), Some(Record::Run(_))) {
        return Err(wrong("line 1 describes no run".to_owned()));
    }
    Ok(records)
}
