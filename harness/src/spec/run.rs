//! Runs the plan on an engine, in a worker of its own.

use super::{
    Finding,
    judged::Judged,
    plan::{Check, Due, Plan, Step, Unit, What},
    session::Session,
};
use crate::outcome::Outcome;
use assay_worker::Launch;
use runtime_api::Info;

/// What an engine did with a plan.
#[derive(Debug)]
pub struct Ran {
    /// Who the worker says it is; `None` if it never started.
    pub info: Option<Info>,
    /// One for each check of the plan.
    pub findings: Vec<Finding>,
}

/// Runs all checks on an engine; `done` gets what was found of each script, as soon as it is through.
///
/// # Errors
/// Those of `done`, which end the run.
pub fn run(
    launch: &Launch,
    plan: &Plan,
    done: &(dyn Fn(&str, &[Finding]) -> anyhow::Result<()> + Sync),
) -> anyhow::Result<Ran> {
    let mut session = Session::new(launch);
    let mut findings = Vec::new();
    for script in plan.units.chunk_by(|a, b| a.file == b.file) {
        let before = findings.len();
        for unit in script {
            let judged = session.unit(unit);
            for (check, judged) in unit.checks().zip(judged) {
                if check.wanted {
                    findings.push(finding(unit, check, judged));
                }
            }
        }
        let of_script: &[Finding] = &findings[before..];
        if let Some(first) = of_script.first() {
            done(&first.file, of_script)?;
        }
    }
    Ok(Ran {
        info: session.info,
        findings,
    })
}

fn finding(unit: &Unit, check: &Check, judged: Judged) -> Finding {
    Finding {
        file: unit.file.to_string(),
        line: check.line,
        kind: check.kind,
        outcome: judged.outcome,
        expected: if judged.outcome == Outcome::Pass {
            String::new()
        } else {
            due_words(unit, check)
        },
        detail: judged.detail,
    }
}

/// What a check wants, in words.
fn due_words(unit: &Unit, check: &Check) -> String {
    let trap = |due: &Due| match due {
        Due::Trap(class) => format!("trap {class}"),
        Due::Unexplained(message) => format!("trap \"{}\"", message.escape_debug()),
        Due::Returned => "to return".to_owned(),
    };
    if std::ptr::eq(check, &unit.check) {
        return match &unit.what {
            What::Refused => "to be refused".to_owned(),
            What::Traps(due) => trap(due),
            What::Runs { .. } => "to be instantiated".to_owned(),
        };
    }
    let step = unit
        .steps()
        .iter()
        .find(|step| std::ptr::eq(check, &step.check));
    match step {
        Some(Step {
            due: Due::Returned,
            wrapper,
            ..
        }) => match &wrapper.expected {
            Some(results) if results.is_empty() => "no result".to_owned(),
            Some(results) => {
                let results: Vec<String> = results.iter().map(ToString::to_string).collect();
                results.join(", ")
            }
            None => trap(&Due::Returned),
        },
        Some(step) => trap(&step.due),
        None => String::new(),
    }
}
