//! A worker inside WebAssembly, which has no processes: whoever answers is in this very process, and is asked as over pipes, line by
//! line. Nobody can be killed here, and no memory is limited but the engine's own. What took too long counts as such once it is
//! over, and what never ends is ended only with this whole process, from outside.

use super::{
    client::Launch,
    limits::{Silence, WorkerLimits},
    server::Server,
};
use crate::{cmd, registry};
use runtime_api::Runtime;
use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

/// Who answers. Fields drop in this order: modules before their engine.
enum Peer {
    /// An engine of this executable.
    Engine(Server, Box<dyn Runtime>),
    /// The page around it.
    Page(registry::Exchange),
}

/// What stands for a worker's process.
pub(super) struct Process {
    /// `None` once it has ended.
    peer: Option<Peer>,
    /// A request that nobody has answered yet.
    request: Option<Vec<u8>>,
    /// How it ended.
    ended: String,
}

impl Process {
    /// Starts it. Limits are for the engine to hold.
    pub(super) fn start(launch: &Launch, _: WorkerLimits) -> io::Result<Process> {
        if !launch.states_id {
            return Err(io::Error::other("WebAssembly starts no processes"));
        }
        let peer = match registry::page(&launch.id) {
            Some(exchange) => Peer::Page(exchange),
            None => {
                let cache = launch
                    .arguments
                    .iter()
                    .skip_while(|argument| *argument != "--code-cache")
                    .nth(1);
                let engine = cmd::worker::open(&launch.id, cache.map(Path::new))
                    .map_err(|error| io::Error::other(format!("{error:#}")))?;
                Peer::Engine(Server::default(), engine)
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
            Peer::Engine(server, engine) => server
                .answer(engine.as_ref(), &line)
                .map_err(|error| error.to_string()),
            Peer::Page(exchange) => exchange(&line),
        };
        if start.elapsed() > time {
            self.kill();
            return Err(Silence::TimedOut);
        }
        answer.map_err(|why| {
            self.ended = why;
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
