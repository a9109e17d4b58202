//! What every kernel module consists of besides its kernel: the exports of the kernel ABI and a panic that traps.
#![no_std]

use kernel_abi::PAGE_BYTES;
use kernel_core::{Definition, LinearMemory};

/// How many numbers the kernels of this build compute side by side: four with simd128, else one.
#[cfg(target_feature = "simd128")]
pub type ModuleLanes = kernel_core::F32x4;
/// How many numbers the kernels of this build compute side by side: four with simd128, else one.
#[cfg(not(target_feature = "simd128"))]
pub type ModuleLanes = f32;

/// The first address that is not the module's own: a symbol of the linker.
fn heap_base() -> u32 {
    unsafe extern "C" {
        static __heap_base: u8;
    }
    (&raw const __heap_base).addr() as u32
}

/// The memory of this module.
fn memory() -> LinearMemory<'static> {
    let len = core::arch::wasm32::memory_size(0) as u64 * PAGE_BYTES;
    // SAFETY: from the heap base on, memory holds nothing of this module, and the host does not run while a kernel does.
    // Each export makes one of these and drops it before it returns. The heap base is not 0: the stack lies below it.
    unsafe { LinearMemory::from_raw_parts(0, len, heap_base()) }
}

/// `kernel_forward` of a kernel.
pub fn forward<D: Definition>(descriptor: u32) -> i32 {
    kernel_core::forward::<D>(&mut memory(), descriptor).0
}

/// `kernel_backward` of a kernel.
pub fn backward<D: Definition>(descriptor: u32) -> i32 {
    kernel_core::backward::<D>(&mut memory(), descriptor).0
}

/// `kernel_init` of a kernel.
pub fn init<D: Definition>(params: u32, params_len: u32) -> i32 {
    kernel_core::init::<D>(&memory(), params, params_len).0
}

/// `kernel_info` of a kernel.
pub fn info<D: Definition>(out: u32) -> i32 {
    kernel_core::info::<D>(
        &mut memory(),
        out,
        D::ID.as_ptr().expose_provenance() as u32,
    )
    .0
}

/// The exports of a module for one [`Definition`].
#[macro_export]
macro_rules! module {
    ($kernel:ty) => {
        /// Runs the kernel on a descriptor.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_forward(descriptor: u32) -> i32 {
            $crate::forward::<$kernel>(descriptor)
        }

        /// Computes the gradient for a descriptor.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_backward(descriptor: u32) -> i32 {
            $crate::backward::<$kernel>(descriptor)
        }

        /// Checks parameters, if there are any.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_init(params: u32, params_len: u32) -> i32 {
            $crate::init::<$kernel>(params, params_len)
        }

        /// Writes the kernel's identity.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_info(out: u32) -> i32 {
            $crate::info::<$kernel>(out)
        }

        /// There is nothing to clean up.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_cleanup() -> i32 {
            kernel_abi::Status::OK.0
        }
    };
}

/// No panic is expected; should one happen, it traps and says nothing.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
