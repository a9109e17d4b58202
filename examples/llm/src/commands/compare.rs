//! `llm compare`.

use crate::Files;
use anyhow::Result;
use clap::Args;
use llm::{
    cache::Format,
    compare::{Drift, Equality, Trace},
    engines::{ENGINES, Limit},
    hosted::Hosted,
    kernels::{Kernels, Native},
};
use std::collections::{BTreeMap, btree_map::Entry};

#[derive(Args)]
pub(crate) struct Options {
    /// Name of a prompt [default: all].
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// An engine (repeatable) [default: all of this build].
    #[arg(long, value_name = "ID")]
    engine: Vec<String>,
    /// What a call may cost.
    #[arg(long, value_enum, default_value = "epoch")]
    budget: Limit,
    /// How keys and values are kept (repeatable) [default: all].
    #[arg(long, value_enum)]
    cache: Vec<Format>,
    /// Tokens after each prompt.
    #[arg(long, value_name = "N", default_value_t = 256)]
    tokens: usize,
}

/// Prints a line for each comparison; whether all hold.
pub(crate) fn run(files: &Files, options: &Options) -> Result<bool> {
    let (model, text) = files.load()?;
    let all: Vec<String> = ENGINES.iter().map(|id| (*id).to_owned()).collect();
    let engines = if options.engine.is_empty() {
        &all
    } else {
        &options.engine
    };
    let mut hold = true;
    for (index, (name, question)) in files
        .prompts(options.prompt.as_deref())?
        .into_iter()
        .enumerate()
    {
        let formats: &[Format] = match options.cache.as_slice() {
            [] if index == 0 => &[Format::F32, Format::Q8, Format::Q4],
            [] => &[Format::F32],
            chosen => chosen,
        };
        let prompt = text.question(&question)?;
        let native = |format, simd| {
            Trace::take(
                &model,
                format,
                &mut Native { simd },
                &prompt,
                options.tokens,
            )
        };
        let exact = native(Format::F32, true)?;
        for &format in formats {
            if format != Format::F32 {
                let drift = Drift::of(&model, format, &mut Native { simd: true }, &prompt, &exact)?;
                println!("{name}, {} cache: {}", format.name(), words(&drift));
            }
            // Native code with lanes and without: other engines have the same of it.
            let mut traces = BTreeMap::new();
            for engine in engines {
                let mut hosted = Hosted::open(&files.source(), engine, options.budget.budget())?;
                let right = match traces.entry(hosted.simd()) {
                    Entry::Occupied(trace) => trace.into_mut(),
                    Entry::Vacant(none) => none.insert(native(format, hosted.simd())?),
                };
                let trace = Trace::take(&model, format, &mut hosted, &prompt, options.tokens)?;
                let equality = Equality::of(right, &trace);
                hold &= equality.holds();
                let budget = options.budget.name();
                println!(
                    "{name}, {} cache, {budget}: {}; {}",
                    format.name(),
                    told(&equality),
                    hosted.describe()
                );
            }
        }
    }
    println!("{}", if hold { "all equal" } else { "NOT all equal" });
    Ok(hold)
}

fn told(equality: &Equality) -> String {
    let Equality {
        tokens,
        equal_tokens,
        equal_logits,
        calls,
        equal_outputs,
    } = *equality;
    format!(
        "{}: {equal_tokens} of {tokens} tokens, all logits of {equal_logits} of {tokens}, {} of {calls} calls",
        if equality.holds() {
            "equal"
        } else {
            "DIFFERENT"
        },
        if equal_outputs {
            "outputs"
        } else {
            "NOT all outputs"
        },
    )
}

fn words(drift: &Drift) -> String {
    format!(
        "logits differ from those with an f32 cache by at most {:.3}, {:.4} on average, where those of a token spread over {:.1}; the most likely token is the same {} of {} times, \
         a text of its own for {} tokens; {} of {} KiB",
        drift.largest,
        drift.mean,
        drift.spread,
        drift.same_choice,
        drift.steps,
        drift.own_text,
        drift.cache_bytes / 1024,
        drift.f32_bytes / 1024,
    )
}
