//! Packs that are replaced while text is generated: a good one, one whose health check fails, one that passes it and then traps, one that
//! loops. The text must be what native kernels give.

use crate::{
    cache::Format,
    generate::{Session, greedy},
    hosted::{Hosted, Source},
    kernels::{Native, Witness},
    model::Model,
    packs::{Fault, Workshop},
};
use anyhow::{Context, Result};
use kernel_pack::TrustList;
use runtime_host::{Budget, Event};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Half a second: what a kernel that loops takes of each call until it is taken back.
const BUDGET: Budget = Budget::Epoch(50);

/// One upgrade during the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Tokens before it.
    pub at: usize,
    /// What is wrong with the pack.
    pub fault: Fault,
    /// The generation that it became, or why it was not prepared.
    pub outcome: Result<u64, String>,
    /// What happened from then on to the next upgrade.
    pub events: Vec<Event>,
    /// The generation that served before the next upgrade.
    pub serves: Option<u64>,
}

/// A text with upgrades in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// The tokens.
    pub tokens: Vec<u32>,
    /// Whether tokens and the outputs of all calls are those of native kernels.
    pub equal: bool,
    /// The upgrades.
    pub steps: Vec<Step>,
    /// Calls, and those that were not answered by a kernel in the sandbox.
    pub calls: u64,
    /// See `calls`.
    pub degraded: u64,
    /// Calls that nobody answered.
    pub failed: u64,
}

impl Story {
    /// Whether everything is as it should be: the text, and of each upgrade what became of it.
    ///
    /// # Errors
    /// In words, what is not.
    pub fn check(&self) -> Result<(), String> {
        let says = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        says(self.equal, "the text is not that of native kernels")?;
        says(self.failed == 0, "calls failed")?;
        let mut degraded = 0;
        for step in &self.steps {
            let counted = step
                .events
                .iter()
                .filter(|event| matches!(event, Event::Degraded { .. }));
            let counted = counted.count() as u64;
            degraded += counted;
            let activated = step
                .events
                .iter()
                .any(|event| matches!(event, Event::Activated { .. }));
            let rolled_back = step
                .events
                .iter()
                .any(|event| matches!(event, Event::RolledBack { .. }));
            let as_expected = match step.fault {
                Fault::None => {
                    activated
                        && !rolled_back
                        && counted == 0
                        && step.serves == step.outcome.clone().ok()
                }
                Fault::Wrong => !activated && step.outcome.is_err() && counted == 0,
                Fault::Traps | Fault::Loops => activated && rolled_back && counted > 0,
            };
            says(
                as_expected,
                &format!(
                    "the upgrade after {} tokens, {:?}, went another way",
                    step.at, step.fault
                ),
            )?;
        }
        says(
            degraded == self.degraded,
            "degraded calls and their events differ in number",
        )
    }
}

/// Generates `tokens` tokens with an upgrade after each fifth of them. `heard` is told of each piece as it comes.
///
/// # Errors
/// Those of the model, the host and the packs; an upgrade that goes another way than it should is none.
pub fn run(
    model: &Model,
    source: &Source,
    fixtures: &Path,
    engine: &str,
    prompt: &[u32],
    tokens: usize,
    heard: &mut dyn FnMut(u32, Option<&Step>),
) -> Result<Story> {
    let workshop = Workshop::open(fixtures)?;
    let first = source.verify()?.version().clone();
    let mut keys = source.keys()?;
    let own = workshop.key().to_string();
    keys.merge(TrustList::parse(&own, "this program")?);
    let hosted = Hosted::trusting(source, keys, engine, BUDGET)?;
    let native = Native {
        simd: hosted.simd(),
    };
    let host = hosted.host().clone();
    let log: Arc<Mutex<Vec<Event>>> = Arc::default();
    let events = Arc::clone(&log);
    host.subscribe(move |event| {
        events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event.clone())
    });
    let take = || std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));

    let hidden = model.config().hidden;
    let faults = [Fault::None, Fault::Wrong, Fault::Traps, Fault::Loops];
    let mut session = Session::new(model, Format::F32, Witness::new(hosted));
    let mut expected = Session::new(model, Format::F32, Witness::new(native));
    let (mut steps, mut text, mut equal): (Vec<Step>, Vec<u32>, bool) =
        (Vec::new(), Vec::new(), true);
    let mut logits = session.feed(prompt)?;
    let mut right = expected.feed(prompt)?;
    while text.len() < tokens {
        let token = greedy(&logits);
        equal &= token == greedy(&right);
        text.push(token);
        heard(token, None);
        if text.len() % (tokens / 5).max(1) == 0
            && let Some(&fault) = faults.get(steps.len())
        {
            close(&mut steps, take(), host.generation());
            let patch = first.patch + 1 + steps.len() as u64;
            let version = format!("{}.{}.{patch}", first.major, first.minor);
            let path = workshop
                .pack(&version, fault, hidden)
                .with_context(|| format!("make pack {version}"))?;
            let outcome = host.upgrade(&path).map_err(|error| error.to_string());
            let step = Step {
                at: text.len(),
                fault,
                outcome,
                events: Vec::new(),
                serves: None,
            };
            heard(token, Some(&step));
            steps.push(step);
        }
        logits = session.feed(&[token])?;
        right = expected.feed(&[token])?;
    }
    close(&mut steps, take(), host.generation());
    let totals = host.totals();
    Ok(Story {
        tokens: text,
        equal: equal && session.kernels.outputs() == expected.kernels.outputs(),
        steps,
        calls: totals.calls,
        degraded: totals.degraded,
        failed: totals.failed,
    })
}

fn close(steps: &mut [Step], events: Vec<Event>, serves: Option<u64>) {
    if let Some(step) = steps.last_mut() {
        step.events = events;
        step.serves = serves;
    }
}
