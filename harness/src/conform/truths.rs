//! Who says of a kernel what is right, whose word that is, and whether it is enough.

use super::{
    interpreted::{Interpreted, reference_engine},
    oracle::{Oracle, Question},
    own_code,
    standard::Standard,
    subject::Subject,
};
use crate::{exit, time_limits::TimeLimits};
use anyhow::Result;
use assay_worker::{Launch, TimeLimit};
use kernel_cases::{
    case::{Binding, Case, Source},
    open::{Call, Expected, Strength, Values, contradicts},
};
use kernel_pack::{
    PackKernel, PackVariant,
    contract::{Contract, Definition, Onnx, TruthSource},
};
use serde::{Deserialize, Serialize};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Calls that a truth must cover before a kernel counts as judged by it.
pub const ENOUGH: usize = 32;
/// What the truth of a reference module is called.
const REFERENCE: &str = "the author's reference module";
/// How many times as long as the kernel a reference may take for a call: it is interpreted, and computes in f64.
const REFERENCE_TICKS: u64 = 10;

/// What says of a kernel what is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Kernel id.
    pub kernel: String,
    /// All that was asked.
    pub sources: Vec<Asked>,
    /// Why the kernel is not judged, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<String>,
}

/// A truth that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Its name: `onnx Gelu-20`.
    pub name: String,
    /// Whose word it is.
    pub strength: Strength,
    /// Calls that it covers.
    pub cases: usize,
    /// Why it says nothing, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
}

impl Truth {
    /// The strength that the verdict on the kernel has; `None` if it is not judged.
    pub fn strength(&self) -> Option<Strength> {
        let enough = self.sources.iter().filter(|asked| asked.cases >= ENOUGH);
        enough.map(|asked| asked.strength).max()
    }

    /// In words: `truth: onnx Gelu-20, 214 cases`.
    pub fn words(&self) -> String {
        if let Some(reason) = &self.unjudged {
            return format!("unjudged: {reason}");
        }
        let strength = self.strength();
        let best = self
            .sources
            .iter()
            .filter(|asked| Some(asked.strength) == strength);
        let best = best.filter(|asked| asked.cases >= ENOUGH);
        let said: Vec<String> = best
            .map(|asked| format!("{}, {} cases", asked.name, asked.cases))
            .collect();
        format!("truth: {}", said.join("; "))
    }

    fn conclude(&mut self) {
        if self.strength().is_some() || self.unjudged.is_some() {
            return;
        }
        let said: Vec<String> = self
            .sources
            .iter()
            .map(|asked| match &asked.absent {
                Some(reason) => format!("{}: {reason}", asked.name),
                None => format!(
                    "{}: {} cases where at least {ENOUGH} are needed",
                    asked.name, asked.cases
                ),
            })
            .collect();
        self.unjudged = Some(match said.is_empty() {
            true => "its contract names no truth, the pack lists no vectors for it, and nobody brought an oracle (--oracle, --vectors)".to_owned(),
            false => said.join("; "),
        });
    }
}

/// An oracle, or why there is none, once it was needed.
type Started = Option<Result<Oracle, String>>;

/// How the engine of reference modules is started, once it was needed, or why it is not.
pub type ReferenceEngine = OnceCell<Result<Launch, String>>;

/// The oracles of a run, each started when it is first needed.
pub struct Oracles {
    onnx: Started,
    /// Of the user, by kernel: the command, and the oracle once it is started.
    own: BTreeMap<String, (Vec<String>, Started)>,
    limits: TimeLimits,
}

impl Oracles {
    /// With the user's own, as `KERNEL=COMMAND`, of kernels that are judged.
    ///
    /// # Errors
    /// Usage for what is not of that form, and for a kernel that no oracle is asked about.
    pub fn new(own: &[String], selected: &[&PackKernel], limits: TimeLimits) -> Result<Self> {
        let usage =
            |text: &str| exit::usage(format!("--oracle takes KERNEL=COMMAND, not {text:?}"));
        let mut oracles = BTreeMap::new();
        for text in own {
            let (kernel, command) = text.split_once('=').ok_or_else(|| usage(text))?;
            let found = selected.iter().find(|selected| selected.id() == kernel);
            let found = found.ok_or_else(|| {
                let ids: Vec<&str> = selected.iter().map(|selected| selected.id()).collect();
                exit::usage(format!(
                    "--oracle is about `{kernel}`, which is no selected kernel; they are: {}",
                    ids.join(", ")
                ))
            })?;
            // Nobody is to believe that their oracle was asked.
            if let Some(definition) = builtin(&Standard::of(found, &[])) {
                return Err(exit::usage(format!(
                    "--oracle is about `{kernel}`, which is judged by the definition {}; no other oracle is asked",
                    definition.name
                )));
            }
            let command = shlex::split(command)
                .filter(|command| !command.is_empty())
                .ok_or_else(|| usage(text))?;
            oracles.insert(kernel.to_owned(), (command, None));
        }
        Ok(Self {
            onnx: None,
            own: oracles,
            limits,
        })
    }

    /// Asks all truths of a kernel what its calls answer, and says whether that is enough. Of the cases so many are the author's vectors, and so many
    /// vectors that the user brought.
    pub fn ask(
        &mut self,
        kernel: &PackKernel,
        standard: &Standard,
        cases: &mut [Case],
        vectors: (usize, usize),
    ) -> Truth {
        let mut truth = Truth {
            kernel: kernel.id().to_owned(),
            sources: Vec::new(),
            unjudged: standard.contract.as_ref().err().cloned(),
        };
        let Ok(contract) = &standard.contract else {
            return truth;
        };
        if let Some(definition) = builtin(standard) {
            truth.sources.push(Asked {
                name: format!("builtin {}", definition.name),
                strength: Strength::Independent,
                // Those that are there for properties are judged too, and not counted: they have the shapes of others.
                cases: different(
                    cases
                        .iter()
                        .filter(|case| has_answer(case) && case.open.is_none()),
                ),
                absent: None,
            });
            let others = contract.truth.iter().filter_map(|source| match source {
                TruthSource::Onnx(onnx) => Some((of_operator(onnx), Strength::Independent)),
                TruthSource::Reference(_) => Some((REFERENCE.to_owned(), Strength::Own)),
                TruthSource::Builtin | TruthSource::Vectors => None,
            });
            let unasked = others.map(|(name, strength)| {
                absent(
                    &name,
                    strength,
                    "it was not asked: the definition says what is right",
                )
            });
            truth.sources.extend(unasked);
        } else {
            if let Err(reason) = kernel_cases::open::check(contract) {
                truth.unjudged = Some(reason);
                return truth;
            }
            let engine = ReferenceEngine::default();
            let (asked, unjudged) = Asking::new(self, kernel, contract, &engine).ask(cases);
            truth.sources.extend(asked);
            truth.unjudged = unjudged;
        }
        let binding = |source: &Case| {
            source.source == Source::Vector
                && source
                    .external
                    .iter()
                    .any(|external| external.binding != Binding::Informs)
        };
        let (own, theirs) = cases.split_at(vectors.0.min(cases.len()));
        let theirs = &theirs[..vectors.1.min(theirs.len())];
        for (name, strength, cases) in [
            ("the author's own vectors", Strength::Own, own),
            ("vectors of the user", Strength::Independent, theirs),
        ] {
            let cases = different(cases.iter().filter(|case| binding(case)));
            if cases > 0 {
                truth.sources.push(Asked {
                    name: name.to_owned(),
                    strength,
                    cases,
                    absent: None,
                });
            }
        }
        truth.conclude();
        if standard.open().is_some() && truth.unjudged.is_none() {
            truth.unjudged = kernel_cases::open::blunt(cases);
        }
        truth
    }

    /// Nothing that is asked from now on is waited for longer.
    pub fn end_by(&mut self, limit: TimeLimit) {
        self.limits.run = limit;
        let own = self.own.values_mut().map(|(_, started)| started);
        for oracle in own.chain([&mut self.onnx]).flatten().flatten() {
            oracle.end_by(limit);
        }
    }
}

/// The truths of a kernel's contract, as they answer call after call.
pub struct Asking<'a> {
    oracles: &'a mut Oracles,
    kernel: &'a PackKernel,
    contract: &'a Contract,
    engine: &'a ReferenceEngine,
    /// The author's reference module once it was needed, or why it is not asked.
    reference: Option<Result<Interpreted<'a>, String>>,
}

impl<'a> Asking<'a> {
    /// Of an open contract. The engine is one that nothing else is asked of.
    pub fn new(
        oracles: &'a mut Oracles,
        kernel: &'a PackKernel,
        contract: &'a Contract,
        engine: &'a ReferenceEngine,
    ) -> Self {
        Self {
            oracles,
            kernel,
            contract,
            engine,
            reference: None,
        }
    }

    /// A further call, with what all of them say of it.
    pub fn tell(&mut self, case: Case) -> Case {
        let mut cases = [case];
        self.ask(&mut cases);
        let [case] = cases;
        case
    }

    /// Keeps what each says with each case that has an answer. Besides who was asked, why the kernel is not judged if the user's own does not answer.
    fn ask(&mut self, cases: &mut [Case]) -> (Vec<Asked>, Option<String>) {
        let (id, limit) = (self.kernel.id(), self.oracles.limits.run);
        let (mut sources, mut unjudged) = (Vec::new(), None);
        if let Some((command, started)) = self.oracles.own.get_mut(id) {
            let oracle = started.get_or_insert_with(|| Oracle::of_user(id, command, limit));
            let name = match oracle {
                Ok(oracle) => format!("oracle {}", oracle.name()),
                Err(_) => format!("oracle {}", command.join(" ")),
            };
            let asked = evaluate(oracle, &name, cases, |case, call| {
                Question::kernel(id, case, call)
            });
            // Whoever asks for an oracle wants its word, and not that of another truth.
            unjudged = asked
                .absent
                .as_ref()
                .map(|reason| format!("{name}: {reason}"));
            sources.push(asked);
        }
        for source in &self.contract.truth {
            match source {
                TruthSource::Onnx(onnx) => {
                    let oracle = &mut self.oracles.onnx;
                    let oracle = oracle.get_or_insert_with(|| Oracle::onnx(limit));
                    let asked = evaluate(oracle, &of_operator(onnx), cases, |case, call| {
                        Question::onnx(onnx, case, call)
                    });
                    sources.push(asked);
                }
                TruthSource::Reference(_) => sources.push(self.ask_reference(cases)),
                TruthSource::Builtin | TruthSource::Vectors => {}
            }
        }
        (sources, unjudged)
    }

    fn ask_reference(&mut self, cases: &mut [Case]) -> Asked {
        let (kernel, limits) = (self.kernel, &self.oracles.limits);
        let load = || load_reference(kernel, self.engine, limits);
        match self.reference.get_or_insert_with(load) {
            Ok(running) => ask_all(REFERENCE, Strength::Own, cases, |case, call| {
                // It is asked about the answer, and not what it makes of a changed descriptor.
                let case = Case {
                    tweaks: Vec::new(),
                    ..case.clone()
                };
                running.answer(&case).map(|output| call.decoded(&output))
            }),
            Err(reason) => absent(REFERENCE, Strength::Own, reason.clone()),
        }
    }
}

/// The definition that a kernel is judged by, if it is.
fn builtin(standard: &Standard) -> Option<&'static Definition> {
    standard.definition?;
    standard.contract.as_ref().ok()?.definition
}

/// What the truth of an operator is called.
fn of_operator(onnx: &Onnx) -> String {
    format!("onnx {}-{}", onnx.op, onnx.version)
}

/// Whether a case has an answer that a truth can be about. Changes to the descriptor of a call that is taken all the same are none to its answer.
fn has_answer(case: &Case) -> bool {
    case.expects_output() && !case.stress && case.output_size > 0
}

/// Calls among cases: one that comes again under another name tells nothing more.
fn different<'a>(cases: impl Iterator<Item = &'a Case>) -> usize {
    let calls: HashSet<_> = cases
        .map(|case| (case.entry, &case.params, &case.a, &case.b, &case.base))
        .collect();
    calls.len()
}

/// Asks one truth about all cases that have an answer, and keeps what it says with each.
fn ask_all(
    name: &str,
    strength: Strength,
    cases: &mut [Case],
    mut answer: impl FnMut(&Case, &Call) -> Result<Vec<Values>, String>,
) -> Asked {
    let mut covered = HashSet::new();
    let mut failed = None;
    for case in cases.iter_mut().filter(|case| has_answer(case)) {
        let Some(call) = case.open.clone() else {
            continue;
        };
        let outputs = answer(case, &call).and_then(|outputs| agreeing(case, &call, outputs));
        match &outputs {
            Ok(_) => {
                covered.insert(case.name.clone());
            }
            Err(reason) => failed = Some(reason.clone()),
        }
        let mut call = (*call).clone();
        call.expected.push(Expected {
            truth: name.to_owned(),
            outputs,
        });
        case.open = Some(Arc::new(call));
    }
    let covered = different(cases.iter().filter(|case| covered.contains(&case.name)));
    Asked {
        name: name.to_owned(),
        strength,
        cases: covered,
        absent: failed.filter(|_| covered == 0),
    }
}

/// A truth that could not be asked.
fn absent(name: &str, strength: Strength, reason: impl Into<String>) -> Asked {
    Asked {
        name: name.to_owned(),
        strength,
        cases: 0,
        absent: Some(reason.into()),
    }
}

/// Asks an oracle about all cases that have an answer.
fn evaluate<'q>(
    oracle: &mut Result<Oracle, String>,
    name: &str,
    cases: &mut [Case],
    question: impl Fn(&Case, &Call) -> Question<'q>,
) -> Asked {
    match oracle {
        Ok(oracle) => ask_all(name, Strength::Independent, cases, |case, call| {
            oracle.evaluate(call, question(case, call))
        }),
        Err(reason) => absent(name, Strength::Independent, reason.clone()),
    }
}

/// A truth that contradicts vectors that bind is none: one of the two is wrong, and nobody knows which.
fn agreeing(case: &Case, call: &Call, outputs: Vec<Values>) -> Result<Vec<Values>, String> {
    for external in &case.external {
        if external.binding != Binding::Informs
            && let Some(mismatch) = contradicts(call, &outputs, external)
        {
            return Err(format!(
                "it contradicts the vector's {}: {mismatch}",
                external.oracle
            ));
        }
    }
    Ok(outputs)
}

/// Loads the author's reference module.
fn load_reference<'a>(
    kernel: &PackKernel,
    engine: &'a ReferenceEngine,
    limits: &TimeLimits,
) -> Result<Interpreted<'a>, String> {
    let reference = kernel.reference().ok_or("the pack has none")?;
    let own = kernel.variants().iter().map(PackVariant::wasm);
    let judged = |wasm| (wasm, kernel.entry_point());
    let named = (reference.wasm(), reference.entry_point());
    if std::iter::once(kernel.wasm())
        .chain(own)
        .any(|wasm| own_code::is_same(judged(wasm), named))
    {
        return Err(
            "it is the kernel's own code, which says nothing of whether that is right; where a compiler made the same of both, compile the \
             reference without optimisations (-O0), or list vectors"
                .to_owned(),
        );
    }
    let of_kernel = super::plan::subjects(kernel).into_iter().next();
    let of_kernel = of_kernel.ok_or("the kernel has no module")?;
    let facts = reference.facts();
    let subject = Subject {
        variant: "reference".to_owned(),
        wasm: reference.wasm().to_vec(),
        entry_point: reference.entry_point().to_owned(),
        heap_base: facts.heap_base,
        minimum_pages: facts.memory_minimum_pages,
        has_backward: facts.has_backward,
        ticks: of_kernel.ticks.saturating_mul(REFERENCE_TICKS),
        ..of_kernel
    };
    let launch = engine.get_or_init(|| reference_engine(limits));
    let launch = launch.as_ref().map_err(Clone::clone)?;
    Interpreted::load(launch, subject, limits)
}
