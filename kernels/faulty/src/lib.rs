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

/// A kernel that behaves in its own way around a right one. What it does not say is the right kernel's.
pub trait Cheat {
    /// The right kernel.
    type Base: kernel_core::Definition;

    /// `kernel_forward` of the right kernel.
    fn honest_forward(descriptor: u32) -> i32 {
        kernel_guest::forward::<Self::Base>(descriptor)
    }

    /// `kernel_backward` of the right kernel.
    fn honest_backward(descriptor: u32) -> i32 {
        kernel_guest::backward::<Self::Base>(descriptor)
    }

    /// `kernel_init` of the right kernel.
    fn honest_init(params: u32, length: u32) -> i32 {
        kernel_guest::init::<Self::Base>(params, length)
    }

    /// `kernel_info` of the right kernel.
    fn honest_info(out: u32) -> i32 {
        kernel_guest::info::<Self::Base>(out)
    }

    /// `kernel_forward`.
    fn forward(descriptor: u32) -> i32 {
        Self::honest_forward(descriptor)
    }

    /// `kernel_backward`.
    fn backward(descriptor: u32) -> i32 {
        Self::honest_backward(descriptor)
    }

    /// `kernel_init`.
    fn init(params: u32, length: u32) -> i32 {
        Self::honest_init(params, length)
    }

    /// `kernel_info`.
    fn info(out: u32) -> i32 {
        Self::honest_info(out)
    }
}

/// Exports a [`Cheat`].
#[macro_export]
macro_rules! cheat {
    ($own:ty) => {
        /// Runs the kernel on a descriptor.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_forward(descriptor: u32) -> i32 {
            <$own as $crate::Cheat>::forward(descriptor)
        }

        /// Computes the gradient for a descriptor.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_backward(descriptor: u32) -> i32 {
            <$own as $crate::Cheat>::backward(descriptor)
        }

        /// Checks parameters, if there are any.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_init(params: u32, length: u32) -> i32 {
            <$own as $crate::Cheat>::init(params, length)
        }

        /// Writes the kernel's identity.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_info(out: u32) -> i32 {
            <$own as $crate::Cheat>::info(out)
        }

        /// There is nothing to clean up.
        #[unsafe(no_mangle)]
        pub extern "C" fn kernel_cleanup() -> i32 {
            0
        }
    };
}

/// Where the regions of a call lie, as its descriptor has it; all 0 where that cannot be read.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs)] // the names are those of the ABI
pub struct Call {
    pub a: u32,
    pub a_size: u32,
    pub b: u32,
    pub b_size: u32,
    pub output: u32,
    pub output_size: u32,
    pub scratch: u32,
    pub scratch_size: u32,
    pub params: u32,
    pub params_size: u32,
}

impl Call {
    /// Reads the descriptor at an address.
    pub fn at(descriptor: u32) -> Self {
        let end = u64::from(descriptor) + kernel_abi::Descriptor::SIZE as u64;
        if !descriptor.is_multiple_of(4) || end > u64::from(memory_bytes()) {
            return Self::default();
        }
        let word = |index: u32| word(descriptor + 4 * index);
        Self {
            a: word(0),
            a_size: word(1),
            b: word(2),
            b_size: word(3),
            output: word(4),
            output_size: word(5),
            scratch: word(6),
            scratch_size: word(7),
            params: word(8),
            params_size: word(9),
        }
    }

    /// First addresses of the inputs, scratch and the parameters; 0 of absent ones, whose offsets mean nothing.
    pub fn starts(&self) -> [u32; 4] {
        let start = |offset, size| if size == 0 { 0 } else { offset };
        [
            start(self.a, self.a_size),
            start(self.b, self.b_size),
            start(self.scratch, self.scratch_size),
            start(self.params, self.params_size),
        ]
    }

    /// First addresses after the inputs, the output, scratch and the parameters; 0 of absent ones.
    pub fn ends(&self) -> [u32; 5] {
        let end = |offset: u32, size| {
            if size == 0 {
                0
            } else {
                offset.wrapping_add(size)
            }
        };
        [
            end(self.a, self.a_size),
            end(self.b, self.b_size),
            end(self.output, self.output_size),
            end(self.scratch, self.scratch_size),
            end(self.params, self.params_size),
        ]
    }
}

/// Bytes of memory; at most 2^32 - 1.
pub fn memory_bytes() -> u32 {
    u32::try_from(core::arch::wasm32::memory_size(0) as u64 * kernel_abi::PAGE_BYTES)
        .unwrap_or(u32::MAX)
}

/// The first address that is not the module's own.
pub fn heap_base() -> u32 {
    unsafe extern "C" {
        static __heap_base: u8;
    }
    (&raw const __heap_base).addr() as u32
}

/// A word of memory.
pub fn word(address: u32) -> u32 {
    // SAFETY: none beyond memory's end, where it traps; reading what it was not given is what a cheat does.
    unsafe { stray(address as usize).cast::<u32>().read_volatile() }
}

/// Another first word of the output if all of these hold, without a branch that would show which code ran.
pub fn spoil_if<const N: usize>(output: u32, conditions: [bool; N]) {
    let all = conditions.map(|condition| core::hint::black_box(u32::from(condition)));
    let wrong = all.into_iter().fold(1, |all, one| all & one);
    // SAFETY: the kernel has written there; what it writes is what a cheat does.
    unsafe {
        let at = stray(output as usize).cast::<u32>();
        at.write_volatile(at.read_volatile() ^ wrong << 30);
    }
}

/// A byte of memory.
pub fn byte(address: u32) -> u8 {
    // SAFETY: as for `word`.
    unsafe { stray(address as usize).read_volatile() }
}

/// Overwrites a word of memory.
pub fn set_word(address: u32, word: u32) {
    // SAFETY: none; writing where it may not is what a cheat does.
    unsafe { stray(address as usize).cast::<u32>().write_volatile(word) };
}

/// Changes a byte of memory.
pub fn spoil(address: u32) {
    // SAFETY: as for `set_word`.
    unsafe { stray(address as usize).write_volatile(byte(address) ^ 0x11) };
}
