//! Every check answers its status, the checks come in their order, and a call that fails changes nothing.

use crate::common::{self, Call, DESCRIPTOR, HEAP_BASE, Placed, ROPE, f32_bytes, good};
use kernel_abi::{Descriptor, KernelInfo, Region, Status, params::Rope};
use kernel_core::{KERNELS, Kernel, MAX_REGION_BYTES, kernel};

/// Runs a call that must fail and checks that it changed nothing.
fn refuse(kernel: &Kernel, mut placed: Placed, expected: Status, what: &str) {
    let before = placed.memory.clone();
    let status = kernel.forward(&mut placed.memory, HEAP_BASE, DESCRIPTOR);
    assert_eq!(status, expected, "{}: {what}", kernel.id);
    assert!(
        before == placed.memory,
        "{}: {what}: memory changed",
        kernel.id
    );
}

/// A good call with a changed descriptor.
fn with(kernel: &Kernel, change: impl Fn(&mut Descriptor)) -> Placed {
    let mut placed = good(kernel.id).place();
    let mut descriptor = placed.descriptor;
    change(&mut descriptor);
    placed.write_descriptor(descriptor);
    placed
}

#[test]
fn good_calls_are_taken() {
    for kernel in &KERNELS {
        good(kernel.id).forward(kernel.id);
    }
}

#[test]
fn a_descriptor_lies_inside_the_host_s_memory_and_is_aligned() {
    for kernel in &KERNELS {
        let mut memory = good(kernel.id).place().memory;
        let len = memory.len() as u32;
        let before = memory.clone();
        for address in [
            0,
            HEAP_BASE - 16,
            HEAP_BASE + 4,
            HEAP_BASE + 8,
            (len - 39).next_multiple_of(16),
            len.next_multiple_of(16),
            0x8000_0000,
            u32::MAX - 15,
            u32::MAX,
        ] {
            let status = kernel.forward(&mut memory, HEAP_BASE, address);
            assert_eq!(status, Status::INVALID_INPUT, "{} {address}", kernel.id);
        }
        assert_eq!(
            kernel.forward(&mut [], 0, 0),
            Status::INVALID_INPUT,
            "{}",
            kernel.id
        );
        assert!(before == memory);
    }
}

/// All regions of a descriptor, to be changed one at a time.
const REGIONS: [fn(&mut Descriptor) -> &mut Region; 5] = [
    |d| &mut d.input_a,
    |d| &mut d.input_b,
    |d| &mut d.output,
    |d| &mut d.scratch,
    |d| &mut d.params,
];

#[test]
fn regions_lie_inside_the_host_s_memory_are_aligned_and_disjoint() {
    for kernel in &KERNELS {
        let own = good(kernel.id).place();
        let len = own.memory.len() as u32;
        for (index, region) in REGIONS.iter().enumerate() {
            let size = region(&mut own.descriptor.clone()).size;
            if size == 0 {
                continue;
            }
            for offset in [
                0,
                HEAP_BASE - 16,
                (len - size) / 16 * 16 + 16,
                len.next_multiple_of(16),
                0x8000_0000,
                // The end wraps around to a small address.
                0u32.wrapping_sub(size) / 16 * 16,
                u32::MAX - 15,
            ] {
                let placed = with(kernel, |d| region(d).offset = offset);
                let what = format!("region {index} at {offset}");
                refuse(kernel, placed, Status::INVALID_INPUT, &what);
            }
            for shift in [1, 2, 4, 8] {
                let placed = with(kernel, |d| region(d).offset += shift);
                let what = format!("region {index} shifted by {shift}");
                refuse(kernel, placed, Status::INVALID_INPUT, &what);
            }
            // The descriptor and every other region, inputs included.
            let placed = with(kernel, |d| region(d).offset = DESCRIPTOR);
            // Params that are read from the descriptor's bytes may be refused for their values first.
            if index != 4 {
                refuse(kernel, placed, Status::INVALID_INPUT, "on the descriptor");
            }
            for (other_index, other) in REGIONS.iter().enumerate() {
                let placed = with(kernel, |d| {
                    let target = *other(d);
                    if target.size != 0 && other_index != index {
                        // Its last bytes only.
                        region(d).offset = (target.offset + target.size - 1) / 16 * 16;
                    } else {
                        region(d).offset = 0;
                    }
                });
                if index != 4 {
                    let what = format!("region {index} on region {other_index}");
                    refuse(kernel, placed, Status::INVALID_INPUT, &what);
                }
            }
        }
    }
}

#[test]
fn params_that_overlap_an_input_are_refused() {
    // The values are good, so only the overlap is left to be found.
    for kernel in &KERNELS {
        let mut call = good(kernel.id);
        if call.a.len() < call.params.len() {
            continue;
        }
        let params = call.params.clone();
        call.a[..params.len()].copy_from_slice(&params);
        let mut placed = call.place();
        let mut descriptor = placed.descriptor;
        descriptor.params.offset = descriptor.input_a.offset;
        placed.write_descriptor(descriptor);
        refuse(kernel, placed, Status::INVALID_INPUT, "params in the input");
    }
}

#[test]
fn sizes_are_exact() {
    for kernel in &KERNELS {
        type Change = fn(&mut Descriptor) -> &mut Region;
        let checks: [(Change, Status); 3] = [
            (|d| &mut d.input_a, Status::INVALID_INPUT),
            (|d| &mut d.input_b, Status::INVALID_INPUT),
            (|d| &mut d.output, Status::INVALID_OUTPUT),
        ];
        for (region, status) in checks {
            if region(&mut good(kernel.id).place().descriptor).size != 0 {
                refuse(kernel, with(kernel, |d| region(d).size -= 1), status, "-1");
            } else {
                let placed = with(kernel, |d| {
                    *region(d) = Region::new(d.params.offset + 48, 4);
                });
                refuse(kernel, placed, status, "present");
                continue;
            }
            refuse(kernel, with(kernel, |d| region(d).size += 1), status, "+1");
            // Rope computes the angles itself where it is given none.
            if !(kernel.id.starts_with("rope") && status == Status::INVALID_INPUT) {
                refuse(kernel, with(kernel, |d| region(d).size = 0), status, "0");
            }
        }
        for size in [0, 7, 9, 19, 21, 25, 29, 40, u32::MAX] {
            let placed = with(kernel, |d| d.params.size = size);
            refuse(kernel, placed, Status::INVALID_PARAMS, "params size");
        }
    }
}

#[test]
fn scratch_may_be_larger_but_not_smaller_than_needed() {
    for id in ["lora_apply_f32", "lora_apply_f16"] {
        let kernel = kernel(id).unwrap();
        for size in [0, 31] {
            let placed = with(kernel, |d| d.scratch.size = size);
            refuse(kernel, placed, Status::OUT_OF_MEMORY, "scratch");
        }
        let mut call = good(id);
        call.scratch = vec![0; 33];
        call.forward(id);
    }
    // Optional elsewhere.
    for kernel in KERNELS.iter().filter(|k| !k.id.starts_with("lora")) {
        let call = Call {
            scratch: Vec::new(),
            ..good(kernel.id)
        };
        call.forward(kernel.id);
    }
}

/// Replaces a 4-byte field of the parameters.
fn with_field(id: &str, index: usize, bytes: [u8; 4]) -> Call {
    let mut call = good(id);
    call.params[index * 4..][..4].copy_from_slice(&bytes);
    call
}

#[test]
fn parameter_values_out_of_range_are_refused() {
    let bad_floats = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let dimensions: &[(&str, &[usize])] = &[
        ("rope", &[1, 2, 3, 4]),
        ("rmsnorm", &[1, 2]),
        ("swiglu", &[0, 1]),
        ("kv_", &[0, 1]),
        ("lora", &[0, 1, 2, 3]),
    ];
    for kernel in &KERNELS {
        let id = kernel.id;
        let refuse_field = |index: usize, bytes: [u8; 4], what: &str| {
            let placed = with_field(id, index, bytes).place();
            refuse(kernel, placed, Status::INVALID_PARAMS, what);
        };
        let (_, fields) = dimensions.iter().find(|(p, _)| id.starts_with(p)).unwrap();
        for &field in *fields {
            refuse_field(field, [0; 4], "dimension 0");
        }
        if id.starts_with("rope") {
            refuse_field(2, 31u32.to_le_bytes(), "odd head_dim");
            refuse_field(5, 2u32.to_le_bytes(), "layout 2");
            let tables = if id == "rope_f16" { 3u32 } else { 2 };
            refuse_field(6, tables.to_le_bytes(), "table");
            // Theta counts only where the kernel computes the angles.
            for theta in [f32::NAN, f32::INFINITY, 0.0, -0.0, -1.0] {
                let mut call = with_field(id, 0, theta.to_le_bytes());
                call.forward(id);
                call.b.clear();
                refuse(kernel, call.place(), Status::INVALID_PARAMS, "theta");
            }
        }
        if id == "rope_q8" {
            refuse_field(2, 48u32.to_le_bytes(), "head_dim % 32");
        }
        if id.starts_with("kv_") {
            refuse_field(1, 48u32.to_le_bytes(), "dim % 32");
        }
        for value in bad_floats {
            match id.split('_').next() {
                Some("rmsnorm") => refuse_field(0, value.to_le_bytes(), "eps"),
                Some("swiglu") => refuse_field(2, value.to_le_bytes(), "beta"),
                Some("lora") => refuse_field(4, value.to_le_bytes(), "scale"),
                _ => {}
            }
        }
        if id.starts_with("rmsnorm") {
            refuse_field(0, (-1e-5f32).to_le_bytes(), "eps < 0");
            // eps 0 is taken.
            with_field(id, 0, [0; 4]).forward(id);
        }
    }
}

#[test]
fn dimensions_whose_sizes_wrap_around_fit_no_region() {
    for kernel in &KERNELS {
        let id = kernel.id;
        // Products that are 2^32 times something, in bytes or in elements, and one that is 0 modulo 2^64.
        let fields: &[(usize, u32)] = match id.split('_').next() {
            Some("rope") => &[(1, 1 << 31), (3, 1 << 31), (4, 1 << 31)],
            Some("rmsnorm") => &[(1, 1 << 30), (2, 1 << 31)],
            Some("swiglu") => &[(0, 1 << 31), (1, 1 << 31)],
            Some("kv") => &[(0, 1 << 31), (1, 1 << 31)],
            _ => &[(0, 1 << 31), (1, 1 << 31), (2, 1 << 31), (3, 1 << 31)],
        };
        let mut all = good(id);
        for &(field, value) in fields {
            all.params[field * 4..][..4].copy_from_slice(&value.to_le_bytes());
            let placed = with_field(id, field, value.to_le_bytes()).place();
            refuse(kernel, placed, Status::INVALID_INPUT, "wrapping");
        }
        refuse(kernel, all.place(), Status::INVALID_INPUT, "wrapping");
    }
    // 2^30 rows of 8 blocks of 34 bytes: 2^32 * 68 bytes of output, and with an input of size 0 still no fit.
    let kernel = kernel("kv_pack_q8").unwrap();
    let mut call = with_field("kv_pack_q8", 0, (1u32 << 30).to_le_bytes());
    call.a.clear();
    refuse(kernel, call.place(), Status::INVALID_INPUT, "empty");
}

#[test]
fn checks_come_in_their_order() {
    let id = "lora_apply_f32";
    let kernel = kernel(id).unwrap();
    type Step = (fn(&mut Descriptor, &mut [u8]), Status);
    // From the last check to the first: each fault is added to those before it and wins.
    let steps: [Step; 7] = [
        (|d, _| d.scratch.size = 4, Status::OUT_OF_MEMORY),
        (|d, _| d.output.size -= 4, Status::INVALID_OUTPUT),
        (|d, _| d.input_a.size -= 4, Status::INVALID_INPUT),
        (|d, _| d.scratch.offset += 4, Status::INVALID_INPUT),
        (
            |d, memory| memory[d.params.offset as usize + 8..][..4].fill(0),
            Status::INVALID_PARAMS,
        ),
        (|d, _| d.params.offset += 4, Status::INVALID_INPUT),
        (|d, _| d.params.size = 24, Status::INVALID_PARAMS),
    ];
    for count in 1..=steps.len() {
        let mut placed = good(id).place();
        let mut descriptor = placed.descriptor;
        for (fault, _) in &steps[..count] {
            fault(&mut descriptor, &mut placed.memory);
        }
        placed.write_descriptor(descriptor);
        let what = format!("{count} faults");
        refuse(kernel, placed, steps[count - 1].1, &what);
    }
    let mut placed = good(id).place();
    placed.memory.truncate(DESCRIPTOR as usize + 39);
    refuse(kernel, placed, Status::INVALID_INPUT, "no descriptor");
}

#[test]
fn regions_of_size_0_are_absent_wherever_they_point() {
    let kernel = kernel("kv_pack_q8").unwrap();
    let mut placed = with(kernel, |d| {
        d.input_b = Region::new(u32::MAX, 0);
        d.scratch = Region::new(DESCRIPTOR + 1, 0);
    });
    let status = kernel.forward(&mut placed.memory, HEAP_BASE, DESCRIPTOR);
    assert_eq!(status, Status::OK);
    const { assert!(MAX_REGION_BYTES == u32::MAX >> 1) };
}

#[test]
fn a_table_that_is_announced_must_be_there() {
    for kernel in KERNELS.iter().filter(|k| k.id.starts_with("rope")) {
        let mut call = with_field(kernel.id, 6, 1u32.to_le_bytes());
        call.b = vec![0; 384];
        call.forward(kernel.id);
        for size in [0, 192, 380] {
            call.b.truncate(size);
            refuse(kernel, call.place(), Status::INVALID_INPUT, "table");
        }
        // 20 and 24 bytes of parameters leave layout and table 0.
        for size in [20, 24] {
            let mut call = good(kernel.id);
            call.params.truncate(size);
            call.forward(kernel.id);
        }
    }
}

#[test]
fn computed_angles_are_those_of_the_formula() {
    let params = Rope {
        layout: 1,
        head_dim: 160,
        heads: 1,
        batch: 1,
        seq: 40,
        ..ROPE
    };
    let x: Vec<f32> = (0..160 * 40).map(|i| (i as f32 * 0.37).sin()).collect();
    let call = Call {
        a: f32_bytes(&x),
        output: vec![0; x.len() * 4],
        params: params.to_le_bytes().to_vec(),
        ..Call::default()
    };
    let y = common::f32s(&call.forward("rope_f32").0);
    for position in 0..40 {
        for pair in 0..80 {
            let angle = position as f64 * 10_000f64.powf(-2.0 * pair as f64 / 160.0);
            let (sine, cosine) = angle.sin_cos();
            let at = position * 160 + pair;
            let (x0, x1) = (f64::from(x[at]), f64::from(x[at + 80]));
            let bound = 4.0 * 2f64.powi(-23) * x0.hypot(x1);
            assert!((f64::from(y[at]) - (x0 * cosine - x1 * sine)).abs() <= bound);
            assert!((f64::from(y[at + 80]) - (x0 * sine + x1 * cosine)).abs() <= bound);
        }
    }
}

#[test]
fn any_angle_is_taken_and_turns_by_at_most_the_pair_s_size() {
    let angles = [
        0.0,
        f32::MIN_POSITIVE,
        1e-40,
        131_072.0,
        1e10,
        f32::MAX,
        -f32::MAX,
        f32::INFINITY,
        f32::NAN,
    ];
    for angle in angles {
        let params = Rope {
            seq: 1,
            head_dim: 2,
            heads: 1,
            batch: 1,
            ..ROPE
        };
        let call = Call {
            a: f32_bytes(&[3.0, 4.0]),
            b: f32_bytes(&[angle]),
            output: vec![0; 8],
            params: params.to_le_bytes().to_vec(),
            ..Call::default()
        };
        for value in common::f32s(&call.forward("rope_f32").0) {
            if angle.is_finite() {
                assert!(value.abs() <= 5.0001, "{angle:e} gives {value}");
            } else {
                assert!(value.is_nan(), "{angle:e} gives {value}");
            }
        }
    }
}

#[test]
fn backward_is_not_implemented_where_there_is_no_gradient() {
    for kernel in KERNELS.iter().filter(|k| !k.has_backward) {
        assert!(kernel.id.starts_with("rope") || kernel.id.starts_with("kv"));
        // Before any other check.
        let status = kernel.backward(&mut [], 0, 7);
        assert_eq!(status, Status::NOT_IMPLEMENTED);
    }
}

#[test]
fn init_checks_parameters_only() {
    for kernel in &KERNELS {
        let mut placed = good(kernel.id).place();
        let Region { offset, size } = placed.descriptor.params;
        let memory = &mut placed.memory;
        let before = memory.clone();
        let mut init = |params, len| kernel.init(memory, HEAP_BASE, params, len);
        assert_eq!(init(u32::MAX, 0), Status::OK);
        assert_eq!(init(offset, size), Status::OK);
        assert_eq!(init(offset, size + 1), Status::INVALID_PARAMS);
        assert_eq!(init(offset + 8, size), Status::INVALID_INPUT);
        assert_eq!(init(HEAP_BASE - 16, size), Status::INVALID_INPUT);
        assert_eq!(init(u32::MAX - 15, size), Status::INVALID_INPUT);
        assert!(before == *memory);
        memory[offset as usize..][..size as usize].fill(0);
        let status = kernel.init(memory, HEAP_BASE, offset, size);
        assert_eq!(status, Status::INVALID_PARAMS);
    }
}

#[test]
fn info_states_name_version_and_gradient() {
    for kernel in &KERNELS {
        let mut memory = [0u8; 128];
        let status = kernel.info(&mut memory, HEAP_BASE, 68, 1234);
        assert_eq!(status, Status::OK);
        let bytes = memory[68..88].try_into().unwrap();
        let expected = KernelInfo {
            name_ptr: 1234,
            name_len: kernel.id.len() as u32,
            abi_version: 1,
            major: 1,
            minor: 0,
            patch: 0,
            flags: u32::from(kernel.has_backward),
        };
        assert_eq!(KernelInfo::from_le_bytes(bytes), expected);
        assert!(memory[..68].iter().chain(&memory[88..]).all(|b| *b == 0));
        for out in [0, 60, 66, 112, 128, u32::MAX - 3] {
            let mut memory = [0u8; 128];
            let status = kernel.info(&mut memory, HEAP_BASE, out, 1234);
            assert_eq!(status, Status::INVALID_OUTPUT, "{out}");
            assert_eq!(memory, [0; 128]);
        }
    }
}
