//! What the faulty kernels share: everything of a correct kernel but its arithmetic.
#![no_std]

/// Declares a kernel that is `$base` but for what it runs, and exports it.
#[macro_export]
macro_rules! faulty {
    ($base:ty, $run:expr) => {
        struct Faulty;

        impl kernel_core::Definition for Faulty {
            type Params = <$base as kernel_core::Definition>::Params;
            const ID: &'static str = <$base as kernel_core::Definition>::ID;
            const PARAMS_SIZES: &'static [u32] = <$base as kernel_core::Definition>::PARAMS_SIZES;
            const HAS_BACKWARD: bool = <$base as kernel_core::Definition>::HAS_BACKWARD;

            fn decode(bytes: &[u8]) -> Option<Self::Params> {
                <$base as kernel_core::Definition>::decode(bytes)
            }

            fn accepts(params: &Self::Params) -> bool {
                <$base as kernel_core::Definition>::accepts(params)
            }

            fn accepts_call(params: &Self::Params, descriptor: &kernel_abi::Descriptor) -> bool {
                <$base as kernel_core::Definition>::accepts_call(params, descriptor)
            }

            fn sizes(
                params: &Self::Params,
                descriptor: &kernel_abi::Descriptor,
            ) -> kernel_core::Sizes {
                <$base as kernel_core::Definition>::sizes(params, descriptor)
            }

            fn run(params: &Self::Params, regions: kernel_core::Regions<'_>) {
                $run(params, regions);
            }

            fn backward_sizes(
                params: &Self::Params,
                descriptor: &kernel_abi::Descriptor,
            ) -> kernel_core::Sizes {
                <$base as kernel_core::Definition>::backward_sizes(params, descriptor)
            }

            fn run_backward(params: &Self::Params, regions: kernel_core::Regions<'_>) {
                <$base as kernel_core::Definition>::run_backward(params, regions);
            }
        }

        kernel_guest::module!(Faulty);
    };
}

/// A pointer to an address of linear memory that the kernel was not given.
pub fn stray(address: usize) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(address)
}
