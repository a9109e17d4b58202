//! Whether engines did the same with a module, and who did not.

use super::session::{Answer, Seen, Step};
use runtime_api::{Error, Trap};
use serde::Serialize;
use std::collections::BTreeMap;

/// How an engine stands after a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "stands")]
pub enum Ended {
    /// As the others, to the end.
    Agreed,
    /// It lacks what the module needs.
    Unsupported {
        /// What.
        reason: String,
    },
    /// As the others until something that the specification leaves to engines, or until nobody was left to compare it with.
    Inconclusive {
        /// What.
        reason: String,
    },
    /// Otherwise than the others, as is known and explained.
    Explained {
        /// Why.
        reason: String,
    },
    /// Otherwise than the others, or as no engine may.
    Disagreed {
        /// Its step, and the one of the others.
        what: String,
    },
}

/// What came of a module on all engines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Engine id to how it stands.
    pub engines: BTreeMap<String, Ended>,
    /// Engine id to the calls in which it was compared with another engine.
    #[serde(skip)]
    pub compared: BTreeMap<String, u64>,
}

impl Judgement {
    /// Whether there is a disagreement that is not explained.
    pub fn is_finding(&self) -> bool {
        self.disagreeing().next().is_some()
    }

    /// Engines that disagree.
    pub fn disagreeing(&self) -> impl Iterator<Item = &str> {
        self.engines
            .iter()
            .filter(|(_, ended)| matches!(ended, Ended::Disagreed { .. }))
            .map(|(id, _)| id.as_str())
    }
}

/// Compares answers, by engine id, step by step. An engine drops out where its step is another than that of most, where it is one
/// that no engine may take, and where the specification does not say what it must be. `valid` says whether the module is one that
/// no engine may refuse.
pub fn judge(answers: &BTreeMap<String, Answer>, valid: bool) -> Judgement {
    let mut engines = BTreeMap::new();
    let mut compared = BTreeMap::new();
    let mut running: BTreeMap<&str, &[Step]> = BTreeMap::new();
    for (id, answer) in answers {
        match answer {
            Answer::Unsupported(reason) => {
                let reason = reason.clone();
                engines.insert(id.clone(), Ended::Unsupported { reason });
            }
            Answer::Steps(steps) => {
                running.insert(id, steps);
            }
        }
    }
    let mut position = 0;
    loop {
        // What cannot be compared, first: it must not win a vote.
        running.retain(|id, steps| {
            let Some(step) = steps.get(position) else {
                return true;
            };
            let ended = if let Some(class) = left_to_engines(&step.seen) {
                Ended::Inconclusive {
                    reason: class.to_owned(),
                }
            } else if !allowed(&step.seen, valid) {
                let what = describe(step);
                Ended::Disagreed { what }
            } else {
                return true;
            };
            engines.insert((*id).to_owned(), ended);
            false
        });
        if running.values().all(|steps| steps.len() <= position) {
            break;
        }
        let mut groups: Vec<(Option<&Step>, Vec<&str>)> = Vec::new();
        for (id, steps) in &running {
            let step = steps.get(position);
            match groups.iter_mut().find(|(other, _)| same(*other, step)) {
                Some((_, ids)) => ids.push(id),
                None => groups.push((step, vec![id])),
            }
        }
        let most = groups.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
        let tied = groups.iter().filter(|(_, ids)| ids.len() == most).count() > 1;
        let told = |step: Option<&Step>| step.map_or("nothing more".to_owned(), describe);
        let leading = groups.iter().find(|(_, ids)| ids.len() == most);
        let leading = leading.and_then(|(step, _)| *step);
        for (step, ids) in &groups {
            if ids.len() == most && !tied {
                continue;
            }
            let others: Vec<String> = groups
                .iter()
                .filter(|(other, _)| !same(*other, *step))
                .map(|(other, ids)| format!("{}: {}", ids.join(", "), told(*other)))
                .collect();
            for id in ids {
                running.remove(id);
                let what = format!("{}; {}", told(*step), others.join("; "));
                engines.insert((*id).to_owned(), Ended::Disagreed { what });
            }
        }
        if running.len() > 1 && leading.is_some_and(|step| is_call(&step.seen)) {
            for id in running.keys() {
                *compared.entry((*id).to_owned()).or_insert(0) += 1;
            }
        }
        if running.len() == 1 {
            let reason = "no other engine is left to compare it with".to_owned();
            for id in running.keys() {
                let reason = reason.clone();
                engines.insert((*id).to_owned(), Ended::Inconclusive { reason });
            }
            running.clear();
        }
        position += 1;
    }
    for id in running.keys() {
        engines.insert((*id).to_owned(), Ended::Agreed);
    }
    Judgement { engines, compared }
}

/// Whether two engines took the same step. In what words a module is refused is theirs.
fn same(one: Option<&Step>, other: Option<&Step>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            let refused = |step: &Step| matches!(step.seen, Seen::Rejected { .. });
            one.did == other.did && (one.seen == other.seen || refused(one) && refused(other))
        }
        (None, None) => true,
        _ => false,
    }
}

/// The class of a trap that depends on the engine: how deep calls may nest, how far a budget goes, what a limit is about.
fn left_to_engines(seen: &Seen) -> Option<&'static str> {
    match seen {
        Seen::Trap { trap, .. } => match trap {
            Trap::StackOverflow
            | Trap::ResourceLimit
            | Trap::EpochDeadline
            | Trap::FuelExhausted => Some(trap.name()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether any engine may take such a step.
fn allowed(seen: &Seen, valid: bool) -> bool {
    match seen {
        Seen::Instantiated { .. } | Seen::Returned { .. } => true,
        Seen::Trap { trap, .. } => !matches!(trap, Trap::EngineOther { .. }),
        Seen::Rejected { .. } => !valid,
        Seen::Wrong { .. } | Seen::Crashed { .. } | Seen::Hung { .. } => false,
    }
}

fn is_call(seen: &Seen) -> bool {
    match seen {
        Seen::Returned { .. } => true,
        Seen::Trap { stage, .. } => *stage == runtime_api::Stage::Call,
        _ => false,
    }
}

fn describe(step: &Step) -> String {
    let memory = |memory: &Option<super::Memory>| match memory {
        None => String::new(),
        Some(memory) => format!(
            ", memory of {} pages {}",
            memory.pages,
            memory.sha256.get(..8).unwrap_or(&memory.sha256)
        ),
    };
    let seen = match &step.seen {
        Seen::Instantiated { memory: after } => format!("instantiated{}", memory(after)),
        Seen::Returned {
            value,
            memory: after,
        } => format!("returned {value}{}", memory(after)),
        Seen::Trap { stage, trap } => Error::trap(*stage, trap.clone()).to_string(),
        Seen::Rejected { message } => format!("rejected: {message}"),
        Seen::Wrong { message } => message.clone(),
        Seen::Crashed { message } => format!("crashed: {message}"),
        Seen::Hung { message } => format!("hung: {message}"),
    };
    format!("{} -> {seen}", step.did)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_api::Stage;

    fn step(did: &str, seen: Seen) -> Step {
        Step {
            did: did.to_owned(),
            seen,
        }
    }

    fn returned(value: i32) -> Step {
        step(
            "call",
            Seen::Returned {
                value,
                memory: None,
            },
        )
    }

    fn trap(trap: Trap) -> Step {
        let stage = Stage::Call;
        step("call", Seen::Trap { stage, trap })
    }

    /// First letters of how `a`, `b`, `c` stand: A, U, I, D.
    fn stands(answers: &[&[Step]], valid: bool) -> String {
        let answers = ["a", "b", "c"]
            .iter()
            .zip(answers)
            .map(|(id, steps)| ((*id).to_owned(), Answer::Steps(steps.to_vec())))
            .collect();
        judge(&answers, valid)
            .engines
            .values()
            .map(|ended| match ended {
                Ended::Agreed => 'A',
                Ended::Unsupported { .. } => 'U',
                Ended::Inconclusive { .. } => 'I',
                Ended::Explained { .. } => 'E',
                Ended::Disagreed { .. } => 'D',
            })
            .collect()
    }

    #[test]
    fn the_odd_one_disagrees_and_a_tie_is_nobodys() {
        let (one, two) = (returned(1), returned(2));
        let (one, two) = (&[one][..], &[two][..]);
        assert_eq!(stands(&[one, one, one], true), "AAA");
        assert_eq!(stands(&[one, two, one], true), "ADA");
        assert_eq!(stands(&[one, two], true), "DD");
        assert_eq!(
            stands(&[one, two, &[]], true),
            "DDD",
            "nobody is more than one"
        );
        assert_eq!(
            stands(&[one, one, &[]], true),
            "AAD",
            "an end is a step as well"
        );
    }

    #[test]
    fn every_part_of_a_step_is_compared() {
        let memory = |sha256: &str, pages| {
            let memory = Some(super::super::Memory {
                pages,
                sha256: sha256.to_owned(),
            });
            vec![step("call", Seen::Returned { value: 1, memory })]
        };
        let right = memory("a", 1);
        for wrong in [
            memory("b", 1),
            memory("a", 2),
            vec![trap(Trap::Unreachable)],
            vec![],
        ] {
            assert_eq!(stands(&[&right, &wrong, &right], true), "ADA", "{wrong:?}");
        }
        let null = [trap(Trap::NullFunction)];
        let unreachable = [trap(Trap::Unreachable)];
        assert_eq!(stands(&[&null, &unreachable, &null], true), "ADA");
    }

    #[test]
    fn what_is_left_to_engines_is_neither_agreement_nor_disagreement() {
        let deep = [returned(1), trap(Trap::StackOverflow)];
        let other = [returned(1), returned(2), returned(3)];
        assert_eq!(stands(&[&deep, &other, &other], true), "IAA");
        assert_eq!(stands(&[&deep, &deep, &deep], true), "III");
        assert_eq!(stands(&[&deep, &other], true), "II", "nobody to compare");
        let before = [returned(7), trap(Trap::StackOverflow)];
        assert_eq!(stands(&[&before, &other, &other], true), "DAA");
    }

    #[test]
    fn what_no_engine_may_do_is_a_disagreement_however_many_do_it() {
        let message = String::new;
        for seen in [
            Seen::Crashed { message: message() },
            Seen::Hung { message: message() },
            Seen::Wrong { message: message() },
            Seen::Rejected { message: message() },
            Seen::Trap {
                stage: Stage::Call,
                trap: Trap::EngineOther {
                    engine: message(),
                    text: message(),
                },
            },
        ] {
            let bad = [step("call", seen)];
            assert_eq!(stands(&[&bad, &bad, &bad], true), "DDD");
        }
    }

    #[test]
    fn an_invalid_module_must_be_refused_by_all() {
        let refused = |message: &str| {
            let message = message.to_owned();
            [step("load", Seen::Rejected { message })]
        };
        let (one, two) = (refused("no"), refused("never"));
        assert_eq!(stands(&[&one, &two, &one], false), "AAA");
        assert_eq!(stands(&[&one, &[returned(1)], &one], false), "ADA");
    }

    #[test]
    fn only_calls_in_which_somebody_was_left_to_compare_with_count() {
        let answers = |steps: &[&[Step]]| {
            ["a", "b"]
                .iter()
                .zip(steps)
                .map(|(id, steps)| ((*id).to_owned(), Answer::Steps(steps.to_vec())))
                .collect::<BTreeMap<_, _>>()
        };
        let long = [returned(1), returned(2), returned(3)];
        let short = [returned(1), trap(Trap::StackOverflow)];
        assert_eq!(judge(&answers(&[&long, &long]), true).compared["a"], 3);
        assert_eq!(judge(&answers(&[&long, &short]), true).compared["a"], 1);
        let alone = judge(&answers(&[&long]), true);
        assert!(alone.compared.is_empty());
        assert!(matches!(alone.engines["a"], Ended::Inconclusive { .. }));
    }
}
