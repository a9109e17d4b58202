//! Threads for engines whose instances stay on the thread that made them.

use crate::{
    counter::shard,
    live::{Caller, Live, Shape},
    pool::{Alive, OneAlive, locked},
    tensors::{Owned, Slices},
    terms::Terms,
};
use runtime_api::{Error, Instance, Module};
use runtime_call::{CallError, Tensor};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

/// Something to do on one of the threads.
type Job = Box<dyn FnOnce(&mut Lives) + Send>;

/// The instances of one thread, by the number of their slot.
type Lives = HashMap<u64, (Live<Box<dyn Instance>>, OneAlive)>;

/// Threads that serve calls for others. A call takes a round trip between two threads and copies its tensors twice.
pub(crate) struct Threads {
    senders: Vec<Mutex<Sender<Job>>>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts so many, at least one.
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let mut threads = Self {
            senders: Vec::new(),
            handles: Vec::new(),
        };
        for index in 0..count.max(1) {
            let (sender, jobs) = channel();
            let thread = std::thread::Builder::new().name(format!("kernel-host-{index}"));
            threads.handles.push(thread.spawn(move || work(&jobs))?);
            threads.senders.push(Mutex::new(sender));
        }
        Ok(threads)
    }

    fn send(&self, thread: usize, job: Job) -> Result<(), CallError> {
        // A thread ends with this alone, and no job panics through it.
        locked(&self.senders[thread]).send(job).map_err(|_| ended())
    }

    /// Forgets the instances of a slot.
    pub(crate) fn forget(&self, slot: u64) {
        for thread in 0..self.senders.len() {
            // Threads that have ended have forgotten it.
            let _ended = self.send(
                thread,
                Box::new(move |lives| {
                    lives.remove(&slot);
                }),
            );
        }
    }

    /// Serves a call on one of the threads.
    pub(crate) fn serve(
        &self,
        slot: u64,
        module: &Arc<dyn Module>,
        alive: &Alive,
        terms: &Arc<Terms>,
        shape: &Shape<'_>,
        caller: &mut dyn Caller,
    ) -> Result<(), Box<CallError>> {
        let tensors = Owned::of(shape, caller);
        let (reply, served) = channel();
        let (module, alive, terms) = (Arc::clone(module), alive.clone(), Arc::clone(terms));
        let job = move |lives: &mut Lives| {
            let result = serve(lives, slot, module.as_ref(), &alive, &terms, &tensors);
            // The caller waits for nothing else.
            let _gone = reply.send(result);
        };
        self.send(shard() % self.senders.len(), Box::new(job))?;
        let output = served.recv().map_err(|_| ended())??;
        caller.read(Tensor::Output, &output);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.senders.clear();
        for handle in self.handles.drain(..) {
            // A panic of the thread has nothing left to spoil.
            let _panic = handle.join();
        }
    }
}

fn ended() -> CallError {
    CallError::Engine(Error::Adapter {
        message: "the thread that serves this engine has ended".to_owned(),
    })
}

fn work(jobs: &Receiver<Job>) {
    let mut lives = Lives::new();
    while let Ok(job) = jobs.recv() {
        job(&mut lives);
    }
}

/// The output of a call on an instance of this thread.
fn serve(
    lives: &mut Lives,
    slot: u64,
    module: &dyn Module,
    alive: &Alive,
    terms: &Terms,
    owned: &Owned,
) -> Result<Vec<u8>, Box<CallError>> {
    let mut live = match lives.remove(&slot) {
        Some(live) => live,
        None => {
            let instance = module.instantiate(terms.budget).map_err(CallError::from)?;
            (Live::new(instance, terms)?, alive.one_more())
        }
    };
    let tensors = owned.tensors();
    let mut slices = Slices::new(&tensors);
    let served = live.0.serve(terms, &owned.shape(), &mut slices);
    if live.0.goes_on(terms, &served) {
        lives.insert(slot, live);
    }
    served.map(|()| slices.output)
}
