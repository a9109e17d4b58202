//! Conformance of an engine with a backend: the guests of `fixtures/nn` answer rightly, misuse ends in error codes, limits hold, and nothing of one
//! guest is another's. For `assay nn --check`, and for the tests.

mod limits;
mod misuse;
pub mod models;
mod planted;

use crate::{Backend, Guest, Limits, Nn};
use models::Model;
use runtime_api::{Budget, BudgetKind, Error, Options, Runtime};
use std::{fmt, sync::Arc};

/// The guest that computes models.
pub const MODEL_GUEST: &[u8] = include_bytes!("../../../../fixtures/nn/guests/model.wasm");
/// The guest that misuses the interface.
pub const MISUSE_GUEST: &[u8] = include_bytes!("../../../../fixtures/nn/guests/misuse.wasm");

/// A budget that an honest guest never uses up: 100 s.
const PATIENT: Budget = Budget::Epoch(10_000);

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// The engine or the backend cannot, and says why.
    Unsupported,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::Unsupported => "unsupported",
        })
    }
}

/// A check, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was asked.
    pub check: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, or what is wrong.
    pub detail: String,
}

/// An engine with a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The engine.
    pub engine: String,
    /// The backend; `planted` for those that are wrong on purpose.
    pub backend: String,
    /// The checks, in order.
    pub findings: Vec<Finding>,
    /// SHA-256 of what each model gave, by its name: where the arithmetic is the same, so are these.
    pub outputs: Vec<(String, String)>,
}

impl Cell {
    /// Whether nothing fails.
    pub fn passed(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.outcome != Outcome::Fail)
    }
}

/// What a check found: what was seen, or what is wrong.
type Found = Result<String, Wrong>;

/// Why a check does not hold.
#[derive(Debug)]
enum Wrong {
    Fails(String),
    Unsupported(String),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        match error {
            Error::Unsupported { reason } => Wrong::Unsupported(reason),
            other => Wrong::Fails(format!("failed to {other}")),
        }
    }
}

impl From<crate::Error> for Wrong {
    fn from(error: crate::Error) -> Self {
        Wrong::Fails(format!("failed to {error}"))
    }
}

fn finding(check: impl Into<String>, found: Found) -> Finding {
    let (outcome, detail) = match found {
        Ok(seen) => (Outcome::Pass, seen),
        Err(Wrong::Fails(what)) => (Outcome::Fail, what),
        Err(Wrong::Unsupported(why)) => (Outcome::Unsupported, why),
    };
    Finding {
        check: check.into(),
        outcome,
        detail,
    }
}

fn options(metering: BudgetKind) -> Options {
    Options {
        limits: runtime_api::Limits {
            max_memory_pages: 64,
            ..runtime_api::Limits::default()
        },
        metering,
    }
}

/// A guest under epochs, with these backends and graphs.
fn guest(runtime: &dyn Runtime, wasm: &[u8], nn: Nn) -> Result<Guest, Wrong> {
    let options = options(BudgetKind::Epoch);
    Ok(Guest::compile(runtime, wasm, &options, Arc::new(nn))?)
}

/// What the guests of the checks may use: an honest computation takes less than that on a busy machine.
fn patient() -> Limits {
    Limits {
        compute: std::time::Duration::from_secs(60),
        load: std::time::Duration::from_secs(60),
        time: std::time::Duration::from_secs(600),
        ..Limits::default()
    }
}

/// All checks of an engine with a backend.
pub fn cell(runtime: &dyn Runtime, backend: &Arc<dyn Backend>) -> Cell {
    let models = models::all();
    let mut findings = Vec::new();
    let mut outputs = Vec::new();
    for model in &models {
        let found = models::by_name(runtime, backend, model);
        let found = found.map(|(seen, digest)| {
            outputs.push((model.name.clone(), digest));
            seen
        });
        findings.push(finding(format!("{} by name", model.name), found));
        let found = models::by_bytes(runtime, backend, model, &outputs);
        findings.push(finding(format!("{} by bytes", model.name), found));
    }
    findings.extend(misuse::findings(runtime, backend));
    findings.extend(limits::findings(runtime, backend));
    Cell {
        engine: runtime.info().id.clone(),
        backend: backend.id().to_owned(),
        findings,
        outputs,
    }
}

/// All checks of an engine with backends that are wrong on purpose.
pub fn planted(runtime: &dyn Runtime) -> Cell {
    Cell {
        engine: runtime.info().id.clone(),
        backend: "planted".to_owned(),
        findings: planted::findings(runtime),
        outputs: Vec::new(),
    }
}

/// Cells whose outputs must be the same bits and are not, in words. A backend gives the same on every engine, and kernels give what native code of
/// the same source gives.
pub fn disagreements(cells: &[Cell]) -> Vec<String> {
    let family = |cell: &Cell| match cell.backend.as_str() {
        "kernels" | "native" => "kernels".to_owned(),
        other => other.to_owned(),
    };
    let mut wrong = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let mut before = cells[..index].iter();
        let Some(first) = before.find(|other| family(other) == family(cell)) else {
            continue;
        };
        for ((model, digest), (_, due)) in cell.outputs.iter().zip(&first.outputs) {
            if digest != due {
                wrong.push(format!(
                    "{model} with {} on {} gives other bits than with {} on {}",
                    cell.backend, cell.engine, first.backend, first.engine
                ));
            }
        }
    }
    wrong
}

/// An embedder that offers one model by the name `model`, which is what the misusing guest asks for.
fn offering(backend: &Arc<dyn Backend>, model: &Model, limits: Limits) -> Result<Nn, Wrong> {
    let graph = model.graph(backend.encoding());
    let nn = Nn::new(limits).backend(Arc::clone(backend));
    Ok(nn.named("model", &**backend, graph.to_vec())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::Native;

    /// The least that every target has: wasmi with native code. The program's tests have the rest.
    #[test]
    fn native_code_on_wasmi() {
        let wasmi = runtime_wasmi::runtime().unwrap();
        let native: Arc<dyn Backend> = Arc::new(Native::base());
        let cell = cell(&*wasmi, &native);
        let bad = cell.findings.iter();
        let bad: Vec<_> = bad.filter(|one| one.outcome != Outcome::Pass).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        assert_eq!(cell.outputs.len(), 3);
    }
}
