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
#[derive(Clone, Debug)]
pub struct Ledger {
    spec: Vec<Expectation<Lines>>,
    numerics: Vec<Expectation<Operations>>,
    traps: Vec<Expectation<Cases>>,
    fuzz: Vec<Expectation<Difference>>,
}

/// What is known to fail on an engine.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct Operations {
    /// Their names.
    pub operations: Vec<String>,
}

/// Cases of the trap matrix.
#[derive(Clone, Debug)]
pub struct Cases {
    cases: Vec<GlobMatcher>,
}

/// What an engine is known to do otherwise than others with random modules.
#[derive(Clone, Debug)]
pub struct Difference {
    /// How a module is written so that it avoids the difference.
    pub avoid: Avoid,
    /// The module that shows it: a file of `fixtures/`, without its ending.
    pub module: String,
}

/// A way to write a module so that it avoids a known difference between engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Avoid {
    /// All growth is refused before an engine is asked.
    RefuseGrowth,
    /// Growth of tables is refused before an engine is asked.
    RefuseTableGrowth,
    /// Vectors are inverted twice after operators on lanes of floating-point numbers.
    InvertTwiceAfterFloatLanes,
    /// Values are inverted twice before they are stored.
    InvertTwiceBeforeStores,
    /// Branches out of an outer block are written as conditional ones.
    BranchOutOnCondition,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expectation: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(tag = "check", rename_all = "lowercase")]
enum Entry {
    Spec(SpecEntry),
    Traps(TrapsEntry),
    Numerics(NumericsEntry),
    Fuzz(FuzzEntry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpecEntry {
    engine: String,
    version: Option<String>,
    file: String,
    lines: Vec<LineOrRange>,
    reason: String,
    #[serde(default)]
    unexpected_pass: UnexpectedPass,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrapsEntry {
    engine: String,
    version: Option<String>,
    cases: Vec<String>,
    reason: String,
    #[serde(default)]
    unexpected_pass: UnexpectedPass,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumericsEntry {
    engine: String,
    version: Option<String>,
    architecture: Option<String>,
    operations: Vec<String>,
    reason: String,
    #[serde(default)]
    unexpected_pass: UnexpectedPass,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FuzzEntry {
    engine: String,
    version: String,
    avoid: Avoid,
    module: String,
    reason: String,
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
            fuzz: Vec::new(),
        };
        for (index, entry) in file.expectation.into_iter().enumerate() {
            let wrong = |message: String| LedgerError::Entry {
                number: index + 1,
                message,
            };
            match entry {
                Entry::Spec(entry) => ledger.spec.push(entry.read().map_err(wrong)?),
                Entry::Traps(entry) => ledger.traps.push(entry.read().map_err(wrong)?),
                Entry::Numerics(entry) => ledger.numerics.push(entry.read().map_err(wrong)?),
                Entry::Fuzz(entry) => ledger.fuzz.push(entry.read().map_err(wrong)?),
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
            fuzz: Vec::new(),
        }
    }

    /// What is known of scripts.
    pub fn spec(&self) -> &[Expectation<Lines>] {
        &self.spec
    }

    /// What is known of random modules.
    pub fn fuzz(&self) -> &[Expectation<Difference>] {
        &self.fuzz
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

impl SpecEntry {
    fn read(self) -> Result<Expectation<Lines>, String> {
        let lines: Vec<_> = self.lines.iter().map(range).collect::<Result<_, _>>()?;
        let empty = lines.is_empty() || self.file.is_empty();
        let what = Lines {
            file: self.file,
            lines,
        };
        let terms = (self.version, None, self.unexpected_pass);
        expectation(&self.engine, self.reason, terms, (!empty).then_some(what))
    }
}

impl TrapsEntry {
    fn read(self) -> Result<Expectation<Cases>, String> {
        let cases: Vec<_> = self
            .cases
            .iter()
            .map(|case| matcher(case))
            .collect::<Result<_, _>>()?;
        let what = (!cases.is_empty()).then_some(Cases { cases });
        let terms = (self.version, None, self.unexpected_pass);
        expectation(&self.engine, self.reason, terms, what)
    }
}

impl NumericsEntry {
    fn read(self) -> Result<Expectation<Operations>, String> {
        let operations = self.operations;
        let what = (!operations.is_empty()).then_some(Operations { operations });
        let terms = (self.version, self.architecture, self.unexpected_pass);
        expectation(&self.engine, self.reason, terms, what)
    }
}

impl FuzzEntry {
    fn read(self) -> Result<Expectation<Difference>, String> {
        let what = Difference {
            avoid: self.avoid,
            module: self.module,
        };
        let what = (!what.module.is_empty()).then_some(what);
        // Random modules may never meet it.
        let terms = (Some(self.version), None, UnexpectedPass::Allowed);
        expectation(&self.engine, self.reason, terms, what)
    }
}

/// `terms` are version, architecture, and what a pass means; `what` is `None` if the entry lists nothing.
fn expectation<T>(
    engine: &str,
    reason: String,
    (version, architecture, unexpected_pass): (Option<String>, Option<String>, UnexpectedPass),
    what: Option<T>,
) -> Result<Expectation<T>, String> {
    if reason.trim().is_empty() {
        return Err("it has no reason".to_owned());
    }
    Ok(Expectation {
        engine: matcher(engine)?,
        version,
        architecture,
        reason,
        may_pass: unexpected_pass == UnexpectedPass::Allowed,
        what: what.ok_or("it lists nothing")?,
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
    fn a_difference_between_engines_has_a_version_a_module_and_a_way_around_it() {
        let text = r#"
            [[expectation]]
            check = "fuzz"
            engine = "wasmi*"
            version = "2.0.0"
            avoid = "refuse-growth"
            module = "hostile/one"
            reason = "because"
        "#;
        let ledger = Ledger::parse(text).unwrap();
        let known = &ledger.fuzz()[0];
        assert!(known.is_about("wasmi.fast") && known.is_for("2.0.0"));
        assert_eq!(known.what.avoid, Avoid::RefuseGrowth);
        for line in ["version =", "avoid =", "module =", "reason ="] {
            let without: Vec<_> = text.lines().filter(|has| !has.contains(line)).collect();
            assert!(Ledger::parse(&without.join("\n")).is_err(), "{line}");
        }
        assert!(Ledger::parse(&text.replace("refuse-growth", "hope")).is_err());
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
