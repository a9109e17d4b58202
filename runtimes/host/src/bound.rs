//! Threads for engines whose instances stay on the thread that made them.

use crate::{
    counter::shard,
    live::{Caller, Live, Shape, filled},
    pool::{Alive, OneAlive, locked},
    slot::Terms,
};
use runtime_api::{Error, Instance, Module};
use runtime_call::{CallError, Sizes, Tensor};
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
    ) -> Result<(), CallError> {
        let mut tensors = Owned::of(shape, caller);
        let (reply, served) = channel();
        let (module, alive, terms) = (Arc::clone(module), alive.clone(), Arc::clone(terms));
        let job = move |lives: &mut Lives| {
            let result = serve(lives, slot, module.as_ref(), &alive, &terms, &mut tensors);
            // The caller waits for nothing else.
            let _gone = reply.send(result.map(|()| tensors.output));
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

fn serve(
    lives: &mut Lives,
    slot: u64,
    module: &dyn Module,
    alive: &Alive,
    terms: &Terms,
    tensors: &mut Owned,
) -> Result<(), CallError> {
    let mut live = match lives.remove(&slot) {
        Some(live) => live,
        None => {
            let instance = module.instantiate(terms.budget)?;
            (Live::new(instance, terms)?, alive.one_more())
        }
    };
    let (params, sizes, updates) = (tensors.params.clone(), tensors.sizes, tensors.updates);
    let shape = Shape {
        params: &params,
        sizes,
        updates,
    };
    let served = live.0.serve(terms, &shape, tensors);
    let goes_on = match &served {
        Ok(()) => live.0.renew(terms),
        Err(CallError::Place(_)) => true,
        Err(_) => false,
    };
    if goes_on {
        lives.insert(slot, live);
    }
    served
}

/// The tensors of a call on their way to another thread and back.
struct Owned {
    params: Vec<u8>,
    sizes: Sizes,
    updates: bool,
    a: Vec<u8>,
    b: Vec<u8>,
    output: Vec<u8>,
}

impl Owned {
    fn of(shape: &Shape<'_>, caller: &mut dyn Caller) -> Self {
        let mut owned = Self {
            params: shape.params.to_vec(),
            sizes: shape.sizes,
            updates: shape.updates,
            a: Vec::new(),
            b: Vec::new(),
            output: Vec::new(),
        };
        for (tensor, size) in filled(shape) {
            let bytes = match tensor {
                Tensor::A => &mut owned.a,
                Tensor::B => &mut owned.b,
                Tensor::Output => &mut owned.output,
            };
            if size > 0 {
                bytes.resize(size as usize, 0);
                caller.fill(tensor, bytes);
            }
        }
        owned
    }

    fn input(&self, tensor: Tensor) -> &[u8] {
        match tensor {
            Tensor::A => &self.a,
            Tensor::B => &self.b,
            Tensor::Output => &self.output,
        }
    }
}

impl Caller for Owned {
    fn fill(&mut self, tensor: Tensor, bytes: &mut [u8]) {
        bytes.copy_from_slice(self.input(tensor));
    }

    fn read(&mut self, tensor: Tensor, bytes: &[u8]) -> bool {
        if tensor == Tensor::Output {
            self.output.clear();
            self.output.extend_from_slice(bytes);
            return true;
        }
        self.input(tensor) == bytes
    }
}
