//! `llm generate`.

use crate::Files;
use anyhow::Result;
use clap::Args;
use llm::{
    cache::Format,
    engines::Limit,
    generate::{Session, greedy},
    hosted::Hosted,
    kernels::{Kernels, Native},
    view::View,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Name of a prompt.
    #[arg(long, value_name = "NAME", default_value = "gravity")]
    prompt: String,
    /// A question of your own in its place.
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt")]
    ask: Option<String>,
    /// Who runs kernels: `native`, or an engine's id.
    #[arg(long, value_name = "ID", default_value = "wasmtime.cranelift")]
    engine: String,
    /// What a call may cost.
    #[arg(long, value_enum, default_value = "epoch")]
    budget: Limit,
    /// How keys and values are kept.
    #[arg(long, value_enum, default_value = "f32")]
    cache: Format,
    /// Tokens at most.
    #[arg(long, value_name = "N", default_value_t = 256)]
    tokens: usize,
}

/// Writes text until the answer ends, there are enough tokens, or Ctrl-C is pressed.
pub(crate) fn run(files: &Files, options: &Options) -> Result<()> {
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    ctrlc::set_handler(move || stop.store(true, Ordering::Relaxed))?;
    let (model, text) = files.load()?;
    let kernels: Box<dyn Kernels> = match options.engine.as_str() {
        "native" => Box::new(Native { simd: true }),
        id => Box::new(Hosted::open(&files.source(), id, options.budget.budget())?),
    };
    let question = match &options.ask {
        Some(question) => question.clone(),
        None => files.prompts(Some(&options.prompt))?.swap_remove(0).1,
    };
    let prompt = text.question(&question)?;
    let mut session = Session::new(&model, options.cache, kernels);
    let began = Instant::now();
    let mut next = greedy(&session.feed(&prompt)?);
    let prompt_time = began.elapsed();

    let mut view = View::open()?;
    view.text(&format!("> {question}\n\n"))?;
    let (mut tokens, mut written) = (Vec::new(), 0);
    let began = Instant::now();
    let state = |session: &Session<'_, Box<dyn Kernels>>, tokens: usize| {
        let speed = tokens as f64 / began.elapsed().as_secs_f64();
        let cache = format!(
            "{} cache {} KiB",
            options.cache.name(),
            session.cache_bytes() / 1024
        );
        format!(
            "{tokens} tokens, {speed:.1} tokens/s | {} | {cache}",
            session.kernels.describe()
        )
    };
    while next != text.end() && tokens.len() < options.tokens && !stopped.load(Ordering::Relaxed) {
        tokens.push(next);
        // A character may need several tokens: what is not whole yet waits.
        let all = text.text(&tokens)?;
        if !all.ends_with('\u{fffd}') {
            view.text(&all[written..])?;
            written = all.len();
        }
        next = greedy(&session.feed(&[next])?);
        view.state(&state(&session, tokens.len()))?;
    }
    let summary = state(&session, tokens.len());
    drop(view);
    eprintln!(
        "\n[{summary}; prompt of {} tokens in {:.0} ms]",
        prompt.len(),
        prompt_time.as_secs_f64() * 1e3
    );
    Ok(())
}
