//! What is run: the checks of all scripts, decided before any engine is asked.

use super::{module::Survey, rewrite::Wrapper, scope::OutOfScope, script::Reader};
use runtime_api::Trap;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What a check asserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A module that must be accepted and instantiated.
    Module,
    /// An action without an assertion: it must not trap.
    Action,
    /// The results must be these.
    AssertReturn,
    /// The call, or the instantiation, must trap for this reason.
    AssertTrap,
    /// The call must use up the call stack.
    AssertExhaustion,
    /// The module must be refused by validation.
    AssertInvalid,
    /// The module must be refused by decoding.
    AssertMalformed,
}

impl Kind {
    /// As scripts spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Module => "module",
            Kind::Action => "action",
            Kind::AssertReturn => "assert_return",
            Kind::AssertTrap => "assert_trap",
            Kind::AssertExhaustion => "assert_exhaustion",
            Kind::AssertInvalid => "assert_invalid",
            Kind::AssertMalformed => "assert_malformed",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A script to be read.
#[derive(Clone, Debug)]
pub struct Source {
    /// How it is called in reports.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Which checks are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those that start on this line.
    pub line: Option<u64>,
}

/// Steps that a module without state gets, at most.
const STEPS_IN_PART: usize = 250;

/// What to run, and what is left out.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) units: Vec<Unit>,
    /// Names of the files, in order.
    pub files: Vec<Arc<str>>,
    /// Number of assertions, modules and actions left out, by reason.
    pub out_of_scope: BTreeMap<OutOfScope, u64>,
    /// Number of checks, by kind.
    pub in_scope: BTreeMap<Kind, u64>,
}

/// Checks about one module.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) file: Arc<str>,
    /// The features that the module needs.
    pub(super) needs: Vec<&'static str>,
    /// The module as engines get it.
    pub(super) wasm: Vec<u8>,
    /// The check of the module itself.
    pub(super) check: Check,
    pub(super) what: What,
}

/// Where a check stands, and what it asserts.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) line: u64,
    pub(super) kind: Kind,
    /// Whether it is one of the wanted ones; others only lead to the state of those.
    pub(super) wanted: bool,
}

#[derive(Debug)]
pub(super) enum What {
    /// The module must be refused.
    Refused,
    /// Instantiation must trap.
    Traps(Due),
    /// The module must be instantiated, and these steps be made with it.
    Runs {
        survey: Box<Survey>,
        steps: Vec<Step>,
    },
}

/// An action with a module's instance.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) check: Check,
    pub(super) wrapper: Wrapper,
    pub(super) due: Due,
}

/// How an action must end.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Due {
    /// With a 1: its results are as expected.
    Returned,
    /// With a trap of this class.
    Trap(Trap),
    /// As the script says in words that no table explains.
    Unexplained(String),
}

/// Why scripts cannot be run. Messages read after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The script is not in the format of scripts.
    #[error("parse the script {0}")]
    Parse(String),
    /// The script acts on something that is not there.
    #[error("follow the script {file}:{line}: {message}")]
    Script {
        /// The script.
        file: String,
        /// The line.
        line: u64,
        /// What is wrong.
        message: String,
    },
}

/// The messages of traps in scripts, whole, and their classes.
///
/// A message may end in the number of an element, which this table leaves out.
pub(super) fn class_of(message: &str) -> Option<Trap> {
    let message = message
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end();
    Some(match message {
        "unreachable" | "unreachable executed" => Trap::Unreachable,
        "integer overflow" => Trap::IntegerOverflow,
        "integer divide by zero" => Trap::IntegerDivideByZero,
        "invalid conversion to integer" => Trap::InvalidConversionToInteger,
        "out of bounds memory access" => Trap::MemoryAccessViolation,
        "out of bounds table access" | "undefined element" => Trap::TableAccessViolation,
        "uninitialized element" => Trap::NullFunction,
        "indirect call type mismatch" => Trap::IndirectCallTypeMismatch,
        "call stack exhausted" => Trap::StackOverflow,
        _ => return None,
    })
}

impl Plan {
    /// Reads scripts, decides what of them is in scope, and makes the modules.
    ///
    /// # Errors
    /// [`ScriptError`], for the first script that is not one.
    pub fn of(sources: &[Source], filter: &Filter) -> Result<Plan, ScriptError> {
        let mut plan = Plan::default();
        for source in sources {
            let mut reader = Reader::new(source, filter);
            reader.read(&source.text)?;
            plan.files.push(reader.file);
            for (reason, number) in reader.out_of_scope {
                *plan.out_of_scope.entry(reason).or_default() += number;
            }
            plan.units
                .extend(reader.units.into_iter().filter(Unit::is_wanted));
        }
        for unit in &plan.units {
            for check in unit.checks().filter(|check| check.wanted) {
                *plan.in_scope.entry(check.kind).or_default() += 1;
            }
        }
        Ok(plan)
    }

    /// Number of checks.
    pub fn checks(&self) -> u64 {
        self.in_scope.values().sum()
    }
}

impl Unit {
    pub(super) fn steps(&self) -> &[Step] {
        match &self.what {
            What::Runs { steps, .. } => steps,
            What::Refused | What::Traps(_) => &[],
        }
    }

    pub(super) fn checks(&self) -> impl Iterator<Item = &Check> {
        std::iter::once(&self.check).chain(self.steps().iter().map(|step| &step.check))
    }

    /// Without state, steps depend on nothing but the module: many of them are run in several modules, so that none takes a
    /// compiler long. The module itself is checked by the first.
    pub(super) fn in_parts(self) -> Vec<Unit> {
        let What::Runs { survey, steps } = self.what else {
            return vec![self];
        };
        let most = if survey.has_state {
            usize::MAX
        } else {
            STEPS_IN_PART
        };
        let mut parts = vec![Unit {
            what: What::Runs {
                survey,
                steps: Vec::new(),
            },
            ..self
        }];
        for step in steps {
            let Some(Unit {
                file,
                needs,
                check,
                what: What::Runs { survey, steps },
                ..
            }) = parts.last_mut()
            else {
                break;
            };
            if steps.len() < most {
                steps.push(step);
                continue;
            }
            let next = Unit {
                file: Arc::clone(file),
                needs: needs.clone(),
                wasm: Vec::new(),
                check: Check {
                    wanted: false,
                    ..check.clone()
                },
                what: What::Runs {
                    survey: survey.clone(),
                    steps: vec![step],
                },
            };
            parts.push(next);
        }
        parts
    }

    fn is_wanted(&self) -> bool {
        self.checks().any(|check| check.wanted)
    }
}
