//! `llm measure`.

use crate::Files;
use anyhow::{Context, Result, ensure};
use clap::Args;
use llm::{
    cache::Format,
    engines::{self, ENGINES},
    machine::Machine,
    measure::{
        page::{self, Results},
        picture, sample,
        sample::Way,
        summary,
    },
};
use std::{fs, path::PathBuf, process};

/// What processes share.
#[derive(Args, Clone)]
pub(crate) struct Sample {
    /// Name of the prompt.
    #[arg(long, value_name = "NAME", default_value = "lighthouse")]
    prompt: String,
    /// How keys and values are kept.
    #[arg(long, value_enum, default_value = "f32")]
    cache: Format,
    /// Tokens in each process.
    #[arg(long, value_name = "N", default_value_t = 64)]
    tokens: usize,
    /// Seed of the order in which ways take turns.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    sample: Sample,
    /// Processes, one after the other.
    #[arg(long, value_name = "N", default_value_t = 6)]
    processes: usize,
    /// Where results.json, README.md and picture.svg go.
    #[arg(long, value_name = "DIR", default_value = "reports/llm")]
    out: PathBuf,
}

/// Measures in one process.
pub(crate) fn sample(files: &Files, options: &Sample) -> Result<()> {
    let (model, text) = files.load()?;
    let (_, question) = files.prompts(Some(&options.prompt))?.swap_remove(0);
    let prompt = text.question(&question)?;
    let ways = Way::all()?;
    let sample = sample::take(
        &model,
        &files.source(),
        &ways,
        options.cache,
        &prompt,
        options.tokens,
        options.seed,
    )?;
    println!("{}", serde_json::to_string(&sample)?);
    Ok(())
}

/// Measures in several processes and writes what came of it.
pub(crate) fn run(files: &Files, options: &Options) -> Result<()> {
    ensure!(
        options.processes > 0,
        "measure in at least one process: --processes 1"
    );
    let machine = Machine::take();
    let pack = files.source().verify()?;
    let samples = (0..options.processes).map(|index| {
        eprintln!("process {} of {}", index + 1, options.processes);
        one(files, &options.sample, index as u64)
    });
    let samples = samples.collect::<Result<Vec<_>>>()?;
    let summary = summary::of(&samples).context("sum up: there are no samples")?;
    let versions = ENGINES.iter().map(|id| {
        let engine = engines::open(id)?;
        Ok(((*id).to_owned(), engine.info().version.clone()))
    });
    let results = Results {
        machine,
        model: files
            .model
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        pack: format!("{} {}", pack.name(), pack.version()),
        engines: versions.collect::<Result<_>>()?,
        prompt: options.sample.prompt.clone(),
        cache: options.sample.cache,
        samples,
        summary,
    };
    let write = |name: &str, text: String| {
        let path = options.out.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    fs::create_dir_all(&options.out)
        .with_context(|| format!("make the folder {}", options.out.display()))?;
    write("results.json", serde_json::to_string(&results)? + "\n")?;
    write("picture.svg", picture::svg(&results.summary))?;
    let page = page::markdown(&results);
    print!("{page}");
    write("README.md", page)
}

fn one(files: &Files, options: &Sample, index: u64) -> Result<sample::Sample> {
    let mut command = process::Command::new(std::env::current_exe()?);
    command
        .arg("sample")
        .arg("--model")
        .arg(&files.model)
        .arg("--pack")
        .arg(&files.pack);
    command
        .arg("--trust")
        .arg(&files.trust)
        .arg("--prompts")
        .arg(&files.prompts);
    command.args(["--prompt", &options.prompt, "--cache", options.cache.name()]);
    command.args(["--tokens", &options.tokens.to_string()]);
    command.args(["--seed", &options.seed.wrapping_add(index).to_string()]);
    // Two threads of candle wait for each other in a loop, which would count as work.
    command.env("RAYON_NUM_THREADS", "1");
    let output = command
        .stderr(process::Stdio::inherit())
        .output()
        .context("start a process of the measurement")?;
    ensure!(
        output.status.success(),
        "a process of the measurement ended with {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("read the samples of a process")
}
