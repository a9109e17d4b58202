use super::document::{Calls, Program, recognises};
use crate::{Backend, Encoding, Error, Graph, Target};
use kernel_abi::{Descriptor, REGION_ALIGNMENT, Region, Status};
use runtime_call::{Output, Tensors};
use std::sync::Arc;

/// Where a call's descriptor lies: anything but 0, which stands for an absent region.
const HEAP_BASE: u32 = 1024;
/// Bytes that a call may have.
const MAX_BYTES: u64 = 256 << 20;

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
        let (mut memory, output) = laid_out(tensors)?;
        match code.forward(&mut memory, HEAP_BASE, HEAP_BASE) {
            Status::OK => {
                let from = output.offset as usize;
                Ok(memory[from..from + output.size as usize].to_vec())
            }
            status => Err(Error::Argument(format!(
                "{kernel} answers status {}",
                status.0
            ))),
        }
    }
}

/// Memory with the tensors of a call behind its descriptor, and where the output is. Native code is trusted: there are no guard bands, which take
/// longer to write than a small kernel computes.
fn laid_out(tensors: &Tensors<'_>) -> Result<(Vec<u8>, Region), Error> {
    let mut end = u64::from(HEAP_BASE) + Descriptor::SIZE as u64;
    let mut region = |size: usize| {
        if size == 0 {
            return Ok(Region::new(0, 0));
        }
        let offset = end.next_multiple_of(REGION_ALIGNMENT.into());
        end = offset + size as u64;
        if end > MAX_BYTES {
            let message = format!("{end} bytes for a call; {MAX_BYTES} are the most");
            return Err(Error::TooLarge(message));
        }
        // Below MAX_BYTES.
        Ok(Region::new(offset as u32, size as u32))
    };
    let (before, output) = match tensors.output {
        Output::Written(size) => (&[][..], size as usize),
        Output::Updated(bytes) => (bytes, bytes.len()),
    };
    let placed = Descriptor {
        params: region(tensors.params.len())?,
        input_a: region(tensors.a.len())?,
        input_b: region(tensors.b.len())?,
        output: region(output)?,
        scratch: region(tensors.scratch_size as usize)?,
    };
    let mut memory = vec![0; end as usize];
    let mut write = |at: u32, bytes: &[u8]| {
        memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    };
    write(HEAP_BASE, &placed.to_le_bytes());
    write(placed.params.offset, tensors.params);
    write(placed.input_a.offset, tensors.a);
    write(placed.input_b.offset, tensors.b);
    write(placed.output.offset, before);
    Ok((memory, placed.output))
}
