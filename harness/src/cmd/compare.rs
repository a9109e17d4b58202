//! `assay compare OLD NEW`: two packs, or two results folders of the same command; and what several targets answered.

use super::engines::EngineArguments;
use crate::{
    acceptance::Acceptance,
    bench,
    bench::record,
    compare::{
        self, Kind, Way,
        numbers::{self, Recorded},
        outcomes, outputs, packs,
    },
    conform::request::{CASES, SEED},
    exit::{self, Exit},
    outcome::Whole,
    output::Output,
    registry::Engine,
};
use anyhow::{Context, Result};
use assay_worker::Launch;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Compare two packs (outputs, traps, fuel, code and times that changed), two results folders of the same command, or with --outputs what
/// several targets answered to the same cases.
#[derive(clap::Args)]
#[command(after_help = "\
Two packs: both are verified, and run on the same inputs. A check that held for the older pack and does not for the newer one,
and a number that was lost, exit with 1 in any case. With --fail-on so does every changed answer, within tolerance or not,
every module that was removed, and what is slower, or takes more fuel or code, by more than the share.

Results of `conform` or `qualify`: a check that passed and does so no more exits with 1.
Results of `bench`: --fail-on decides, as above.
A file of recorded numbers and a pack: every difference exits with 1, unless --fail-on says how much they may grow.

Examples: assay compare packs/1.0.0 packs/1.1.0 --fail-on 5%
          assay compare reports/before assay-results/20260101T000000-bench-1
          assay compare --outputs x86_64/results aarch64/results
          assay compare --record numbers.json packs/core && assay compare numbers.json packs/core")]
pub struct Arguments {
    /// The older pack or results folder; with --record the pack; or a file that --record wrote.
    #[arg(required_unless_present = "outputs")]
    old: Option<PathBuf>,
    /// The newer pack or results folder.
    #[arg(required_unless_present_any = ["outputs", "record"], conflicts_with = "record")]
    new: Option<PathBuf>,
    /// Compare what these results folders of `conform` or `qualify` hold, bit for bit: one per target.
    #[arg(long, value_name = "DIR", num_args = 2.., conflicts_with_all = ["old", "new", "record", "fail_on"])]
    outputs: Vec<PathBuf>,
    /// Write fuel and sizes of code of a pack to this file, for later comparisons.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Exit with 1 if something is slower, or a number without noise larger, by more than this; for packs also if any answer changed.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    fail_on: Option<f64>,
    #[command(flatten)]
    packs: Packs,
}

/// What concerns packs only.
#[derive(clap::Args)]
#[command(next_help_heading = "Packs")]
struct Packs {
    #[command(flatten)]
    acceptance: Acceptance,
    #[command(flatten)]
    engines: EngineArguments,
    /// Kernel id or glob (repeatable) [default: all].
    #[arg(long, value_name = "ID")]
    kernel: Vec<String>,
    /// Generated cases per kernel [default: 64].
    #[arg(long, value_name = "N", value_parser = super::conform::cases())]
    cases: Option<u32>,
    /// Seed of the generated cases, of orders and of resamples [default: 1].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Seconds of batches per module, engine and process [default: 0.02].
    #[arg(long, value_name = "S", value_parser = super::bench::seconds, conflicts_with = "no_time")]
    time: Option<f64>,
    /// Processes per engine that are timed [default: 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "no_time")]
    processes: Option<u32>,
    /// Time nothing: answers, fuel and sizes of code only.
    #[arg(long)]
    no_time: bool,
    /// Run modules that are the same in both packs as well: their differences are noise.
    #[arg(long)]
    identical: bool,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let packs = &arguments.packs;
    match (&arguments.old, &arguments.new, &arguments.record) {
        (Some(pack), None, Some(file)) => return arguments.record(pack, file, output),
        (Some(old), Some(new), _) => match compare::way(old, new)? {
            Way::Both(Kind::Pack) => return arguments.packs(old, new, output),
            Way::Recorded => return arguments.recorded(old, new, output),
            Way::Both(Kind::Conformance) => {
                packs.refuse()?;
                if arguments.fail_on.is_some() {
                    return Err(exit::usage(
                        "--fail-on is for times and numbers; results of `conform` and `qualify` have none",
                    ));
                }
                let found = outcomes::compare(old, new)?;
                return finish(&found, found.verdict, &found.to_text(), output);
            }
            Way::Both(Kind::Bench | Kind::Numbers) => {
                packs.refuse()?;
                let (old, new) = (record::read(old)?, record::read(new)?);
                let found = bench::compare::compare(&old, &new, arguments.fail_on)
                    .context("failed to compare: the records do not begin with a run")?;
                return finish(&found, found.verdict, &found.to_text(), output);
            }
        },
        _ => {}
    }
    packs.refuse()?;
    let found = outputs::compare(&outputs::read(&arguments.outputs)?)?;
    finish(&found, found.verdict, &found.to_text(), output)
}

impl Arguments {
    fn packs(&self, old: &Path, new: &Path, output: &Output) -> Result<Exit> {
        let packs = &self.packs;
        let launches = packs.launches()?;
        let old = packs.acceptance.load(old)?;
        let new = packs.acceptance.load(new)?;
        let time = (!packs.no_time).then(|| packs.time.unwrap_or(0.02));
        let request = packs::Request {
            old: &old,
            new: &new,
            launches: &launches,
            kernels: &packs.kernel,
            cases: packs.cases.unwrap_or(CASES),
            seed: packs.seed.unwrap_or(SEED),
            time: time.map(Duration::from_secs_f64),
            processes: packs.processes.unwrap_or(3),
            identical: packs.identical,
            fail_on: self.fail_on,
        };
        let progress = output.progress_bar(
            "compare",
            1,
            "{wide_bar} {pos}/{len} steps, {per_sec}, {eta} left",
        );
        let found = packs::compare(&request, &|all| {
            progress.set_length(all);
            progress.inc(1);
        })?;
        progress.finish_and_clear();
        finish(&found, found.verdict, &found.to_text(), output)
    }

    fn record(&self, pack: &Path, file: &Path, output: &Output) -> Result<Exit> {
        let launches = self.packs.numbers_only()?;
        let pack = self.packs.acceptance.load(pack)?;
        let recorded = Recorded::take(&pack, &launches)?;
        output.document(&recorded)?;
        output.text(&format!(
            "recorded {} engines in {}",
            recorded.engines.len(),
            file.display()
        ))?;
        recorded.write(file)?;
        Ok(Exit::Passed)
    }

    fn recorded(&self, file: &Path, pack: &Path, output: &Output) -> Result<Exit> {
        let launches = self.packs.numbers_only()?;
        let recorded = Recorded::read(file)?;
        let pack = self.packs.acceptance.load(pack)?;
        let now = Recorded::take(&pack, &launches)?;
        let found = numbers::compare(&recorded, &now, &pack, self.fail_on);
        finish(&found, found.verdict, &found.to_text(), output)
    }
}

impl Packs {
    fn launches(&self) -> Result<Vec<Launch>> {
        let engines = self.engines.engines()?;
        Ok(engines.iter().filter_map(Engine::launch).cloned().collect())
    }

    /// Engines, where no more than numbers without noise are asked for.
    fn numbers_only(&self) -> Result<Vec<Launch>> {
        let more = self.time.is_some()
            || self.processes.is_some()
            || self.identical
            || self.cases.is_some()
            || self.seed.is_some()
            || !self.kernel.is_empty();
        if more {
            return Err(exit::usage(
                "recorded numbers are of all kernels and of fixed calls: of the options for packs, only --trust, --seen, --allow-rollback, --runtime and --adapter apply",
            ));
        }
        self.launches()
    }

    /// That nothing was asked for that needs packs.
    fn refuse(&self) -> Result<()> {
        let any = self.time.is_some()
            || self.processes.is_some()
            || self.no_time
            || self.identical
            || self.cases.is_some()
            || self.seed.is_some()
            || !self.kernel.is_empty()
            || !self.engines.is_empty()
            || self.acceptance.is_asked_for();
        if any {
            return Err(exit::usage(
                "recorded results are compared as they are: --trust, --seen, --allow-rollback, --runtime, --adapter, --kernel, --cases, --seed, --time, \
                 --processes, --no-time and --identical are for two packs",
            ));
        }
        Ok(())
    }
}

fn finish(document: &impl Serialize, verdict: Whole, text: &str, output: &Output) -> Result<Exit> {
    output.document(document)?;
    output.text(text)?;
    Ok(if verdict.passed() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// `5%` or `0.05`.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number * scale),
        _ => Err("a share such as 5% or 0.05".to_owned()),
    }
}
