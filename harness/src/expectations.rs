//! The ledger of known failures, `fixtures/expectations.toml`: what engines are known to get wrong, and why. What it lists still
//! runs and is counted as a known failure, never as a pass; what passes in spite of it fails the run, so that the ledger stays true.

use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use std::{fmt, ops::RangeInclusive, sync::LazyLock};

/// The ledger that this binary was built with.
const TEXT: &str = include_str!("../../fixtures/expectations.toml");

/// Why a ledger cannot be used. Messages read after "failed to".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It is not TOML, has fields that no entry has, or lacks some.
    #[error("parse the expectations: {0}")]
    Format(String),
    /// An entry is empty in part, or is no pattern or range where it must be one.
    #[error("use expectation {number}: {message}")]
    Entry {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        message: String,
    },
}

/// All expectations.
#[derive(Debug)]
pub struct Ledger {
    spec: Vec<Expectation<Lines>>,
    numerics: Vec<Expectation<Operations>>,
    traps: Vec<Expectation<Cases>>,
}

/// What is known to fail on an engine.
#[derive(Debug)]
pub struct Expectation<T> {
    engine: GlobMatcher,
    /// The engine's version that was seen to fail; any if there is none.
    pub version: Option<String>,
    architecture: Option<String>,
    /// Why it fails.
    pub reason: String,
    /// Whether a pass is no failure of the run, because what it depends on cannot be named here.
    pub may_pass: bool,
    /// What fails.
    pub what: T,
}

impl<T> Expectation<T> {
    /// Whether it is about the engine of this id.
    pub fn is_about(&self, id: &str) -> bool {
        self.engine.is_match(id)
    }

    /// Whether it is about this version of the engine, and this architecture.
    pub fn is_for(&self, version: &str) -> bool {
        self.is_for_both(version, std::env::consts::ARCH)
    }

    fn is_for_both(&self, version: &str, architecture: &str) -> bool {
        let holds =
            |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        holds(&self.version, version) && holds(&self.architecture, architecture)
    }
}

/// Checks of a script.
#[derive(Debug)]
pub struct Lines {
    /// The script's name.
    pub file: String,
    /// Where the checks start.
    pub lines: Vec<RangeInclusive<u64>>,
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.lines.first().map_or(0, |lines| *lines.start());
        write!(f, "{}:{first}", self.file)
    }
}

/// Numeric instructions.
#[derive(Debug)]
pub struct Operations {
    /// Their names.
    pub operations: Vec<String>,
}

/// Cases of the trap matrix.
#[derive(Debug)]
pub struct Cases {
    cases: Vec<GlobMatcher>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expectation: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(tag = "check", rename_all = "lowercase", deny_unknown_fields)]
enum Entry {
    Spec {
        engine: String,
        version: Option<String>,
        file: String,
        lines: Vec<LineOrRange>,
        reason: String,
        #[serde(default)]
        unexpected_pass: UnexpectedPass,
    },
    Traps {
        engine: String,
        version: Option<String>,
        cases: Vec<String>,
        reason: String,
        #[serde(default)]
        unexpected_pass: UnexpectedPass,
    },
    Numerics {
        engine: String,
        version: Option<String>,
        architecture: Option<String>,
        operations: Vec<String>,
        reason: String,
        #[serde(default)]
        unexpected_pass: UnexpectedPass,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LineOrRange {
    Line(u64),
    Range(String),
}

/// What a pass means where a failure is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnexpectedPass {
    /// The run fails.
    #[default]
    Fails,
    /// It is a pass.
    Allowed,
}

impl Ledger {
    /// The ledger that this binary was built with.
    ///
    /// # Errors
    /// [`LedgerError`]; a test sees to it that there is none.
    pub fn built_in() -> Result<&'static Ledger, &'static LedgerError> {
        static LEDGER: LazyLock<Result<Ledger, LedgerError>> =
            LazyLock::new(|| Ledger::parse(TEXT));
        LEDGER.as_ref()
    }

    /// Reads a ledger.
    ///
    /// # Errors
    /// [`LedgerError`], for the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Ledger, LedgerError> {
        let file: File =
            toml::from_str(text).map_err(|error| LedgerError::Format(error.to_string()))?;
        let mut ledger = Ledger {
            spec: Vec::new(),
            numerics: Vec::new(),
            traps: Vec::new(),
        };
        for (index, entry) in file.expectation.into_iter().enumerate() {
            let wrong = |message: String| LedgerError::Entry {
                number: index + 1,
                message,
            };
            match entry {
                Entry::Spec {
                    engine,
                    version,
                    file,
                    lines,
                    reason,
                    unexpected_pass,
                } => {
                    let lines = lines
                        .iter()
                        .map(range)
                        .collect::<Result<Vec<_>, _>>()
                        .map_err(wrong)?;
                    let empty = lines.is_empty() || file.is_empty();
                    let what = Lines { file, lines };
                    ledger.spec.push(
                        expectation(
                            engine,
                            (version, None),
                            reason,
                            unexpected_pass,
                            empty,
                            what,
                        )
                        .map_err(wrong)?,
                    );
                }
                Entry::Traps {
                    engine,
                    version,
                    cases,
                    reason,
                    unexpected_pass,
                } => {
                    let cases = cases
                        .iter()
                        .map(|case| matcher(case))
                        .collect::<Result<Vec<_>, _>>()
                        .map_err(wrong)?;
                    let empty = cases.is_empty();
                    let what = Cases { cases };
                    ledger.traps.push(
                        expectation(
                            engine,
                            (version, None),
                            reason,
                            unexpected_pass,
                            empty,
                            what,
                        )
                        .map_err(wrong)?,
                    );
                }
                Entry::Numerics {
                    engine,
                    version,
                    architecture,
                    operations,
                    reason,
                    unexpected_pass,
                } => {
                    let empty = operations.is_empty();
                    let what = Operations { operations };
                    ledger.numerics.push(
                        expectation(
                            engine,
                            (version, architecture),
                            reason,
                            unexpected_pass,
                            empty,
                            what,
                        )
                        .map_err(wrong)?,
                    );
                }
            }
        }
        Ok(ledger)
    }

    /// A ledger without expectations.
    pub fn empty() -> Ledger {
        Ledger {
            spec: Vec::new(),
            numerics: Vec::new(),
            traps: Vec::new(),
        }
    }

    /// What is known of scripts.
    pub fn spec(&self) -> &[Expectation<Lines>] {
        &self.spec
    }

    /// What is known of a case of the trap matrix on an engine.
    pub fn traps(&self, id: &str, version: &str, case: &str) -> Option<&Expectation<Cases>> {
        self.traps.iter().find(|expectation| {
            let mut cases = expectation.what.cases.iter();
            expectation.is_about(id)
                && expectation.is_for(version)
                && cases.any(|glob| glob.is_match(case))
        })
    }

    /// What is known of a numeric instruction on an engine.
    pub fn numerics(
        &self,
        id: &str,
        version: &str,
        operation: &str,
    ) -> Option<&Expectation<Operations>> {
        self.numerics.iter().find(|expectation| {
            expectation.is_about(id)
                && expectation.is_for(version)
                && expectation
                    .what
                    .operations
                    .iter()
                    .any(|name| name == operation)
        })
    }
}

fn expectation<T>(
    engine: String,
    (version, architecture): (Option<String>, Option<String>),
    reason: String,
    unexpected_pass: UnexpectedPass,
    empty: bool,
    what: T,
) -> Result<Expectation<T>, String> {
    if reason.trim().is_empty() {
        return Err("it has no reason".to_owned());
    }
    if empty {
        return Err("it lists nothing".to_owned());
    }
    let engine = matcher(&engine)?;
    Ok(Expectation {
        engine,
        version,
        architecture,
        reason,
        may_pass: unexpected_pass == UnexpectedPass::Allowed,
        what,
    })
}

/// A name or a glob.
fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    Glob::new(pattern)
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{pattern}` is not a name or a glob: {error}"))
}

/// A line, or `FIRST-LAST`.
fn range(lines: &LineOrRange) -> Result<RangeInclusive<u64>, String> {
    match lines {
        LineOrRange::Line(line) => Ok(*line..=*line),
        LineOrRange::Range(text) => text
            .split_once('-')
            .and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?))
            .filter(|lines| !lines.is_empty())
            .ok_or_else(|| format!("`{text}` is no range of lines, as in \"57-63\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"
        [[expectation]]
        check = "spec"
        engine = "wamr.*"
        version = "2.4.3"
        file = "i32.wast"
        lines = [7, "10-12"]
        reason = "because"
    "#;

    #[test]
    fn the_built_in_ledger_can_be_read() {
        let ledger = Ledger::built_in().unwrap();
        assert!(ledger.numerics("wamr.fast", "2.4.3", "f32.ceil").is_some());
        assert!(ledger.numerics("wamr.fast", "2.4.4", "f32.ceil").is_none());
        let of_aot = ledger.numerics("wamr.aot", "2.4.3", "f32.ceil");
        assert_eq!(of_aot.is_some(), cfg!(target_arch = "arm"));
    }

    #[test]
    fn entries_say_what_why_and_for_which_engine() {
        let ledger = Ledger::parse(ENTRY).unwrap();
        let entry = &ledger.spec()[0];
        assert!(entry.is_about("wamr.aot") && !entry.is_about("wasmi"));
        assert!(entry.is_for("2.4.3") && !entry.is_for("2.4.30"));
        assert_eq!(entry.what.lines, [7..=7, 10..=12]);
        assert!(!entry.may_pass);
        assert!(Ledger::parse("").unwrap().spec().is_empty());
    }

    #[test]
    fn an_entry_on_instructions_may_be_about_one_architecture() {
        let text = r#"
            [[expectation]]
            check = "numerics"
            engine = "wamr.aot"
            architecture = "arm"
            operations = ["f32.ceil"]
            reason = "because"
        "#;
        let anywhere = text.replacen("architecture = \"arm\"", "", 1);
        let ledgers = [text, &anywhere].map(|text| Ledger::parse(text).unwrap());
        let on = ["arm", "x86_64"];
        let [armed, anywhere] = ledgers.map(|ledger| {
            on.map(|architecture| ledger.numerics[0].is_for_both("2.4.3", architecture))
        });
        assert_eq!((armed, anywhere), ([true, false], [true, true]));
    }

    #[test]
    fn a_case_of_the_trap_matrix_is_known_by_engine_version_and_name() {
        let ledger = Ledger::built_in().unwrap();
        let known = |id, version, case| ledger.traps(id, version, case).is_some();
        let case = "limit-memory-refusals-fuel";
        assert!(known("wasmi.fast", "2.0.0", case));
        assert!(!known("wasmi.fast", "2.0.1", case) && !known("wasmi", "2.0.0", case));
        assert!(!known("wasmi.fast", "2.0.0", "limit-memory-grow"));
    }

    #[test]
    fn what_is_not_as_documented_is_refused() {
        for (from, to) in [
            ("reason = \"because\"", ""),
            ("because", " "),
            ("reason", "raeson"),
            ("lines = [7, \"10-12\"]", ""),
            ("[7, \"10-12\"]", "[]"),
            ("10-12", "12-10"),
            ("10-12", "ten"),
            ("i32.wast", ""),
            ("wamr.*", "wamr.[a"),
            ("\"spec\"", "\"trap\""),
            ("\"spec\"", "\"traps\""),
            ("file = \"i32.wast\"", "operations = [\"i32.add\"]"),
            ("reason", "unexpected_pass = \"maybe\"\nreason"),
            ("[[expectation]]", "[[expectations]]"),
        ] {
            let text = ENTRY.replacen(from, to, 1);
            assert_ne!(text, ENTRY);
            assert!(Ledger::parse(&text).is_err(), "{text}");
        }
    }
}
