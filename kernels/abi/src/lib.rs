//! The binary interface (ABI version 1) between a kernel host and a kernel module.
//!
//! Everything is little-endian; sizes are in bytes; offsets are addresses in 32-bit linear memory.
//! The host writes a [`Descriptor`] and a parameter struct ([`params`]) into linear memory, calls an
//! export ([`export`]) with the descriptor's address and receives a [`Status`].
#![no_std]
#![forbid(unsafe_code)]

mod descriptor;
mod info;
pub mod layout;
pub mod params;
mod status;

pub use descriptor::{Descriptor, Region};
pub use info::{FLAG_HAS_BACKWARD, KernelInfo};
pub use status::Status;

/// The ABI version that a module states in [`KernelInfo::abi_version`].
pub const ABI_VERSION: u16 = 1;

/// Every region starts at a multiple of this many bytes.
pub const REGION_ALIGNMENT: u32 = 16;

/// The largest region, 2^31 - 1 bytes: a 32-bit module can address no larger object.
pub const MAX_REGION_BYTES: u32 = i32::MAX as u32;

/// Bytes in a page of linear memory.
pub const PAGE_BYTES: u64 = 65_536;

/// Names of the exports of a kernel module.
pub mod export {
    /// Declares the names, and a list of them that misses none.
    macro_rules! exports {
        ($($(#[doc = $doc:literal])* $name:ident = $text:literal),* $(,)?) => {
            $($(#[doc = $doc])* pub const $name: &str = $text;)*

            /// All of them.
            pub const ALL: &[&str] = &[$($name),*];
        };
    }

    exports! {
        /// The only memory.
        MEMORY = "memory",
        /// Immutable i32 global: the first byte at which the host may place tensors.
        HEAP_BASE = "__heap_base",
        /// `(i32 descriptor) -> i32 status`: the core pack's entry point.
        FORWARD = "kernel_forward",
        /// `(i32 params, i32 params_len) -> i32 status`: once after instantiation.
        INIT = "kernel_init",
        /// `(i32 out) -> i32 status`: writes a [`KernelInfo`](crate::KernelInfo).
        INFO = "kernel_info",
        /// `(i32 descriptor) -> i32 status`: optional gradient.
        BACKWARD = "kernel_backward",
        /// `() -> i32 status`: once before the instance is dropped.
        CLEANUP = "kernel_cleanup",
    }
}

/// GGUF block formats along the last axis of a tensor.
pub mod block {
    /// Elements in a quantised block.
    pub const ELEMENTS: usize = 32;
    /// Bytes of a Q8_0 block: f16 scale, 32 i8 codes.
    pub const Q8_BYTES: usize = 34;
    /// Bytes of a Q4_0 block: f16 scale, 16 bytes of two 4-bit codes (element j low, element j + 16 high).
    pub const Q4_BYTES: usize = 18;
}
