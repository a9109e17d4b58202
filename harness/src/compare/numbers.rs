//! Numbers without noise of a pack on every engine, recorded in a file and held against later builds: fuel of one call at a fixed shape,
//! sizes of code and of modules. A shared machine cannot disturb them, so every difference means something.
//!
//! Fuel is a property of the engine's version and the module. The size of native code also depends on the processor that it is made for,
//! so it is held against the record on the same processor only; elsewhere it is counted as not judged.

use super::{CompareError, cost::Measured};
use crate::{conform::plan, machine, outcome::Whole, results::PackIdentity};
use anyhow::{Context, Result};
use assay_worker::{Launch, Worker};
use kernel_pack::Pack;
use runtime_api::Kind;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Version of the file.
pub const FORMAT: u32 = 1;
/// A file larger than this is no record.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// What stands for the engine of numbers that no engine made.
const NO_ENGINE: &str = "module";

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Version of the file.
    pub format: u32,
    /// Where sizes of native code belong.
    pub machine: Machine,
    /// Engines by id, with their version.
    pub engines: BTreeMap<String, Engine>,
    /// By engine, kernel with variant, and quantity; `module` has the sizes of the modules themselves.
    pub numbers: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
}

/// Processor and architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, kind and abilities.
    pub cpu: String,
    /// Architecture.
    pub architecture: String,
}

/// What numbers belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its version.
    pub version: String,
    /// Whether its code is the same on all processors.
    pub portable: bool,
}

/// What differs from the record.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `fail` if something drifted by more than is allowed.
    pub verdict: Whole,
    /// What a number may grow by; without it every difference fails.
    pub fail_on: Option<f64>,
    /// The pack.
    pub pack: PackIdentity,
    /// Numbers that were held against the record.
    pub compared: usize,
    /// Those that differ.
    pub drifted: Vec<Drift>,
    /// What stops a number from being compared and must be settled by recording again.
    pub unrecorded: Vec<String>,
    /// Sizes of native code, recorded on another processor.
    pub not_judged: usize,
    /// Engines of the record that are not here.
    pub absent: Vec<String>,
}

/// A number that is not as recorded.
#[derive(Debug, Serialize)]
pub struct Drift {
    /// Engine id, or `module`.
    pub runtime: String,
    /// Kernel id and variant.
    pub module: String,
    /// Quantity, with the shape for fuel.
    pub quantity: String,
    /// As recorded.
    pub recorded: u64,
    /// As it is.
    pub now: u64,
    /// Whether it fails the comparison.
    pub regression: bool,
}

impl Recorded {
    /// Of a pack on engines, now.
    ///
    /// # Errors
    /// If a kernel does not run, or gives a wrong output: there is no number then.
    pub fn take(pack: &Pack, launches: &[Launch]) -> Result<Self> {
        let mut recorded = Recorded {
            format: FORMAT,
            machine: Machine {
                cpu: machine::processor(),
                architecture: std::env::consts::ARCH.to_owned(),
            },
            engines: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        let mut all = Vec::new();
        for subject in pack.kernels().iter().flat_map(plan::subjects) {
            let name = format!("{} {}", subject.kernel, subject.variant);
            let bytes = BTreeMap::from([("bytes".to_owned(), subject.wasm.len() as u64)]);
            let sizes = recorded.numbers.entry(NO_ENGINE.to_owned()).or_default();
            sizes.insert(name.clone(), bytes);
            if let Ok(measured) = Measured::new(subject) {
                all.push((name, measured));
            }
        }
        for launch in launches {
            let context = |what: &str| format!("failed to count {what} on {}", launch.id);
            let mut worker = Worker::start(launch).with_context(|| context("anything"))?;
            let info = worker.info().clone();
            let engine = Engine {
                version: info.version.clone(),
                portable: info.kind == Kind::Interpreter,
            };
            recorded.engines.insert(launch.id.clone(), engine);
            let of_engine = recorded.numbers.entry(launch.id.clone()).or_default();
            for (name, measured) in &all {
                if plan::gate(pack, &info, &measured.subject).is_err() {
                    continue;
                }
                let numbers = measured
                    .numbers(&mut worker)
                    .map_err(anyhow::Error::msg)
                    .with_context(|| context(name))?;
                let numbers = numbers.into_iter().map(|number| {
                    let quantity = [number.quantity, &number.case].join(" ");
                    (quantity.trim_end().to_owned(), number.value)
                });
                of_engine.insert(name.clone(), numbers.collect());
            }
        }
        Ok(recorded)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`CompareError::Numbers`]: what cannot be read or is no record of this format.
    pub fn read(path: &Path) -> Result<Self, CompareError> {
        let wrong = |what: String| CompareError::Numbers {
            path: path.to_owned(),
            what,
        };
        let length = fs::metadata(path).map(|metadata| metadata.len());
        if length.map_err(|error| wrong(error.to_string()))? > MAX_FILE_BYTES {
            return Err(wrong("the file is too large".to_owned()));
        }
        let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let recorded: Recorded =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if recorded.format != FORMAT {
            return Err(wrong(format!(
                "it has format {}, and this version reads format {FORMAT}",
                recorded.format
            )));
        }
        Ok(recorded)
    }

    /// Writes the record, complete or not at all. What an earlier record in the same place says of engines that are not here is kept.
    ///
    /// # Errors
    /// If it cannot be written; [`CompareError::Numbers`] if the file that is there is no record.
    pub fn write(mut self, path: &Path) -> Result<()> {
        if path.exists() {
            let earlier = Recorded::read(path)?;
            if earlier.machine == self.machine {
                for (id, engine) in earlier.engines {
                    if !self.engines.contains_key(&id) {
                        if let Some(numbers) = earlier.numbers.get(&id) {
                            self.numbers.insert(id.clone(), numbers.clone());
                        }
                        self.engines.insert(id, engine);
                    }
                }
            }
        }
        let mut bytes = serde_json::to_vec_pretty(&self).context("failed to encode numbers")?;
        bytes.push(b'\n');
        let context = || format!("failed to write `{}`", path.display());
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        #[cfg_attr(
            not(unix),
            expect(unused_mut, reason = "only Unix has permissions to set")
        )]
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).with_context(context)?;
        fs::write(file.path(), bytes).with_context(context)?;
        file.persist(path).with_context(context)?;
        Ok(())
    }
}

/// Holds numbers against a record. `fail_on` is what one may grow by; without it every difference fails.
pub fn compare(
    recorded: &Recorded,
    now: &Recorded,
    pack: &Pack,
    fail_on: Option<f64>,
) -> Comparison {
    let mut comparison = Comparison {
        verdict: Whole::Pass,
        fail_on,
        pack: PackIdentity::of(pack),
        compared: 0,
        drifted: Vec::new(),
        unrecorded: Vec::new(),
        not_judged: 0,
        absent: Vec::new(),
    };
    let same_machine = recorded.machine == now.machine;
    for id in recorded.engines.keys() {
        if !now.engines.contains_key(id) {
            comparison.absent.push(id.clone());
        }
    }
    for (runtime, modules) in &now.numbers {
        let engine = now.engines.get(runtime);
        let of_record = recorded.engines.get(runtime);
        if let (Some(engine), Some(of_record)) = (engine, of_record)
            && engine.version != of_record.version
        {
            comparison.unrecorded.push(format!(
                "{runtime} was recorded with version {} and is {}",
                of_record.version, engine.version
            ));
            continue;
        }
        let Some(recorded) = recorded.numbers.get(runtime) else {
            comparison
                .unrecorded
                .push(format!("{runtime} was not recorded"));
            continue;
        };
        let portable = engine.is_none_or(|engine| engine.portable);
        let names: BTreeSet<&String> = recorded.keys().chain(modules.keys()).collect();
        for name in names {
            let empty = BTreeMap::new();
            let (before, after) = (
                recorded.get(name).unwrap_or(&empty),
                modules.get(name).unwrap_or(&empty),
            );
            let quantities: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for quantity in quantities {
                if !portable && !same_machine && quantity == "code_bytes" {
                    comparison.not_judged += 1;
                    continue;
                }
                match (before.get(quantity), after.get(quantity)) {
                    (Some(&recorded), Some(&value)) => {
                        comparison.compared += 1;
                        if recorded != value {
                            let allowed = fail_on.map(|share| recorded as f64 * (1.0 + share));
                            comparison.drifted.push(Drift {
                                runtime: runtime.clone(),
                                module: name.clone(),
                                quantity: quantity.clone(),
                                recorded,
                                now: value,
                                regression: allowed.is_none_or(|most| value as f64 > most),
                            });
                        }
                    }
                    (before, _) => comparison.unrecorded.push(format!(
                        "{runtime} {name}, {quantity}: {}",
                        if before.is_some() {
                            "recorded, and gone"
                        } else {
                            "not recorded"
                        }
                    )),
                }
            }
        }
    }
    let bad = comparison.compared == 0
        || !comparison.unrecorded.is_empty()
        || comparison.drifted.iter().any(|drift| drift.regression);
    if bad {
        comparison.verdict = Whole::Fail;
    }
    comparison
}
