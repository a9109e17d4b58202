//! The functions of `wasi_ephemeral_nn` as guests import them (the WITX form), over the bytes of a guest's memory. No engine.
//!
//! Numbers are those of `wasi-nn.witx` as wasmtime 48 ships it. Structs of the guest:
//! a list is `{pointer, length}`, and a tensor `{list of u32, type as u8, 3 bytes, list of bytes}`. No alignment is asked for.

use crate::{Dtype, Encoding, Error, Session, Target, Tensor, tensor::MAX_DIMENSIONS};
use runtime_api::{Functions, Import, Imports, Trap};
use std::ops::Range;

/// The functions that guests import.
pub const IMPORTS: Imports = Imports {
    module: "wasi_ephemeral_nn",
    functions: &[
        function("load", 5),
        function("load_by_name", 3),
        function("init_execution_context", 2),
        function("set_input", 3),
        function("compute", 1),
        function("get_output", 5),
    ],
};

const fn function(name: &'static str, parameters: usize) -> Import {
    Import { name, parameters }
}

/// `nn_errno`: how a function ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Errno {
    /// Done.
    Success = 0,
    /// An argument means nothing here.
    InvalidArgument = 1,
    /// No backend takes the encoding.
    InvalidEncoding = 2,
    /// The guest exports no memory.
    MissingMemory = 3,
    /// Something else must end first.
    Busy = 4,
    /// The backend failed.
    RuntimeError = 5,
    /// The backend cannot do it.
    UnsupportedOperation = 6,
    /// A limit, or a buffer that is too small.
    TooLarge = 7,
    /// There is no graph of this name.
    NotFound = 8,
}

impl Errno {
    /// All of them, by number.
    pub const ALL: [Errno; 9] = [
        Errno::Success,
        Errno::InvalidArgument,
        Errno::InvalidEncoding,
        Errno::MissingMemory,
        Errno::Busy,
        Errno::RuntimeError,
        Errno::UnsupportedOperation,
        Errno::TooLarge,
        Errno::NotFound,
    ];

    /// Its name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Errno::Success => "success",
            Errno::InvalidArgument => "invalid_argument",
            Errno::InvalidEncoding => "invalid_encoding",
            Errno::MissingMemory => "missing_memory",
            Errno::Busy => "busy",
            Errno::RuntimeError => "runtime_error",
            Errno::UnsupportedOperation => "unsupported_operation",
            Errno::TooLarge => "too_large",
            Errno::NotFound => "not_found",
        }
    }

    /// The one of this number.
    pub fn of(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|errno| *errno as i32 == number)
    }
}

impl From<&Error> for Errno {
    fn from(error: &Error) -> Self {
        match error {
            Error::Argument(_) => Errno::InvalidArgument,
            Error::Encoding(_) => Errno::InvalidEncoding,
            Error::NoMemory => Errno::MissingMemory,
            Error::Busy(_) => Errno::Busy,
            Error::Failed(_) => Errno::RuntimeError,
            Error::Unsupported(_) => Errno::UnsupportedOperation,
            Error::TooLarge(_) => Errno::TooLarge,
            Error::NotFound(_) => Errno::NotFound,
        }
    }
}

/// Hears how each call of a function ended: its name, and the error if there was one.
pub type Listener = dyn Fn(&str, Option<&Error>) + Send + Sync;

/// One instance's side of the functions.
pub struct Abi {
    session: Session,
    listener: Option<std::sync::Arc<Listener>>,
}

impl Abi {
    /// Over the session of one instance.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            listener: None,
        }
    }

    /// Tells somebody how each call ends.
    #[must_use]
    pub fn heard_by(mut self, listener: std::sync::Arc<Listener>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// What the guest has.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Functions for Abi {
    fn call(
        &mut self,
        function: usize,
        arguments: &[u32],
        memory: Option<&mut [u8]>,
    ) -> Result<i32, Trap> {
        let name = IMPORTS.functions.get(function).map_or("?", |its| its.name);
        // All of it counts: to copy and to hash what a guest brings takes time too.
        let ended = (self.session).timed(|session, _| carry_out(session, name, arguments, memory));
        if let Some(listener) = &self.listener {
            listener(name, ended.as_ref().err());
        }
        let errno = ended.as_ref().map_or_else(Errno::from, |()| Errno::Success);
        Ok(errno as i32)
    }
}

/// One call of a function.
fn carry_out(
    session: &mut Session,
    name: &str,
    arguments: &[u32],
    memory: Option<&mut [u8]>,
) -> Result<(), Error> {
    let mut memory = Memory(memory.ok_or(Error::NoMemory)?);
    match (name, arguments) {
        ("load", &[parts, count, encoding, target, out]) => {
            memory.range(out, 4)?;
            let encoding = encoding_of(encoding)?;
            let target = target_of(target)?;
            let parts = parts_of(session, &memory, parts, count)?;
            let graph = session.load(parts, encoding, target)?;
            memory.put(out, graph)
        }
        ("load_by_name", &[name, length, out]) => {
            memory.range(out, 4)?;
            let name = std::str::from_utf8(memory.bytes(name, length)?)
                .map_err(|_| Error::Argument("a name that is not UTF-8".to_owned()))?;
            let graph = session.load_by_name(name)?;
            memory.put(out, graph)
        }
        ("init_execution_context", &[graph, out]) => {
            memory.range(out, 4)?;
            let context = session.init_execution_context(graph)?;
            memory.put(out, context)
        }
        ("set_input", &[context, index, tensor]) => {
            let tensor = tensor_of(session, &memory, tensor)?;
            session.set_input(context, index, tensor)
        }
        ("compute", &[context]) => session.compute(context),
        ("get_output", &[context, index, buffer, size, written]) => {
            let buffer = memory.range(buffer, size.into())?;
            memory.range(written, 4)?;
            let bytes = session.output(context, index)?.bytes();
            if bytes.len() > buffer.len() {
                let (due, size) = (bytes.len(), buffer.len());
                let message = format!("an output of {due} bytes; the buffer has {size}");
                return Err(Error::TooLarge(message));
            }
            let first = buffer.start;
            memory.0[first..first + bytes.len()].copy_from_slice(bytes);
            memory.put(written, bytes.len() as u32)
        }
        _ => Err(Error::Unsupported(format!(
            "there is no function {name} of {} arguments",
            arguments.len()
        ))),
    }
}

/// Copies a graph out of the guest's memory. Its size is known before anything is copied: parts may overlap, so that a small memory
/// can name a huge graph.
fn parts_of(
    session: &Session,
    memory: &Memory<'_>,
    at: u32,
    count: u32,
) -> Result<Vec<Vec<u8>>, Error> {
    let lists = memory.bytes_of(at, u64::from(count) * 8)?;
    let lists = || lists.as_chunks::<8>().0.iter().map(list);
    let mut sum = 0;
    for (at, length) in lists() {
        memory.range(at, length.into())?;
        sum += u64::from(length);
    }
    session.allow_graph(sum.saturating_add(u64::from(count) * 8))?;
    lists()
        .map(|(at, length)| memory.bytes(at, length).map(<[u8]>::to_vec))
        .collect()
}

fn tensor_of(session: &Session, memory: &Memory<'_>, at: u32) -> Result<Tensor, Error> {
    let record: &[u8; 20] = memory.array(at)?;
    let (dimensions, rest) = record.split_at(8);
    let (dtype, data) = rest.split_at(4);
    let word = |bytes: &[u8]| list(bytes.first_chunk().unwrap_or(&[0; 8]));
    let ((at, count), (data, length)) = (word(dimensions), word(data));
    let dtype = dtype_of(dtype[0])?;
    let dimensions = memory.bytes_of(at, u64::from(count) * 4)?;
    if count as usize > MAX_DIMENSIONS {
        return Err(Error::Argument(format!("a tensor of {count} dimensions")));
    }
    let sizes = dimensions.as_chunks().0.iter();
    let sizes = sizes.map(|size| u32::from_le_bytes(*size)).collect();
    let bytes = memory.bytes(data, length)?;
    session.allow_tensor(length.into())?;
    Tensor::new(dtype, sizes, bytes.to_vec())
}

/// A pointer and a length.
fn list(bytes: &[u8; 8]) -> (u32, u32) {
    let both = u64::from_le_bytes(*bytes);
    (both as u32, (both >> 32) as u32)
}

fn encoding_of(number: u32) -> Result<Encoding, Error> {
    Ok(match number {
        0 => Encoding::Openvino,
        1 => Encoding::Onnx,
        2 => Encoding::Tensorflow,
        3 => Encoding::Pytorch,
        4 => Encoding::TensorflowLite,
        5 => Encoding::Autodetect,
        _ => return Err(Error::Encoding(format!("there is no encoding {number}"))),
    })
}

fn target_of(number: u32) -> Result<Target, Error> {
    Ok(match number {
        0 => Target::Cpu,
        1 => Target::Gpu,
        2 => Target::Tpu,
        _ => return Err(Error::Argument(format!("there is no target {number}"))),
    })
}

fn dtype_of(number: u8) -> Result<Dtype, Error> {
    let found = Dtype::ALL.get(usize::from(number)).copied();
    found.ok_or_else(|| Error::Argument(format!("there is no type {number}")))
}

/// A guest's memory. Every address is the guest's, so every access is checked.
struct Memory<'m>(&'m mut [u8]);

impl Memory<'_> {
    fn range(&self, at: u32, length: u64) -> Result<Range<usize>, Error> {
        runtime_api::inside(at, length, self.0.len() as u64)
            .map_err(|error| Error::Argument(format!("failed to {error}")))
    }

    fn bytes_of(&self, at: u32, length: u64) -> Result<&[u8], Error> {
        Ok(&self.0[self.range(at, length)?])
    }

    fn bytes(&self, at: u32, length: u32) -> Result<&[u8], Error> {
        self.bytes_of(at, length.into())
    }

    fn array<const N: usize>(&self, at: u32) -> Result<&[u8; N], Error> {
        let bytes = self.bytes_of(at, N as u64)?;
        let array = bytes.first_chunk();
        array.ok_or_else(|| Error::Argument("outside of memory".to_owned()))
    }

    fn put(&mut self, at: u32, word: u32) -> Result<(), Error> {
        let range = self.range(at, 4)?;
        self.0[range].copy_from_slice(&word.to_le_bytes());
        Ok(())
    }
}
