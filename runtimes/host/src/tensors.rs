//! Tensors that lie outside of a kernel's memory: a caller's own, and copies for whoever else answers.

use crate::{
    error::ServeError,
    live::{Caller, Shape, filled},
};
use runtime_call::{Output, PlaceError, Sizes, Tensor, Tensors};

/// A copy of a call's tensors: for an application's native form, and for another thread.
pub(crate) struct Owned {
    params: Vec<u8>,
    sizes: Sizes,
    updates: bool,
    a: Vec<u8>,
    b: Vec<u8>,
    output: Vec<u8>,
}

impl Owned {
    pub(crate) fn of(shape: &Shape<'_>, caller: &mut dyn Caller) -> Self {
        let [a, b, output] = filled(shape).map(|(tensor, size)| {
            let mut bytes = vec![0; size as usize];
            if size > 0 {
                caller.fill(tensor, &mut bytes);
            }
            bytes
        });
        Self {
            params: shape.params.to_vec(),
            sizes: shape.sizes,
            updates: shape.updates,
            a,
            b,
            output,
        }
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape {
            params: &self.params,
            sizes: self.sizes,
            updates: self.updates,
        }
    }

    pub(crate) fn tensors(&self) -> Tensors<'_> {
        Tensors {
            params: &self.params,
            a: &self.a,
            b: &self.b,
            output: match self.updates {
                true => Output::Updated(&self.output),
                false => Output::Written(self.sizes.output),
            },
            scratch_size: self.sizes.scratch,
        }
    }
}

/// A caller with tensors of its own.
pub(crate) struct Slices<'t> {
    tensors: &'t Tensors<'t>,
    pub(crate) output: Vec<u8>,
}

impl<'t> Slices<'t> {
    pub(crate) fn new(tensors: &'t Tensors<'t>) -> Self {
        Self {
            tensors,
            output: Vec::new(),
        }
    }

    pub(crate) fn shape(&self) -> Result<Shape<'t>, ServeError> {
        let tensors = self.tensors;
        let (output, updates) = match tensors.output {
            Output::Written(size) => (Ok(size), false),
            Output::Updated(bytes) => (size_of(bytes), true),
        };
        Ok(Shape {
            params: tensors.params,
            sizes: Sizes {
                a: size_of(tensors.a)?,
                b: size_of(tensors.b)?,
                output: output?,
                scratch: tensors.scratch_size,
            },
            updates,
        })
    }

    fn bytes(&self, tensor: Tensor) -> &[u8] {
        match (tensor, self.tensors.output) {
            (Tensor::A, _) => self.tensors.a,
            (Tensor::B, _) => self.tensors.b,
            (Tensor::Output, Output::Updated(bytes)) => bytes,
            (Tensor::Output, Output::Written(_)) => &[],
        }
    }
}

fn size_of(bytes: &[u8]) -> Result<u32, ServeError> {
    u32::try_from(bytes.len()).map_err(|_| {
        ServeError::Place(PlaceError::TooLarge {
            needed: (bytes.len() as u64).div_ceil(kernel_abi::PAGE_BYTES),
            limit: 1 << 16,
        })
    })
}

impl Caller for Slices<'_> {
    fn fill(&mut self, tensor: Tensor, bytes: &mut [u8]) {
        bytes.copy_from_slice(self.bytes(tensor));
    }

    fn read(&mut self, tensor: Tensor, bytes: &[u8]) -> bool {
        if tensor == Tensor::Output {
            self.output = bytes.to_vec();
            return true;
        }
        self.bytes(tensor) == bytes
    }
}
