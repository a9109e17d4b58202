//! The descriptor, the statuses, and where regions may lie.

use crate::support::{CORE, Call, abi_descriptor, manifest, pack_file, rmsnorm};
use kernel_abi::{REGION_ALIGNMENT, Region, Status, export};
use runtime_api::{Budget, BudgetKind, Limits, Options};
use runtime_call::{Call as HostCall, Invocation, Outcome, Write, execute};
use ruvector_wasm::kernel::error::KernelErrorCode;
use ruvector_wasm::kernel::manifest::{DataType, KernelDescriptor};
use ruvector_wasm::kernel::memory::{
    MemoryLayoutValidator, PAGE_SIZE, SharedMemoryProtocol, tensor_size_bytes,
};

#[test]
fn descriptors_are_the_same_forty_bytes() {
    let client = KernelDescriptor {
        input_a_offset: 1,
        input_a_size: 2,
        input_b_offset: 3,
        input_b_size: 4,
        output_offset: 5,
        output_size: 6,
        scratch_offset: 7,
        scratch_size: 8,
        params_offset: 9,
        params_size: 0x0a0b_0c0d,
    };
    assert_eq!(size_of::<KernelDescriptor>(), kernel_abi::Descriptor::SIZE);
    let ours = abi_descriptor(&client);
    assert_eq!(ours.to_le_bytes(), *client.to_bytes());
    let region = |offset, size| Region { offset, size };
    assert_eq!(
        ours.regions(),
        [
            region(1, 2),
            region(3, 4),
            region(5, 6),
            region(7, 8),
            region(9, 0x0a0b_0c0d)
        ]
    );
}

#[test]
fn statuses_have_the_same_numbers() {
    for (status, _) in Status::ALL {
        let client = KernelErrorCode::from(status.0.cast_unsigned());
        assert_eq!(client as i32, status.0, "{status}");
    }
    let unknown = KernelErrorCode::from(Status(-1).0.cast_unsigned());
    assert_eq!(unknown, KernelErrorCode::InternalError);
    assert_eq!(Status(-1).name(), "INTERNAL_ERROR");
}

/// The status of rmsnorm_f32 for a call whose regions lie in linear memory at the client's offsets plus `shift`.
fn status_at(call: &Call, shift: impl Fn(u32) -> u32) -> (u32, i32) {
    let manifest = manifest(CORE);
    let kernel = manifest.get_kernel("rmsnorm_f32").unwrap();
    let runtime = runtime_wasmi::runtime().unwrap();
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::None,
    };
    let module = runtime
        .compile(&pack_file(CORE, &kernel.path), &options)
        .unwrap();
    let mut instance = module.instantiate(Budget::None).unwrap();
    let heap_base = instance.global(export::HEAP_BASE).unwrap().cast_unsigned();
    let (mut descriptor, memory) = call.laid_out();
    let shift = shift(heap_base);
    for offset in [
        &mut descriptor.input_a_offset,
        &mut descriptor.input_b_offset,
        &mut descriptor.output_offset,
        &mut descriptor.scratch_offset,
        &mut descriptor.params_offset,
    ] {
        *offset += shift;
    }
    // The client's allocator has no place for the descriptor itself: behind everything.
    let address = (heap_base.max(shift) + u32::try_from(memory.len()).unwrap())
        .next_multiple_of(REGION_ALIGNMENT);
    let observation = execute(
        instance.as_mut(),
        &Invocation {
            pages: address / PAGE_SIZE as u32 + 1,
            writes: [
                (descriptor.input_a_offset, call.a.clone()),
                (descriptor.input_b_offset, call.b.clone()),
                (descriptor.params_offset, call.params.clone()),
                (address, descriptor.to_bytes()),
            ]
            .map(|(at, bytes)| Write::Bytes { at, bytes })
            .to_vec(),
            calls: vec![HostCall {
                export: kernel.entry_point.clone(),
                arguments: vec![address],
                budget: Budget::None,
            }],
            reads: Vec::new(),
        },
    )
    .unwrap();
    match observation.calls[..] {
        [Outcome::Returned(status)] => (heap_base, status),
        ref other => panic!("{other:?}"),
    }
}

/// Below `__heap_base` lie a module's stack and data. The client knows no such address: its allocator begins at 0.
#[test]
fn regions_where_the_client_puts_them_are_refused_by_the_kernel() {
    let call = rmsnorm(3, 5);
    assert_eq!(call.laid_out().0.input_a_offset, 0);
    let (heap_base, status) = status_at(&call, |_| 0);
    assert!(heap_base > 0);
    assert_eq!(Status(status), Status::INVALID_INPUT);

    let (_, status) = status_at(&call, |heap_base| {
        heap_base.next_multiple_of(REGION_ALIGNMENT)
    });
    assert_eq!(Status(status), Status::OK);
}

#[test]
fn the_client_aligns_regions_as_the_abi_asks() {
    let mut protocol = SharedMemoryProtocol::default();
    for size in [1, 15, 17, 4] {
        let offset = protocol.allocate(size).unwrap();
        assert_eq!(offset % REGION_ALIGNMENT as usize, 0);
    }
}

/// The client sizes blocks as one byte an element; Q8_0 has 34 bytes for 32, Q4_0 has 18.
#[test]
fn the_client_gives_blocks_another_size() {
    let shape = [3, 96];
    let elements = shape[0] * shape[1];
    assert_eq!(tensor_size_bytes(&shape, DataType::Q8), elements);
    assert_eq!(tensor_size_bytes(&shape, DataType::Q4), elements);
    assert_eq!(elements / 32 * kernel_abi::block::Q8_BYTES, 306);
    assert_eq!(elements / 32 * kernel_abi::block::Q4_BYTES, 162);
    // Others are sized alike.
    assert_eq!(tensor_size_bytes(&shape, DataType::F32), elements * 4);
    assert_eq!(tensor_size_bytes(&shape, DataType::F16), elements * 2);
}

/// The client compares the output with the inputs; the ABI, all five regions with each other.
#[test]
fn the_client_does_not_see_all_overlaps() {
    let apart = KernelDescriptor {
        input_a_offset: 0,
        input_a_size: 64,
        output_offset: 64,
        output_size: 64,
        scratch_offset: 128,
        scratch_size: 64,
        params_offset: 192,
        params_size: 12,
        ..KernelDescriptor::new()
    };
    let validator = MemoryLayoutValidator::new();
    let check = |descriptor: &KernelDescriptor| {
        validator.validate_descriptor(descriptor, PAGE_SIZE).is_ok()
    };
    assert!(check(&apart));
    let mut input_in_output = apart;
    input_in_output.input_a_offset = 32;
    assert!(!check(&input_in_output));
    for change in [
        |descriptor: &mut KernelDescriptor| descriptor.scratch_offset = 64,
        |descriptor: &mut KernelDescriptor| descriptor.params_offset = 64,
        |descriptor: &mut KernelDescriptor| descriptor.params_offset = 0,
    ] {
        let mut overlapping = apart;
        change(&mut overlapping);
        assert!(check(&overlapping));
        let regions = abi_descriptor(&overlapping).regions();
        let overlaps = |at: usize| regions[at + 1..].iter().any(|r| r.overlaps(regions[at]));
        assert!((0..regions.len()).any(overlaps));
    }
}
