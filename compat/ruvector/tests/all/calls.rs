//! Kernels of this repository by the client's manager, held to the bits of native code.

use crate::support::{
    CORE, Call, DESIGN_EXAMPLE, Numbers, fixture, manager, manager_of, manifest, rmsnorm,
};
use kernel_abi::block::{ELEMENTS, Q4_BYTES, Q8_BYTES};
use kernel_abi::params::{Kv, Lora, Rope, Swiglu};
use ruvector_wasm::kernel::error::VerifyError;
use ruvector_wasm::kernel::hash::verify_kernel_hash;
use ruvector_wasm::kernel::runtime::RuntimeConfig;
use std::collections::BTreeSet;

/// Calls of every kernel of the core pack, several shapes each.
fn calls() -> Vec<(&'static str, Call)> {
    let mut numbers = Numbers::seeded(20_260_118);
    let mut calls = Vec::new();
    for (rows, hidden) in [(1, 1), (3, 5), (2, 33), (7, 256)] {
        let elements = (rows * hidden) as usize;
        calls.push(("rmsnorm_f32", rmsnorm(rows, hidden)));
        let halves = Call {
            a: numbers.f16(elements),
            b: numbers.f16(hidden as usize),
            output: vec![0; elements * 2],
            ..rmsnorm(rows, hidden)
        };
        calls.push(("rmsnorm_f16", halves));
        let params = Swiglu {
            rows,
            hidden,
            beta: 1.25,
        }
        .to_le_bytes()
        .to_vec();
        let floats = Call {
            params: params.clone(),
            a: numbers.f32(elements),
            b: numbers.f32(elements),
            output: vec![0; elements * 4],
            scratch_size: 0,
        };
        calls.push(("swiglu_f32", floats));
        let halves = Call {
            params,
            a: numbers.f16(elements),
            b: numbers.f16(elements),
            output: vec![0; elements * 2],
            scratch_size: 0,
        };
        calls.push(("swiglu_f16", halves));
    }
    for (rows, dim) in [(1, 32), (3, 96), (4, 256)] {
        let elements = (rows * dim) as usize;
        let blocks = elements / ELEMENTS;
        let params = Kv { rows, dim }.to_le_bytes().to_vec();
        let floats = numbers.f32(elements);
        for (pack, unpack, block_bytes) in [
            ("kv_pack_q8", "kv_unpack_q8", Q8_BYTES),
            ("kv_pack_q4", "kv_unpack_q4", Q4_BYTES),
        ] {
            let packing = Call {
                params: params.clone(),
                a: floats.clone(),
                output: vec![0; blocks * block_bytes],
                ..Call::default()
            };
            calls.push((pack, packing));
            let unpacking = Call {
                params: params.clone(),
                a: numbers.blocks(blocks, block_bytes - 2),
                output: vec![0; elements * 4],
                ..Call::default()
            };
            calls.push((unpack, unpacking));
        }
    }
    for (seq, head_dim) in [(1, 32), (5, 64)] {
        let elements = (2 * seq * 3 * head_dim) as usize;
        let angles = numbers.f32((seq * head_dim / 2) as usize);
        for layout in [0, 1] {
            let params = Rope {
                theta: 10_000.0,
                seq,
                head_dim,
                heads: 3,
                batch: 2,
                layout,
                table: 0,
            }
            .to_le_bytes()
            .to_vec();
            for (kernel, x) in [
                ("rope_f32", numbers.f32(elements)),
                ("rope_f16", numbers.f16(elements)),
                ("rope_q8", numbers.blocks(elements / ELEMENTS, ELEMENTS)),
            ] {
                let call = Call {
                    params: params.clone(),
                    output: vec![0; x.len()],
                    a: x,
                    b: angles.clone(),
                    scratch_size: 0,
                };
                calls.push((kernel, call));
            }
        }
    }
    for (rows, in_features, rank, out_features) in [(1, 1, 1, 1), (2, 64, 8, 32)] {
        let params = Lora {
            rows,
            in_features,
            rank,
            out_features,
            scale: 0.5,
        }
        .to_le_bytes()
        .to_vec();
        let weights = ((in_features + out_features) * rank) as usize;
        // The output holds the base on entry and is updated in place.
        let floats = Call {
            params: params.clone(),
            a: numbers.f32((rows * in_features) as usize),
            b: numbers.f32(weights),
            output: numbers.f32((rows * out_features) as usize),
            scratch_size: (rows * rank * 4) as usize,
        };
        calls.push(("lora_apply_f32", floats));
        let halves = Call {
            params,
            a: numbers.f16((rows * in_features) as usize),
            b: numbers.f16(weights),
            output: numbers.f16((rows * out_features) as usize),
            scratch_size: (rows * rank * 4) as usize,
        };
        calls.push(("lora_apply_f16", halves));
    }
    calls
}

#[test]
fn every_kernel_of_the_core_pack_gives_the_bits_of_native_code() {
    let manager = manager(CORE);
    let mut called = BTreeSet::new();
    for (index, (kernel, call)) in calls().iter().enumerate() {
        let output = call
            .run(&manager, kernel)
            .unwrap_or_else(|error| panic!("call {index}, {kernel}: {error}"));
        assert!(
            output == call.run_natively(kernel),
            "call {index}, {kernel}: other bytes than native code"
        );
        assert_ne!(
            output, call.output,
            "call {index}, {kernel}: nothing written"
        );
        called.insert(*kernel);
    }
    assert_eq!(called.len(), manager.list_kernels().len());
}

#[test]
fn a_wrong_kernel_gives_other_bits() {
    let mut manager = manager(CORE);
    let wrong = std::fs::read(fixture("faulty/eps_outside_root.wasm")).unwrap();
    // The manager looks at no hash: that is left to whoever calls it.
    manager.compile_kernel(CORE, "rmsnorm_f32", &wrong).unwrap();
    let call = rmsnorm(3, 5);
    let output = call.run(&manager, "rmsnorm_f32").unwrap();
    assert_ne!(output, call.run_natively("rmsnorm_f32"));

    let manifest = manifest(CORE);
    let listed = &manifest.get_kernel("rmsnorm_f32").unwrap().hash;
    assert!(matches!(
        verify_kernel_hash(&wrong, listed),
        Err(VerifyError::HashMismatch { .. })
    ));
}

/// The parameters are those of the client's own `kernels/rope.rs`: five fields, which is a form that this project's
/// rope takes.
#[test]
fn the_pack_of_the_design_runs_with_the_parameters_of_the_clients_own_kernel() {
    let manager = manager(DESIGN_EXAMPLE);
    assert_eq!(manager.list_kernels(), ["rope_f32"]);
    let mut numbers = Numbers::seeded(5);
    let (batch, seq, heads, head_dim) = (2u32, 3u32, 2u32, 16u32);
    let elements = (batch * seq * heads * head_dim) as usize;
    let mut params = 10_000f32.to_le_bytes().to_vec();
    for value in [seq, head_dim, heads, batch] {
        params.extend(value.to_le_bytes());
    }
    let call = Call {
        params,
        a: numbers.f32(elements),
        b: numbers.f32((seq * head_dim / 2) as usize),
        output: vec![0; elements * 4],
        scratch_size: 0,
    };
    let output = call.run(&manager, "rope_f32").unwrap();
    assert_eq!(output, call.run_natively("rope_f32"));
}

#[test]
fn all_three_configurations_of_the_client_run_kernels() {
    for config in [
        RuntimeConfig::server(),
        RuntimeConfig::embedded(),
        RuntimeConfig::development(),
    ] {
        let manager = manager_of(CORE, manifest(CORE), config);
        let call = rmsnorm(7, 64);
        let output = call.run(&manager, "rmsnorm_f32").unwrap();
        assert_eq!(output, call.run_natively("rmsnorm_f32"));
    }
}

#[test]
fn threads_share_a_manager() {
    let manager = manager(CORE);
    let call = rmsnorm(7, 64);
    let expected = call.run_natively("rmsnorm_f32");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert_eq!(call.run(&manager, "rmsnorm_f32").unwrap(), expected);
            });
        }
    });
}
