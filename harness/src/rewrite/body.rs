//! The instructions of a function, where they are, and the function with some of them changed.

use super::Module;
use std::ops::Range;
use wasmparser::{BinaryReader, BinaryReaderError, FunctionBody, Operator, ValType};

/// An instruction and where its bytes are in the module.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) operator: Operator<'a>,
    pub(crate) bytes: Range<usize>,
}

/// A function that has a body.
#[derive(Clone, Debug)]
pub(crate) struct Body<'a> {
    /// Index of the function.
    pub(crate) function: u32,
    /// Types of the parameters, then of the other locals.
    pub(crate) locals: Vec<ValType>,
    /// All instructions, the last `end` included.
    pub(crate) operators: Vec<Placed<'a>>,
    bytes: Range<usize>,
}

/// Other bytes in the place of some.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) bytes: Range<usize>,
    pub(crate) with: Vec<u8>,
}

impl Module {
    /// A function that has a body, by its position among those.
    ///
    /// # Errors
    /// If it cannot be decoded.
    pub(crate) fn body(&self, index: usize) -> Result<Body<'_>, BinaryReaderError> {
        let bytes = self.bodies[index].clone();
        let reader = BinaryReader::new(&self.wasm[bytes.clone()], bytes.start as u64);
        let body = FunctionBody::new(reader);
        let function = self.imported_functions() + index as u32;
        let parameters = self.function(function).map(|kind| kind.params().to_vec());
        let mut locals = parameters.unwrap_or_default();
        for group in body.get_locals_reader()? {
            let (count, kind) = group?;
            locals.resize(locals.len() + count as usize, kind);
        }
        let mut reader = body.get_operators_reader()?;
        let mut operators = Vec::new();
        while !reader.eof() {
            let start = reader.original_position() as usize;
            let operator = reader.read()?;
            operators.push(Placed {
                operator,
                bytes: start..reader.original_position() as usize,
            });
        }
        Ok(Body {
            function,
            locals,
            operators,
            bytes,
        })
    }

    /// All functions that have a body.
    ///
    /// # Errors
    /// If one cannot be decoded.
    pub(crate) fn all_bodies(&self) -> Result<Vec<Body<'_>>, BinaryReaderError> {
        (0..self.bodies.len())
            .map(|index| self.body(index))
            .collect()
    }
}

impl Body<'_> {
    /// The body's bytes after the edits, which are in order and apart.
    pub(crate) fn edited(&self, module: &Module, edits: &[Edit]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut at = self.bytes.start;
        for edit in edits {
            bytes.extend_from_slice(&module.wasm[at..edit.bytes.start]);
            bytes.extend_from_slice(&edit.with);
            at = edit.bytes.end;
        }
        bytes.extend_from_slice(&module.wasm[at..self.bytes.end]);
        bytes
    }
}
