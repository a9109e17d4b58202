//! A program that is asked line by line, contained as a worker is: what says what an answer should be.

use super::{
    launch::Launch,
    limits::{Silence, WorkerLimits},
    process::Process,
};
use std::time::Duration;

/// A running program, one reply to each line. It and what it started end with this.
pub struct Program {
    process: Process,
}

impl Program {
    /// Starts it, within the limits of workers.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(launch: &Launch) -> Result<Self, String> {
        let limits = WorkerLimits::from_environment().map_err(|error| error.to_string())?;
        let process = Process::start(launch, limits).map_err(|error| {
            let program = launch.program.display();
            format!("`{program}` cannot be started: {error}")
        })?;
        Ok(Self { process })
    }

    /// Sends a line, which has no line end yet, and gives the reply to it. A program that takes longer than `time` is ended.
    ///
    /// # Errors
    /// Why there is none; the program is of no use afterwards.
    pub fn ask(&mut self, line: &str, time: Duration) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        if self.process.send(bytes) {
            match self.process.receive(time) {
                Ok(reply) => return Ok(reply),
                Err(Silence::TimedOut) => {
                    return Err(format!("it did not answer within {} s", time.as_secs()));
                }
                Err(Silence::Memory) => return Err("it used more memory than it may".to_owned()),
                Err(Silence::Broken(what)) => return Err(what),
                Err(Silence::Ended) => {}
            }
        }
        let how = self.process.finish();
        Err(format!("it ended ({how}){}", self.process.stderr_tail()))
    }
}
