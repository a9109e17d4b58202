//! The page of results.

use super::summary::{self, Interval, Summary, Word};
use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Everything that a measurement leaves: `results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Where it ran.
    pub machine: Machine,
    /// What was measured, for the page.
    pub model: String,
    /// Name and version of the pack.
    pub pack: String,
    /// Versions of the engines, by id.
    pub engines: Vec<(String, String)>,
    /// Name of the prompt.
    pub prompt: String,
    /// How keys and values were kept.
    pub cache: crate::cache::Format,
    /// What processes said.
    pub samples: Vec<super::sample::Sample>,
    /// What follows from it.
    pub summary: Summary,
}

/// The page, in Markdown, with the picture `picture.svg` beside it.
pub fn markdown(results: &Results) -> String {
    let Results {
        machine, summary, ..
    } = results;
    let mut page = String::new();
    let coverage = summary::coverage(summary.processes) * 100.0;
    // To write to a string cannot fail.
    let _ = write!(
        page,
        "# A language model on sandboxed kernels\n\n\
         What the sandbox costs per token of {}: every RMSNorm, RoPE and SwiGLU runs through the kernel host, the matrices through candle.\n\
         Written by `make llm-measure`; the raw samples are in `results.json`.\n\n\
         ![Milliseconds per token](picture.svg)\n\n",
        results.model
    );
    let _ = write!(page, "## Conclusions\n\n{}\n", conclusions(summary));
    let _ = write!(
        page,
        "## Milliseconds per token\n\n\
         | kernels | ms per token | over native | in kernels | per call beyond native |\n|---|---|---|---|---|\n"
    );
    for row in &summary.rows {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            row.way.name(),
            interval(row.milliseconds, 1.0, 2, ""),
            interval(row.ratio, 1.0, 4, ""),
            interval(row.share, 100.0, 2, " %"),
            interval(row.extra, 1.0, 2, " µs"),
        );
    }
    let _ = write!(page, "\n## Microseconds per call\n\n{}\n", kernels(summary));
    let _ = write!(
        page,
        "## Method\n\n\
         - {} processes one after the other, each with all ways side by side: native kernels choose a token, every way computes what follows it, \
         in an order drawn anew for each of {} tokens. Each way has a cache of its own, in {}. All logits were compared bit by bit and are equal.\n\
         - A process gives the median over its tokens; ratios are medians of ratios of the same token. The first number is the median over processes, the range in brackets \
         goes from the least to the largest. It holds the median of all such processes with a probability of {coverage:.1} %, whatever their distribution.\n\
         - *native* is the source of the kernels compiled for this machine, called on the tensors where they lie, with the same SIMD lanes as the modules: no copy, no guard bands. \
         *native, again* is the same once more: what it differs by is noise.\n\
         - *ms per token* is processor time of all threads of the process, so that what else the machine does counts little; with one thread for matrices \
         and a machine that is idle the clock says the same (`wall` in the results).\n\
         - Time in kernels is processor time from the model's call to its return, with one look at that clock in it: copies, guard bands, budget, the kernel. It is taken of \
         half as many further tokens, so that these looks are not in *ms per token*.\n\
         - Prompt `{}`; no budget, 10 s a call, or 10^9 units of fuel a call.\n\n",
        summary.processes,
        summary.tokens,
        results.cache.name(),
        results.prompt,
    );
    let _ = write!(page, "## Machine and versions\n\n{machine}");
    let engines: Vec<String> = results
        .engines
        .iter()
        .map(|(id, version)| format!("{id} {version}"))
        .collect();
    let _ = writeln!(page, "- Pack {}; {}", results.pack, engines.join(", "));
    page
}

fn conclusions(summary: &Summary) -> String {
    let mut text = String::new();
    let find = |name: &str| summary.rows.iter().find(|row| row.way.name() == name);
    if let (Some(goal), Some(row)) = (summary.goal, find("wasmtime.cranelift, epoch")) {
        let _ = writeln!(
            text,
            "- Goal \"Cranelift with epochs at most 5 % slower per token than native kernels\": **{}**: {} times the time of native kernels.",
            goal.name(),
            interval(row.ratio, 1.0, 4, ""),
        );
        let words = match goal {
            Word::Held => "not borne out on this engine",
            Word::NotHeld => "borne out",
            Word::Unsure => "not decided by these samples",
        };
        let _ = writeln!(
            text,
            "- The design fears \"significant overhead from boundary crossing\" (taken here as more than 5 % of a token): {words}. {:.0} calls a token cost {} each beyond a native call, all together {:.2} ms of {:.2} ms.",
            row.calls,
            interval(row.extra, 1.0, 2, " µs"),
            row.extra.value * row.calls / 1e3,
            row.milliseconds.value,
        );
        if let Some(longest) = summary.longest_call {
            let _ = writeln!(
                text,
                "- The design's section 7.3 would have operations that must take less than 1 ms bypass the sandbox: **{}**. The slowest kernel takes {longest:.1} µs a call on Cranelift with epochs.",
                if longest < 1000.0 {
                    "not needed here"
                } else {
                    "as it says"
                },
            );
        }
    }
    text
}

fn kernels(summary: &Summary) -> String {
    let Some(native) = summary.rows.first() else {
        return String::new();
    };
    let mut table = String::from("| kernels |");
    for kernel in native.kernels.keys() {
        let _ = write!(table, " `{kernel}` |");
    }
    let _ = writeln!(table, "\n|---|{}", "---|".repeat(native.kernels.len()));
    for row in &summary.rows {
        let _ = write!(table, "| {} |", row.way.name());
        for kernel in row.kernels.values() {
            let _ = write!(table, " {} |", interval(*kernel, 1.0, 2, ""));
        }
        table.push('\n');
    }
    table
}

fn interval(interval: Interval, factor: f64, digits: usize, unit: &str) -> String {
    let Interval { value, low, high } = interval;
    format!(
        "{:.digits$}{unit} ({:.digits$} to {:.digits$})",
        value * factor,
        low * factor,
        high * factor
    )
}
