use super::{
    confinement,
    protocol::{Answer, Facts, InstanceChoice, MAX_LINE_BYTES, Operation, Reply, Request, VERSION},
    timing,
};
use runtime_api::{Budget, Error, Form, Instance, Module, Options, Result, Runtime, TrustedCode};
use runtime_call::{Invocation, Observation};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read, Write},
};

/// The optional operations and kinds of `time` that a worker knows.
const OPERATIONS: [&str; 13] = [
    "global",
    "inspect",
    "time",
    "facts",
    "code",
    "precompile",
    "batch",
    "inplace",
    "reset",
    "traps",
    "footprint",
    "confine",
    "xxh3",
];

/// A loaded module and its instance. Fields drop in this order: an instance before its module.
pub(super) struct Loaded {
    pub(super) instance: Option<Box<dyn Instance>>,
    pub(super) module: Box<dyn Module>,
    /// What it was compiled from, and how.
    pub(super) wasm: Vec<u8>,
    pub(super) options: Options,
}

/// Answers requests over `runtime` until `input` ends.
///
/// # Errors
/// If the input cannot be read or a line is not a request, or the output cannot be written: the worker ends then, and
/// the harness sees it end.
pub fn serve(
    runtime: &dyn Runtime,
    input: impl io::Read,
    mut output: impl Write,
) -> io::Result<()> {
    // What a pipe holds.
    let mut input = io::BufReader::with_capacity(64 << 10, input);
    let mut server = Server::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input)
            .take(MAX_LINE_BYTES as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if read > MAX_LINE_BYTES {
            return Err(io::Error::other(
                "a request is longer than the protocol allows",
            ));
        }
        output.write_all(&server.answer(runtime, &line)?)?;
        output.flush()?;
    }
}

/// What a worker knows between requests.
pub(super) struct Server {
    modules: BTreeMap<u64, Loaded>,
    next_module: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            modules: BTreeMap::new(),
            next_module: 1,
        }
    }
}

impl Server {
    /// Answers a line with a line, over the same engine each time.
    ///
    /// # Errors
    /// If the line is not a request.
    pub(super) fn answer(&mut self, runtime: &dyn Runtime, line: &[u8]) -> io::Result<Vec<u8>> {
        let request: Request = serde_json::from_slice(line)?;
        let answer = handle(
            runtime,
            &mut self.modules,
            &mut self.next_module,
            request.operation,
        );
        let reply = Reply {
            id: request.id,
            answer: answer.unwrap_or_else(Answer::Error),
        };
        let mut bytes = serde_json::to_vec(&reply)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn handle(
    runtime: &dyn Runtime,
    modules: &mut BTreeMap<u64, Loaded>,
    next_module: &mut u64,
    operation: Operation,
) -> Result<Answer> {
    match operation {
        Operation::Hello { protocol: _ } => Ok(Answer::Hello {
            protocol: VERSION,
            info: Box::new(runtime.info().clone()),
            operations: OPERATIONS.map(str::to_owned).to_vec(),
        }),
        Operation::Load {
            wasm,
            options,
            code,
        } => {
            let loaded = load(runtime, wasm, options, &code)?;
            let number = *next_module;
            *next_module += 1;
            modules.insert(number, loaded);
            Ok(Answer::Loaded { module: number })
        }
        Operation::Run {
            module,
            instance,
            budget,
            invocation,
        } => {
            let loaded = modules.get_mut(&module).ok_or_else(|| unknown(module))?;
            run(loaded, module, instance, budget, &invocation).map(Answer::Ran)
        }
        Operation::Global { module, export } => {
            let loaded = modules.get_mut(&module).ok_or_else(|| unknown(module))?;
            let value = live(loaded, module)?.global(&export)?;
            Ok(Answer::Global { value })
        }
        Operation::Inspect {
            wasm,
            options,
            form,
        } => {
            let text = inspect(runtime, &wasm, &options, form)?;
            Ok(Answer::Inspected { text })
        }
        Operation::Precompile {
            wasm,
            options,
            target,
        } => {
            let code = runtime.precompile_for(&target, &wasm, &options)?;
            Ok(Answer::Precompiled { code })
        }
        Operation::Time {
            module,
            what,
            iterations,
            batch_ns,
            batches,
        } => {
            let loaded = modules.get_mut(&module).ok_or_else(|| unknown(module))?;
            let repeat = timing::Repeat {
                iterations,
                batch_ns,
                batches,
            };
            timing::time(runtime, loaded, module, &what, repeat).map(Answer::Timed)
        }
        Operation::Facts { module } => {
            let loaded = modules.get_mut(&module).ok_or_else(|| unknown(module))?;
            Ok(Answer::Facts(Facts {
                code_bytes: loaded.module.code_bytes(),
                fuel_left: loaded.instance.as_mut().and_then(|live| live.fuel_left()),
                peak_rss_bytes: timing::peak_rss_bytes(),
                clock_step_ns: Some(timing::clock_step_ns()),
            }))
        }
        Operation::Footprint {
            module,
            instances,
            budget,
            invocation,
        } => {
            let loaded = modules.get_mut(&module).ok_or_else(|| unknown(module))?;
            timing::footprint(loaded, instances, budget, &invocation).map(Answer::Footprint)
        }
        Operation::Confine => Ok(Answer::Confined(confinement::confine())),
        Operation::Drop { module } => {
            modules.remove(&module).ok_or_else(|| unknown(module))?;
            Ok(Answer::Dropped {})
        }
    }
}

fn load(runtime: &dyn Runtime, wasm: Vec<u8>, options: Options, code: &[u8]) -> Result<Loaded> {
    let module = if code.is_empty() {
        runtime.compile(&wasm, &options)?
    } else {
        load_code(runtime, &wasm, code, &options)?
    };
    Ok(Loaded {
        instance: None,
        module,
        wasm,
        options,
    })
}

/// Runs an invocation, and drops the instance where nobody knows its state any more.
fn run(
    loaded: &mut Loaded,
    module: u64,
    instance: InstanceChoice,
    budget: Budget,
    invocation: &Invocation,
) -> Result<Observation> {
    if instance == InstanceChoice::Fresh {
        loaded.instance = None;
        loaded.instance = Some(loaded.module.instantiate(budget)?);
    }
    let live = live(loaded, module)?;
    let observation = runtime_call::execute(live, invocation);
    let harmless = match &observation {
        Ok(observation) => observation.calls.iter().all(|call| match call {
            runtime_call::Outcome::Returned(_) => true,
            runtime_call::Outcome::Failed(error) => is_refusal(error),
        }),
        // Before calls, the only trap is growth beyond the limit.
        Err(error) => is_refusal(error) || matches!(error, Error::Trap { .. }),
    };
    if !harmless {
        loaded.instance = None;
    }
    observation
}

fn inspect(runtime: &dyn Runtime, wasm: &[u8], options: &Options, form: Form) -> Result<String> {
    let text = runtime.inspect(wasm, options, form)?;
    if text.len() > MAX_LINE_BYTES / 2 {
        // Escaped, it might not fit a line.
        return Err(Error::unsupported(format!(
            "{} bytes of text are more than the protocol carries",
            text.len()
        )));
    }
    Ok(text)
}

#[allow(unsafe_code, reason = "the harness decides whose code is loaded")]
fn load_code(
    runtime: &dyn Runtime,
    wasm: &[u8],
    code: &[u8],
    options: &Options,
) -> Result<Box<dyn Module>> {
    // SAFETY: requests come from the harness that started this worker. It sends what this engine made of this very module when it
    // was asked, or else what the owner of a trusted key vouches for, who may bring native code.
    let code = unsafe { TrustedCode::new(code) };
    runtime.load_code(wasm, code, options)
}

pub(super) fn live(loaded: &mut Loaded, module: u64) -> Result<&mut dyn Instance> {
    match loaded.instance.as_mut() {
        Some(instance) => Ok(instance.as_mut()),
        None => Err(Error::Adapter {
            message: format!("module {module} has no instance to use again"),
        }),
    }
}

/// Whether an engine says no before it runs any code: the instance is as it was. After a trap it is in no known state.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Unsupported { .. } | Error::Export { .. } | Error::Access { .. }
    )
}

fn unknown(module: u64) -> Error {
    Error::Adapter {
        message: format!("no module {module} is loaded"),
    }
}
