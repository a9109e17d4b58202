//! `assay qualify`: verification, conformance with the numeric instructions, traps, budgets and limits; a verdict and an evidence
//! folder.

use super::conform::Selection;
use crate::{
    basics,
    conform::{coverage, plan, planted, report as conformance, search, suite},
    exit::Exit,
    judge::{Evidence, Word},
    machine::{self, Fingerprint},
    numerics,
    output::Output,
    records::{Qualification, qualification, run::Run},
    registry::Engine,
    report::{self, screen},
    results::{Folder, PackIdentity},
    traps::{self, TrapReport, survey},
};
use anyhow::Result;
use assay_worker::Launch;

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
    /// Interruptions of each of four kinds of code, to see how late engines stop; 0: not measured, and the verdict says so.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
    interruptions: u32,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let fingerprint = Fingerprint::take();
    let request = arguments.selection.request();
    let engines = arguments.selection.engines(&request.limits)?;
    let pack = request.acceptance.load(&request.pack)?;
    request.acceptance.remember(&pack)?;
    let folder = Folder::beside(&request.pack, arguments.selection.out.as_deref(), "qualify")?;
    let plan = plan::plan(&pack, &request.choice(None, None));
    let mut plan = plan.inspect_err(|_| folder.abandon())?;
    let searched =
        arguments
            .selection
            .search(&mut plan, &pack, &request, search::usual(), output)?;
    let kernels = plan.kernels();
    let fits = plan.fits.clone();
    let covered = coverage::of_pack(&pack, &plan, &request, output)?;
    let launches: Vec<Launch> = engines.iter().filter_map(Engine::launch).cloned().collect();
    let planted = planted::of_run(&launches, &pack, &plan.work, &request, output);
    folder.document(planted::FILE, &planted)?;

    let mut conform = suite::run(&pack, plan, &request, &engines, &folder, output)?;
    conform.add_coverage(covered);
    conform.search = searched;
    let mut unfinished = Vec::new();
    let mut end_of = |part: &str| {
        if request.limits.run.is_reached() {
            unfinished.push(part.to_owned());
        }
    };
    conform.add_numerics(numerics::on_all(&engines, &folder, output)?);
    end_of("the numeric instructions");
    folder.document(conformance::FILE, &conform)?;
    let basics = basics::on_all(&launches, output);
    folder.document(basics::FILE, &basics)?;
    end_of("the basics");
    let cases = traps::cases()?;
    let interruptions = Some(arguments.interruptions).filter(|&number| number > 0);
    let survey = survey::survey(&launches, &cases, interruptions, &folder, output)?;
    end_of("the traps");
    let reports = conform.engines.clone();
    let traps = TrapReport::of(reports, survey, conform.evidence.clone());
    folder.document(survey::FILE, &traps)?;

    let evidence = Evidence {
        pack: PackIdentity::of(&pack),
        kernels,
        fits,
        conform,
        basics,
        planted,
        traps: traps.survey,
        interruptions: arguments.interruptions,
        unfinished,
    };
    let architecture = Some(std::env::consts::ARCH.to_owned());
    let qualification =
        Qualification::of(evidence, request.profile, architecture, machine::emulated());
    folder.document(qualification::FILE, &qualification)?;
    report::write(folder.path(), &folder.path().join("report"))?;
    Run::of("qualify", fingerprint, &qualification, &folder)?.write(&folder)?;
    output.document(&qualification)?;
    output.parts(&screen::qualification(&qualification))?;
    Ok(match qualification.verdict {
        Word::Qualified => Exit::Passed,
        Word::NotQualified => Exit::Failed,
    })
}
