//! A call on a small linear memory: places regions, keeps guard bytes between them and checks the frame afterwards.

use std::path::PathBuf;

use kernel_abi::{
    Descriptor, Region, Status,
    params::{Kv, Lora, RmsNorm, Rope, Swiglu},
};
use kernel_core::{Kernel, kernel};
use serde_json::Value;

pub(crate) const HEAP_BASE: u32 = 64;
pub(crate) const DESCRIPTOR: u32 = HEAP_BASE;
const GUARD: u8 = 0xa5;
const GUARD_BYTES: usize = 32;

pub(crate) const ROPE: Rope = Rope {
    theta: 10_000.0,
    seq: 3,
    head_dim: 32,
    heads: 2,
    batch: 2,
    layout: 0,
    table: 0,
};
const LORA: Lora = Lora {
    rows: 2,
    in_features: 3,
    rank: 4,
    out_features: 5,
    scale: 0.5,
};

/// A call that the kernel takes, with all the regions it knows.
pub(crate) fn good(id: &str) -> Call {
    let zeros = |count: usize| vec![0u8; count];
    let (a, b, output, scratch, params) = match id {
        "rope_f32" => (1536, 192, 1536, 16, ROPE.to_le_bytes().to_vec()),
        "rope_f16" => (768, 192, 768, 16, ROPE.to_le_bytes().to_vec()),
        "rope_q8" => (408, 192, 408, 16, ROPE.to_le_bytes().to_vec()),
        "rmsnorm_f32" | "rmsnorm_f16" => {
            let params = RmsNorm {
                eps: 1e-5,
                hidden: 6,
                rows: 3,
            };
            let size = if id == "rmsnorm_f32" { 4 } else { 2 };
            let bytes = params.to_le_bytes().to_vec();
            (18 * size, 6 * size, 18 * size, 12, bytes)
        }
        "swiglu_f32" | "swiglu_f16" => {
            let params = Swiglu {
                rows: 3,
                hidden: 5,
                beta: 1.0,
            };
            let size = if id == "swiglu_f32" { 4 } else { 2 };
            let bytes = params.to_le_bytes().to_vec();
            (15 * size, 15 * size, 15 * size, 16, bytes)
        }
        "lora_apply_f32" | "lora_apply_f16" => {
            let size = if id == "lora_apply_f32" { 4 } else { 2 };
            let bytes = LORA.to_le_bytes().to_vec();
            (6 * size, 32 * size, 10 * size, 32, bytes)
        }
        _ => {
            let params = Kv { rows: 2, dim: 64 }.to_le_bytes().to_vec();
            match id {
                "kv_pack_q4" => (512, 0, 72, 16, params),
                "kv_pack_q8" => (512, 0, 136, 16, params),
                "kv_unpack_q4" => (72, 0, 512, 16, params),
                "kv_unpack_q8" => (136, 0, 512, 16, params),
                other => panic!("unknown kernel {other}"),
            }
        }
    };
    Call {
        a: zeros(a),
        b: zeros(b),
        output: zeros(output),
        scratch: zeros(scratch),
        params,
    }
}

/// The bytes of a call's regions before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) a: Vec<u8>,
    pub(crate) b: Vec<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) scratch: Vec<u8>,
    pub(crate) params: Vec<u8>,
}

/// The memory of a call and where its regions are.
pub(crate) struct Placed {
    pub(crate) memory: Vec<u8>,
    pub(crate) descriptor: Descriptor,
}

impl Call {
    /// Lays the regions out one after the other and writes the descriptor.
    pub(crate) fn place(&self) -> Placed {
        let mut memory = vec![GUARD; HEAP_BASE as usize + 64 + GUARD_BYTES];
        let mut put = |bytes: &[u8]| {
            if bytes.is_empty() {
                return Region::default();
            }
            let region = Region::new(memory.len() as u32, bytes.len() as u32);
            memory.extend_from_slice(bytes);
            let end = (memory.len() + GUARD_BYTES).next_multiple_of(16);
            memory.resize(end, GUARD);
            region
        };
        let descriptor = Descriptor {
            input_a: put(&self.a),
            input_b: put(&self.b),
            output: put(&self.output),
            scratch: put(&self.scratch),
            params: put(&self.params),
        };
        let mut placed = Placed { memory, descriptor };
        placed.write_descriptor(descriptor);
        placed
    }

    /// Runs the forward pass, checks that nothing but output and scratch changed, and returns both.
    pub(crate) fn forward(&self, id: &str) -> (Vec<u8>, Vec<u8>) {
        self.run(kernel(id).expect("a kernel"), Kernel::forward)
    }

    /// The gradient, as [`forward`](Self::forward).
    pub(crate) fn backward(&self, id: &str) -> (Vec<u8>, Vec<u8>) {
        self.run(kernel(id).expect("a kernel"), Kernel::backward)
    }

    /// Runs an entry, with the same check.
    pub(crate) fn run(
        &self,
        kernel: &Kernel,
        entry: fn(&Kernel, &mut [u8], u32, u32) -> Status,
    ) -> (Vec<u8>, Vec<u8>) {
        let mut placed = self.place();
        let before = placed.memory.clone();
        let id = kernel.id;
        let status = entry(kernel, &mut placed.memory, HEAP_BASE, DESCRIPTOR);
        assert_eq!(status, Status::OK, "{id}");
        let Descriptor {
            output, scratch, ..
        } = placed.descriptor;
        for (address, (was, is)) in before.iter().zip(&placed.memory).enumerate() {
            let byte = Region::new(address as u32, 1);
            if !byte.overlaps(output) && !byte.overlaps(scratch) {
                assert_eq!(was, is, "{id} wrote at {address}");
            }
        }
        (placed.bytes(output), placed.bytes(scratch))
    }
}

impl Placed {
    pub(crate) fn write_descriptor(&mut self, descriptor: Descriptor) {
        let at = DESCRIPTOR as usize;
        self.memory[at..at + Descriptor::SIZE].copy_from_slice(&descriptor.to_le_bytes());
    }

    pub(crate) fn bytes(&self, region: Region) -> Vec<u8> {
        self.memory[region.offset as usize..region.end() as usize].to_vec()
    }
}

/// A file under fixtures.
pub(crate) fn fixture(path: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// The bytes of an array of a vector file.
pub(crate) fn hex(array: &Value) -> Vec<u8> {
    let text = array["hex"].as_str().expect("an array");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}

pub(crate) fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

pub(crate) fn f16s(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|b| half::f16::from_le_bytes(*b).to_f32())
        .collect()
}

pub(crate) fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub(crate) fn f16_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
        .collect()
}

/// Distance of two f16 values in units of the expected one's last place.
pub(crate) fn ulp16(value: f32) -> f64 {
    let magnitude = f64::from(value.abs()).max(2f64.powi(-14));
    2f64.powi(magnitude.log2().floor() as i32 - 10)
}
