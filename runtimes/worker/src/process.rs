//! The process of a worker: its pipes, what it may use, and its end, which is also the end of whatever it started.

use super::{
    launch::Launch,
    limits::{Silence, WorkerLimits},
    pipes::{Heard, Pipes},
    system,
};
use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// How often a worker that is waited for is looked at: whether it lives, and what it uses.
const LOOK: Duration = Duration::from_millis(50);
/// What is kept of a worker's stderr for messages.
const STDERR_LINES: usize = 20;

/// A child process. It and whatever it started end on drop, whatever state the conversation is in.
pub(super) struct Process {
    child: Child,
    /// How it ended, once it was waited for: its id is not its own any more.
    ended: Option<String>,
    limits: WorkerLimits,
    looked: Instant,
    pipes: Pipes,
    stderr: Arc<Mutex<VecDeque<String>>>,
    /// Ends with the worker's stderr.
    stderr_reader: thread::JoinHandle<()>,
}

impl Process {
    /// Starts it, within limits that it cannot raise.
    pub(super) fn start(launch: &Launch, limits: WorkerLimits) -> io::Result<Process> {
        let mut command = launch.command()?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        system::contain(&mut command, limits.memory);
        let mut child = command.spawn()?;
        let pipes = Pipes::of(child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take();
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let keep = Arc::clone(&kept);
        let read = move || {
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
        };
        let reader = thread::Builder::new().spawn(read);
        let both = pipes.and_then(|pipes| Ok((pipes, reader?)));
        let (pipes, stderr_reader) = both.inspect_err(|_| {
            drop(child.kill());
            drop(child.wait());
        })?;
        Ok(Process {
            child,
            ended: None,
            limits,
            looked: Instant::now(),
            pipes,
            stderr: kept,
            stderr_reader,
        })
    }

    /// Hands a line to the worker; false if nobody can read it any more.
    pub(super) fn send(&mut self, line: Vec<u8>) -> bool {
        self.pipes.send(line)
    }

    /// The next line of its stdout. A worker that is silent is looked at now and then: one that died while something else
    /// holds its pipes, or that takes too much memory, is not waited for.
    pub(super) fn receive(&mut self, time: Duration) -> Result<Vec<u8>, Silence> {
        let start = Instant::now();
        let mut dead = false;
        loop {
            let left = time.saturating_sub(start.elapsed()).min(LOOK);
            let began = Instant::now();
            let heard = self.pipes.wait(left);
            if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                if self.memory().is_some_and(|used| used > self.limits.memory) {
                    self.kill();
                    return Err(Silence::Memory);
                }
            }
            match heard {
                Heard::Line(line) => return Ok(line),
                Heard::TooLong => {
                    let what = "a reply is longer than the protocol allows";
                    return Err(Silence::Broken(what.to_owned()));
                }
                Heard::End => return Err(Silence::Ended),
                // Some of a line came, or some of a request went.
                Heard::Nothing if began.elapsed() < left => {
                    if start.elapsed() < time {
                        continue;
                    }
                }
                // What it said last had the time of a look to arrive.
                Heard::Nothing if dead => return Err(Silence::Ended),
                Heard::Nothing => {}
            }
            if self.has_ended() {
                self.kill();
                dead = true;
            } else if start.elapsed() >= time {
                self.kill();
                return Err(Silence::TimedOut);
            }
        }
    }

    /// Bytes that are resident in the worker and in what it started; `None` where the system does not say.
    pub(super) fn memory(&self) -> Option<u64> {
        match self.ended {
            Some(_) => None,
            None => system::resident_with_children(self.child.id()),
        }
    }

    /// Bytes of the worker itself that stand for no file, exactly; `None` where the system does not say.
    pub(super) fn anonymous_memory(&self) -> Option<u64> {
        match self.ended {
            Some(_) => None,
            None => system::anonymous_bytes(self.child.id()),
        }
    }

    /// How long the worker's threads and the one that asks have waited for a processor; `None` where the system does not say.
    pub(super) fn waited(&self) -> Option<Duration> {
        match self.ended {
            Some(_) => None,
            None => system::waited(self.child.id()),
        }
    }

    /// Ends it with all that it started, at once.
    pub(super) fn kill(&mut self) {
        self.pipes.close();
        if self.ended.is_some() {
            return;
        }
        // While it has not been waited for, nobody else can have its id.
        system::kill_group(&self.child);
        // It may have ended by itself: then there is nothing to kill.
        drop(self.child.kill());
        self.ended = Some(match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => format!("its end is unknown: {error}"),
        });
    }

    /// Closes the worker's stdin, gives it a moment to end by itself, ends it, and says how it ended.
    pub(super) fn finish(&mut self) -> String {
        self.pipes.close();
        for _ in 0..50 {
            if self.has_ended() {
                self.kill();
                return self.ended.clone().unwrap_or_default();
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        "killed after it stopped answering".to_owned()
    }

    /// The end of its stderr, for messages. What it said last may still be on its way.
    pub(super) fn stderr_tail(&self) -> String {
        for _ in 0..20 {
            if self.stderr_reader.is_finished() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let lines = match self.stderr.lock() {
            Ok(lines) if !lines.is_empty() => lines.iter().cloned().collect::<Vec<_>>().join(" / "),
            _ => return String::new(),
        };
        format!(": {lines}")
    }

    fn has_ended(&mut self) -> bool {
        self.ended.is_some() || system::has_ended(&mut self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.pipes.close();
        for _ in 0..20 {
            if self.has_ended() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.kill();
    }
}
