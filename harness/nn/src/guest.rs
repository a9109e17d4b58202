//! `assay nn GUEST`.

use crate::{
    check::keep,
    offer::{LeftOut, Offer, open},
    program::Arguments,
};
use anyhow::Result;
use assay::{
    cmd::probe::read_plain,
    exit::{self, Exit},
    output::{Output, printable},
};
use runtime_api::{Budget, BudgetKind, Options, Runtime};
use runtime_nn::{Backend, Guest, Limits, Nn, abi::Errno};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of a guest or a graph in a file.
const LARGEST_FILE: u64 = 1 << 30;

#[derive(Serialize)]
struct Document {
    passed: bool,
    runs: Vec<Run>,
    left_out: Vec<LeftOut>,
}

/// A guest on an engine with a backend.
#[derive(Serialize)]
struct Run {
    engine: String,
    backend: String,
    /// What its entry returned.
    returned: Option<i32>,
    /// Why it returned nothing.
    stopped: Option<String>,
    /// How often each function ended in which way.
    calls: BTreeMap<String, u64>,
    /// The words of the first error of a function.
    first_error: Option<String>,
}

/// How often each function ended in which way, and the words of the first error.
type Seen = (BTreeMap<String, u64>, Option<String>);

/// A graph's name and bytes.
type Named = (String, Vec<u8>);

pub(crate) fn run(
    arguments: &Arguments,
    offer: &Offer,
    path: &Path,
    output: &Output,
) -> Result<Exit> {
    let wasm = read_plain("guest", path, LARGEST_FILE)?;
    let graphs = graphs(&arguments.graph)?;
    let mut runs = Vec::new();
    for engine in &offer.engines {
        let runtime = open(engine)?;
        let ids = offer.backends.iter();
        let backends = ids.map(|id| offer.backend(id, engine));
        let backends: Vec<_> = backends.collect::<Result<_>>()?;
        let takes = |backend: &&Arc<dyn Backend>| {
            let mut graphs = graphs.iter();
            graphs.all(|(_, bytes)| backend.recognises(std::slice::from_ref(bytes)))
        };
        let mut fit: Vec<_> = backends.iter().filter(takes).collect();
        if arguments.backend.is_empty() {
            fit.truncate(1);
        }
        if fit.is_empty() {
            let message = "no backend that is here takes the form of all graphs; name files of one form, ONNX or documents of kernels";
            return Err(exit::usage(message));
        }
        for backend in fit {
            let nn = Nn::new(Limits::default());
            // What the guest brings along any backend may take, the chosen one first.
            let nn = backends
                .iter()
                .fold(nn.backend(Arc::clone(backend)), |nn, other| {
                    nn.backend(Arc::clone(other))
                });
            let run = one(arguments, &*runtime, &wasm, nn, backend, &graphs)?;
            output.text(&text(&run))?;
            runs.push(run);
        }
    }
    let passed = runs.iter().all(|run| run.returned == Some(0));
    let document = Document {
        passed,
        runs,
        left_out: offer.left_out.clone(),
    };
    keep(arguments, "nn-guest.json", &document)?;
    output.document(&document)?;
    Ok(if passed { Exit::Passed } else { Exit::Failed })
}

fn graphs(arguments: &[String]) -> Result<Vec<Named>> {
    let named = arguments.iter().map(|argument| {
        let (name, path) = argument.split_once('=').ok_or_else(|| {
            exit::usage(format!("--graph wants NAME=FILE; `{argument}` has no `=`"))
        })?;
        Ok((
            name.to_owned(),
            read_plain("graph", Path::new(path), LARGEST_FILE)?,
        ))
    });
    named.collect()
}

fn one(
    arguments: &Arguments,
    runtime: &dyn Runtime,
    wasm: &[u8],
    nn: Nn,
    backend: &Arc<dyn Backend>,
    graphs: &[Named],
) -> Result<Run> {
    let mut nn = nn;
    for (name, bytes) in graphs {
        nn = nn
            .named(name, &**backend, bytes.clone())
            .map_err(|error| exit::usage(format!("failed to load the graph `{name}`: {error}")))?;
    }
    let options = Options {
        limits: runtime_api::Limits::default(),
        metering: BudgetKind::Epoch,
    };
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let heard = Arc::clone(&seen);
    let called = Guest::compile(runtime, wasm, &options, Arc::new(nn)).and_then(|guest| {
        let guest = guest.heard_by(Arc::new(move |name, error| {
            let mut seen = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let errno = error.map_or(Errno::Success, Errno::from);
            *seen
                .0
                .entry(format!("{name}: {}", errno.name()))
                .or_default() += 1;
            if let (None, Some(error)) = (&seen.1, error) {
                seen.1 = Some(format!("{name} failed to {error}"));
            }
        }));
        let budget = Budget::Epoch(arguments.ticks);
        let mut instance = guest.instantiate(budget)?;
        let entry = instance.entry(&arguments.entry, 0)?;
        instance.call(entry, &[], budget)
    });
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Run {
        engine: runtime.info().id.clone(),
        backend: backend.id().to_owned(),
        returned: called.as_ref().ok().copied(),
        stopped: called.err().map(|error| format!("failed to {error}")),
        calls: seen.0,
        first_error: seen.1,
    })
}

fn text(run: &Run) -> String {
    let end = match (&run.stopped, run.returned) {
        (Some(why), _) => printable(why).to_string(),
        (None, returned) => format!("returned {}", returned.unwrap_or_default()),
    };
    let mut lines = vec![format!("{:<20}{:<13}{end}", run.engine, run.backend)];
    let calls = run.calls.iter();
    lines.extend(calls.map(|(call, count)| format!("    {call}, {count} times")));
    let error = run.first_error.iter();
    lines.extend(error.map(|error| format!("    first: {}", printable(error))));
    lines.join("\n")
}
