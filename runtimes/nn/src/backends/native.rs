use super::document::{Calls, Program, recognises};
use crate::{Backend, Encoding, Error, Graph, Target};
use kernel_abi::Status;
use runtime_call::{Fill, Frame, Tensors};
use std::sync::Arc;

/// Where a frame begins: anything but 0, and what a descriptor needs is behind it.
const HEAP_BASE: u32 = 1024;
/// Pages of 64 KiB that a call may have.
const MAX_PAGES: u32 = 4096;

/// Documents of kernels, computed by the same source as native code: what a pack's modules are held against.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    features: &'static [&'static str],
}

impl Native {
    /// As the base modules of the core pack compute.
    pub const fn base() -> Self {
        Self { features: &[] }
    }

    /// As its modules for engines with SIMD compute: sums are in another order.
    pub const fn simd() -> Self {
        Self {
            features: &["simd"],
        }
    }
}

impl Backend for Native {
    fn id(&self) -> &'static str {
        "native"
    }

    fn encoding(&self) -> Encoding {
        Encoding::Kernels
    }

    fn recognises(&self, parts: &[Vec<u8>]) -> bool {
        recognises(parts)
    }

    fn load(&self, parts: &[Vec<u8>], target: Target) -> Result<Arc<dyn Graph>, Error> {
        super::only_cpu(target)?;
        Ok(Arc::new(Program::read(parts, *self)?))
    }
}

impl Calls for Native {
    fn knows(&self, kernel: &str) -> bool {
        kernel_core::kernel(kernel).is_some()
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn call(&self, kernel: &str, tensors: &Tensors<'_>) -> Result<Vec<u8>, Error> {
        let code = kernel_core::variant(kernel, self.features);
        let code = code.ok_or_else(|| Error::NotFound(format!("a kernel `{kernel}`")))?;
        let frame = Frame::place(tensors, HEAP_BASE, MAX_PAGES, Fill::FIRST)
            .map_err(|error| Error::TooLarge(error.to_string()))?;
        let mut memory = vec![0; frame.start() as usize];
        memory.extend_from_slice(frame.image());
        match code.forward(&mut memory, HEAP_BASE, frame.descriptor_address()) {
            Status::OK => Ok(frame.output(&memory[frame.start() as usize..]).to_vec()),
            status => Err(Error::Argument(format!(
                "{kernel} answers status {}",
                status.0
            ))),
        }
    }
}
