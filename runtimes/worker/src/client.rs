//! A worker as the harness has it: asks, waits, and stops what does not answer.

use super::{
    confinement::Confinement,
    error::{RunError, WorkerError},
    gather::Gathering,
    launch::Launch,
    limits::{Silence, TimeLimit, WorkerLimits},
    process::Process,
    protocol::{
        Answer, Facts, Footprint, InstanceChoice, Operation, Reply, Request, Timed, Times, VERSION,
    },
    texts,
};
use runtime_api::{Budget, Form, Info, Options};
use runtime_call::{Invocation, Observation, Outcome};
use std::time::Duration;

/// How long compiling, dropping and moving bytes may take beyond any budget.
const WORK_TIME: Duration = Duration::from_secs(60);
/// How long compiling for another machine may take: nobody waits to run it, and LLVM takes half a minute for some kernels on armv7.
const AHEAD_TIME: Duration = Duration::from_secs(150);
/// A call that is still running this long after its budget is killed with its worker.
pub const GRACE: Duration = Duration::from_millis(500);

/// A running worker process.
pub struct Worker {
    pub(super) launch: Launch,
    info: Info,
    operations: Vec<String>,
    limits: WorkerLimits,
    time_limit: Option<TimeLimit>,
    process: Process,
    next_id: u64,
    pub(super) gathering: Option<Gathering>,
}

impl Worker {
    /// Starts a worker, within the limits that the environment sets, and exchanges hellos. The thread that calls this must
    /// outlive the worker: on Linux its end ends the worker.
    ///
    /// # Errors
    /// [`WorkerError`]; nothing is left running then.
    pub fn start(launch: &Launch) -> Result<Worker, WorkerError> {
        let limits = WorkerLimits::from_environment()
            .map_err(|error| not_started(launch, error.to_string()))?;
        Worker::start_within(launch, limits)
    }

    /// Starts a worker within limits, as [`start`](Self::start) does.
    ///
    /// # Errors
    /// [`WorkerError`]; nothing is left running then.
    pub fn start_within(launch: &Launch, limits: WorkerLimits) -> Result<Worker, WorkerError> {
        let time_limit = launch.time_limit;
        if let Some(limit) = time_limit.filter(TimeLimit::is_reached) {
            let id = launch.id.clone();
            return Err(WorkerError::TimeLimit { id, limit });
        }
        let process = Process::start(launch, limits)
            .map_err(|error| not_started(launch, error.to_string()))?;
        let mut worker = Worker {
            limits,
            time_limit,
            launch: launch.clone(),
            info: empty_info(&launch.id),
            operations: Vec::new(),
            process,
            next_id: 1,
            gathering: None,
        };
        match worker.request(Operation::Hello { protocol: VERSION }, limits.hello)? {
            Answer::Hello {
                protocol,
                info,
                operations,
            } if protocol == VERSION => {
                if let Some(what) = launch.contradicted(&info, &operations) {
                    return Err(worker.protocol_error(what));
                }
                worker.info = *info;
                worker.operations = operations;
                Ok(worker)
            }
            Answer::Hello { protocol, .. } => Err(worker.protocol_error(format!(
                "it speaks version {protocol} of the protocol, this harness version {VERSION}"
            ))),
            Answer::Error(error) => {
                Err(worker.protocol_error(format!("its engine failed to {error}")))
            }
            _ => Err(worker.unexpected("hello")),
        }
    }

    /// Has the worker ended by `limit`, if not earlier: a request that is not answered by then fails, and the worker is killed.
    pub fn end_by(&mut self, limit: Option<TimeLimit>) {
        let of_all = self.launch.time_limit;
        self.time_limit = limit.map(|limit| limit.sooner(of_all)).or(of_all);
    }

    /// What the worker said of its engine.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Whether the worker knows an optional operation.
    pub fn has_operation(&self, name: &str) -> bool {
        self.operations.iter().any(|known| known == name)
    }

    /// Bytes that are resident in the worker and stand for no file (heap, stacks, linear memories), exactly; `None` where the system
    /// does not say.
    pub fn anonymous_memory(&self) -> Option<u64> {
        self.process.anonymous_memory()
    }

    /// How long the worker's threads and the calling one have waited for a processor since they began, in sum: what a busy machine
    /// adds to the time of a request is at most what this grows by. `None` where the system does not say.
    pub fn waited(&self) -> Option<Duration> {
        self.process.waited()
    }

    /// Compiles a module.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn load(&mut self, wasm: &[u8], options: &Options) -> Result<u64, RunError> {
        self.load_within(wasm, options, WORK_TIME)
    }

    /// Compiles a module; a worker that is still busy after `time` is killed.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn load_within(
        &mut self,
        wasm: &[u8],
        options: &Options,
        time: Duration,
    ) -> Result<u64, RunError> {
        self.load_operation(wasm, &[], options, time)
    }

    /// Loads a module from `code`, native code that somebody vouches for; only for a worker that
    /// [has](Self::has_operation) `code`.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn load_code(
        &mut self,
        wasm: &[u8],
        code: &[u8],
        options: &Options,
    ) -> Result<u64, RunError> {
        self.load_operation(wasm, code, options, WORK_TIME)
    }

    fn load_operation(
        &mut self,
        wasm: &[u8],
        code: &[u8],
        options: &Options,
        time: Duration,
    ) -> Result<u64, RunError> {
        let operation = Operation::Load {
            wasm: wasm.to_vec(),
            options: *options,
            code: code.to_vec(),
        };
        match self.request(operation, time)? {
            Answer::Loaded { module } => Ok(module),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("loaded").into()),
        }
    }

    /// Exchanges with an instance of a module. A worker that is still busy at the sum of all budgets plus 500 ms, plus `allowance`
    /// for what no budget covers, is killed.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn run(
        &mut self,
        module: u64,
        instance: InstanceChoice,
        budget: Budget,
        invocation: Invocation,
        allowance: Duration,
    ) -> Result<Observation, RunError> {
        let time = std::iter::once(budget)
            .chain(invocation.calls.iter().map(|call| call.budget))
            .filter_map(Budget::time)
            .fold(allowance + GRACE, Duration::saturating_add);
        self.run_within(module, instance, budget, invocation, time)
    }

    /// Exchanges with an instance of a module; a worker that is still busy after `time`, whatever the budgets, is killed.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn run_within(
        &mut self,
        module: u64,
        instance: InstanceChoice,
        budget: Budget,
        mut invocation: Invocation,
        time: Duration,
    ) -> Result<Observation, RunError> {
        let asked = invocation.calls.len();
        let gathering = self.gathering.as_ref();
        if let Some(gathering) = gathering.filter(|gathering| gathering.module == module) {
            invocation.calls.extend(gathering.calls.iter().cloned());
        }
        let calls = invocation.calls.len();
        let reads = invocation.reads.len();
        let operation = Operation::Run {
            module,
            instance,
            budget,
            invocation,
        };
        match self.request(operation, time)? {
            Answer::Ran(mut observation) => {
                let all_returned = observation.calls.len() == calls
                    && observation
                        .calls
                        .iter()
                        .all(|call| matches!(call, Outcome::Returned(_)));
                let complete = if all_returned {
                    observation.reads.len() == reads
                } else {
                    observation.reads.is_empty()
                        && observation.calls.len() <= calls
                        && matches!(observation.calls.last(), Some(Outcome::Failed(_)))
                };
                if !complete {
                    return Err(self
                        .protocol_error(format!(
                            "it answered {} of {calls} calls and {} of {reads} reads",
                            observation.calls.len(),
                            observation.reads.len()
                        ))
                        .into());
                }
                if observation.calls.len() > asked {
                    self.hear_words(&observation.calls[asked..])?;
                    observation.calls.truncate(asked);
                }
                Ok(observation)
            }
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("ran").into()),
        }
    }

    /// Value of an exported i32 global of a module's instance; only for a worker that [has](Self::has_operation) `global`.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn global(&mut self, module: u64, export: &str) -> Result<i32, RunError> {
        let operation = Operation::Global {
            module,
            export: export.to_owned(),
        };
        match self.request(operation, WORK_TIME)? {
            Answer::Global { value } => Ok(value),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("global").into()),
        }
    }

    /// What the engine makes of a module; only for a worker that [has](Self::has_operation) `inspect`.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn inspect(
        &mut self,
        wasm: &[u8],
        options: &Options,
        form: Form,
    ) -> Result<String, RunError> {
        let operation = Operation::Inspect {
            wasm: wasm.to_vec(),
            options: *options,
            form,
        };
        match self.request(operation, WORK_TIME)? {
            Answer::Inspected { text } => Ok(text),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("inspected").into()),
        }
    }

    /// What the engine makes of a module for another machine; only for a worker that [has](Self::has_operation) `precompile`.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn precompile(
        &mut self,
        wasm: &[u8],
        options: &Options,
        target: &str,
    ) -> Result<Vec<u8>, RunError> {
        let operation = Operation::Precompile {
            wasm: wasm.to_vec(),
            options: *options,
            target: target.to_owned(),
        };
        match self.request(operation, AHEAD_TIME)? {
            Answer::Precompiled { code } => Ok(code),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("precompiled").into()),
        }
    }

    /// Repeats something and says how long it took; only for a worker that [has](Self::has_operation) `time`. A worker that is
    /// still busy after `within` is killed.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn time(
        &mut self,
        module: u64,
        what: Timed,
        (iterations, batch_ns, batches): (u64, u64, u32),
        within: Duration,
    ) -> Result<Times, RunError> {
        let operation = Operation::Time {
            module,
            what,
            iterations,
            batch_ns,
            batches,
        };
        match self.request(operation, within)? {
            Answer::Timed(times) => Ok(times),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("timed").into()),
        }
    }

    /// What else is known of a module; only for a worker that [has](Self::has_operation) `facts`.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn facts(&mut self, module: u64) -> Result<Facts, RunError> {
        match self.request(Operation::Facts { module }, WORK_TIME)? {
            Answer::Facts(facts) => Ok(facts),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("facts").into()),
        }
    }

    /// How much memory of the process each of so many instances of a module takes; only for a worker that
    /// [has](Self::has_operation) `footprint`. A worker that is still busy after `within` is killed.
    ///
    /// # Errors
    /// The engine's refusal, or the worker's end.
    pub fn footprint(
        &mut self,
        module: u64,
        instances: u64,
        budget: Budget,
        invocation: Invocation,
        within: Duration,
    ) -> Result<Footprint, RunError> {
        let operation = Operation::Footprint {
            module,
            instances,
            budget,
            invocation,
        };
        match self.request(operation, within)? {
            Answer::Footprint(footprint) => Ok(footprint),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("footprint").into()),
        }
    }

    /// Has the worker give up what running loaded code does not need, and says what holds then. One that does not
    /// [know](Self::has_operation) `confine` is not asked, and gives up nothing.
    ///
    /// # Errors
    /// The worker's end.
    pub fn confine(&mut self) -> Result<Confinement, WorkerError> {
        if !self.has_operation("confine") {
            return Ok(Confinement::none(
                "the worker does not know the optional operation `confine`",
            ));
        }
        match self.request(Operation::Confine, WORK_TIME)? {
            Answer::Confined(confinement) => Ok(confinement),
            Answer::Error(error) => Ok(Confinement::none(format!("failed to {error}"))),
            _ => Err(self.unexpected("confined")),
        }
    }

    /// Forgets a module.
    ///
    /// # Errors
    /// The worker's end, or a module that it does not know.
    pub fn drop_module(&mut self, module: u64) -> Result<(), RunError> {
        match self.request(Operation::Drop { module }, WORK_TIME)? {
            Answer::Dropped {} => Ok(()),
            Answer::Error(error) => Err(error.into()),
            _ => Err(self.unexpected("dropped").into()),
        }
    }

    fn request(&mut self, operation: Operation, time: Duration) -> Result<Answer, WorkerError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = serde_json::to_vec(&Request { id, operation }).map_err(|error| {
            self.protocol_error(format!("a request cannot be written: {error}"))
        })?;
        line.push(b'\n');
        if !self.process.send(line) {
            return Err(self.crashed());
        }
        let cutting = self.time_limit.filter(|limit| limit.left() < time);
        let wait = cutting.map_or(time, |limit| limit.left());
        let line = self.process.receive(wait).map_err(|silence| {
            let id = self.launch.id.clone();
            match (silence, cutting) {
                (Silence::Ended, _) => self.crashed(),
                (Silence::Broken(message), _) => self.protocol_error(message),
                (Silence::TimedOut, Some(limit)) => WorkerError::TimeLimit { id, limit },
                (Silence::TimedOut, None) => WorkerError::TimedOut {
                    id,
                    seconds: time.as_secs_f64(),
                },
                (Silence::Memory, _) => WorkerError::Memory {
                    id,
                    mebibytes: self.limits.memory >> 20,
                },
            }
        })?;
        let reply: Reply = serde_json::from_slice(&line).map_err(|error| {
            let shown = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
            self.protocol_error(format!("{error} in {shown:?}"))
        })?;
        if reply.id != id {
            return Err(self.protocol_error(format!(
                "it answered request {} when asked request {id}",
                reply.id
            )));
        }
        Ok(texts::tidied(reply.answer))
    }

    fn unexpected(&mut self, wanted: &str) -> WorkerError {
        self.protocol_error(format!("its answer is not `{wanted}`"))
    }

    pub(super) fn protocol_error(&mut self, message: String) -> WorkerError {
        self.process.kill();
        WorkerError::Protocol {
            id: self.launch.id.clone(),
            message,
        }
    }

    fn crashed(&mut self) -> WorkerError {
        let status = self.process.finish();
        WorkerError::Crashed {
            id: self.launch.id.clone(),
            status,
            stderr: self.process.stderr_tail(),
        }
    }
}

fn not_started(launch: &Launch, message: String) -> WorkerError {
    WorkerError::Start {
        id: launch.id.clone(),
        program: launch.program.display().to_string(),
        message,
    }
}

/// Stands in until hello is answered.
pub(super) fn empty_info(id: &str) -> Info {
    Info {
        id: id.to_owned(),
        engine: String::new(),
        version: String::new(),
        kind: runtime_api::Kind::Interpreter,
        build: Default::default(),
        capabilities: runtime_api::Capabilities {
            features: Vec::new(),
            budgets: Vec::new(),
            interruption: String::new(),
            memory_limit: false,
            table_limit: false,
            stack_limit: false,
        },
    }
}
