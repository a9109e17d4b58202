//! `assay fuzz`: random modules, all engines, compared.

use super::{engines::EngineArguments, probe::read_module};
use crate::{
    document::Table,
    exit::{self, Exit},
    expectations::Ledger,
    fuzz::{Campaign, Finding, Reason, Tally},
    outcome::Whole,
    output::{Output, Progress, printable},
    registry::Engine,
    repeat::Repeat,
    results::Folder,
};
use anyhow::{Context, Result};
use assay_worker::Launch;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// What a finding of `--only`, `--count` or `--module` may take to be made smaller.
const SHRINK_TIME: Duration = Duration::from_secs(20);

/// Show random valid modules to every engine: results, traps and memories must be the same.
#[derive(clap::Args)]
#[command(
    after_help = "Module K of a seed is the same everywhere. A disagreement is kept in the results folder, with the command that repeats it.\n\nExample: assay fuzz --seconds 600 --seed 1"
)]
pub struct Arguments {
    /// How long to go on.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seconds: u64,
    /// Which modules.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// So many modules, however long it takes.
    #[arg(long, value_name = "N", conflicts_with_all = ["seconds", "only", "module"], value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only this module of the seed.
    #[arg(long, value_name = "K", conflicts_with_all = ["seconds", "module"])]
    only: Option<u64>,
    /// A module from a file in place of random ones, binary or text (*.wat) (repeatable).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "seed"])]
    module: Vec<PathBuf>,
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
    /// Why it failed as a whole, besides `findings`.
    reasons: Vec<String>,
    /// Of random modules.
    seed: Option<u64>,
    modules: u64,
    seconds: f64,
    /// Engine id to counts.
    engines: BTreeMap<String, Tally>,
    /// Engines that are not in this build, with the reason and the command that adds them.
    absent: BTreeMap<String, String>,
    /// Why modules were neither agreement nor disagreement.
    passed_over: Vec<Reason>,
    findings: Vec<Finding>,
    evidence: String,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let engines = arguments.engines.engines()?;
    let modules = arguments
        .module
        .iter()
        .map(|path| Ok((path, read_module(path)?)))
        .collect::<Result<Vec<_>>>()?;
    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let absent = engines
        .iter()
        .filter_map(|engine| Some((engine.id.clone(), engine.absence()?)))
        .collect();
    if launches.len() < 2 {
        return Err(exit::usage(format!(
            "only `{}` is ready, and engines are compared with each other: name another with --runtime or --adapter",
            launches[0].id
        )));
    }
    let folder = Folder::create(arguments.out.as_deref(), "fuzz")?;
    let repeat = |module: &Path| arguments.repeat(module);
    let ledger = Ledger::built_in().context("failed to read the built-in expectations")?;
    let mut campaign = Campaign::new(&launches, &folder, &repeat, ledger);

    let start = Instant::now();
    let mut shown = 0;
    if modules.is_empty() {
        let deadline = start + Duration::from_secs(arguments.seconds);
        let timed = arguments.count.is_none() && arguments.only.is_none();
        let progress = progress_bar(output, arguments, timed);
        let (first, count) = match (arguments.only, arguments.count) {
            (Some(only), _) => (only, 1),
            (None, count) => (0, count.unwrap_or(u64::MAX)),
        };
        while shown < count && (!timed || Instant::now() < deadline) {
            let shrink_until = Instant::now() + SHRINK_TIME;
            let shrink_until = if timed {
                shrink_until.min(deadline)
            } else {
                shrink_until
            };
            campaign.generated(arguments.seed, first + shown, shrink_until)?;
            shown += 1;
            let (position, message) = if timed {
                (start.elapsed().as_secs(), format!("{shown} modules"))
            } else {
                (shown, String::new())
            };
            progress.set_position(position);
            progress.set_message(format!("{message}, {} findings", campaign.findings.len()));
        }
        progress.finish_and_clear();
    }
    for (path, wasm) in modules {
        let name = path.file_stem().map(|name| name.to_string_lossy());
        let name = format!("{shown}-{}", name.unwrap_or_default());
        campaign.given(&name, wasm)?;
        shown += 1;
    }

    let mut reasons: Vec<String> = campaign
        .lost
        .iter()
        .map(|(id, why)| format!("{id} was left out after it could not be started: {why}"))
        .collect();
    for (id, tally) in &campaign.tallies {
        // An engine that was never compared to the end has not been looked at.
        if tally.agreed + tally.explained + tally.disagreed == 0 {
            reasons.push(format!("{id}: no module was compared to its end"));
        }
    }
    let bad = !campaign.findings.is_empty() || !reasons.is_empty();
    let report = Report {
        verdict: Whole::of(bad),
        reasons,
        seed: arguments.module.is_empty().then_some(arguments.seed),
        modules: shown,
        seconds: (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        engines: campaign.tallies.clone(),
        absent,
        passed_over: campaign.reasons(),
        findings: campaign.findings,
        evidence: folder.path().display().to_string(),
    };
    folder.document("fuzz.json", &report)?;
    output.document(&report)?;
    output.text(&report.to_text())?;
    Ok(if bad { Exit::Failed } else { Exit::Passed })
}

impl Arguments {
    /// The command that shows a saved module to the same engines.
    fn repeat(&self, module: &Path) -> String {
        Repeat::of("fuzz")
            .paths("--module", [module])
            .options("--runtime", &self.engines.runtime)
            .options("--adapter", &self.engines.adapters.adapter)
            .to_string()
    }
}

fn progress_bar(output: &Output, arguments: &Arguments, timed: bool) -> Progress {
    let length = if timed {
        arguments.seconds
    } else {
        arguments.count.unwrap_or(1)
    };
    let unit = if timed { "s" } else { "modules" };
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {unit}, {{msg}}, {{eta}} left");
    output.progress_bar("fuzz", length, &template)
}

impl Report {
    fn to_text(&self) -> String {
        let mut table = Table::new([
            "engine",
            "modules",
            "agreed",
            "unsupported",
            "inconclusive",
            "explained",
            "disagreed",
            "calls compared",
        ]);
        for (id, tally) in &self.engines {
            let counts = [
                tally.modules,
                tally.agreed,
                tally.unsupported,
                tally.inconclusive,
                tally.explained,
                tally.disagreed,
                tally.calls_compared,
            ];
            table.add(std::iter::once(id.clone()).chain(counts.iter().map(ToString::to_string)));
        }
        let mut text = format!("{table}\n");
        for one in &self.passed_over {
            // What an engine says of a module may hold the module's own words.
            let reason = printable(&one.reason);
            text += &format!(
                "{} on {}, {} modules: {reason}\n",
                one.outcome, one.runtime, one.modules
            );
        }
        for (id, reason) in &self.absent {
            text += &format!("{id} absent: {reason}\n");
        }
        for finding in &self.findings {
            for (id, what) in &finding.disagreed {
                text += &format!("DISAGREES {id}: {}\n", printable(what));
            }
            if let Some(repeat) = &finding.repeat {
                text += &format!("  again: {repeat}\n");
            }
        }
        for reason in &self.reasons {
            text += &format!("{reason}\n");
        }
        let seed = self
            .seed
            .map_or(String::new(), |seed| format!(" of seed {seed}"));
        text += &format!(
            "fuzz: {} - {} modules{seed} in {:.1} s, {:.1} per second, {} disagreements; results in {}",
            self.verdict,
            self.modules,
            self.seconds,
            self.modules as f64 / self.seconds.max(0.1),
            self.findings.len(),
            self.evidence
        );
        text
    }
}
