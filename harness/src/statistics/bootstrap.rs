use super::{CONFIDENCE, Processes, median};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Resamples of an interval, enough for a standard error to within about 2 %.
pub const RESAMPLES: usize = 1000;

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Geometric mean over processes of each process's median.
    pub value: f64,
    /// Lower end of the 95 % interval; `None` of one process, which says nothing about the next one.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Processes.
    pub processes: usize,
    /// Values in all processes.
    pub samples: usize,
}

/// Whether something takes less or more time than what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// The whole interval lies below 1.
    Faster,
    /// The whole interval lies above 1.
    Slower,
    /// Neither is shown.
    Unsure,
}

impl Word {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Word::Faster => "faster",
            Word::Slower => "slower",
            Word::Unsure => "unsure",
        }
    }
}

/// A ratio of times: what is looked at over what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The ratio with its interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// What the interval says.
    pub word: Word,
}

impl Ratio {
    pub(super) fn of(estimate: Estimate) -> Self {
        let word = match (estimate.low, estimate.high) {
            (_, Some(high)) if high < 1.0 => Word::Faster,
            (Some(low), _) if low > 1.0 => Word::Slower,
            _ => Word::Unsure,
        };
        Self { estimate, word }
    }
}

/// The value of `processes` with its interval; `None` without values, or where one is not above 0.
pub fn estimate(processes: &Processes, seed: u64) -> Option<Estimate> {
    let logarithms = logarithms(processes)?;
    Some(summary(&[logarithms], seed, |sums| sums[0]))
}

/// The ratio of `new` to `old` where batch i of process p of both ran beside each other: drift that both see cancels. What
/// one has and the other lacks is left out. `None` without pairs.
pub fn paired(new: &Processes, old: &Processes, seed: u64) -> Option<Ratio> {
    let ratios: Processes = new
        .iter()
        .zip(old)
        .map(|(new, old)| new.iter().zip(old).map(|(new, old)| new / old).collect())
        .collect();
    estimate(&ratios, seed).map(Ratio::of)
}

/// The ratio of `new` to `old` that ran in processes of their own. `None` where either has no values.
pub fn unpaired(new: &Processes, old: &Processes, seed: u64) -> Option<Ratio> {
    let both = [logarithms(new)?, logarithms(old)?];
    Some(Ratio::of(summary(&both, seed, |means| means[0] - means[1])))
}

fn logarithms(processes: &Processes) -> Option<Processes> {
    let logarithms: Processes = processes
        .iter()
        .filter(|process| !process.is_empty())
        .map(|process| process.iter().map(|value| value.ln()).collect())
        .collect();
    let usable = logarithms
        .iter()
        .flatten()
        .all(|logarithm: &f64| logarithm.is_finite());
    (!logarithms.is_empty() && usable).then_some(logarithms)
}

/// Combines the means over processes of the processes' medians of each group.
///
/// The interval is the bootstrap's standard error times Student's t for as many processes as the smallest group has, widened by
/// sqrt(n / (n - 1)) because a bootstrap of n processes sees too little spread by that factor (T. Hesterberg, "What teachers
/// should know about the bootstrap", 2015, section 5.2): percentiles alone are far too narrow for five processes.
fn summary(groups: &[Processes], seed: u64, combine: impl Fn(&[f64]) -> f64) -> Estimate {
    let medians: Vec<f64> = groups
        .iter()
        .map(|group| {
            mean(
                group
                    .iter()
                    .map(|process| median(process).unwrap_or_default()),
            )
        })
        .collect();
    let centre = combine(&medians);
    let processes = groups.iter().map(Vec::len).min().unwrap_or_default();
    let reach = (processes > 1).then(|| {
        let mut random = Rng::with_seed(seed);
        let resampled: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let means: Vec<f64> = groups
                    .iter()
                    .map(|group| resample(group, &mut random))
                    .collect();
                combine(&means)
            })
            .collect();
        let middle = mean(resampled.iter().copied());
        let squares = resampled.iter().map(|value| (value - middle).powi(2));
        let n = processes as f64;
        let quantile = StudentsT::new(0.0, 1.0, n - 1.0)
            .map(|t| t.inverse_cdf(0.5 + CONFIDENCE / 2.0))
            .unwrap_or(f64::INFINITY);
        (squares.sum::<f64>() / (RESAMPLES - 1) as f64).sqrt() * quantile * (n / (n - 1.0)).sqrt()
    });
    Estimate {
        value: centre.exp(),
        low: reach.map(|reach| (centre - reach).exp()),
        high: reach.map(|reach| (centre + reach).exp()),
        processes,
        samples: groups.iter().flatten().map(Vec::len).sum(),
    }
}

/// As many processes as there are, drawn with replacement; of each as many iterations as it has, drawn likewise.
fn resample(group: &Processes, random: &mut Rng) -> f64 {
    let mut drawn = Vec::new();
    mean((0..group.len()).map(|_| {
        let process = &group[random.usize(..group.len())];
        drawn.clear();
        drawn.extend((0..process.len()).map(|_| process[random.usize(..process.len())]));
        middle(&mut drawn)
    }))
}

/// The median of values, which end up in another order: `statrs` would copy them for each of some hundred thousand.
fn middle(values: &mut [f64]) -> f64 {
    let (half, even) = (values.len() / 2, values.len().is_multiple_of(2));
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    match below.iter().copied().max_by(f64::total_cmp) {
        Some(lower) if even => (lower + *upper) / 2.0,
        _ => *upper,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values {
        sum += value;
        count += 1;
    }
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise as benchmarks have it: processes that differ by about 1 %, batches that differ by 2 %, and one batch in twenty that
    /// something interrupts, by up to half. `drift` is shared by what runs beside each other.
    struct Machine {
        random: Rng,
    }

    impl Machine {
        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0
        }

        fn run(&mut self, time: f64, processes: usize, batches: usize) -> Processes {
            (0..processes)
                .map(|_| {
                    let process = time * (1.0 + 0.01 * self.normal());
                    (0..batches)
                        .map(|_| {
                            let hit = if self.random.f64() < 0.05 {
                                1.0 + 0.5 * self.random.f64()
                            } else {
                                1.0
                            };
                            process * (1.0 + 0.02 * self.normal()) * hit
                        })
                        .collect()
                })
                .collect()
        }

        /// Two things beside each other in the same processes: what makes a process slow makes both slow, up to 0.3 %.
        fn pair(&mut self, ratio: f64, processes: usize, batches: usize) -> (Processes, Processes) {
            let old = self.run(100.0, processes, batches);
            let new = old
                .iter()
                .map(|process| {
                    let own = 1.0 + 0.003 * self.normal();
                    process
                        .iter()
                        .map(|time| time * ratio * own * (1.0 + 0.01 * self.normal()))
                        .collect()
                })
                .collect();
            (new, old)
        }
    }

    const TRIALS: usize = 100;

    fn words(trial: impl FnMut(&mut Machine, u64) -> Option<Ratio>) -> [usize; 3] {
        words_of(TRIALS, trial)
    }

    fn words_of(
        trials: usize,
        mut trial: impl FnMut(&mut Machine, u64) -> Option<Ratio>,
    ) -> [usize; 3] {
        let mut machine = Machine {
            random: Rng::with_seed(20_250_101),
        };
        let mut counts = [0; 3];
        for seed in 0..trials as u64 {
            let ratio = trial(&mut machine, seed).unwrap();
            counts[match ratio.word {
                Word::Faster => 0,
                Word::Slower => 1,
                Word::Unsure => 2,
            }] += 1;
        }
        counts
    }

    #[test]
    fn a_thing_against_itself_is_unsure_at_least_95_times_in_100() {
        for processes in [3, 5] {
            let [_, _, unsure] = words(|machine, seed| {
                let (new, old) = machine.pair(1.0, processes, 10);
                paired(&new, &old, seed)
            });
            assert!(unsure * 100 >= 95 * TRIALS, "paired: {unsure} of {TRIALS}");
            let [_, _, unsure] = words(|machine, seed| {
                let new = machine.run(100.0, processes, 10);
                let old = machine.run(100.0, processes, 10);
                unpaired(&new, &old, seed)
            });
            assert!(
                unsure * 100 >= 95 * TRIALS,
                "unpaired: {unsure} of {TRIALS}"
            );
        }
    }

    #[test]
    fn a_true_difference_of_3_percent_is_found_and_named_rightly() {
        for (ratio, expected) in [(1.03, Word::Slower), (0.97, Word::Faster)] {
            let counts = words(|machine, seed| {
                let (new, old) = machine.pair(ratio, 5, 10);
                paired(&new, &old, seed)
            });
            let (right, wrong) = match expected {
                Word::Faster => (counts[0], counts[1]),
                _ => (counts[1], counts[0]),
            };
            assert!(right * 100 >= 95 * TRIALS, "{ratio}: {counts:?}");
            assert_eq!(wrong, 0, "{ratio}: {counts:?}");
        }
    }

    /// Processes differ by as much as the effect, so that it takes more of them where nothing cancels.
    #[test]
    fn a_true_difference_of_3_percent_is_found_between_processes_too() {
        let counts = words(|machine, seed| {
            let new = machine.run(103.0, 12, 10);
            let old = machine.run(100.0, 12, 10);
            unpaired(&new, &old, seed)
        });
        assert!(counts[1] * 100 >= 95 * TRIALS, "{counts:?}");
        assert_eq!(counts[0], 0, "{counts:?}");
    }

    /// The plain bootstrap of iterations, which forgets processes, is what this one is not: it calls differences of processes
    /// differences of what they run.
    #[test]
    fn forgetting_processes_would_find_differences_that_are_none() {
        let pooled = |processes: Processes| -> Processes {
            processes
                .concat()
                .into_iter()
                .map(|value| vec![value])
                .collect()
        };
        let [_, _, unsure] = words_of(20, |machine, seed| {
            let new = pooled(machine.run(100.0, 3, 200));
            let old = pooled(machine.run(100.0, 3, 200));
            unpaired(&new, &old, seed)
        });
        assert!(unsure < 16, "{unsure} of 20");
    }

    #[test]
    fn intervals_hold_the_truth_and_follow_from_the_seed() {
        let mut machine = Machine {
            random: Rng::with_seed(7),
        };
        let mut held = 0;
        for seed in 0..TRIALS as u64 {
            let one = estimate(&machine.run(250.0, 5, 10), seed).unwrap();
            // The spikes move a median up by about a twentieth of its quartile.
            held += usize::from(one.low.unwrap() <= 251.0 && one.high.unwrap() >= 250.0);
        }
        assert!(held * 100 >= 93 * TRIALS, "{held} of {TRIALS}");
        let times = machine.run(250.0, 5, 10);
        assert_eq!(estimate(&times, 3), estimate(&times, 3));
        assert_ne!(estimate(&times, 3), estimate(&times, 4));
    }

    #[test]
    fn too_little_is_unsure_or_nothing() {
        let one = paired(&vec![vec![2.0; 9]], &vec![vec![1.0; 9]], 1).unwrap();
        assert_eq!((one.word, one.estimate.low), (Word::Unsure, None));
        assert_eq!(one.estimate.value, 2.0);
        assert!(estimate(&Vec::new(), 1).is_none());
        assert!(estimate(&vec![Vec::new()], 1).is_none());
        assert!(estimate(&vec![vec![0.0]], 1).is_none());
        assert!(unpaired(&vec![vec![1.0]], &Vec::new(), 1).is_none());
        assert_eq!(middle(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(middle(&mut [5.0, 1.0, 3.0]), 3.0);
    }
}
