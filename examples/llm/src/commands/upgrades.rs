//! `llm upgrades`.

use crate::Files;
use anyhow::Result;
use clap::Args;
use llm::{
    packs::Fault,
    upgrades::{self, Step, Story},
};
use runtime_host::Event;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Name of a prompt.
    #[arg(long, value_name = "NAME", default_value = "lighthouse")]
    prompt: String,
    /// An engine.
    #[arg(long, value_name = "ID", default_value = "wasmtime.cranelift")]
    engine: String,
    /// Tokens; an upgrade comes after each fifth of them.
    #[arg(long, value_name = "N", default_value_t = 160)]
    tokens: usize,
    /// The repository's fixtures, of which the packs are made.
    #[arg(long, value_name = "DIR", default_value = "fixtures")]
    fixtures: PathBuf,
}

/// Prints the text with the upgrades in it, then what became of them; whether all went as it should.
pub(crate) fn run(files: &Files, options: &Options) -> Result<bool> {
    let (model, text) = files.load()?;
    let (_, question) = files.prompts(Some(&options.prompt))?.swap_remove(0);
    let prompt = text.question(&question)?;
    let (mut tokens, mut written) = (Vec::new(), 0);
    let mut heard = |token, step: Option<&Step>| {
        let piece = match step {
            Some(step) => format!("\n    [{}]\n", words(step)),
            None => {
                tokens.push(token);
                let all = text.text(&tokens).unwrap_or_default();
                // A character may need several tokens: what is not whole yet waits.
                if all.ends_with('\u{fffd}') {
                    return;
                }
                let piece = all[written..].to_owned();
                written = all.len();
                piece
            }
        };
        print!("{piece}");
        // Text that nobody reads is no reason to stop.
        let _ = io::stdout().flush();
    };
    let story = upgrades::run(
        &model,
        &files.source(),
        &options.fixtures,
        &options.engine,
        &prompt,
        options.tokens,
        &mut heard,
    )?;
    println!("\n");
    for step in &story.steps {
        println!("{}: {}", words(step), happened(step));
    }
    let Story {
        calls,
        degraded,
        failed,
        ..
    } = story;
    println!("{calls} calls, {degraded} degraded, {failed} failed");
    match story.check() {
        Ok(()) => println!("the text and the outputs of all calls are those of native kernels"),
        Err(reason) => println!("NOT as it should be: {reason}"),
    }
    Ok(story.check().is_ok())
}

fn words(step: &Step) -> String {
    let pack = match step.fault {
        Fault::None => "a good pack",
        Fault::Wrong => "a pack with wrong values",
        Fault::Traps => "a pack that traps",
        Fault::Loops => "a pack that loops",
    };
    match &step.outcome {
        Ok(generation) => format!("after {} tokens {pack}: generation {generation}", step.at),
        Err(reason) => format!("after {} tokens {pack}: refused, {reason}", step.at),
    }
}

/// Events in the order of their first, those of degraded calls as a number for each reason.
fn happened(step: &Step) -> String {
    let mut degraded: BTreeMap<&str, u64> = BTreeMap::new();
    let mut parts = Vec::new();
    for event in &step.events {
        match event {
            Event::Degraded { reason, .. } => *degraded.entry(reason.as_str()).or_default() += 1,
            Event::RolledBack { from, to, reason } => {
                parts.push(format!("rolled back from {from} to {to} ({reason})"))
            }
            other => parts.push(other.name().to_owned()),
        }
    }
    parts.extend(
        degraded
            .iter()
            .map(|(reason, count)| format!("{count} calls degraded by {reason}")),
    );
    parts.push(format!(
        "generation {} serves",
        step.serves.unwrap_or_default()
    ));
    parts.join(", ")
}
