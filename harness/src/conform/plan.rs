//! From a verified pack and the user's choices to the work of a run.

use super::{
    device::{Device, Fit},
    forms,
    run::Work,
    subject::Subject,
};
use crate::{exit, registry};
use anyhow::{Context, Result};
use kernel_cases::{
    case::{Case, Entry},
    edge, generate, vectors,
};
use kernel_pack::{Feature, ModuleFacts, Pack, PackKernel, compat};
use runtime_api::Info;
use std::{collections::BTreeSet, path::Path};

/// Bytes of call stack, unless a device has less.
pub(crate) const STACK_BYTES: u32 = 512 * 1024;

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
    /// Run only the case of this name.
    pub case: Option<&'a str>,
    /// Judge only the module of this name: `base`, a variant's, or a form's beside its base module.
    pub module: Option<&'a str>,
    /// A device whose limits hold: its base modules only, and what fits.
    pub device: Option<&'static Device>,
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
    let mut notes = Vec::new();
    let mut outside = Vec::new();
    if let Some(folder) = choice.vectors {
        let loaded = vectors::load_folder(folder)
            .map_err(|error| exit::usage(format!("failed to use --vectors: {error}")))?;
        notes.extend(loaded.skipped);
        outside = loaded.cases;
        outside.retain(|case| selected.iter().any(|kernel| kernel.id() == case.kernel));
        if outside.is_empty() {
            return Err(exit::usage(format!(
                "the vector folder `{}` has no case for any selected kernel",
                folder.display()
            )));
        }
    }
    let mut work = Vec::new();
    let mut fits = Vec::new();
    for kernel in selected {
        let mut cases = vectors_of(pack, kernel.id())?;
        cases.extend(
            outside
                .iter()
                .filter(|case| case.kernel == kernel.id())
                .cloned(),
        );
        if cases.is_empty() {
            notes.push(format!(
                "{}: no vectors of other libraries, so layer L5 says nothing about it",
                kernel.id()
            ));
        }
        let cases = with_others(cases, kernel.id(), choice.seed, choice.cases);
        for mut subject in subjects(kernel) {
            // Forms have the manifest's limits in their code, which are not those of a device.
            let mut forms = match (subject.variant.as_str(), choice.device) {
                ("base", None) => forms::of(pack, kernel),
                _ => Vec::new(),
            };
            if let Some(name) = choice.module {
                forms.retain(|form| form.name() == name);
                if subject.variant != name && forms.is_empty() {
                    continue;
                }
            }
            let mut cases = cases.clone();
            if let Some(device) = choice.device {
                if subject.variant != "base" {
                    continue;
                }
                device.limit(&mut subject);
                if let Some(fit) = device.fit(&subject, choice.seed) {
                    cases.extend(fit.case(choice.seed));
                    fits.push(fit);
                }
            }
            if let Some(name) = choice.case {
                cases.retain(|case| case.name == name);
            }
            if !subject.has_backward {
                // The export is optional, and its absence was settled by the pre-pass.
                cases.retain(|case| case.entry == Entry::Forward);
            }
            let mut placed = Work::new(subject, cases);
            placed.forms = forms;
            if choice.device.is_some() {
                // Not a failure of anything: the device is too small for them.
                let left_out = std::mem::take(&mut placed.unplaceable).len();
                notes.push(format!(
                    "{}: {} cases fit the device, {left_out} do not and were not run",
                    placed.subject.kernel,
                    placed.cases.len()
                ));
            }
            work.push(placed);
        }
    }
    let brought = pack.artifacts().len();
    if choice.device.is_some() && brought > 0 {
        notes.push(format!(
            "{brought} forms that the pack brings compiled were not loaded: they have the limits of the manifest in their code, not \
             those of the device"
        ));
    }
    if let Some(name) = choice.module
        && work.is_empty()
    {
        return Err(exit::usage(format!(
            "no selected kernel has a module `{name}`; modules are `base`, the features of a variant joined with `+`, and forms as results \
             name them"
        )));
    }
    if let Some(name) = choice.case
        && work
            .iter()
            .all(|work| work.cases.is_empty() && work.unplaceable.is_empty())
    {
        return Err(exit::usage(format!(
            "no case of the selected kernels is called `{name}`; the results folder of a run names them all"
        )));
    }
    Ok(Plan {
        work,
        notes,
        device: choice.device,
        fits,
    })
}

/// The cases of a pack's own vectors for a kernel.
///
/// # Errors
/// If they are damaged, or about another kernel.
pub fn vectors_of(pack: &Pack, kernel: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let own = pack.vectors().iter();
    for vector in own.filter(|vector| vector.kernel() == kernel) {
        let loaded = vectors::load_bytes(vector.path(), vector.bytes())
            .with_context(|| format!("failed to use the pack's vectors `{}`", vector.path()))?;
        if let Some(stray) = loaded.iter().find(|case| case.kernel != kernel) {
            anyhow::bail!(
                "the pack's vectors `{}` are listed for `{kernel}` and hold `{}`",
                vector.path(),
                stray.kernel
            );
        }
        cases.extend(loaded);
    }
    Ok(cases)
}

/// The cases of vectors, each with a name of its own, and after them the edge cases and so many generated ones.
pub fn with_others(mut vectors: Vec<Case>, kernel: &str, seed: u64, generated: u32) -> Vec<Case> {
    distinguish(&mut vectors);
    vectors.extend(edge::cases(kernel));
    vectors.extend((0..generated).filter_map(|index| generate::case(kernel, seed, index)));
    vectors
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

/// Case names must be unique within a kernel: a folder of vectors may use the pack's names again.
fn distinguish(cases: &mut [Case]) {
    let mut seen = BTreeSet::new();
    for case in cases {
        let mut name = case.name.clone();
        let mut number = 2;
        while !seen.insert(name.clone()) {
            name = format!("{}~{number}", case.name);
            number += 1;
        }
        case.name = name;
    }
}

/// The modules of a kernel: its base module, then its variants.
pub fn subjects(kernel: &PackKernel) -> Vec<Subject> {
    let limits = kernel.limits();
    let subject =
        |variant: String, features: Vec<String>, wasm: &[u8], facts: &ModuleFacts| Subject {
            kernel: kernel.id().to_owned(),
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
