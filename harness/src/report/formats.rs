//! Times in the formats of others: Bencher Metric Format, github-action-benchmark, CSV. All hold the same: steady calls
//! with their 95 % intervals, in nanoseconds.

use crate::bench::tables::{Kernel, Tables};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// `engine/kernel/variant/shape/budget`, unique in a run.
fn name(kernel: &Kernel) -> String {
    let key = &kernel.key;
    format!(
        "{}/{}/{}/{}/{}",
        key.runtime, key.kernel, key.variant, key.case, key.budget
    )
}

/// What is measured once; the other half of a comparison with itself is left out.
fn kernels(tables: &Tables) -> impl Iterator<Item = &Kernel> {
    tables
        .kernels
        .iter()
        .filter(|kernel| kernel.key.twin.is_none())
}

/// Bencher Metric Format: an object of benchmarks, each with the measure `latency` in nanoseconds.
///
/// # Errors
/// If the JSON cannot be written.
pub fn bencher(tables: &Tables) -> Result<String> {
    let benchmarks: Map<String, Value> = kernels(tables)
        .map(|kernel| {
            let time = &kernel.nanoseconds;
            let mut latency = Map::from_iter([("value".to_owned(), json!(time.value))]);
            if let (Some(low), Some(high)) = (time.low, time.high) {
                latency.insert("lower_value".to_owned(), json!(low));
                latency.insert("upper_value".to_owned(), json!(high));
            }
            (name(kernel), json!({ "latency": latency }))
        })
        .collect();
    serde_json::to_string_pretty(&benchmarks).context("failed to write JSON for Bencher")
}

/// The format `customSmallerIsBetter` of github-action-benchmark.
///
/// # Errors
/// If the JSON cannot be written.
pub fn github_action_benchmark(tables: &Tables) -> Result<String> {
    let entries: Vec<Value> = kernels(tables)
        .map(|kernel| {
            let time = &kernel.nanoseconds;
            let range = match (time.low, time.high) {
                (Some(low), Some(high)) => format!("{low:.1} to {high:.1}"),
                _ => "one process".to_owned(),
            };
            json!({ "name": name(kernel), "unit": "ns", "value": time.value, "range": range })
        })
        .collect();
    serde_json::to_string_pretty(&entries)
        .context("failed to write JSON for github-action-benchmark")
}

/// One line per steady call; an empty field is a number that there is not.
///
/// # Errors
/// If the lines cannot be written.
pub fn csv(tables: &Tables) -> Result<String> {
    let context = "failed to write CSV";
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record([
            "engine",
            "version",
            "kernel",
            "variant",
            "shape",
            "budget",
            "elements",
            "nanoseconds",
            "low",
            "high",
            "processes",
            "samples",
            "over_native",
        ])
        .context(context)?;
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for kernel in kernels(tables) {
        let (key, time) = (&kernel.key, &kernel.nanoseconds);
        let over_native = kernel
            .over_native
            .as_ref()
            .map(|ratio| ratio.estimate.value);
        writer
            .write_record([
                key.runtime.clone(),
                tables
                    .engines
                    .get(&key.runtime)
                    .cloned()
                    .unwrap_or_default(),
                key.kernel.clone(),
                key.variant.clone(),
                key.case.clone(),
                key.budget.to_string(),
                kernel.elements.to_string(),
                time.value.to_string(),
                number(time.low),
                number(time.high),
                time.processes.to_string(),
                time.samples.to_string(),
                number(over_native),
            ])
            .context(context)?;
    }
    let bytes = writer.into_inner().context(context)?;
    String::from_utf8(bytes).context(context)
}
