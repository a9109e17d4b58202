//! From a verified pack and the user's choices to the work of a run.

use super::{
    cases,
    device::{Device, Fit},
    forms::{self, CompiledForm},
    inverse, long,
    run::Work,
    sequence,
    standard::Standard,
    subject::Subject,
    truths::{Oracles, Truth},
    workspace,
};
use crate::{exit, parallel, registry, time_limits::TimeLimits};
use anyhow::Result;
use kernel_cases::case::Case;
use kernel_pack::{Fallback, Feature, ModuleFacts, Pack, PackKernel, compat};
use runtime_api::Info;
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// Bytes of call stack, unless a device has less.
pub(crate) const STACK_BYTES: u32 = 512 * 1024;

/// The name of what concerns a module as a whole: to repeat it takes all cases, whose parameters it is asked with.
pub const MODULE: &str = "edge:module";

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// Kernel ids and globs; empty means all.
    pub kernels: &'a [String],
    /// A folder of vector files besides those of the pack.
    pub vectors: Option<&'a Path>,
    /// Generated cases per kernel.
    pub cases: u32,
    /// Seed of the generated cases.
    pub seed: u64,
    /// The run's own seed: of placements, sequences and a second batch of generated cases.
    pub own_seed: u64,
    /// Whether sequences are long.
    pub deep: bool,
    /// Run only the case of this name, or the sequence.
    pub case: Option<&'a str>,
    /// Judge only the module of this name: `base`, a variant's, or a form's beside its base module.
    pub module: Option<&'a str>,
    /// A device whose limits hold: its base modules only, and what fits.
    pub device: Option<&'static Device>,
    /// Programs of the user's that know the truth, as `KERNEL=COMMAND`.
    pub oracles: &'a [String],
    /// How long the run may take.
    pub limits: TimeLimits,
}

/// The work of a run.
pub struct Plan {
    /// One entry per module.
    pub work: Vec<Work>,
    /// Vector files that were passed over, with the reason.
    pub notes: Vec<String>,
    /// The device, if there is one.
    pub device: Option<&'static Device>,
    /// Which shapes fit it.
    pub fits: Vec<Fit>,
    /// What says of each kernel what is right, in the order of the pack.
    pub truths: Vec<Truth>,
}

impl Plan {
    /// Ids of the kernels, in the order of the pack.
    pub fn kernels(&self) -> Vec<String> {
        let kernels = self.work.iter().map(|work| work.subject.kernel.clone());
        let mut kernels: Vec<String> = kernels.collect();
        kernels.dedup();
        kernels
    }
}

/// Chooses kernels, gathers their cases and places them.
///
/// # Errors
/// Usage for a kernel name that fits nothing, a vector folder that cannot be used, or a case name that no case has.
pub fn plan(pack: &Pack, choice: &Choice<'_>) -> Result<Plan> {
    let selected = select(pack, choice.kernels)?;
    let mut oracles = Oracles::new(choice.oracles, &selected, choice.limits)?;
    let mut plan = Plan {
        work: Vec::new(),
        notes: Vec::new(),
        device: choice.device,
        fits: Vec::new(),
        truths: Vec::new(),
    };
    let outside = match choice.vectors {
        Some(folder) => plan.outside(folder, &selected)?,
        None => Vec::new(),
    };
    let (mut without_vectors, mut of_others) = (Vec::new(), Vec::new());
    let of_kernel = |kernel: &&PackKernel| drawn(pack, kernel, &outside, choice);
    let all = parallel::each(&selected, parallel::processors(), of_kernel);
    for (kernel, drawn) in selected.into_iter().zip(all) {
        let Drawn {
            standard,
            modules,
            vectors: vectors_of,
            mut cases,
        } = drawn?;
        if vectors_of == (0, 0) {
            without_vectors.push(kernel.id());
        }
        if !standard.same_source {
            of_others.push(kernel.id());
        }
        plan.notes.extend(not_judged(kernel, &standard));
        plan.complete(
            &mut cases,
            pack,
            kernel,
            (&standard, modules.first()),
            choice,
        );
        let truth = oracles.ask(kernel, &standard, &mut cases, vectors_of);
        for subject in modules {
            let forms = match (subject.variant.as_str(), choice.device) {
                ("base", None) => forms::of(pack, kernel),
                // Forms have the manifest's limits in their code, which are not those of a device.
                _ => Vec::new(),
            };
            plan.add(subject, &cases, forms, &truth, choice);
        }
        plan.truths.push(truth);
    }
    for (kernels, what) in [
        (
            without_vectors,
            "no vectors of other libraries, so layer L5 says nothing",
        ),
        (
            of_others,
            "no source of this project, so layer L3 does not apply",
        ),
    ] {
        if !kernels.is_empty() {
            plan.notes.push(format!("{what}: {}", kernels.join(", ")));
        }
    }
    let brought = pack.artifacts().len();
    if choice.device.is_some() && brought > 0 {
        plan.notes.push(format!(
            "{brought} forms that the pack brings compiled were not loaded: they have the limits of the manifest in their code, not \
             those of the device"
        ));
    }
    plan.check_names(choice)?;
    Ok(plan)
}

/// What follows from a kernel, its vectors and seeds alone.
struct Drawn {
    standard: Standard,
    modules: Vec<Subject>,
    /// How many vectors are the pack's own, and how many are others'.
    vectors: (usize, usize),
    cases: Vec<Case>,
}

fn drawn(pack: &Pack, kernel: &PackKernel, outside: &[Case], choice: &Choice<'_>) -> Result<Drawn> {
    let standard = Standard::of(kernel, &[]);
    let mut vectors = cases::vectors_of(pack, kernel.id(), &standard)?;
    let own = vectors.len();
    let theirs = outside.iter().filter(|case| case.kernel == kernel.id());
    vectors.extend(theirs.cloned());
    let vectors_of = (own, vectors.len() - own);
    let mut modules = subjects(kernel);
    modules.extend(standing_in(pack, kernel));
    let mut cases = cases::all(vectors, &standard, choice);
    if choice.cases > 0 && choice.device.is_none() {
        cases.extend(long::cases(&standard, &modules, choice));
        cases.extend(workspace::cases(&standard, &modules[0], choice.own_seed));
    }
    Ok(Drawn {
        standard,
        modules,
        vectors: vectors_of,
        cases,
    })
}

impl Plan {
    /// The cases of a folder of vectors that somebody brought.
    fn outside(&mut self, folder: &Path, selected: &[&PackKernel]) -> Result<Vec<Case>> {
        let loaded = cases::outside(folder, selected)
            .map_err(|error| exit::usage(format!("failed to use --vectors: {error}")))?;
        self.notes.extend(loaded.skipped);
        let mut outside = loaded.cases;
        outside.retain(|case| selected.iter().any(|kernel| kernel.id() == case.kernel));
        if outside.is_empty() {
            return Err(exit::usage(format!(
                "the vector folder `{}` has no case for any selected kernel",
                folder.display()
            )));
        }
        Ok(outside)
    }

    /// Adds calls that undo another kernel's, and leaves out those that have no room in the memory of the base module.
    fn complete(
        &mut self,
        cases: &mut Vec<Case>,
        pack: &Pack,
        kernel: &PackKernel,
        (standard, base): (&Standard, Option<&Subject>),
        choice: &Choice<'_>,
    ) {
        if choice.cases > 0 {
            let (undoing, not_asked) =
                inverse::cases(pack, kernel, standard, choice.seed, &choice.limits);
            cases.extend(undoing);
            self.notes.extend(not_asked);
        }
        let left_out = base.map_or(0, |base| cases::retain_placeable(cases, base));
        if left_out > 0 {
            self.notes.push(format!(
                "{}: {left_out} calls have no room in the memory that its manifest allows, and were not made",
                kernel.id()
            ));
        }
    }

    /// A module with those of the kernel's cases that are asked for, unless another module is.
    fn add(
        &mut self,
        mut subject: Subject,
        cases: &[Case],
        mut forms: Vec<CompiledForm>,
        truth: &Truth,
        choice: &Choice<'_>,
    ) {
        if let Some(name) = choice.module {
            forms.retain(|form| form.name() == name);
            if subject.variant != name && forms.is_empty() {
                return;
            }
        }
        let mut cases = cases.to_vec();
        if let Some(device) = choice.device {
            if subject.variant != "base" {
                return;
            }
            device.limit(&mut subject);
            if let Some(fit) = device.fit(&subject, choice.seed) {
                cases.extend(fit.case(choice.seed));
                self.fits.push(fit);
            }
        }
        let sequence = choice
            .case
            .filter(|name| name.starts_with(sequence::PREFIX));
        if let Some(name) = choice.case
            && sequence.is_none()
            && name != MODULE
        {
            // What its answer follows from comes with it.
            let named = cases.iter().find(|case| case.name == name);
            let of = named.and_then(|case| Some(case.open.as_ref()?.relation.as_ref()?.of.clone()));
            cases.retain(|case| case.name == name || Some(&case.name) == of.as_ref());
        }
        // The export is optional, and its absence was settled by the pre-pass.
        cases.retain(|case| subject.standard.asks(case.entry, subject.has_backward));
        let mut placed = Work::new(subject, cases, choice.own_seed);
        placed.unjudged.clone_from(&truth.unjudged);
        placed.with_sequences(choice.deep, sequence);
        placed.forms = forms;
        if choice.device.is_some() {
            // Not a failure of anything: the device is too small for them.
            let left_out = std::mem::take(&mut placed.unplaceable).len();
            self.notes.push(format!(
                "{}: {} cases fit the device, {left_out} do not and were not run",
                placed.subject.kernel,
                placed.cases.len()
            ));
        }
        self.work.push(placed);
    }

    /// That a module and a case that were asked for are there.
    fn check_names(&self, choice: &Choice<'_>) -> Result<()> {
        if let Some(name) = choice.module
            && self.work.is_empty()
        {
            return Err(exit::usage(format!(
                "no selected kernel has a module `{name}`; modules are `base`, the features of a variant joined with `+`, and forms as results \
                 name them"
            )));
        }
        let is_nothing = |work: &Work| {
            work.judged_cases() == 0 && work.sequences.is_empty() && work.unplaceable.is_empty()
        };
        if let Some(name) = choice.case.filter(|name| *name != MODULE)
            && self.work.iter().all(is_nothing)
        {
            return Err(exit::usage(format!(
                "no case of the selected kernels is called `{name}`; the results folder of a run names them all"
            )));
        }
        Ok(())
    }
}

/// The kernels that one of `wanted` names; all if nothing is asked for.
pub fn select<'a>(pack: &'a Pack, wanted: &[String]) -> Result<Vec<&'a PackKernel>> {
    let globs = registry::matchers(wanted)?;
    for (pattern, glob) in wanted.iter().zip(&globs) {
        if !pack
            .kernels()
            .iter()
            .any(|kernel| glob.is_match(kernel.id()))
        {
            let ids: Vec<_> = pack.kernels().iter().map(PackKernel::id).collect();
            return Err(exit::usage(format!(
                "the pack has no kernel `{pattern}`; it has: {}",
                ids.join(", ")
            )));
        }
    }
    Ok(pack
        .kernels()
        .iter()
        .filter(|kernel| globs.is_empty() || globs.iter().any(|glob| glob.is_match(kernel.id())))
        .collect())
}

/// The modules of a kernel: its base module, then its variants.
pub fn subjects(kernel: &PackKernel) -> Vec<Subject> {
    let limits = kernel.limits();
    let subject =
        |variant: String, features: Vec<String>, wasm: &[u8], facts: &ModuleFacts| Subject {
            standard: Arc::new(Standard::of(kernel, &features)),
            kernel: kernel.id().to_owned(),
            named: kernel.id().to_owned(),
            variant,
            features,
            wasm: wasm.to_vec(),
            entry_point: kernel.entry_point().to_owned(),
            heap_base: facts.heap_base,
            minimum_pages: facts.memory_minimum_pages,
            // A module may limit its own memory further.
            max_pages: limits
                .max_memory_pages
                .min(facts.memory_maximum_pages.unwrap_or(u32::MAX)),
            max_table_elements: limits.max_table_elements,
            max_stack_bytes: STACK_BYTES,
            ticks: limits.max_epoch_ticks,
            fuel: limits.max_fuel,
            has_backward: facts.has_backward,
            code: None,
            state: facts.state.clone(),
            flags: None,
        };
    let mut subjects = vec![subject(
        "base".to_owned(),
        Vec::new(),
        kernel.wasm(),
        kernel.facts(),
    )];
    for variant in kernel.variants() {
        let features: Vec<String> = variant.features().iter().map(Feature::to_string).collect();
        subjects.push(subject(
            features.join("+"),
            features,
            variant.wasm(),
            variant.facts(),
        ));
    }
    subjects
}

/// The modules that hosts run in a kernel's place when that fails, if another kernel of the pack does: each has to answer as the kernel does.
fn standing_in(pack: &Pack, kernel: &PackKernel) -> Vec<Subject> {
    let Some(Fallback::Kernel(other)) = kernel.fallback() else {
        return Vec::new();
    };
    let standard = Arc::new(Standard {
        same_source: false,
        ..Standard::of(kernel, &[])
    });
    let modules = pack.kernel(other).map(subjects).unwrap_or_default();
    let standing_in = modules.into_iter().map(|module| Subject {
        kernel: kernel.id().to_owned(),
        variant: match module.variant.as_str() {
            "base" => format!("fallback:{}", module.kernel),
            variant => format!("fallback:{}+{variant}", module.kernel),
        },
        standard: standard.clone(),
        ..module
    });
    standing_in.collect()
}

/// That a native form which stands in for a kernel is none that this project knows, if it is not.
fn not_judged(kernel: &PackKernel, standard: &Standard) -> Option<String> {
    match kernel.fallback()? {
        Fallback::NativeReference(name) if standard.definition.is_none() => Some(format!(
            "{}: it falls back to `{name}`, which is no part of the pack: nobody has judged that by the kernel's contract",
            kernel.id()
        )),
        _ => None,
    }
}

/// Whether the pack's manifest lets a subject run on an engine; the reason if not.
///
/// # Errors
/// The reason.
pub fn gate(pack: &Pack, info: &Info, subject: &Subject) -> Result<(), String> {
    let Some(kernel) = pack.kernel(&subject.kernel) else {
        return Err(format!("the pack has no kernel `{}`", subject.kernel));
    };
    let version = semver::Version::parse(&info.version)
        .map_err(|error| format!("the engine states the version {:?}: {error}", info.version))?;
    let features: BTreeSet<Feature> = info
        .capabilities
        .features
        .iter()
        .filter_map(|name| Feature::parse(name))
        .collect();
    let engine = compat::Engine {
        id: &info.id,
        version: &version,
        features: &features,
    };
    compat::check_engine(kernel, &engine).map_err(|rejection| rejection.to_string())?;
    match subject
        .features
        .iter()
        .find(|feature| !info.capabilities.features.contains(feature))
    {
        Some(missing) => Err(format!(
            "the variant needs `{missing}`, which this engine lacks"
        )),
        None => Ok(()),
    }
}
