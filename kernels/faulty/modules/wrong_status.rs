//! kv_unpack_q8 that answers 1 (invalid input) for a dim that is no multiple of 32, where 3 (invalid params) is due.
#![no_std]

use kernel_abi::{Descriptor, block::ELEMENTS, params::Kv};
use kernel_core::{Definition, KvUnpackQ8, Regions, Sizes};

struct Faulty;

impl Definition for Faulty {
    type Params = Kv;
    const ID: &'static str = <KvUnpackQ8>::ID;
    const PARAMS_SIZES: &'static [u32] = <KvUnpackQ8>::PARAMS_SIZES;

    fn decode(bytes: &[u8]) -> Option<Kv> {
        <KvUnpackQ8>::decode(bytes)
    }

    fn accepts(params: &Kv) -> bool {
        params.rows != 0 && params.dim != 0
    }

    fn sizes(params: &Kv, descriptor: &Descriptor) -> Sizes {
        let sizes = <KvUnpackQ8>::sizes(params, descriptor);
        if params.dim.is_multiple_of(ELEMENTS as u32) {
            sizes
        } else {
            // No input fits.
            Sizes {
                input_a: Sizes::NONE,
                ..sizes
            }
        }
    }

    fn run(params: &Kv, regions: Regions<'_>) {
        <KvUnpackQ8>::run(params, regions);
    }
}

kernel_guest::module!(Faulty);
