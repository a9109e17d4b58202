//! Compiled forms that a pack brings: native code that may be of any module. The engine compiles the verified module again, and the bytes are compared.
//! The same bytes are the form of this module; all others are loaded only if the key that verified may bring native code, and the verdict says so.
//!
//! A form never stands for the module: it is judged beside it, under a name of its own. Only where the engine has no compiler on this machine is it
//! judged in the module's place.

use super::{observe, run::EngineRun, subject::Subject};
use crate::engine::{Judged, NativeCode};
use assay_worker::{RunError, Worker};
use kernel_pack::{Pack, PackKernel};
use runtime_api::{BudgetKind, CODE_TARGET, COMPILED_ELSEWHERE, Info};
use std::{collections::BTreeMap, sync::Arc};

/// What names of forms begin with, where others are `base` or a variant's features.
const NAME: &str = "form:";
/// A module that somebody compiled for an engine of one version on one kind of machine.
#[derive(Clone, Debug)]
pub struct CompiledForm {
    /// The engine: its family, or its id.
    pub engine: String,
    /// Its exact version.
    pub engine_version: String,
    /// What it was compiled for.
    pub target: String,
    /// The file, whose hash was checked.
    pub bytes: Arc<[u8]>,
    /// Whether the key that verified may bring native code.
    pub allowed: bool,
}

/// What comparing a form with its module came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The engine makes the same bytes of the module.
    Same,
    /// It makes others.
    Differs,
    /// It could not be asked, for this reason.
    NotCompared(String),
}

/// What became of a form on an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormUse {
    /// Kernel id.
    pub kernel: String,
    /// Name of the form, as results have it.
    pub name: String,
    /// What became of it.
    pub fate: Fate,
}

/// What becomes of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not loaded, for this reason.
    NotLoaded(String),
    /// It is what the engine makes of the module, and is judged beside it.
    Same,
    /// It is loaded because the key may bring native code.
    Believed(NativeCode),
}

/// Whether a variant's name is that of a form.
pub fn is_form(variant: &str) -> bool {
    variant.starts_with(NAME)
}

/// What a pack brings of a kernel's base module.
pub fn of(pack: &Pack, kernel: &PackKernel) -> Vec<CompiledForm> {
    pack.artifacts()
        .iter()
        .filter(|artifact| artifact.entry().kernel == kernel.id())
        .map(|artifact| CompiledForm {
            engine: artifact.entry().engine.clone(),
            engine_version: artifact.entry().engine_version.to_string(),
            target: artifact.entry().target.clone(),
            bytes: artifact.bytes().into(),
            allowed: pack.allows_native(),
        })
        .collect()
}

impl CompiledForm {
    /// Its name in results: `form:ENGINE-VERSION-TARGET`.
    pub fn name(&self) -> String {
        let Self {
            engine,
            engine_version,
            target,
            ..
        } = self;
        format!("{NAME}{engine}-{engine_version}-{target}")
    }

    /// Whether an engine that loads code is the one that it was made for, whatever its version.
    pub fn is_of(&self, info: &Info) -> bool {
        (self.engine == info.engine || self.engine == info.id)
            && info.build.contains_key(CODE_TARGET)
    }

    /// Why an engine that [it is of](Self::is_of) cannot take it; nothing if version and target are all its own.
    fn misfit(&self, info: &Info) -> Option<String> {
        let target = info.build.get(CODE_TARGET).map_or("", String::as_str);
        if self.engine_version != info.version {
            Some(format!(
                "made for version {} of the engine, which is {} here: it can be neither compared nor loaded",
                self.engine_version, info.version
            ))
        } else if self.target != target {
            Some(format!(
                "made for {}, and the engine loads code for {target}",
                self.target
            ))
        } else {
            None
        }
    }

    /// The subject that it is judged as.
    pub fn subject(&self, of: &Subject) -> Subject {
        Subject {
            variant: self.name(),
            code: Some(Arc::clone(&self.bytes)),
            ..of.clone()
        }
    }

    fn native_code(&self, kernel: &str, comparison: &Comparison, info: &Info) -> NativeCode {
        let (differs, reason) = match comparison {
            Comparison::NotCompared(reason) => (false, reason.clone()),
            _ => (true, DIFFERS.to_owned()),
        };
        let judged = if compiles(info) {
            Judged::Beside
        } else {
            Judged::Instead
        };
        NativeCode {
            kernel: kernel.to_owned(),
            engine: self.engine.clone(),
            target: self.target.clone(),
            differs,
            reason,
            confinement: String::new(),
            judged,
        }
    }
}

const DIFFERS: &str = "its bytes are not those that this engine makes of the module";

/// Whether an engine compiles modules on this machine.
pub fn compiles(info: &Info) -> bool {
    !info.build.contains_key(COMPILED_ELSEWHERE)
}

/// What is native code of an engine without pack: all, where nothing is compiled on this machine.
fn of_engine(info: &Info) -> Option<NativeCode> {
    info.build.get(COMPILED_ELSEWHERE).map(|what| NativeCode {
        kernel: NativeCode::EVERY_MODULE.to_owned(),
        engine: info.engine.clone(),
        target: info.build.get(CODE_TARGET).cloned().unwrap_or_default(),
        differs: false,
        reason: format!("{COMPILED_ELSEWHERE}: {what}"),
        confinement: "not confined: the engine looks for it file by file".to_owned(),
        judged: Judged::Instead,
    })
}

/// Native code that an engine ran and that is not known to be what it makes of the modules.
pub fn not_compared(run: &EngineRun) -> Vec<NativeCode> {
    let Ok(info) = &run.info else {
        return Vec::new();
    };
    let believed = run.forms.iter().filter_map(|form| match &form.fate {
        Fate::Believed(code) => Some(code.clone()),
        Fate::NotLoaded(_) | Fate::Same => None,
    });
    believed.chain(of_engine(info)).collect()
}

impl FormUse {
    /// Whether it was run beside its module, so that it has cases of its own.
    pub fn is_beside(&self) -> bool {
        match &self.fate {
            Fate::NotLoaded(_) => false,
            Fate::Same => true,
            Fate::Believed(code) => code.judged == Judged::Beside,
        }
    }
}

/// What becomes of the forms of a module on an engine.
pub struct Decided<'a> {
    /// Of each that is for the engine.
    pub uses: Vec<FormUse>,
    /// The one that is loaded.
    pub loaded: Option<&'a CompiledForm>,
    /// Whether the worker did not survive the question.
    pub lost: bool,
}

/// Decides what becomes of the forms of a module on an engine, which takes the first that fits it.
pub fn decide<'a>(
    worker: &mut Worker,
    subject: &Subject,
    forms: &'a [CompiledForm],
) -> Decided<'a> {
    let info = worker.info().clone();
    let mut uses = Vec::new();
    let mut chosen = None;
    let mut lost = false;
    for form in forms.iter().filter(|form| form.is_of(&info)) {
        let fate = match form.misfit(&info) {
            Some(reason) => Fate::NotLoaded(reason),
            None if chosen.is_some() => {
                Fate::NotLoaded("another that fits the engine stands before it".to_owned())
            }
            None if !worker.has_operation("code") => {
                Fate::NotLoaded("the worker does not know the optional operation `code`".to_owned())
            }
            None => {
                chosen = Some(form);
                let comparison = compare(worker, subject, form, &mut lost);
                fate(form, &subject.kernel, &comparison, &info)
            }
        };
        uses.push(FormUse {
            kernel: subject.kernel.clone(),
            name: form.name(),
            fate,
        });
    }
    let loaded = uses
        .iter()
        .any(|form| !matches!(form.fate, Fate::NotLoaded(_)));
    Decided {
        uses,
        loaded: chosen.filter(|_| loaded),
        lost,
    }
}

fn fate(form: &CompiledForm, kernel: &str, comparison: &Comparison, info: &Info) -> Fate {
    if *comparison == Comparison::Same {
        return Fate::Same;
    }
    let code = form.native_code(kernel, comparison, info);
    if form.allowed {
        Fate::Believed(code)
    } else {
        let what = if code.differs {
            code.reason
        } else {
            format!("not compared: {}", code.reason)
        };
        Fate::NotLoaded(format!(
            "{what}; and the key does not carry allow-native in the list of trusted keys"
        ))
    }
}

/// Has the engine compile the module again, as `assay aot` does, and compares.
fn compare(
    worker: &mut Worker,
    subject: &Subject,
    form: &CompiledForm,
    lost: &mut bool,
) -> Comparison {
    if !compiles(worker.info()) {
        return Comparison::NotCompared("the engine has no compiler on this machine".to_owned());
    }
    if !worker.has_operation("precompile") {
        return Comparison::NotCompared(
            "the worker does not know the optional operation `precompile`".to_owned(),
        );
    }
    match precompile(worker, subject, &form.target) {
        Ok(code) if *code == *form.bytes => Comparison::Same,
        Ok(_) => Comparison::Differs,
        Err(error) => {
            *lost = matches!(error, RunError::Worker(_));
            Comparison::NotCompared(format!("failed to {error}"))
        }
    }
}

/// What an engine makes of a module for a kind of machine: as untrusted code is compiled, and as `conform` runs it.
///
/// # Errors
/// The engine's refusal, or the worker's end.
pub fn precompile(
    worker: &mut Worker,
    subject: &Subject,
    target: &str,
) -> Result<Vec<u8>, RunError> {
    let options = observe::options(subject, BudgetKind::Epoch);
    worker.precompile(&subject.wasm, &options, target)
}

/// What a report notes of the forms on an engine: those that were run, and those that were not with their reasons.
pub fn notes(engine: &str, forms: &[FormUse]) -> Vec<String> {
    let mut grouped: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for form in forms {
        let (what, why) = match &form.fate {
            Fate::NotLoaded(reason) => ("did not load forms", reason.clone()),
            Fate::Same => (
                "ran forms",
                "compared: they are what it makes of the modules".to_owned(),
            ),
            Fate::Believed(code) if code.differs => ("ran forms", code.reason.clone()),
            Fate::Believed(code) => ("ran forms", format!("not compared: {}", code.reason)),
        };
        // The key is the sentence up to the kernels, and what follows them.
        let key = format!("{what} that the pack brings compiled\n{}; {why}", form.name);
        grouped.entry(key).or_default().push(&form.kernel);
    }
    grouped
        .into_iter()
        .map(|(key, kernels)| {
            let (what, why) = key.split_once('\n').unwrap_or((&key, ""));
            format!("{engine} {what}: {} ({why})", kernels.join(", "))
        })
        .collect()
}

/// What a report notes of forms that are for none of the engines that ran: `ours` are those that a pack brings, by kernel.
pub fn unclaimed<'a>(
    ours: impl Iterator<Item = (&'a str, &'a CompiledForm)>,
    claimed: &[FormUse],
) -> Vec<String> {
    let mut grouped: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (kernel, form) in ours {
        let name = form.name();
        if !claimed
            .iter()
            .any(|other| other.kernel == kernel && other.name == name)
        {
            grouped.entry(name).or_default().push(kernel);
        }
    }
    grouped
        .into_iter()
        .map(|(name, kernels)| {
            let kernels = kernels.join(", ");
            format!("{name} was not loaded: it is for none of the engines that ran the module: {kernels}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::support;
    use runtime_api::Kind;

    fn info(target: Option<&str>) -> Info {
        let target = target.map(|target| (CODE_TARGET.to_owned(), target.to_owned()));
        Info {
            id: "one.fast".to_owned(),
            kind: Kind::Aot,
            build: target.into_iter().collect(),
            ..support::info()
        }
    }

    fn form(allowed: bool) -> CompiledForm {
        CompiledForm {
            engine: "one".to_owned(),
            engine_version: "1.0.0".to_owned(),
            target: "here".to_owned(),
            bytes: Arc::from(*b"code"),
            allowed,
        }
    }

    #[test]
    fn a_form_is_for_one_engine_of_one_version_on_one_kind_of_machine() {
        let here = info(Some("here"));
        assert!(form(true).is_of(&here) && form(true).misfit(&here).is_none());
        assert!(!form(true).is_of(&info(None)), "it loads no code");
        assert!(form(true).misfit(&info(Some("there"))).is_some());
        let mut other = form(true);
        other.engine_version = "1.0.1".to_owned();
        assert!(other.is_of(&here) && other.misfit(&here).is_some());
        other.engine = "one.slow".to_owned();
        assert!(!other.is_of(&here));
    }

    #[test]
    fn only_the_same_bytes_or_the_users_word_load_a_form() {
        let not_compared = || Comparison::NotCompared("why".to_owned());
        let mut elsewhere = info(Some("here"));
        let how = "how".to_owned();
        elsewhere.build.insert(COMPILED_ELSEWHERE.to_owned(), how);
        for (allowed, comparison, info, due) in [
            (false, Comparison::Same, info(Some("here")), "same"),
            (true, Comparison::Same, info(Some("here")), "same"),
            (false, Comparison::Differs, info(Some("here")), "not loaded"),
            (false, not_compared(), info(Some("here")), "not loaded"),
            (false, not_compared(), elsewhere.clone(), "not loaded"),
            (
                true,
                Comparison::Differs,
                info(Some("here")),
                "beside, differs",
            ),
            (true, not_compared(), info(Some("here")), "beside"),
            (true, not_compared(), elsewhere, "instead"),
        ] {
            let found = match fate(&form(allowed), "kernel", &comparison, &info) {
                Fate::Same => "same".to_owned(),
                Fate::NotLoaded(reason) => {
                    assert!(reason.contains("does not carry allow-native"), "{reason}");
                    "not loaded".to_owned()
                }
                Fate::Believed(code) => {
                    let judged = match code.judged {
                        Judged::Beside => "beside",
                        Judged::Instead => "instead",
                    };
                    let differs = if code.differs { ", differs" } else { "" };
                    format!("{judged}{differs}")
                }
            };
            assert_eq!(found, due, "{allowed} {comparison:?}");
        }
    }

    #[test]
    fn forms_of_no_engine_are_noted() {
        let form = form(false);
        let ours = [("a", &form), ("b", &form)];
        let claimed = FormUse {
            kernel: "a".to_owned(),
            name: form.name(),
            fate: Fate::Same,
        };
        let noted = unclaimed(ours.into_iter(), &[claimed]);
        assert_eq!(noted.len(), 1);
        assert!(
            noted[0].starts_with("form:one-1.0.0-here was not loaded") && noted[0].ends_with(": b")
        );
    }
}
