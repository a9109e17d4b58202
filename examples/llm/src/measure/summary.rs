//! Intervals of what several processes measured, and whether goals are held.

use super::sample::{Sample, Series, Way};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A token on Cranelift with epochs may take this much longer than one with native kernels.
pub const GOAL: f64 = 1.05;

/// What processes said: the median over them, and the least and the largest.
///
/// That interval holds the true median of all processes with a probability of 1 - 2^(1 - n) for n processes, whatever their
/// distribution is: it misses only if all of them lie on one side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Median over processes.
    pub value: f64,
    /// The least.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Interval {
    /// Of one value for each process, of which there is at least one.
    fn of(values: &[f64]) -> Self {
        Self {
            value: median(values),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// How sure an interval of so many processes is.
pub fn coverage(processes: usize) -> f64 {
    1.0 - 2.0f64.powi(1 - i32::try_from(processes).unwrap_or(i32::MAX))
}

/// What became of a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The whole interval is within.
    Held,
    /// The whole interval is beyond.
    NotHeld,
    /// The interval has the goal inside.
    Unsure,
}

impl Word {
    /// Whether a value that may be `most` is within.
    pub fn of(interval: Interval, most: f64) -> Self {
        if interval.high <= most {
            Word::Held
        } else if interval.low > most {
            Word::NotHeld
        } else {
            Word::Unsure
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Word::Held => "held",
            Word::NotHeld => "not held",
            Word::Unsure => "unsure",
        }
    }
}

/// What one way takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which way.
    pub way: Way,
    /// Milliseconds of processor time per token.
    pub milliseconds: Interval,
    /// Milliseconds per token by the clock.
    pub wall: Interval,
    /// Time of a token over that of the same token with native kernels.
    pub ratio: Interval,
    /// Share of a token's time that is spent in calls of kernels.
    pub share: Interval,
    /// Microseconds per call, of each kernel.
    pub kernels: BTreeMap<String, Interval>,
    /// Calls per token.
    pub calls: f64,
    /// Microseconds of a call, of all kernels, beyond those of a native call.
    pub extra: Interval,
}

/// What is concluded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Processes.
    pub processes: usize,
    /// Tokens in each.
    pub tokens: usize,
    /// One for each way, native first.
    pub rows: Vec<Row>,
    /// Cranelift with epochs at most 5 % slower per token than native kernels; `None` where it was not measured.
    pub goal: Option<Word>,
    /// Largest mean time of a call of one kernel on Cranelift with epochs, in microseconds.
    pub longest_call: Option<f64>,
}

/// Sums up samples of the same ways; `None` without any.
pub fn of(samples: &[Sample]) -> Option<Summary> {
    let first = samples.first()?;
    let native = first.series.first()?;
    let rows: Vec<Row> = (0..first.series.len())
        .map(|index| row(samples, index))
        .collect();
    let cranelift = rows
        .iter()
        .find(|row| row.way.name() == "wasmtime.cranelift, epoch");
    Some(Summary {
        processes: samples.len(),
        tokens: native.milliseconds.len(),
        goal: cranelift.map(|row| Word::of(row.ratio, GOAL)),
        longest_call: cranelift.map(|row| {
            row.kernels
                .values()
                .map(|kernel| kernel.value)
                .fold(0.0, f64::max)
        }),
        rows,
    })
}

fn row(samples: &[Sample], index: usize) -> Row {
    let each = |of: &dyn Fn(&Series, &Series) -> f64| {
        let values: Vec<f64> = samples
            .iter()
            .map(|sample| of(&sample.series[index], &sample.series[0]))
            .collect();
        Interval::of(&values)
    };
    let series = &samples[0].series[index];
    let kernels = series.kernels.keys().map(|kernel| {
        let per_call = each(&|series, _| {
            let (calls, milliseconds) = &series.kernels[kernel];
            median(milliseconds) * 1e3 / *calls as f64
        });
        (kernel.clone(), per_call)
    });
    // Medians of each kernel: where the machine did something else in between does not count.
    let in_kernels = |series: &Series| {
        series
            .kernels
            .values()
            .map(|(_, times)| median(times))
            .sum::<f64>()
    };
    let calls =
        |series: &Series| series.kernels.values().map(|(calls, _)| calls).sum::<u64>() as f64;
    Row {
        way: series.way.clone(),
        milliseconds: each(&|series, _| median(&series.milliseconds)),
        wall: each(&|series, _| median(&series.wall)),
        ratio: each(&|series, native| {
            let pairs = series.milliseconds.iter().zip(&native.milliseconds);
            median(&pairs.map(|(one, other)| one / other).collect::<Vec<_>>())
        }),
        share: each(&|series, _| in_kernels(series) / median(&series.clocked)),
        kernels: kernels.collect(),
        calls: calls(series),
        extra: each(&|series, native| {
            (in_kernels(series) - in_kernels(native)) * 1e3 / calls(series)
        }),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(engine: &str, milliseconds: &[f64], in_kernels: f64) -> Series {
        Series {
            way: Way {
                engine: engine.to_owned(),
                limit: (engine != "native").then_some(crate::engines::Limit::Epoch),
            },
            milliseconds: milliseconds.to_vec(),
            wall: milliseconds.to_vec(),
            clocked: milliseconds.to_vec(),
            kernels: [("rope_f32".to_owned(), (2, vec![in_kernels; 2]))].into(),
        }
    }

    fn sample(factor: f64) -> Sample {
        // The second token is slow for both: pairs do not see it.
        let native = series("native", &[10.0, 90.0], 1.0);
        let other = series("wasmtime.cranelift", &[10.0 * factor, 90.0 * factor], 3.0);
        Sample {
            series: vec![native, other],
        }
    }

    #[test]
    fn pairs_of_tokens_give_ratios_and_processes_their_interval() {
        let summary = of(&[sample(1.02), sample(1.04), sample(1.03)]).unwrap();
        let row = &summary.rows[1];
        assert!((row.ratio.value - 1.03).abs() < 1e-9, "{row:?}");
        assert!((row.ratio.low - 1.02).abs() < 1e-9 && (row.ratio.high - 1.04).abs() < 1e-9);
        assert_eq!((row.calls, row.extra.value), (2.0, 1000.0));
        assert_eq!(row.kernels["rope_f32"].value, 1500.0);
        assert_eq!(summary.longest_call, Some(1500.0));
        assert_eq!(summary.goal, Some(Word::Held));
    }

    #[test]
    fn a_goal_is_held_only_by_the_whole_interval() {
        let goal = |factors: [f64; 2]| of(&factors.map(sample)).unwrap().goal.unwrap();
        assert_eq!(goal([1.01, 1.04]), Word::Held);
        assert_eq!(goal([1.01, 1.06]), Word::Unsure);
        assert_eq!(goal([1.06, 1.07]), Word::NotHeld);
        assert_eq!(coverage(6), 0.96875);
    }
}
