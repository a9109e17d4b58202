use crate::{Encoding, Error, Graph, Nn, Target, Tensor, work::Worker};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// What makes two loads the same: there is no function that drops a graph, so the same again must cost nothing.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Name(String),
    Bytes([u8; 32]),
}

struct Context {
    graph: Arc<dyn Graph>,
    inputs: Vec<Option<Arc<Tensor>>>,
    outputs: Option<Vec<Tensor>>,
}

impl Context {
    fn drop_outputs(&mut self) -> u64 {
        self.outputs.take().map_or(0, |outputs| length(&outputs))
    }
}

fn length(tensors: &[Tensor]) -> u64 {
    let lengths = tensors.iter().map(|tensor| tensor.bytes().len() as u64);
    lengths.sum()
}

/// The graphs and contexts of one instance of a guest. Handles count from 0, and are this session's alone.
pub struct Session {
    nn: Arc<Nn>,
    graphs: Vec<Arc<dyn Graph>>,
    keys: BTreeMap<Key, u32>,
    contexts: Vec<Context>,
    held: u64,
    spent: Duration,
    worker: Worker,
}

impl Session {
    pub(crate) fn new(nn: Arc<Nn>) -> Self {
        let worker = Worker::new(nn.left_behind.clone(), nn.limits.left_behind);
        Self {
            nn,
            graphs: Vec::new(),
            keys: BTreeMap::new(),
            contexts: Vec::new(),
            held: 0,
            spent: Duration::ZERO,
            worker,
        }
    }

    /// Bytes of graphs and tensors that are held for the guest.
    pub fn held_bytes(&self) -> u64 {
        self.held
    }

    /// Whether a graph of so many bytes may be loaded: to be asked before it is copied.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn allow_graph(&self, bytes: u64) -> Result<(), Error> {
        let limit = self.nn.limits.graph_bytes;
        if bytes > limit {
            let message = format!("a graph of {bytes} bytes; {limit} are allowed");
            return Err(Error::TooLarge(message));
        }
        self.allow(bytes)
    }

    /// Whether a tensor of so many bytes may be set: to be asked before it is copied.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn allow_tensor(&self, bytes: u64) -> Result<(), Error> {
        let limit = self.nn.limits.tensor_bytes;
        if bytes > limit {
            let message = format!("a tensor of {bytes} bytes; {limit} are allowed");
            return Err(Error::TooLarge(message));
        }
        Ok(())
    }

    fn allow(&self, more: u64) -> Result<(), Error> {
        let (held, limit) = (self.held, self.nn.limits.held_bytes);
        if held.saturating_add(more) > limit {
            return Err(Error::TooLarge(format!(
                "{more} bytes beside {held} that the guest has; {limit} are allowed"
            )));
        }
        Ok(())
    }

    /// Loads a graph of bytes, which come in one or several parts, and answers its handle.
    ///
    /// # Errors
    /// Those of the backend, [`Error::Encoding`] if there is none, [`Error::TooLarge`].
    pub fn load(
        &mut self,
        parts: Vec<Vec<u8>>,
        encoding: Encoding,
        target: Target,
    ) -> Result<u32, Error> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let key = Key::Bytes(digest(&parts, encoding, target));
        if let Some(handle) = self.keys.get(&key) {
            return Ok(*handle);
        }
        self.allow_graph(bytes)?;
        let backend = self.nn.chosen(encoding, &parts)?;
        self.room_for_a_graph()?;
        let time = self.nn.limits.load;
        let graph = self.timed(|session, left| {
            let work = move || backend.load(&parts, target);
            session.worker.within(time.min(left), work)
        })?;
        self.held += bytes;
        Ok(self.keep(key, graph))
    }

    /// The handle of a graph that the embedder gave a name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooLarge`].
    pub fn load_by_name(&mut self, name: &str) -> Result<u32, Error> {
        let key = Key::Name(name.to_owned());
        if let Some(handle) = self.keys.get(&key) {
            return Ok(*handle);
        }
        let graph = self.nn.find(name)?;
        self.room_for_a_graph()?;
        Ok(self.keep(key, graph))
    }

    fn room_for_a_graph(&self) -> Result<(), Error> {
        if self.graphs.len() >= self.nn.limits.graphs {
            let message = format!("a guest has {} graphs at most", self.nn.limits.graphs);
            return Err(Error::TooLarge(message));
        }
        Ok(())
    }

    fn keep(&mut self, key: Key, graph: Arc<dyn Graph>) -> u32 {
        // There are far less than 2^32 of them, by the limit.
        let handle = self.graphs.len() as u32;
        self.graphs.push(graph);
        self.keys.insert(key, handle);
        handle
    }

    /// A context of a graph: its handle.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown graph, [`Error::TooLarge`].
    pub fn init_execution_context(&mut self, graph: u32) -> Result<u32, Error> {
        let graph = self.graphs.get(graph as usize);
        let graph = graph.ok_or_else(|| Error::Argument("there is no such graph".to_owned()))?;
        if self.contexts.len() >= self.nn.limits.contexts {
            let message = format!("a guest has {} contexts at most", self.nn.limits.contexts);
            return Err(Error::TooLarge(message));
        }
        let handle = self.contexts.len() as u32;
        self.contexts.push(Context {
            inputs: vec![None; graph.inputs().len()],
            graph: Arc::clone(graph),
            outputs: None,
        });
        Ok(handle)
    }

    /// Sets an input; what was computed before is gone.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown context or input, or a tensor that does not fit it; [`Error::TooLarge`].
    pub fn set_input(&mut self, context: u32, index: u32, tensor: Tensor) -> Result<(), Error> {
        let found = self.contexts.get(context as usize).ok_or_else(no_context)?;
        let input = found.graph.inputs().get(index as usize);
        let input = input.ok_or_else(|| Error::Argument(format!("there is no input {index}")))?;
        input.check(&tensor)?;
        let more = tensor.bytes().len() as u64;
        self.allow_tensor(more)?;
        let before = found.inputs[index as usize].as_ref();
        let before = before.map_or(0, |tensor| tensor.bytes().len() as u64);
        self.allow(more.saturating_sub(before))?;
        let context = &mut self.contexts[context as usize];
        context.inputs[index as usize] = Some(Arc::new(tensor));
        self.held = self.held + more - before - context.drop_outputs();
        Ok(())
    }

    /// Computes the outputs of the inputs that were set.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown context, [`Error::Failed`] where an input was not set, or the backend fails or takes too long;
    /// [`Error::Busy`], [`Error::TooLarge`] for outputs.
    pub fn compute(&mut self, context: u32) -> Result<(), Error> {
        let found = self.contexts.get_mut(context as usize);
        let found = found.ok_or_else(no_context)?;
        self.held -= found.drop_outputs();
        let inputs: Option<Vec<_>> = found.inputs.iter().cloned().collect();
        let inputs = inputs.ok_or_else(|| Error::Failed("an input was not set".to_owned()))?;
        let graph = Arc::clone(&found.graph);
        let time = self.nn.limits.compute;
        let outputs = self.timed(|session, left| {
            let time = time.min(left);
            if graph.is_bounded() {
                return crate::work::here(|| graph.compute(&inputs, time));
            }
            let work = move || graph.compute(&inputs, time);
            session.worker.within(time, work)
        })?;
        let more = length(&outputs);
        for output in &outputs {
            self.allow_tensor(output.bytes().len() as u64)?;
        }
        self.allow(more)?;
        self.held += more;
        self.contexts[context as usize].outputs = Some(outputs);
        Ok(())
    }

    /// An output of what was computed.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown context or output, [`Error::Failed`] where nothing was computed since the last input was set.
    pub fn output(&self, context: u32, index: u32) -> Result<&Tensor, Error> {
        let found = self.contexts.get(context as usize).ok_or_else(no_context)?;
        let outputs = found.outputs.as_ref();
        let outputs = outputs.ok_or_else(|| Error::Failed("nothing was computed".to_owned()))?;
        let output = outputs.get(index as usize);
        output.ok_or_else(|| Error::Argument(format!("there is no output {index}")))
    }

    /// How much of the time of all functions is left for this guest.
    ///
    /// # Errors
    /// [`Error::Failed`] if nothing is left.
    fn left(&self) -> Result<Duration, Error> {
        let limit = self.nn.limits.time;
        match limit.saturating_sub(self.spent) {
            Duration::ZERO => Err(Error::Failed(format!(
                "the guest's functions took {} ms",
                limit.as_millis()
            ))),
            left => Ok(left),
        }
    }

    /// Does what takes time, as long as there is time left for this guest. Time that is counted in time counts once.
    pub(crate) fn timed<T>(
        &mut self,
        work: impl FnOnce(&mut Self, Duration) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let left = self.left()?;
        let (start, before) = (Instant::now(), self.spent);
        let result = work(self, left);
        self.spent = before + start.elapsed();
        result
    }
}

fn no_context() -> Error {
    Error::Argument("there is no such context".to_owned())
}

fn digest(parts: &[Vec<u8>], encoding: Encoding, target: Target) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([encoding as u8, target as u8]);
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
