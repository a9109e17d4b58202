//! `assay compare OLD NEW`: two runs of `bench` beside each other.

use crate::{
    bench::{
        compare::{Comparison, compare},
        record,
    },
    exit::Exit,
    output::Output,
    statistics::Word,
};
use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use std::path::PathBuf;

/// Compare two results folders of `assay bench`: faster, slower or unsure; fuel and sizes of code that changed; numbers that were lost.
#[derive(clap::Args)]
#[command(
    after_help = "Example: assay compare reports/before assay-results/20260101T000000-bench-1 --fail-on 5%"
)]
pub struct Arguments {
    /// Results folder of the older run.
    old: PathBuf,
    /// Results folder of the newer run.
    new: PathBuf,
    /// Exit with 1 if something is slower, or a number without noise larger, by more than this.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    fail_on: Option<f64>,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let (old, new) = (record::read(&arguments.old)?, record::read(&arguments.new)?);
    let comparison = compare(&old, &new, arguments.fail_on)
        .context("failed to compare: the records do not begin with a run")?;
    output.document(&comparison)?;
    output.text(&text(&comparison))?;
    Ok(if comparison.verdict == "pass" {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

fn text(comparison: &Comparison) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.force_no_tty();
    table.set_header(["engine", "what", "new over old", ""]);
    let mut unsure = 0;
    for changed in &comparison.times {
        if changed.ratio.word == Word::Unsure {
            unsure += 1;
            continue;
        }
        let key = &changed.key;
        let estimate = &changed.ratio.estimate;
        table.add_row([
            key.runtime.clone(),
            format!(
                "{} {} {} {}, {}",
                key.kernel, key.variant, key.case, key.budget, key.quantity
            ),
            format!(
                "{:.3} [{:.3}, {:.3}]",
                estimate.value,
                estimate.low.unwrap_or(f64::NAN),
                estimate.high.unwrap_or(f64::NAN)
            ),
            format!(
                "{}{}",
                changed.ratio.word.name(),
                if changed.regression {
                    ", beyond what is allowed"
                } else {
                    ""
                }
            ),
        ]);
    }
    for fact in &comparison.facts {
        let new = &fact.new;
        table.add_row([
            new.runtime.clone(),
            format!(
                "{} {} {}, {}",
                new.kernel, new.variant, new.case, new.quantity
            ),
            format!("{} was {}", new.value, fact.old),
            if fact.regression {
                "beyond what is allowed"
            } else {
                "changed"
            }
            .to_owned(),
        ]);
    }
    for lost in &comparison.lost {
        table.add_row([
            lost.key.runtime.clone(),
            format!("{} {} {}", lost.key.kernel, lost.key.variant, lost.key.case),
            lost.reason.clone(),
            "lost".to_owned(),
        ]);
    }
    let mut text = String::new();
    if table.row_count() > 0 {
        text += &format!("{table}\n");
    }
    for note in &comparison.notes {
        text += &format!("{note}\n");
    }
    text + &format!(
        "{} times compared, {unsure} of them unsure; {} only in one of the runs; {}",
        comparison.times.len(),
        comparison.only_in_one,
        comparison.verdict
    )
}

/// `5%` or `0.05`.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number * scale),
        _ => Err("a share such as 5% or 0.05".to_owned()),
    }
}
