//! Statistics of measurements: pure functions of numbers, with a seed where chance is used.
//!
//! Measurements come in two levels: processes, and iterations (batches) within them. What makes one process slower than the
//! next (where code and data happen to lie, what else the machine does) is shared by all its iterations, so iterations of one
//! process are not independent: intervals resample processes first and iterations within them second.
//!
//! Medians, quantiles and Student's t come from `statrs`. No library on crates.io has a bootstrap of two levels or Theil-Sen's
//! line (criterion's statistics are private, and of one level), so these are here.

mod bootstrap;
mod fit;
mod pooled;

pub use bootstrap::{Estimate, RESAMPLES, Ratio, Word, estimate, paired, unpaired};
pub use fit::{Line, theil_sen};
pub use pooled::{false_alarms, family_wise, pooled};

use statrs::statistics::{Data, OrderStatistics};

/// Share of intervals that hold the true value.
const CONFIDENCE: f64 = 0.95;

/// Values of one thing: one list per process.
pub type Processes = Vec<Vec<f64>>;

/// The median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50)
}

/// A percentile (0 to 100), interpolated (the R-8 rule of `statrs`); `None` of nothing.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    match values {
        [] => None,
        [only] => Some(*only),
        _ => {
            let mut data = Data::new(values.to_vec());
            Some(if percent == 50 {
                data.median()
            } else {
                data.percentile(percent.min(100))
            })
        }
    }
}

/// Geometric mean; `None` of nothing, and where a value is not above 0.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty()
        || values
            .iter()
            .any(|value| !(*value > 0.0 && value.is_finite()))
    {
        return None;
    }
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    Some((sum / values.len() as f64).exp())
}

/// The chance that a value of `b` is larger than one of `a`, ties counted half (the A of Vargha and Delaney): an effect size
/// without assumptions about the distribution. 0.5 is no effect. `None` if either is empty.
pub fn chance_larger(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut sorted = a.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below: usize = b
        .iter()
        .map(|value| {
            let less = sorted.partition_point(|other| other < value);
            let not_greater = sorted.partition_point(|other| other <= value);
            less + not_greater
        })
        .sum();
    Some(below as f64 / (2.0 * a.len() as f64 * b.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_statistics_of_few_and_many() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let p99 = percentile(&hundred, 99).unwrap();
        assert!((98.5..=100.0).contains(&p99), "{p99}");
        assert_eq!(percentile(&hundred, 100), Some(100.0));
    }

    #[test]
    fn geometric_mean_takes_positive_values_only() {
        let mean = geometric_mean(&[1.0, 4.0, 16.0]).unwrap();
        assert!((mean - 4.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&[]), None);
        assert_eq!(geometric_mean(&[1.0, 0.0]), None);
        assert_eq!(geometric_mean(&[f64::NAN]), None);
    }

    #[test]
    fn the_effect_size_is_a_chance() {
        assert_eq!(chance_larger(&[1.0, 2.0], &[3.0, 4.0]), Some(1.0));
        assert_eq!(chance_larger(&[3.0, 4.0], &[1.0, 2.0]), Some(0.0));
        assert_eq!(chance_larger(&[1.0, 2.0], &[1.0, 2.0]), Some(0.5));
        assert_eq!(chance_larger(&[], &[1.0]), None);
    }
}
