//! `assay aot`: a pack's modules compiled ahead of time, for devices that cannot compile.

use crate::{
    acceptance::Acceptance,
    conform::{forms, plan, subject::Subject},
    exit::{self, Exit},
    output::Output,
    registry,
};
use anyhow::{Context, Result, anyhow};
use assay_worker::{RunError, Worker};
use runtime_api::Error;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Compile a pack's kernels ahead of time, for devices that cannot compile.
#[derive(clap::Args)]
#[command(after_help = "\
Targets of wamr: armv7, aarch64, x86_64; of wasmtime: pulley32, pulley64, x86_64, aarch64 (its own machine only).
DIR gets the files and `artifacts-ENGINE-TARGET.json`, the part of a manifest that lists them: docs/aot.md says how
they become part of a pack, and who loads them.

Example: assay aot fixtures/packs/core --trust fixtures/packs/trusted_keys --engine wamr --target armv7 --out precompiled")]
pub struct Arguments {
    /// Pack folder or .tar.
    pack: PathBuf,
    /// Who will load it.
    #[arg(long, value_enum)]
    engine: Family,
    /// What kind of machine it is for.
    #[arg(long, value_name = "TARGET")]
    target: String,
    /// Folder for the files; existing ones are replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Kernel id or glob (repeatable) [default: all].
    #[arg(long, value_name = "ID")]
    kernel: Vec<String>,
    #[command(flatten)]
    acceptance: Acceptance,
}

/// A family of engines, as manifests name them.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Family {
    Wamr,
    Wasmtime,
}

impl Family {
    const fn name(self) -> &'static str {
        match self {
            Family::Wamr => "wamr",
            Family::Wasmtime => "wasmtime",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Family::Wamr => "aot",
            Family::Wasmtime => "cwasm",
        }
    }

    /// The engine that compiles for a target.
    fn engine(self, target: &str) -> &'static str {
        match self {
            Family::Wamr => registry::AHEAD,
            Family::Wasmtime if target.starts_with("pulley") => registry::PULLEY,
            Family::Wasmtime => registry::CRANELIFT,
        }
    }
}

/// What was written: the JSON document.
#[derive(Serialize)]
struct Report {
    engine: Family,
    engine_version: String,
    target: String,
    /// The part of a manifest that lists the files.
    fragment: PathBuf,
    artifacts: Vec<Artifact>,
}

/// The part of a manifest.
#[derive(Serialize)]
struct Fragment<'a> {
    artifacts: &'a [Artifact],
}

/// An entry of a manifest's `artifacts`.
#[derive(Serialize)]
struct Artifact {
    kernel: String,
    engine: &'static str,
    engine_version: String,
    target: String,
    path: String,
    hash: String,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes; a target that the engine does not compile for counts as an absent engine.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let Arguments { engine, target, .. } = arguments;
    let id = engine.engine(target);
    let engines = registry::select(registry::engines(), &[id.to_owned()])?;
    let pack = arguments.acceptance.load(&arguments.pack)?;
    let subjects: Vec<Subject> = plan::select(&pack, &arguments.kernel)?
        .into_iter()
        .flat_map(plan::subjects)
        .filter(|subject| subject.variant == "base")
        .collect();
    let Some(launch) = engines.iter().find_map(registry::Engine::launch) else {
        return Err(exit::engine_absent(format!("`{id}` is absent")));
    };
    let mut worker = Worker::start(launch).map_err(|error| anyhow!("failed to {error}"))?;
    let engine_version = worker.info().version.clone();

    // All are compiled before one is written: a target that cannot be served leaves nothing behind.
    let mut codes = Vec::new();
    for subject in &subjects {
        let code =
            forms::precompile(&mut worker, subject, target).map_err(|error| match error {
                RunError::Engine(Error::Unsupported { reason }) => exit::engine_absent(reason),
                error => anyhow!("failed to {error}, compiling {}", subject.kernel),
            })?;
        codes.push(code);
    }
    let folder = format!("{}-{target}", engine.name());
    let artifacts: Vec<Artifact> = subjects
        .iter()
        .zip(&codes)
        .map(|(subject, code)| Artifact {
            kernel: subject.kernel.clone(),
            engine: engine.name(),
            engine_version: engine_version.clone(),
            target: target.clone(),
            path: format!("aot/{folder}/{}.{}", subject.kernel, engine.extension()),
            hash: format!("sha256:{}", hex::encode(Sha256::digest(code))),
        })
        .collect();
    for (artifact, code) in artifacts.iter().zip(&codes) {
        write(&arguments.out.join(&artifact.path), code)?;
    }
    let fragment = arguments.out.join(format!("artifacts-{folder}.json"));
    let mut text = serde_json::to_vec_pretty(&Fragment {
        artifacts: &artifacts,
    })?;
    text.push(b'\n');
    write(&fragment, &text)?;

    let report = Report {
        engine: *engine,
        engine_version,
        target: target.clone(),
        fragment,
        artifacts,
    };
    output.document(&report)?;
    output.text(&to_text(&report, &codes, &arguments.out))?;
    Ok(Exit::Passed)
}

fn to_text(report: &Report, codes: &[Vec<u8>], out: &Path) -> String {
    let mut text = format!(
        "compiled for {} {} on {}:\n",
        report.engine.name(),
        report.engine_version,
        report.target
    );
    for (artifact, code) in report.artifacts.iter().zip(codes) {
        text += &format!(
            "  {:<20} {:>8} bytes  {}\n",
            artifact.kernel,
            code.len(),
            out.join(&artifact.path).display()
        );
    }
    text + &format!("listed in {}", report.fragment.display())
}

/// Beside and renamed, so that nobody reads half of it.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::Write::write_all(&mut file, bytes)?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("failed to write {}", path.display()))
}
