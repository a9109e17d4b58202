//! Many pairs of one engine in one word, for several engines at once.

use super::{CONFIDENCE, Estimate, Ratio};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

/// The pooled ratio of pairs. `processes` holds for each process the ratio of every pair that it measured, above 0. Of each process
/// the mean logarithm counts, as one observation; the interval is Student's t over processes at `confidence`. `None` without ratios,
/// or where one is not above 0.
///
/// Processes are few and independent, and their means of many pairs are close to normal, so that t is exact enough here and a bootstrap of
/// five would be worse.
pub fn pooled(processes: &[Vec<f64>], confidence: f64) -> Option<Ratio> {
    let means: Vec<f64> = processes
        .iter()
        .filter(|ratios| !ratios.is_empty())
        .map(|ratios| ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64)
        .collect();
    if means.is_empty() || means.iter().any(|mean| !mean.is_finite()) {
        return None;
    }
    let n = means.len() as f64;
    let centre = means.iter().sum::<f64>() / n;
    let reach = (means.len() > 1).then(|| {
        let squares: f64 = means.iter().map(|mean| (mean - centre).powi(2)).sum();
        let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
            .map(|t| t.inverse_cdf(0.5 + confidence / 2.0))
            .unwrap_or(f64::INFINITY);
        quantile * (squares / (n - 1.0) / n).sqrt()
    });
    Some(Ratio::of(Estimate {
        value: centre.exp(),
        low: reach.map(|reach| (centre - reach).exp()),
        high: reach.map(|reach| (centre + reach).exp()),
        processes: means.len(),
        samples: processes.iter().map(Vec::len).sum(),
    }))
}

/// The confidence that each of `families` intervals needs so that all of them hold the truth with 95 % (Bonferroni).
pub fn family_wise(families: usize) -> f64 {
    1.0 - (1.0 - CONFIDENCE) / families.max(1) as f64
}

/// What chance makes of things compared with themselves at 95 %: how many of `pairs` it calls faster or slower on average, and the
/// probability that it calls at least `alarms` so.
pub fn false_alarms(pairs: usize, alarms: usize) -> (f64, f64) {
    let share = 1.0 - CONFIDENCE;
    let at_least = match (alarms.checked_sub(1), Binomial::new(share, pairs as u64)) {
        (Some(fewer), Ok(binomial)) => binomial.sf(fewer as u64),
        _ => 1.0,
    };
    (share * pairs as f64, at_least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Word;
    use fastrand::Rng;

    const ENGINES: usize = 9;
    const PAIRS: usize = 30;
    const PROCESSES: usize = 5;

    /// Ratios of pairs as batches beside each other give them: what a process does to all its pairs (0.2 %), what it does to one
    /// (0.5 %), and one pair in twenty that something interrupts (by up to 10 %).
    fn engine(random: &mut Rng, ratio: f64) -> Vec<Vec<f64>> {
        let normal = |random: &mut Rng| (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        (0..PROCESSES)
            .map(|_| {
                let process = 0.002 * normal(random);
                (0..PAIRS)
                    .map(|_| {
                        let hit = if random.f64() < 0.05 {
                            0.2 * (random.f64() - 0.5)
                        } else {
                            0.0
                        };
                        ratio * (1.0 + process + 0.005 * normal(random) + hit)
                    })
                    .collect()
            })
            .collect()
    }

    /// Families of so many in which all engines are unsure.
    fn unsure_families(random: &mut Rng, families: usize, confidence: f64) -> usize {
        let unsure = |random: &mut Rng| {
            let ratio = pooled(&engine(random, 1.0), confidence).unwrap();
            ratio.word == Word::Unsure
        };
        (0..families)
            .filter(|_| {
                let words: Vec<bool> = (0..ENGINES).map(|_| unsure(random)).collect();
                words.into_iter().all(|unsure| unsure)
            })
            .count()
    }

    #[test]
    fn identical_things_are_unsure_on_all_engines_in_95_families_of_100() {
        let mut random = Rng::with_seed(20_250_101);
        let unsure = unsure_families(&mut random, 100, family_wise(ENGINES));
        assert!(unsure >= 95, "{unsure} of 100");
        // Of 5000 the share is known to 0.6 % (two standard errors).
        let unsure = unsure_families(&mut random, 5000, family_wise(ENGINES));
        assert!((4700..=4830).contains(&unsure), "{unsure} of 5000");
    }

    /// Without the correction for many engines nearly every second family has a false alarm.
    #[test]
    fn the_plain_level_would_alarm() {
        let mut random = Rng::with_seed(20_250_101);
        let unsure = unsure_families(&mut random, 100, CONFIDENCE);
        assert!(unsure < 80, "{unsure} of 100");
    }

    #[test]
    fn a_bias_of_all_pairs_is_found() {
        let mut random = Rng::with_seed(20_250_101);
        for (ratio, word) in [(1.03, Word::Slower), (0.97, Word::Faster)] {
            for _ in 0..100 {
                let found = pooled(&engine(&mut random, ratio), family_wise(ENGINES)).unwrap();
                assert_eq!(found.word, word, "{found:?}");
                assert!((found.estimate.value - ratio).abs() < 0.01, "{found:?}");
            }
        }
    }

    #[test]
    fn too_little_is_unsure_or_nothing() {
        let one = pooled(&[vec![1.5, 1.5]], 0.95).unwrap();
        assert_eq!((one.word, one.estimate.low), (Word::Unsure, None));
        assert!((one.estimate.value - 1.5).abs() < 1e-12);
        assert!(pooled(&[], 0.95).is_none());
        assert!(pooled(&[vec![]], 0.95).is_none());
        assert!(pooled(&[vec![1.0], vec![0.0]], 0.95).is_none());
    }

    #[test]
    fn alarms_are_those_of_chance() {
        let (expected, chance) = false_alarms(30, 0);
        assert!((expected - 1.5).abs() < 1e-9 && chance == 1.0);
        let (_, one) = false_alarms(30, 1);
        assert!((one - (1.0 - 0.95_f64.powi(30))).abs() < 1e-9, "{one}");
        let (_, ten) = false_alarms(30, 10);
        assert!(ten < 1e-4, "{ten}");
        assert_eq!(false_alarms(0, 0), (0.0, 1.0));
    }
}
