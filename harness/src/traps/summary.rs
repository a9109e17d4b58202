use super::{
    CaseResult, Survey,
    checks::{self, CheckResult},
    latency::Latency,
};
use crate::outcome::{Counts, Outcome};
use serde::{Deserialize, Serialize};

/// Traps, budgets, limits and the time after on one engine, summed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Engine id.
    pub runtime: String,
    /// Outcomes of cases, checks and latencies.
    pub counts: Counts,
    /// What must hold and was not shown to, one line each: any forbids that the engine qualifies.
    pub failures: Vec<String>,
    /// What is known to fail, with the reason: for whom the engine is not.
    pub limitations: Vec<String>,
    /// What the engine cannot, with the reason.
    pub unsupported: Vec<String>,
    /// The state after traps, exactness of fuel, recovery.
    pub checks: Vec<CheckResult>,
    /// How late interruptions were.
    pub latency: Vec<Latency>,
}

impl Summary {
    /// Sums up what was found of an engine.
    pub fn of(runtime: &str, survey: &Survey) -> Summary {
        let cases = super::count();
        let mut summary = Summary {
            runtime: runtime.to_owned(),
            counts: Counts::default(),
            failures: Vec::new(),
            limitations: Vec::new(),
            unsupported: Vec::new(),
            checks: of_engine(&survey.checks, runtime, |check| &check.runtime),
            latency: of_engine(&survey.latency, runtime, |latency| &latency.runtime),
        };
        let own = of_engine(&survey.results, runtime, |result| &result.runtime);
        for result in &own {
            summary.add(&result.case, result.outcome, &result.detail);
        }
        if own.len() != cases {
            summary
                .failures
                .push(format!("{} of {cases} cases were run", own.len()));
        }
        let pass = |result: &CaseResult| result.outcome == Outcome::Pass;
        if !own.iter().any(pass) {
            summary.failures.push("no case passed".to_owned());
        } else if summary.checks.len() != checks::COUNT {
            let of = (summary.checks.len(), checks::COUNT);
            let what = format!("{} of {} checks were run", of.0, of.1);
            summary.failures.push(what);
        }
        for check in summary.checks.clone() {
            summary.add(&check.check, check.outcome, &check.detail);
        }
        for latency in summary.latency.clone() {
            let name = format!("interrupting {}", latency.code);
            summary.add(&name, latency.outcome, &latency.detail);
        }
        summary
    }

    /// In some lines, for people: what held, the figures, and what the engine cannot.
    pub fn lines(&self) -> String {
        let counts = &self.counts;
        let mut lines = format!(
            "{} of {} hold, {} unsupported, {} known failures",
            counts.pass,
            counts.total(),
            counts.unsupported,
            counts.known_failure
        );
        let latest = self
            .latency
            .iter()
            .filter_map(|latency| Some((latency.p99_ms?, latency)))
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((p99, latency)) = latest {
            let sum = |count: fn(&Latency) -> u32| self.latency.iter().map(count).sum::<u32>();
            lines += &format!(
                "\n    {} interruptions, latest in {}: p50 {:.1} ms, p99 {p99:.1} ms{} of {} ms; {} more by the end of the worker",
                sum(|latency| latency.interruptions),
                latency.code,
                latency.p50_ms.unwrap_or_default(),
                match latency.engine_p99_ms {
                    Some(engine) if p99 > latency.bound_ms =>
                        format!(" ({engine:.1} ms without waiting for a processor)"),
                    _ => String::new(),
                },
                latency.bound_ms,
                sum(|latency| latency.killed)
            );
        }
        for check in &self.checks {
            if check.outcome == Outcome::Pass {
                lines += &format!("\n    {}: {}", check.check, check.detail);
            }
        }
        for reason in &self.unsupported {
            lines += &format!("\n    unsupported: {reason}");
        }
        lines
    }

    fn add(&mut self, name: &str, outcome: Outcome, detail: &str) {
        self.counts.add(outcome);
        let list = match outcome {
            Outcome::Pass => return,
            Outcome::Unsupported => &mut self.unsupported,
            Outcome::KnownFailure => &mut self.limitations,
            Outcome::Fail | Outcome::Error | Outcome::Absent | Outcome::Unjudged => {
                self.failures.push(format!("{name}: {outcome}: {detail}"));
                return;
            }
        };
        // One line per reason, with all that it explains.
        match list
            .iter_mut()
            .find(|line| line.ends_with(&format!(": {detail}")))
        {
            Some(line) => *line = format!("{name}, {line}"),
            None => list.push(format!("{name}: {detail}")),
        }
    }
}

fn of_engine<T: Clone>(all: &[T], runtime: &str, id: impl Fn(&T) -> &String) -> Vec<T> {
    all.iter()
        .filter(|one| id(one) == runtime)
        .cloned()
        .collect()
}
