//! Generates text with a language model whose kernels run in a sandbox, compares, and measures.
#![forbid(unsafe_code)]

mod commands;

use anyhow::{Context, Result};
use candle_core::quantized::gguf_file::Content;
use clap::{Args, Parser, Subcommand};
use llm::{hosted::Source, model::Model, text::Text};
use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// A language model on sandboxed kernels. Paths are those of the repository's root.
#[derive(Parser)]
#[command(name = "llm", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    files: Files,
}

/// What every command reads.
#[derive(Args)]
struct Files {
    /// The model; `examples/llm/fetch` fetches it.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "examples/llm/model/SmolLM2-135M-Instruct.Q4_1.gguf"
    )]
    model: PathBuf,
    /// The pack whose kernels run.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "fixtures/packs/core"
    )]
    pack: PathBuf,
    /// Whose packs are accepted.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "fixtures/packs/trusted_keys"
    )]
    trust: PathBuf,
    /// Prompts, each a file NAME.txt.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "examples/llm/prompts"
    )]
    prompts: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Answers a prompt.
    Generate(commands::generate::Options),
    /// Generates with every engine and compares with native kernels, token by token and bit by bit.
    Compare(commands::compare::Options),
    /// Measures milliseconds per token, and writes a page of results.
    Measure(commands::measure::Options),
    /// Replaces the pack while text is generated, by good ones and bad ones; the text must not change.
    Upgrades(commands::upgrades::Options),
    /// One process of a measurement: prints its samples as JSON.
    #[command(hide = true)]
    Sample(commands::measure::Sample),
}

impl Files {
    fn source(&self) -> Source {
        Source {
            pack: self.pack.clone(),
            trust: self.trust.clone(),
        }
    }

    fn load(&self) -> Result<(Model, Text)> {
        let path = self.model.display();
        let file = File::open(&self.model).with_context(|| {
            format!("open the model {path}: run examples/llm/fetch, or name one with --model")
        })?;
        let mut reader = BufReader::new(file);
        let content = Content::read(&mut reader).with_context(|| format!("read {path} as GGUF"))?;
        let text = Text::read(&content).with_context(|| format!("read {path}"))?;
        let model = Model::read(&content, &mut reader).with_context(|| format!("read {path}"))?;
        Ok((model, text))
    }

    /// The prompts of that name, all without one.
    fn prompts(&self, name: Option<&str>) -> Result<Vec<(String, String)>> {
        let read = |path: &Path| {
            let text = fs::read_to_string(path)
                .with_context(|| format!("read the prompt {}", path.display()))?;
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Ok((name, text.trim().to_owned()))
        };
        if let Some(name) = name {
            return Ok(vec![read(&self.prompts.join(name).with_extension("txt"))?]);
        }
        let folder = fs::read_dir(&self.prompts)
            .with_context(|| format!("list {}", self.prompts.display()))?;
        let mut paths = folder
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Generate(options) => commands::generate::run(&cli.files, &options).map(|()| true),
        Command::Compare(options) => commands::compare::run(&cli.files, &options),
        Command::Measure(options) => commands::measure::run(&cli.files, &options).map(|()| true),
        Command::Upgrades(options) => commands::upgrades::run(&cli.files, &options),
        Command::Sample(options) => commands::measure::sample(&cli.files, &options).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("llm: {error:#}");
            ExitCode::from(2)
        }
    }
}
