//! Any descriptor and any parameters: no panic, and memory changes only where it may.

use crate::common::{self, DESCRIPTOR, HEAP_BASE, Placed, good};
use kernel_abi::{Descriptor, Region, Status};
use kernel_core::KERNELS;
use proptest::{collection::vec, prelude::*, sample::select};

/// Words that are often sizes, offsets or dimensions, and any others.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => (0u32..64).prop_map(|n| n * 16),
        4 => 0u32..80,
        1 => (0u32..256).prop_map(|n| n * 32),
        1 => select(vec![1 << 30, 1 << 31, u32::MAX, u32::MAX - 15, 0x7fff_ffff]),
        1 => any::<u32>(),
    ]
}

/// A change of one word of the descriptor (0 to 9) or of the parameters (from 10).
fn change() -> impl Strategy<Value = (usize, u32)> {
    let float = select(vec![1f32, 0.5, 1e-5, -1.0, f32::NAN, f32::INFINITY]).prop_map(f32::to_bits);
    (0usize..17, prop_oneof![word(), float])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Calls that are good but for a few words.
    #[test]
    fn nothing_but_output_and_scratch_changes(
        kernel in select((0..KERNELS.len()).collect::<Vec<_>>()),
        backward: bool,
        address in prop_oneof![12 => Just(DESCRIPTOR), 1 => word()],
        changes in vec(change(), 0..4),
        bytes in vec(any::<u8>(), 64),
    ) {
        let kernel = &KERNELS[kernel];
        let mut call = good(kernel.id);
        for (at, byte) in call.a.iter_mut().chain(&mut call.b).chain(&mut call.output).enumerate() {
            *byte = bytes[at % 64] ^ at as u8;
        }
        let Placed { mut memory, descriptor } = call.place();
        let params = descriptor.params.offset as usize;
        for (index, word) in &changes {
            let at = match index {
                0..10 => DESCRIPTOR as usize + index * 4,
                _ => params + (index - 10) * 4,
            };
            memory[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let descriptor = memory.get(address as usize..address as usize + Descriptor::SIZE)
            .map_or(Descriptor::default(), |bytes| Descriptor::from_le_bytes(bytes.try_into().expect("40 bytes")));

        let before = memory.clone();
        let status = if backward {
            kernel.backward(&mut memory, HEAP_BASE, address)
        } else {
            kernel.forward(&mut memory, HEAP_BASE, address)
        };
        prop_assert!((0..=5).contains(&status.0));
        if changes.is_empty() && address == DESCRIPTOR && !backward {
            prop_assert_eq!(status, Status::OK);
        }
        let may_change = |byte: Region| status == Status::OK
            && (byte.overlaps(descriptor.output) || byte.overlaps(descriptor.scratch));
        for (at, (was, is)) in before.iter().zip(&memory).enumerate() {
            prop_assert!(was == is || may_change(Region::new(at as u32, 1)), "{} changed byte {at}", kernel.id);
        }
        let _ = kernel.init(&mut memory, HEAP_BASE, params as u32, changes.len() as u32 * 4);
        let _ = kernel.info(&mut memory, HEAP_BASE, address, 0);
    }

    /// Small calls of the right sizes on any bytes: every bit pattern is an input.
    #[test]
    fn any_bits_are_taken_as_numbers(bytes in vec(any::<u8>(), 512), rows in 1u32..3) {
        use kernel_abi::params::{Kv, RmsNorm, Rope, Swiglu};
        let rope = Rope { theta: 1e4, seq: 1, head_dim: 32, heads: rows, batch: 1, layout: 1, table: 0 };
        let element = |id: &str| if id.ends_with("f16") { 2 } else { 4 };
        for kernel in &KERNELS {
            let id = kernel.id;
            let tensor = rows as usize * 32 * element(id);
            let (a, b, output, params) = match id.split('_').next() {
                Some("rope") if id == "rope_q8" => (34 * rows as usize, 64, 34 * rows as usize, rope.to_le_bytes().to_vec()),
                Some("rope") => (tensor, 64, tensor, rope.to_le_bytes().to_vec()),
                Some("rmsnorm") => (tensor, 32 * element(id), tensor, RmsNorm { eps: 0.0, hidden: 32, rows }.to_le_bytes().to_vec()),
                Some("swiglu") => (tensor, tensor, tensor, Swiglu { rows, hidden: 32, beta: 1.0 }.to_le_bytes().to_vec()),
                Some("kv") => {
                    let block = rows as usize * if id.ends_with("q8") { 34 } else { 18 };
                    let params = Kv { rows, dim: 32 }.to_le_bytes().to_vec();
                    if id.starts_with("kv_pack") { (tensor, 0, block, params) } else { (block, 0, tensor, params) }
                }
                _ => continue,
            };
            let call = common::Call {
                a: bytes[..a].to_vec(),
                b: bytes[512 - b..].to_vec(),
                output: vec![0; output],
                params,
                ..Default::default()
            };
            call.forward(id);
        }
    }
}
