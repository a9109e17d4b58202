//! The kernel algorithms of the core pack, `no_std`: the same source is compiled to WebAssembly by `kernels/guest` and
//! natively for layer L3 (same source) of the harness.
//!
//! A kernel is a unit struct ([`RopeF32`], [`KvPackQ8`], ...) that implements [`Definition`]: its parameters, the sizes it
//! asks for and its arithmetic. The entries [`forward`], [`backward`], [`init`] and [`info`] are generic over it, so that a
//! guest which names one kernel links only that kernel's code. Native callers take a [`Kernel`] from [`KERNELS`] and
//! give it a byte slice that plays linear memory.
//!
//! Results are the same bits on every target: elementary functions and f16 conversions are software, products and sums
//! are never fused, and nothing that is written depends on the sign or payload of a NaN.
//!
//! ```
//! use kernel_abi::{Descriptor, Region, Status, params::Kv};
//!
//! let mut memory = vec![0u8; 512];
//! let descriptor = Descriptor {
//!     input_a: Region::new(64, 128), // 32 f32
//!     output: Region::new(192, 34),  // one Q8_0 block
//!     params: Region::new(48, 8),
//!     ..Descriptor::default()
//! };
//! memory[0..40].copy_from_slice(&descriptor.to_le_bytes());
//! memory[48..56].copy_from_slice(&Kv { rows: 1, dim: 32 }.to_le_bytes());
//! memory[64..68].copy_from_slice(&127.0f32.to_le_bytes());
//! let kernel = kernel_core::kernel("kv_pack_q8").unwrap();
//! assert_eq!(kernel.forward(&mut memory, 0, 0), Status::OK);
//! assert_eq!(memory[192..195], [0x00, 0x3c, 127]); // scale 1.0, code 127
//! ```
#![no_std]

mod angle;
pub mod block;
mod check;
mod element;
mod elementwise;
mod kv;
pub mod lanes;
mod lora;
mod memory;
mod rmsnorm;
mod rope;
pub mod slice;
mod swiglu;
mod unroll;

pub use check::{Definition, Sizes, backward, forward, info, init};
pub use element::{Element, F16, F32};
pub use kernel_abi::MAX_REGION_BYTES;
pub use kv::{KvPackQ4, KvPackQ8, KvUnpackQ4, KvUnpackQ8};
pub use lanes::{F32x4, Lanes, Words};
pub use lora::{LoraApplyF16, LoraApplyF32};
pub use memory::{LinearMemory, Regions};
pub use rmsnorm::{RmsNormF16, RmsNormF32, row_factor, sum_of_squares};
pub use rope::{RopeF16, RopeF32, RopeQ8, rotate};
pub use swiglu::{SwigluF16, SwigluF32, swiglu};

use kernel_abi::Status;

/// A kernel as native code, for callers that choose it at run time.
#[derive(Debug)]
pub struct Kernel {
    /// The kernel's id, as in manifests: `rope_f32`, `kv_pack_q8`, ...
    pub id: &'static str,
    /// Whether [`backward`](Self::backward) computes a gradient; if not it answers [`Status::NOT_IMPLEMENTED`].
    pub has_backward: bool,
    forward: fn(&mut LinearMemory<'_>, u32) -> Status,
    backward: fn(&mut LinearMemory<'_>, u32) -> Status,
    init: fn(&LinearMemory<'_>, u32, u32) -> Status,
    info: fn(&mut LinearMemory<'_>, u32, u32) -> Status,
}

impl Kernel {
    const fn of<D: Definition>() -> Self {
        Self {
            id: D::ID,
            has_backward: D::HAS_BACKWARD,
            forward: forward::<D>,
            backward: backward::<D>,
            init: init::<D>,
            info: info::<D>,
        }
    }

    /// Runs the kernel on `memory`, whose first byte has address 0. `heap_base` is the first address at which regions may
    /// lie, `descriptor` the address of the 40 descriptor bytes. On a status other than 0 nothing was written.
    pub fn forward(&self, memory: &mut [u8], heap_base: u32, descriptor: u32) -> Status {
        (self.forward)(&mut LinearMemory::new(memory, heap_base), descriptor)
    }

    /// Computes the gradient; arguments and statuses as [`forward`](Self::forward).
    pub fn backward(&self, memory: &mut [u8], heap_base: u32, descriptor: u32) -> Status {
        (self.backward)(&mut LinearMemory::new(memory, heap_base), descriptor)
    }

    /// Checks `params_len` bytes of parameters at address `params`; the core kernels keep no state.
    pub fn init(&self, memory: &mut [u8], heap_base: u32, params: u32, params_len: u32) -> Status {
        (self.init)(&LinearMemory::new(memory, heap_base), params, params_len)
    }

    /// Writes a [`KernelInfo`](kernel_abi::KernelInfo) at address `out`. Native code has no address of the name in
    /// `memory`: `name_ptr` is written as given.
    pub fn info(&self, memory: &mut [u8], heap_base: u32, out: u32, name_ptr: u32) -> Status {
        (self.info)(&mut LinearMemory::new(memory, heap_base), out, name_ptr)
    }
}

/// Version of this source: a module of the same version gives the same bits.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All kernels of the core pack, as their base modules compute.
pub static KERNELS: [Kernel; 13] = all::<f32>();

/// The same as the variants for `simd` compute: four lanes side by side.
pub static SIMD_KERNELS: [Kernel; 13] = all::<F32x4>();

const fn all<L: Lanes>() -> [Kernel; 13] {
    [
        Kernel::of::<RopeF32<L>>(),
        Kernel::of::<RopeF16<L>>(),
        Kernel::of::<RopeQ8<L>>(),
        Kernel::of::<RmsNormF32<L>>(),
        Kernel::of::<RmsNormF16<L>>(),
        Kernel::of::<SwigluF32<L>>(),
        Kernel::of::<SwigluF16<L>>(),
        Kernel::of::<KvPackQ4<L>>(),
        Kernel::of::<KvPackQ8<L>>(),
        Kernel::of::<KvUnpackQ4<L>>(),
        Kernel::of::<KvUnpackQ8<L>>(),
        Kernel::of::<LoraApplyF32<L>>(),
        Kernel::of::<LoraApplyF16<L>>(),
    ]
}

/// The kernel of that id, as its base module computes.
pub fn kernel(id: &str) -> Option<&'static Kernel> {
    KERNELS.iter().find(|kernel| kernel.id == id)
}

/// The kernel of that id, as its variant for engines with these features computes.
pub fn variant(id: &str, features: &[impl AsRef<str>]) -> Option<&'static Kernel> {
    let simd = features.iter().any(|feature| feature.as_ref() == "simd");
    let kernels = if simd { &SIMD_KERNELS } else { &KERNELS };
    kernels.iter().find(|kernel| kernel.id == id)
}
