//! What the client's manager does with packs, and what it leaves to its caller.

use crate::support::{
    CORE, Call, DESIGN_EXAMPLE, manager, manager_of, manifest, pack_file, rmsnorm,
};
use compat_ruvector::HostRuntime;
use ruvector_wasm::kernel::error::{KernelError, KernelErrorCode};
use ruvector_wasm::kernel::manifest::{DataType, KernelDescriptor};
use ruvector_wasm::kernel::memory::tensor_size_bytes;
use ruvector_wasm::kernel::runtime::{
    KernelManager, KernelRuntime, MockKernelRuntime, RuntimeConfig,
};
use std::sync::Arc;

#[test]
fn a_kernels_status_is_the_clients_trap() {
    let manager = manager(CORE);
    let mut call = rmsnorm(3, 5);
    call.params.pop();
    let error = call.run(&manager, "rmsnorm_f32").unwrap_err();
    let KernelError::KernelTrap { code, message } = error else {
        panic!("{error}");
    };
    assert_eq!(KernelErrorCode::from(code), KernelErrorCode::InvalidParams);
    assert_eq!(message.unwrap(), "INVALID_PARAMS");
}

/// An output of the size that the client's own function says: one byte an element.
#[test]
fn outputs_of_blocks_as_the_client_sizes_them_are_refused() {
    let manager = manager(CORE);
    let (rows, dim) = (3, 96);
    for (kernel, dtype) in [("kv_pack_q8", DataType::Q8), ("kv_pack_q4", DataType::Q4)] {
        let call = Call {
            params: kernel_abi::params::Kv { rows, dim }.to_le_bytes().to_vec(),
            a: vec![0; (rows * dim * 4) as usize],
            output: vec![0; tensor_size_bytes(&[rows as usize, dim as usize], dtype)],
            ..Call::default()
        };
        let error = call.run(&manager, kernel).unwrap_err();
        assert!(
            matches!(error, KernelError::KernelTrap { code, .. }
                if KernelErrorCode::from(code) == KernelErrorCode::InvalidOutput),
            "{kernel}: {error}"
        );
    }
}

/// Compiled kernels are kept by their id alone: of two packs with a kernel of one id the last one compiled is called,
/// whichever pack is active.
#[test]
fn kernels_of_two_packs_share_their_ids() {
    let mut manager = manager(CORE);
    assert_eq!(
        manager.get_kernel_info("rope_f32").unwrap().entry_point,
        "kernel_forward"
    );
    let example = manifest(DESIGN_EXAMPLE);
    let module = pack_file(DESIGN_EXAMPLE, &example.kernels[0].path);
    manager.load_manifest(DESIGN_EXAMPLE, example);
    manager
        .compile_kernel(DESIGN_EXAMPLE, "rope_f32", &module)
        .unwrap();
    manager.set_active_pack(CORE).unwrap();
    assert_eq!(
        manager.get_kernel_info("rope_f32").unwrap().entry_point,
        "rope_forward"
    );
}

/// A fallback is a name in the manifest; the manager calls none when a kernel fails.
#[test]
fn the_manager_knows_no_fallback() {
    let manifest = manifest(CORE);
    assert_eq!(
        manifest.get_fallback("rmsnorm_f32"),
        Some("rmsnorm_reference")
    );
    let manager = manager(CORE);
    let (descriptor, mut memory) = rmsnorm(3, 5).laid_out();
    let error = manager
        .execute("rmsnorm_reference", &descriptor, &mut memory)
        .unwrap_err();
    assert!(matches!(error, KernelError::KernelNotFound { .. }));
}

/// The client checks a descriptor against the memory that a kernel may have, not against the memory that it is given.
#[test]
fn memory_that_is_not_there() {
    let core = manifest(CORE);
    let kernel = core.get_kernel("rmsnorm_f32").unwrap();
    let (descriptor, _) = rmsnorm(3, 5).laid_out();

    let mock = MockKernelRuntime::new(RuntimeConfig::default());
    let compiled = mock.compile_kernel(&kernel.id, &[], kernel).unwrap();
    let mut instance = mock.instantiate(&compiled).unwrap();
    mock.execute(&mut instance, &descriptor, &mut []).unwrap();

    let manager = manager(CORE);
    let error = manager
        .execute("rmsnorm_f32", &descriptor, &mut [])
        .unwrap_err();
    assert!(
        matches!(error, KernelError::MemoryAccessViolation { .. }),
        "{error}"
    );
    let beyond_the_limit = KernelDescriptor {
        input_a_offset: u32::MAX - 100,
        input_a_size: 64,
        ..descriptor
    };
    let error = manager
        .execute("rmsnorm_f32", &beyond_the_limit, &mut [])
        .unwrap_err();
    assert!(
        matches!(error, KernelError::MemoryAccessViolation { .. }),
        "{error}"
    );
}

/// The kernel gets a region of its own for scratch, so the two do not meet; called with the client's own addresses, it
/// would refuse.
#[test]
fn scratch_that_overlaps_the_output_goes_unseen() {
    let manager = manager(CORE);
    let call = rmsnorm(3, 5);
    let (mut descriptor, mut memory) = call.laid_out();
    descriptor.scratch_offset = descriptor.output_offset;
    descriptor.scratch_size = descriptor.output_size;
    manager
        .execute("rmsnorm_f32", &descriptor, &mut memory)
        .unwrap();
    let start = descriptor.output_offset as usize;
    let output = &memory[start..start + descriptor.output_size as usize];
    assert_eq!(output, call.run_natively("rmsnorm_f32"));
}

#[test]
fn what_is_no_kernel_is_refused_where_it_is_compiled() {
    let manifest = manifest(CORE);
    let mut manager = manager_of(CORE, manifest.clone(), RuntimeConfig::default());
    for bytes in [&b""[..], b"(module)", b"\0asm\x01\0\0\0"] {
        let error = manager
            .compile_kernel(CORE, "rmsnorm_f32", bytes)
            .unwrap_err();
        assert!(
            matches!(error, KernelError::InitializationFailed { .. }),
            "{error}"
        );
    }
    // The mock takes anything.
    let mut mock = KernelManager::new(Arc::new(MockKernelRuntime::new(RuntimeConfig::default())));
    mock.load_manifest(CORE, manifest);
    mock.compile_kernel(CORE, "rmsnorm_f32", b"").unwrap();
}

/// The SIMD variants are dropped with the manifest's list of them: what is called is the base module, whatever
/// `enable_simd` says.
#[test]
fn only_base_modules_are_called() {
    let core = manifest(CORE);
    let runtime = HostRuntime::new(RuntimeConfig::server()).unwrap();
    assert!(runtime.config().enable_simd);
    for kernel in &core.kernels {
        let compiled = runtime
            .compile_kernel(&kernel.id, &pack_file(CORE, &kernel.path), kernel)
            .unwrap();
        assert!(!compiled.uses_simd, "{}", kernel.id);
    }
    // A caller who knows of a variant from elsewhere may give its bytes.
    let kernel = core.get_kernel("rmsnorm_f32").unwrap();
    let variant = pack_file(CORE, "kernels/rmsnorm_f32.simd.wasm");
    let compiled = runtime
        .compile_kernel(&kernel.id, &variant, kernel)
        .unwrap();
    assert!(compiled.uses_simd);
}
