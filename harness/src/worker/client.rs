use super::protocol::{
    Answer, Facts, InstanceChoice, MAX_LINE_BYTES, Operation, Reply, Request, Timed, Times, VERSION,
};
use runtime_api::{Budget, Error, Form, Info, Options};
use runtime_host::{Invocation, Observation};
use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

/// How long a worker may take to start and say hello; generous, because a loaded machine starts processes slowly.
const HELLO_TIME: Duration = Duration::from_secs(30);
/// How long compiling, dropping and moving bytes may take beyond any budget.
const WORK_TIME: Duration = Duration::from_secs(60);
/// A call that is still running this long after its budget is killed with its worker.
pub const GRACE: Duration = Duration::from_millis(500);
/// What is kept of a worker's stderr for messages.
const STDERR_LINES: usize = 20;

/// How to start a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The engine's id.
    pub id: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Whether the worker must state this very id: an engine of this project, unlike one from outside, is what it is called.
    pub states_id: bool,
}

/// A worker that cannot go on: the cell it was working on is lost, a new worker can be started.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The executable cannot be started.
    #[error("start worker `{id}` ({program}): {message}")]
    Start {
        /// Engine id.
        id: String,
        /// The executable.
        program: String,
        /// What the operating system says.
        message: String,
    },
    /// The process ended in the middle of the conversation.
    #[error("hear from worker `{id}`: it ended ({status}){stderr}")]
    Crashed {
        /// Engine id.
        id: String,
        /// Exit code or signal.
        status: String,
        /// The end of its stderr.
        stderr: String,
    },
    /// It did not answer in time and was killed.
    #[error("hear from worker `{id}` within {seconds:.1} s: it was killed")]
    TimedOut {
        /// Engine id.
        id: String,
        /// How long it had.
        seconds: f64,
    },
    /// It answered something that is not the protocol.
    #[error("understand worker `{id}`: {message}")]
    Protocol {
        /// Engine id.
        id: String,
        /// What is wrong.
        message: String,
    },
}

/// Why an operation has no result: the engine said no, or the worker is gone.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    /// The engine's own answer.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The worker failed; it is stopped.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// A running worker process.
pub struct Worker {
    launch: Launch,
    info: Info,
    operations: Vec<String>,
    process: Process,
    next_id: u64,
}

/// Ends the child on drop, whatever state the conversation is in.
struct Process {
    child: Child,
    /// Lines for the thread that writes to stdin; `None` once it is closed.
    requests: Option<mpsc::Sender<Vec<u8>>>,
    lines: mpsc::Receiver<Result<Vec<u8>, String>>,
    stderr: Arc<Mutex<VecDeque<String>>>,
}

impl Worker {
    /// Starts a worker and exchanges hellos.
    ///
    /// # Errors
    /// [`WorkerError`]; nothing is left running then.
    pub fn start(launch: &Launch) -> Result<Worker, WorkerError> {
        let process = Process::start(launch)?;
        let mut worker = Worker {
            launch: launch.clone(),
            info: empty_info(&launch.id),
            operations: Vec::new(),
            process,
            next_id: 1,
        };
        match worker.request(Operation::Hello { protocol: VERSION }, HELLO_TIME)? {
            Answer::Hello {
                protocol,
                info,
                operations,
            } if protocol == VERSION => {
                if launch.states_id && info.id != launch.id {
                    return Err(worker.protocol_error(format!(
                        "it is `{}`, built otherwise than its name says",
                        info.id
                    )));
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

    /// What the worker said of its engine.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Whether the worker knows an optional operation.
    pub fn has_operation(&self, name: &str) -> bool {
        self.operations.iter().any(|known| known == name)
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
        let operation = Operation::Load {
            wasm: wasm.to_vec(),
            options: *options,
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
        invocation: Invocation,
        time: Duration,
    ) -> Result<Observation, RunError> {
        let calls = invocation.calls.len();
        let reads = invocation.reads.len();
        let operation = Operation::Run {
            module,
            instance,
            budget,
            invocation,
        };
        match self.request(operation, time)? {
            Answer::Ran(observation) => {
                let all_returned = observation.calls.len() == calls
                    && observation
                        .calls
                        .iter()
                        .all(|call| matches!(call, runtime_host::Outcome::Returned(_)));
                let complete = if all_returned {
                    observation.reads.len() == reads
                } else {
                    observation.reads.is_empty()
                        && observation.calls.len() <= calls
                        && matches!(
                            observation.calls.last(),
                            Some(runtime_host::Outcome::Failed(_))
                        )
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
        let sent = self.process.requests.as_ref().map(|to| to.send(line));
        if !matches!(sent, Some(Ok(()))) {
            return Err(self.crashed());
        }
        let line = match self.process.lines.recv_timeout(time) {
            Ok(Ok(line)) => line,
            Ok(Err(message)) => return Err(self.protocol_error(message)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.process.kill();
                return Err(WorkerError::TimedOut {
                    id: self.launch.id.clone(),
                    seconds: time.as_secs_f64(),
                });
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.crashed()),
        };
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
        Ok(reply.answer)
    }

    fn unexpected(&mut self, wanted: &str) -> WorkerError {
        self.protocol_error(format!("its answer is not `{wanted}`"))
    }

    fn protocol_error(&mut self, message: String) -> WorkerError {
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

impl Process {
    fn start(launch: &Launch) -> Result<Process, WorkerError> {
        let mut child = Command::new(&launch.program)
            .args(&launch.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| WorkerError::Start {
                id: launch.id.clone(),
                program: launch.program.display().to_string(),
                message: error.to_string(),
            })?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        // A worker that does not read its stdin blocks this thread, not the harness; killing it frees the thread.
        let (requests, to_write) = mpsc::channel::<Vec<u8>>();
        thread::spawn(move || {
            let Some(mut stdin) = stdin else { return };
            for line in to_write {
                if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        // One line may wait to be asked for: a worker that floods its stdout blocks in its own pipe.
        let (sender, lines) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            let mut stdout = BufReader::new(stdout);
            loop {
                let mut line = Vec::new();
                let read = (&mut stdout)
                    .take(MAX_LINE_BYTES as u64 + 1)
                    .read_until(b'\n', &mut line);
                let message = match read {
                    Ok(0) | Err(_) => return,
                    Ok(length) if length > MAX_LINE_BYTES => {
                        Err("a reply is longer than the protocol allows".to_owned())
                    }
                    Ok(_) => Ok(line),
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let keep = Arc::clone(&kept);
        thread::spawn(move || {
            let Some(stderr) = stderr else { return };
            let mut stderr = BufReader::new(stderr);
            loop {
                let mut line = Vec::new();
                // Chunks of a line count as lines: a worker cannot make the harness hold an endless one.
                match (&mut stderr).take(4096).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {
                        let Ok(mut keep) = keep.lock() else { return };
                        if keep.len() == STDERR_LINES {
                            keep.pop_front();
                        }
                        keep.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                    }
                }
            }
        });
        Ok(Process {
            child,
            requests: Some(requests),
            lines,
            stderr: kept,
        })
    }

    fn kill(&mut self) {
        self.requests = None;
        // The child may have ended by itself: then there is nothing to kill, and wait collects it.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Closes the worker's stdin, gives it a moment to end by itself, ends it, and says how it ended.
    fn finish(&mut self) -> String {
        self.requests = None;
        for _ in 0..50 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.to_string();
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        "killed after it stopped answering".to_owned()
    }

    fn stderr_tail(&self) -> String {
        let lines = match self.stderr.lock() {
            Ok(lines) if !lines.is_empty() => lines.iter().cloned().collect::<Vec<_>>().join(" / "),
            _ => return String::new(),
        };
        format!(": {lines}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.requests = None;
        for _ in 0..20 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}

/// Stands in until hello is answered.
fn empty_info(id: &str) -> Info {
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
