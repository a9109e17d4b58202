//! A worker inside WebAssembly, which has no processes: whoever answers is in this very process, and is asked as over pipes, line by
//! line. Nobody can be killed here, and no memory is limited but the engine's own. What took too long counts as such once it is
//! over, and what never ends is ended only with this whole process, from outside.

use super::{
    launch::Launch,
    limits::{Silence, WorkerLimits},
    server::Server,
};
use crate::executable;
use runtime_api::{Error, Runtime};
use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

/// Exchanges a request line for its reply with the page around this module, or says why there is none.
pub type Exchange = fn(&[u8]) -> io::Result<Vec<u8>>;

/// Who answers in place of a process.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// An engine of this executable, which this opens.
    Engine(fn() -> Result<Box<dyn Runtime>, Error>),
    /// The page around it.
    Page(Exchange),
}

/// Who is answering. Fields drop in this order: modules before their engine.
enum Answering {
    Engine(Server, Box<dyn Runtime>),
    Page(Exchange),
}

/// What stands for a worker's process.
pub(super) struct Process {
    /// `None` once it has ended.
    peer: Option<Answering>,
    /// A request that nobody has answered yet.
    request: Option<Vec<u8>>,
    /// How it ended.
    ended: String,
}

// SAFETY: WebAssembly without threads has one, so nothing goes from one to another.
#[allow(
    unsafe_code,
    reason = "instances of engines need not go from thread to thread"
)]
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl Send for Process {}

impl Process {
    /// Starts it. Limits are for the engine to hold.
    pub(super) fn start(launch: &Launch, _: WorkerLimits) -> io::Result<Process> {
        let peer = match launch.peer {
            None => return Err(io::Error::other("WebAssembly starts no processes")),
            Some(Peer::Page(exchange)) => Answering::Page(exchange),
            Some(Peer::Engine(open)) => {
                let cache = launch
                    .arguments
                    .iter()
                    .skip_while(|argument| *argument != "--code-cache")
                    .nth(1);
                let engine = open().map_err(|error| io::Error::other(error.to_string()))?;
                let engine = executable::cached(engine, cache.map(Path::new));
                Answering::Engine(Server::default(), engine)
            }
        };
        Ok(Process {
            peer: Some(peer),
            request: None,
            ended: String::new(),
        })
    }

    /// Takes a request; false if nobody can answer it any more.
    pub(super) fn send(&mut self, line: Vec<u8>) -> bool {
        self.request = Some(line);
        self.peer.is_some()
    }

    /// The answer to the request.
    pub(super) fn receive(&mut self, time: Duration) -> Result<Vec<u8>, Silence> {
        let (Some(peer), Some(line)) = (&mut self.peer, self.request.take()) else {
            return Err(Silence::Ended);
        };
        let start = Instant::now();
        let answer = match peer {
            Answering::Engine(server, engine) => server.answer(engine.as_ref(), &line),
            Answering::Page(exchange) => exchange(&line),
        };
        if start.elapsed() > time {
            self.kill();
            return Err(Silence::TimedOut);
        }
        answer.map_err(|error| {
            self.ended = error.to_string();
            self.kill();
            Silence::Ended
        })
    }

    /// Nobody says here what a part of this process uses.
    pub(super) fn anonymous_memory(&self) -> Option<u64> {
        None
    }

    /// Nor who waited for a processor.
    pub(super) fn waited(&self) -> Option<Duration> {
        None
    }

    /// Ends it between two requests.
    pub(super) fn kill(&mut self) {
        self.peer = None;
    }

    /// Ends it, and says how it ended.
    pub(super) fn finish(&mut self) -> String {
        self.kill();
        self.ended.clone()
    }

    /// It has no stderr of its own.
    pub(super) fn stderr_tail(&self) -> String {
        String::new()
    }
}
