//! Follows a script: which module an assertion is about, and whether it is in scope.

use super::{
    module::Survey,
    plan::{Check, Due, Filter, Kind, ScriptError, Source, Step, Unit, What, class_of},
    rewrite::{RewriteError, Target, Wrapper, rewrite},
    scope::{OutOfScope, is_valid, is_valid_later, needs},
    value::{Constant, Expected},
};
use crate::rewrite::{Exported, Module};
use runtime_api::Trap;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};
use wast::{
    QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, WastRet, Wat,
    core::ModuleKind,
    lexer::Lexer,
    parser::{self, ParseBuffer},
    token::Span,
};

/// A module of a script, while the script is read.
#[derive(Clone, Copy)]
enum Place {
    /// This unit.
    Unit(usize),
    Out(OutOfScope),
}

/// Follows a script from its first line to its last.
pub(super) struct Reader<'a> {
    pub(super) file: Arc<str>,
    line: Option<u64>,
    /// Where each line starts.
    starts: Vec<usize>,
    pub(super) units: Vec<Unit>,
    pub(super) out_of_scope: BTreeMap<OutOfScope, u64>,
    current: Option<Place>,
    named: HashMap<String, Place>,
    definitions: HashMap<String, Vec<u8>>,
    last_definition: Option<Vec<u8>>,
    registered: HashMap<String, Place>,
    /// Units whose state others may have changed.
    shared: HashSet<usize>,
    source: &'a Source,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source, filter: &Filter) -> Reader<'a> {
        let starts = source
            .text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Reader {
            file: source.file.as_str().into(),
            line: filter.line,
            starts: std::iter::once(0).chain(starts).collect(),
            units: Vec::new(),
            out_of_scope: BTreeMap::new(),
            current: None,
            named: HashMap::new(),
            definitions: HashMap::new(),
            last_definition: None,
            registered: HashMap::new(),
            shared: HashSet::new(),
            source,
        }
    }

    pub(super) fn read(&mut self, text: &str) -> Result<(), ScriptError> {
        let mut lexer = Lexer::new(text);
        // The official scripts have such characters in names.
        lexer.allow_confusing_unicode(true);
        let buffer =
            ParseBuffer::new_with_lexer(lexer).map_err(|error| self.not_a_script(error))?;
        let script =
            parser::parse::<Wast<'_>>(&buffer).map_err(|error| self.not_a_script(error))?;
        for directive in script.directives {
            self.directive(directive)?;
        }
        for mut unit in std::mem::take(&mut self.units) {
            if let (What::Runs { steps, .. }, Some(line)) = (&mut unit.what, self.line) {
                // What comes behind the wanted lines changes nothing.
                let last = steps.iter().rposition(|step| step.check.line == line);
                steps.truncate(last.map_or(0, |last| last + 1));
            }
            for mut unit in unit.in_parts() {
                if let What::Runs { survey, steps } = &unit.what {
                    let wrappers: Vec<Wrapper> =
                        steps.iter().map(|step| step.wrapper.clone()).collect();
                    unit.wasm =
                        rewrite(survey, &wrappers).map_err(|error| ScriptError::Script {
                            file: self.file.to_string(),
                            line: unit.check.line,
                            message: error.to_string(),
                        })?;
                }
                self.units.push(unit);
            }
        }
        Ok(())
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Result<(), ScriptError> {
        let at = directive.span();
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name().map(|id| id.name().to_owned());
                let wasm = module.encode().map_err(|error| self.not_a_script(error))?;
                self.module(at, name, wasm)
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name().map(|id| id.name().to_owned());
                let wasm = module.encode().map_err(|error| self.not_a_script(error))?;
                if let Some(name) = name {
                    self.definitions.insert(name, wasm.clone());
                }
                self.last_definition = Some(wasm);
                Ok(())
            }
            WastDirective::ModuleInstance {
                instance, module, ..
            } => {
                let wasm = match module {
                    Some(id) => self.definitions.get(id.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let wasm = wasm.ok_or_else(|| self.wrong(at, "there is no such definition"))?;
                self.module(at, instance.map(|id| id.name().to_owned()), wasm)
            }
            WastDirective::Register { name, module, .. } => {
                let place = self.place(at, module.map(|id| id.name()))?;
                self.registered.insert(name.to_owned(), place);
                Ok(())
            }
            WastDirective::AssertMalformed { module, .. } => {
                self.refused(at, Kind::AssertMalformed, module);
                Ok(())
            }
            WastDirective::AssertInvalid { module, .. } => {
                self.refused(at, Kind::AssertInvalid, module);
                Ok(())
            }
            WastDirective::Invoke(call) => self.action(
                at,
                Kind::Action,
                WastExecute::Invoke(call),
                None,
                Due::Returned,
            ),
            WastDirective::AssertReturn { exec, results, .. } => {
                self.action(at, Kind::AssertReturn, exec, Some(results), Due::Returned)
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let due = match class_of(message) {
                    Some(class) => Due::Trap(class),
                    None => Due::Unexplained(message.to_owned()),
                };
                match exec {
                    WastExecute::Wat(module) => self.traps(at, module, due),
                    exec => self.action(at, Kind::AssertTrap, exec, None, due),
                }
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let due = match class_of(message) {
                    Some(Trap::StackOverflow) => Due::Trap(Trap::StackOverflow),
                    _ => Due::Unexplained(message.to_owned()),
                };
                let exec = WastExecute::Invoke(call);
                self.action(at, Kind::AssertExhaustion, exec, None, due)
            }
            WastDirective::AssertUnlinkable { module, .. } => {
                if let Ok(wasm) = (QuoteWat::Wat(module)).encode() {
                    self.taint(&wasm);
                }
                self.leave_out(at, OutOfScope::Linking);
                Ok(())
            }
            // Threads, exceptions, suspensions, and custom sections that have a meaning.
            _ => {
                self.leave_out(at, OutOfScope::Features);
                Ok(())
            }
        }
    }

    fn module(&mut self, at: Span, name: Option<String>, wasm: Vec<u8>) -> Result<(), ScriptError> {
        let place = match self.linked(wasm) {
            Ok(survey) => self.add(at, Kind::Module, |_| What::Runs {
                survey: Box::new(survey),
                steps: Vec::new(),
            }),
            Err(reason) => {
                self.leave_out(at, reason);
                Place::Out(reason)
            }
        };
        self.current = Some(place);
        if let Some(name) = name {
            self.named.insert(name, place);
        }
        Ok(())
    }

    /// A module that is valid with the features of packs and imports nothing but what `spectest` has.
    fn linked(&mut self, wasm: Vec<u8>) -> Result<Survey, OutOfScope> {
        self.taint(&wasm);
        if !is_valid(&wasm) {
            return Err(OutOfScope::Features);
        }
        let survey = Survey::of(wasm).map_err(|_| OutOfScope::Features)?;
        survey.definitions()?;
        Ok(survey)
    }

    /// Notes whose state a module may change: the state of those from which it imports.
    fn taint(&mut self, wasm: &[u8]) {
        let Ok(module) = Module::of(wasm.to_vec()) else {
            return;
        };
        for import in &module.imports {
            if let Some(Place::Unit(unit)) = self.registered.get(&import.module) {
                self.shared.insert(*unit);
            }
        }
    }

    fn traps(&mut self, at: Span, mut module: Wat<'_>, due: Due) -> Result<(), ScriptError> {
        let wasm = module.encode().map_err(|error| self.not_a_script(error))?;
        let rewritten = self
            .linked(wasm)
            .and_then(|survey| rewrite(&survey, &[]).map_err(|_| OutOfScope::Imports));
        match rewritten {
            Ok(wasm) => {
                let place = self.add(at, Kind::AssertTrap, |_| What::Traps(due));
                if let Place::Unit(unit) = place {
                    self.units[unit].needs = needs(&wasm);
                    self.units[unit].wasm = wasm;
                }
            }
            Err(reason) => self.leave_out(at, reason),
        }
        Ok(())
    }

    fn refused(&mut self, at: Span, kind: Kind, mut module: QuoteWat<'_>) {
        let quoted = !matches!(module, QuoteWat::Wat(_));
        let binary = matches!(&module, QuoteWat::Wat(Wat::Module(module)) if matches!(module.kind, ModuleKind::Binary(_)));
        // Text that is not well-formed is nothing that an engine gets to see.
        let wasm = match (quoted && kind == Kind::AssertMalformed, module.encode()) {
            (false, Ok(wasm)) => wasm,
            _ => return self.leave_out(at, OutOfScope::TextFormat),
        };
        match invalid(wasm, binary) {
            Ok(wasm) => {
                let place = self.add(at, kind, |_| What::Refused);
                if let Place::Unit(unit) = place {
                    self.units[unit].needs = needs(&wasm);
                    self.units[unit].wasm = wasm;
                }
            }
            Err(reason) => self.leave_out(at, reason),
        }
    }

    fn action(
        &mut self,
        at: Span,
        kind: Kind,
        exec: WastExecute<'_>,
        results: Option<Vec<WastRet<'_>>>,
        due: Due,
    ) -> Result<(), ScriptError> {
        let (module, name, arguments) = match &exec {
            WastExecute::Invoke(WastInvoke {
                module, name, args, ..
            }) => (module, *name, args.as_slice()),
            WastExecute::Get { module, global, .. } => (module, *global, &[][..]),
            // Only `assert_trap` may have a module, and that is another case.
            WastExecute::Wat(_) => return Err(self.wrong(at, "a module is no action")),
        };
        let unit = match self.place(at, module.map(|id| id.name()))? {
            Place::Unit(unit) if self.shared.contains(&unit) => {
                self.leave_out(at, OutOfScope::SharedState);
                return Ok(());
            }
            Place::Unit(unit) => unit,
            Place::Out(reason) => {
                self.leave_out(at, reason);
                return Ok(());
            }
        };
        let arguments: Option<Vec<Constant>> = arguments.iter().map(Constant::parse).collect();
        let expected: Option<Option<Vec<Expected>>> = match &results {
            Some(results) => results
                .iter()
                .map(Expected::parse)
                .collect::<Option<_>>()
                .map(Some),
            None => Some(None),
        };
        let check = self.check(at, kind);
        let What::Runs { survey, steps } = &mut self.units[unit].what else {
            return Err(self.wrong(at, "there is no instance"));
        };
        let target = match (survey.module.export(name), &exec) {
            (Some(Exported::Function(index)), WastExecute::Invoke(_)) => Target::Function(index),
            (Some(Exported::Global(index)), WastExecute::Get { .. }) => Target::Global(index),
            _ => {
                let message = format!("the module has no export `{}` for it", name.escape_debug());
                return Err(self.wrong(at, &message));
            }
        };
        let (Some(arguments), Some(expected)) = (arguments, expected) else {
            if matches!(target, Target::Function(index) if survey.may_change_state(index)) {
                // What it would have left behind is not there.
                self.shared.insert(unit);
            }
            self.leave_out(at, OutOfScope::HostReferences);
            return Ok(());
        };
        let (takes, gives) = match target {
            Target::Function(index) => survey
                .module
                .function(index)
                .map(|kind| (kind.params().to_vec(), kind.results().to_vec())),
            Target::Global(index) => survey
                .module
                .global(index)
                .map(|kind| (Vec::new(), vec![kind])),
        }
        .unwrap_or_default();
        let fits = arguments.iter().map(|argument| argument.kind()).eq(takes)
            && expected.as_ref().is_none_or(|expected| {
                expected.len() == gives.len()
                    && expected.iter().zip(gives).all(|(due, kind)| due.fits(kind))
            });
        if !fits {
            return Err(self.wrong(at, "arguments or results are not of the export's type"));
        }
        let export = format!("{} {}", survey.module.free_prefix(), steps.len());
        steps.push(Step {
            check,
            wrapper: Wrapper {
                export,
                target,
                arguments,
                expected,
            },
            due,
        });
        Ok(())
    }

    /// Adds a unit; a module that is run brings its needs with it.
    fn add(&mut self, at: Span, kind: Kind, what: impl FnOnce(&Self) -> What) -> Place {
        let what = what(self);
        let features = match &what {
            What::Runs { survey, .. } => needs(&survey.module.wasm),
            What::Refused | What::Traps(_) => Vec::new(),
        };
        self.units.push(Unit {
            file: Arc::clone(&self.file),
            needs: features,
            wasm: Vec::new(),
            check: self.check(at, kind),
            what,
        });
        Place::Unit(self.units.len() - 1)
    }

    fn check(&self, at: Span, kind: Kind) -> Check {
        let line = self.line_of(at);
        Check {
            line,
            kind,
            wanted: self.line.is_none_or(|wanted| wanted == line),
        }
    }

    /// The module that is meant: the one of this name, or the last one.
    fn place(&self, at: Span, name: Option<&str>) -> Result<Place, ScriptError> {
        let place = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        place.ok_or_else(|| self.wrong(at, "there is no such module before it"))
    }

    fn leave_out(&mut self, at: Span, reason: OutOfScope) {
        if self.line.is_none_or(|wanted| wanted == self.line_of(at)) {
            *self.out_of_scope.entry(reason).or_default() += 1;
        }
    }

    fn line_of(&self, at: Span) -> u64 {
        self.starts.partition_point(|start| *start <= at.offset()) as u64
    }

    fn not_a_script(&self, mut error: wast::Error) -> ScriptError {
        error.set_path(self.source.file.as_ref());
        error.set_text(&self.source.text);
        ScriptError::Parse(format!("{}: {error}", self.source.file))
    }

    fn wrong(&self, at: Span, message: &str) -> ScriptError {
        ScriptError::Script {
            file: self.file.to_string(),
            line: self.line_of(at),
            message: message.to_owned(),
        }
    }
}

/// A module that every engine must refuse, without imports, so that it is not refused for those.
fn invalid(wasm: Vec<u8>, binary: bool) -> Result<Vec<u8>, OutOfScope> {
    let wasm = match Survey::of(wasm.clone()) {
        Ok(survey) if !survey.module.imports.is_empty() && !binary => rewrite(&survey, &[])
            .map_err(|error| match error {
                RewriteError::Link(reason) => reason,
                _ => OutOfScope::Imports,
            })?,
        Ok(survey) if !survey.module.imports.is_empty() => return Err(OutOfScope::Imports),
        _ => wasm,
    };
    if is_valid(&wasm) {
        Err(OutOfScope::Imports)
    } else if is_valid_later(&wasm) {
        Err(OutOfScope::LaterVersions)
    } else {
        Ok(wasm)
    }
}
