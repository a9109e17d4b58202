//! `assay qualify`: verification, conformance with the numeric instructions, traps, budgets and limits; a verdict and an evidence
//! folder.

use super::{
    conform::{self, Report, Selection},
    traps::Survey,
};
use crate::{
    basics::{self, Finding},
    bench,
    conform::{
        device::{self, Device, Fit, Shape},
        forms::{self, NativeCode},
        judge::Layer,
    },
    exit::Exit,
    numerics::Summary,
    outcome::Outcome,
    output::Output,
    parallel,
    registry::Engine,
    report,
    results::{Folder, PackIdentity},
    traps,
};
use anyhow::Result;
use assay_worker::Launch;
use kernel_pack::Pack;
use runtime_api::COMPILED_ELSEWHERE;
use serde::Serialize;

/// Decide whether engines may run a pack: verify it, judge every kernel and every numeric instruction on every engine, make
/// every trap, exhaust every budget, meet every limit.
#[derive(clap::Args)]
#[command(after_help = "\
The highest version of a pack that was accepted is remembered; an older one is refused from
then on, unless --allow-rollback asks for it (docs/trust.md).

Example: assay qualify fixtures/packs/core --trust fixtures/packs/trusted_keys")]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// What the engines are qualified for.
    #[arg(long, value_enum, default_value_t = Profile::Server)]
    profile: Profile,
    /// Interruptions of each of four kinds of code, to see how late engines stop; 0: not measured, and the verdict says so.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
    interruptions: u32,
}

/// What engines are qualified for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Profile {
    /// Default stacks and heaps, one call at a time per instance.
    Server,
    /// A device with 32 KiB of stack, 128 KiB of memory for tensors and 256 KiB in all, without SIMD; 100 ms for each call.
    Embedded,
}

impl Profile {
    fn device(self) -> Option<&'static Device> {
        match self {
            Profile::Server => None,
            Profile::Embedded => Some(&device::EMBEDDED),
        }
    }
}

/// The verdict: the JSON document.
#[derive(Serialize)]
struct Verdict {
    verdict: &'static str,
    profile: Profile,
    pack: PackIdentity,
    /// The kernels that the verdict is about: fewer than the pack's where `--kernel` chose.
    kernels: Vec<String>,
    /// Which shapes fit the profile's device; empty where it is none.
    fits: Vec<Fit>,
    engines: Vec<EngineVerdict>,
    basics: Vec<Finding>,
    /// Traps, budgets and limits, one summary per engine that is ready; `traps.json` in the evidence folder has every case.
    trap_summaries: Vec<traps::Summary>,
    /// Interruptions of each kind of code; 0 where engines were not interrupted.
    interruptions: u32,
    numerics: Vec<Summary>,
    conform: Report,
    /// Architecture of this build.
    architecture: &'static str,
    /// Set where that is not the machine's own: times were not judged then, outputs and stops were.
    emulated: Option<String>,
    evidence: String,
}

/// The document of `assay traps`, as far as a qualification has it.
#[derive(Serialize)]
struct TrapDocument<'a> {
    engines: &'a [conform::EngineReport],
    #[serde(flatten)]
    survey: &'a Survey,
}

#[derive(Serialize)]
struct EngineVerdict {
    id: String,
    verdict: &'static str,
    reasons: Vec<String>,
    /// What is known to fail and does not forbid the verdict: for whom the engine is not.
    limitations: Vec<String>,
    /// Native code that the verdict rests on and that is not known to be what the engine makes of the modules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    native_code_not_compared: Vec<NativeCode>,
}

const QUALIFIED: &str = "qualified";
const NOT_QUALIFIED: &str = "not-qualified";
const ABSENT: &str = "absent";
const UNSUPPORTED: &str = "unsupported";

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let selection = &arguments.selection;
    let engines = selection.engines()?;
    let pack = selection.acceptance.load(&selection.pack)?;
    selection.acceptance.remember(&pack)?;
    let plan = selection.plan(&pack, (None, None), arguments.profile.device())?;
    let fits = plan.fits.clone();
    let mut kernels: Vec<String> = plan
        .work
        .iter()
        .map(|work| work.subject.kernel.clone())
        .collect();
    kernels.dedup();
    let folder = Folder::create(selection.out.as_deref(), "qualify")?;
    let mut report = conform::conform(&pack, plan, selection, &engines, &folder, output)?;
    report.run_numerics(&engines, &folder, output)?;
    folder.document("conform.json", &report)?;

    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let progress = output.progress_bar(
        "basics",
        launches.len() as u64,
        "{wide_bar} {pos}/{len} engines",
    );
    // All at once: most of this time is spent waiting for endless loops to be stopped.
    let found: Vec<Vec<Finding>> = parallel::each(&launches, launches.len(), |launch| {
        let found = basics::run(launch);
        progress.inc(1);
        found
    });
    progress.finish_and_clear();
    let native = basics::native();
    let native_holds = native.outcome == Outcome::Pass;
    let basics: Vec<Finding> = std::iter::once(native)
        .chain(found.into_iter().flatten())
        .collect();
    folder.document("basics.json", &basics)?;

    let cases = traps::cases()?;
    let interruptions = Some(arguments.interruptions).filter(|&number| number > 0);
    let survey = super::traps::survey(&launches, &cases, interruptions, &folder, output)?;
    folder.document(
        "traps.json",
        &TrapDocument {
            engines: &report.engines,
            survey: &survey,
        },
    )?;
    let trap_summaries: Vec<traps::Summary> = launches
        .iter()
        .map(|launch| {
            traps::Summary::of(
                &launch.id,
                cases.len(),
                &survey.results,
                &survey.checks,
                &survey.latency,
            )
        })
        .collect();

    let mut verdicts = verdicts(&report, &basics, &trap_summaries);
    if let Some(device) = arguments.profile.device() {
        fit_to(device, &fits, &report, &mut verdicts);
    }
    let qualified = report.passed()
        && native_holds
        && verdicts.iter().any(|engine| engine.verdict == QUALIFIED)
        && verdicts
            .iter()
            .all(|engine| engine.verdict != NOT_QUALIFIED);
    let verdict = Verdict {
        verdict: if qualified { QUALIFIED } else { NOT_QUALIFIED },
        profile: arguments.profile,
        pack: PackIdentity::of(&pack),
        kernels,
        fits,
        engines: verdicts,
        basics,
        trap_summaries,
        interruptions: arguments.interruptions,
        numerics: report.numerics.clone(),
        architecture: std::env::consts::ARCH,
        emulated: bench::emulated(),
        evidence: report.evidence.clone(),
        conform: report,
    };
    folder.document("qualify.json", &verdict)?;
    report::write(folder.path(), &folder.path().join("report"))?;
    output.document(&verdict)?;
    output.text(&text(&verdict, &pack, output.colour()))?;
    Ok(if qualified {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// An engine qualifies if every kernel was run on it and holds, and all basics, the traps and the numeric instructions do.
fn verdicts(report: &Report, basics: &[Finding], traps: &[traps::Summary]) -> Vec<EngineVerdict> {
    report
        .engines
        .iter()
        .map(|engine| {
            if engine.status == "absent" {
                return EngineVerdict {
                    id: engine.id.clone(),
                    verdict: ABSENT,
                    reasons: engine.reason.iter().cloned().collect(),
                    limitations: Vec::new(),
                    native_code_not_compared: Vec::new(),
                };
            }
            let mut reasons = Vec::new();
            for entry in report
                .results
                .iter()
                .filter(|entry| entry.runtime == engine.id && entry.case.is_none())
            {
                // A kernel that could not be run at all shows in the status layer; elsewhere a layer may have nothing to say.
                let is_form = forms::is_form(&entry.variant);
                let due = is_form || entry.variant == "base";
                let nothing_ran = due && entry.layer == Layer::L1 && entry.passed == 0;
                if entry.outcome.is_bad() || nothing_ran {
                    let form = match is_form {
                        true => format!(" ({})", entry.variant),
                        false => String::new(),
                    };
                    reasons.push(format!(
                        "{}{form} {:?} {} ({} of {} {} cases pass): {}",
                        entry.kernel,
                        entry.layer,
                        entry.outcome,
                        entry.passed,
                        entry.cases,
                        entry.source.name(),
                        entry.detail
                    ));
                }
            }
            let own: Vec<_> = basics
                .iter()
                .filter(|finding| finding.runtime == engine.id)
                .collect();
            for finding in &own {
                let absent =
                    finding.outcome == Outcome::Unsupported && basics::optional(&finding.check);
                if finding.outcome != Outcome::Pass && !absent {
                    reasons.push(format!(
                        "basics, {}: {}: {}",
                        finding.check, finding.outcome, finding.detail
                    ));
                }
            }
            if own.len() != basics::count() {
                reasons.push(format!(
                    "{} of {} basics were run",
                    own.len(),
                    basics::count()
                ));
            }
            let mut limitations: Vec<String> = engine
                .compiled_elsewhere
                .iter()
                .map(|what| format!("{COMPILED_ELSEWHERE}: {what}"))
                .collect();
            match traps.iter().find(|summary| summary.runtime == engine.id) {
                Some(summary) => {
                    let failures = summary.failures.iter();
                    reasons.extend(failures.map(|failure| format!("traps, {failure}")));
                    limitations.extend(summary.limitations.iter().cloned());
                }
                None => reasons.push("the traps were not made".to_owned()),
            }
            match report
                .numerics
                .iter()
                .find(|summary| summary.runtime == engine.id)
            {
                Some(summary) => reasons.extend(summary.reasons()),
                None => reasons.push("the numeric instructions were not run".to_owned()),
            }
            if let Some(reason) = &engine.reason {
                reasons.push(reason.clone());
            }
            EngineVerdict {
                id: engine.id.clone(),
                verdict: if reasons.is_empty() {
                    QUALIFIED
                } else {
                    NOT_QUALIFIED
                },
                reasons,
                limitations,
                native_code_not_compared: engine.native_code_not_compared.clone(),
            }
        })
        .collect()
}

/// What a device adds: an engine that cannot be held to its limits is unsupported, and a kernel of which nothing fits, or
/// which with its module is too large, is not qualified.
fn fit_to(device: &Device, fits: &[Fit], report: &Report, verdicts: &mut [EngineVerdict]) {
    let too_large: Vec<String> = fits
        .iter()
        .filter(|fit| fit.largest.is_none() || fit.bytes > device.all_bytes)
        .map(|fit| format!("{} does not fit the device", fit.kernel))
        .collect();
    for verdict in verdicts
        .iter_mut()
        .filter(|verdict| verdict.verdict != ABSENT)
    {
        match report.held_back.get(&verdict.id) {
            Some(reason) => {
                verdict.verdict = UNSUPPORTED;
                verdict.reasons = vec![reason.clone()];
            }
            None if !too_large.is_empty() => {
                verdict.verdict = NOT_QUALIFIED;
                verdict.reasons.extend(too_large.iter().cloned());
            }
            None => {}
        }
    }
}

/// Kernel by kernel, what fits a device.
fn fits_text(device: &Device, fits: &[Fit]) -> String {
    let kibibytes = |bytes: u64| bytes.div_ceil(1024);
    let mut text = format!(
        "device: {} KiB of stack, {} KiB of memory for tensors, {} KiB in all, {} ms for each call\n",
        device.stack_bytes / 1024,
        device.heap_bytes / 1024,
        kibibytes(device.all_bytes),
        device.ticks * 10,
    );
    text += &format!(
        "{:<16} {:<24} {:<24} {}\n",
        "kernel", "largest that fits", "does not fit", "memory + stack + module"
    );
    let shape = |shape: &Shape| {
        format!(
            "{} ({} KiB)",
            shape.dimensions,
            kibibytes(shape.memory_bytes)
        )
    };
    for fit in fits {
        text += &format!(
            "{:<16} {:<24} {:<24} {} KiB\n",
            fit.kernel,
            fit.largest.as_ref().map_or("none".to_owned(), shape),
            shape(&fit.beyond),
            kibibytes(fit.bytes)
        );
    }
    text + "What an engine needs for itself is not in the last column, nor is machine code.\n\n"
}

fn text(verdict: &Verdict, pack: &Pack, colour: bool) -> String {
    let mut text = format!(
        "pack {} {} accepted: {} kernels, signed by {}\n\n{}\n",
        pack.name(),
        pack.version(),
        pack.kernels().len(),
        pack.key(),
        verdict.conform.to_text(colour)
    );
    if let Some(device) = verdict.profile.device() {
        text += &fits_text(device, &verdict.fits);
    }
    let passed = verdict
        .basics
        .iter()
        .filter(|finding| finding.outcome == Outcome::Pass)
        .count();
    text += &format!("basics: {passed} of {} checks pass\n", verdict.basics.len());
    for finding in &verdict.basics {
        let who = match finding.runtime.as_str() {
            basics::NATIVE => "native code",
            engine if finding.outcome == Outcome::Unsupported => engine,
            _ => continue,
        };
        text += &format!(
            "{who}, {}: {}: {}\n",
            finding.check, finding.outcome, finding.detail
        );
    }
    if let Some(how) = &verdict.emulated {
        text += &format!("times and latencies: not measured (emulated): {how}\n");
    }
    for summary in &verdict.trap_summaries {
        text += &format!("{:<20} traps: {}\n", summary.runtime, summary.lines());
    }
    if verdict.interruptions == 0 {
        text += "how late engines stop was not measured\n";
    }
    text += "\n";
    for engine in &verdict.engines {
        text += &format!("{:<20} {}\n", engine.id, engine.verdict);
        if engine.verdict == ABSENT {
            // The conformance part has said why.
            continue;
        }
        for limitation in &engine.limitations {
            text += &format!("    {limitation}\n");
        }
        for reason in engine.reasons.iter().take(5) {
            text += &format!("    {reason}\n");
        }
        if engine.reasons.len() > 5 {
            text += &format!(
                "    ... and {} more in {}/qualify.json\n",
                engine.reasons.len() - 5,
                verdict.evidence
            );
        }
    }
    text += &format!(
        "\nreport: {}/report/index.html\n\n{}",
        verdict.evidence, verdict.verdict
    );
    if verdict.interruptions == 0 {
        text += ", though nobody knows how late engines stop";
    }
    if verdict.kernels.len() < pack.kernels().len() {
        text += &format!(
            ", and only {} of the pack's {} kernels were judged: {}",
            verdict.kernels.len(),
            pack.kernels().len(),
            verdict.kernels.join(", ")
        );
    }
    if let Some(words) = verdict.conform.native_code() {
        text += &format!("; {words}");
    }
    text
}
