//! Correct kernels pass, known-wrong ones fail, and every tolerance has an inside and an outside.

mod hostile;
mod native;
mod requantised;
mod tolerances;
mod wrong;

use super::*;
use crate::case::{Entry, Source};
use kernel_abi::{
    Descriptor, Region,
    params::{Kv, Lora, RmsNorm, Swiglu},
};

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `least` to `most`.
    fn count(&mut self, least: u32, most: u32) -> u32 {
        least + (self.word() % u64::from(most - least + 1)) as u32
    }

    /// Between -1 and 1.
    fn unit(&mut self) -> f64 {
        self.word() as i64 as f64 / 2f64.powi(63)
    }

    /// Values of about normal distribution and the given size, now and then a zero.
    fn values(&mut self, count: u32, size: f64) -> Vec<f64> {
        (0..count)
            .map(|_| {
                if self.word().is_multiple_of(50) {
                    return 0.0;
                }
                (0..4).map(|_| self.unit()).sum::<f64>() * size
            })
            .collect()
    }
}

fn f32s(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|v| (*v as f32).to_le_bytes())
        .collect()
}

fn f16s(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|v| float16::encode(*v).to_le_bytes())
        .collect()
}

fn of(format: Format, values: &[f64]) -> Vec<u8> {
    match format {
        Format::F32 => f32s(values),
        Format::F16 => f16s(values),
    }
}

fn format_of(kernel: &str) -> Format {
    if kernel.ends_with("f16") {
        Format::F16
    } else {
        Format::F32
    }
}

fn case(kernel: &str, entry: Entry, params: &[u8], a: Vec<u8>, b: Vec<u8>) -> Case {
    Case {
        kernel: kernel.to_owned(),
        entry,
        source: Source::Generated,
        name: "generated:0".to_owned(),
        params: params.to_vec(),
        a,
        b,
        output_size: 0,
        base: None,
        scratch_size: 0,
        tweaks: Vec::new(),
        expect: 0,
        external: Vec::new(),
        stress: false,
        open: None,
    }
}

/// What the native kernel makes of a case.
fn run(case: &Case) -> Vec<u8> {
    const HEAP_BASE: u32 = 64;
    let mut memory = vec![0_u8; HEAP_BASE as usize + Descriptor::SIZE];
    let mut place = |bytes: &[u8]| {
        let offset = memory.len().next_multiple_of(16);
        memory.resize(offset, 0xaa);
        memory.extend(bytes);
        Region::new(offset as u32, bytes.len() as u32)
    };
    let poison = vec![0x55; case.output_size as usize];
    let descriptor = Descriptor {
        input_a: place(&case.a),
        input_b: place(&case.b),
        output: place(case.base.as_ref().unwrap_or(&poison)),
        scratch: place(&vec![0x33; case.scratch_size as usize]),
        params: place(&case.params),
    };
    memory[HEAP_BASE as usize..][..Descriptor::SIZE].copy_from_slice(&descriptor.to_le_bytes());
    let kernel = kernel_core::kernel(&case.kernel).unwrap();
    let status = match case.entry {
        Entry::Forward => kernel.forward(&mut memory, HEAP_BASE, HEAP_BASE),
        Entry::Backward => kernel.backward(&mut memory, HEAP_BASE, HEAP_BASE),
    };
    assert_eq!(status.0, 0, "{case:?}");
    memory[descriptor.output.offset as usize..descriptor.output.end() as usize].to_vec()
}

/// Blocks of f32 values of ordinary sizes.
fn q8_blocks(random: &mut Random, elements: u32) -> Vec<u8> {
    let values: Vec<f32> = random
        .values(elements, 3.0)
        .into_iter()
        .map(|v| v as f32)
        .collect();
    kernel_reference::kv::pack_q8(&values)
}

/// A valid call of the kernel with ordinary values.
fn ordinary(kernel: &str, entry: Entry, random: &mut Random) -> Case {
    let format = format_of(kernel);
    let element_bytes = if format == Format::F16 { 2 } else { 4 };
    let size = 2f64.powf(4.0 * random.unit());
    let (rows, columns) = (random.count(1, 4), random.count(1, 40));
    let forward = entry == Entry::Forward;
    match kernel {
        "rope_f32" | "rope_f16" | "rope_q8" => {
            let is_q8 = kernel == "rope_q8";
            let params = Rope {
                theta: [10_000.0, 500_000.0, 100.0][random.count(0, 2) as usize],
                seq: random.count(1, 4),
                head_dim: if is_q8 {
                    32 * random.count(1, 2)
                } else {
                    2 * random.count(1, 12)
                },
                heads: random.count(1, 3),
                batch: random.count(1, 2),
                layout: random.count(0, 1),
                table: random.count(0, if kernel == "rope_f16" { 2 } else { 1 }),
            };
            let elements = params.seq * params.head_dim * params.heads * params.batch;
            let pairs = params.seq * params.head_dim / 2;
            let angles: Vec<f64> = (0..pairs)
                .map(|_| f64::from((random.unit() * 2f64.powi(random.count(0, 17) as i32)) as f32))
                .collect();
            let table: Vec<f64> = angles
                .iter()
                .map(|v| v.cos())
                .chain(angles.iter().map(|v| v.sin()))
                .collect();
            let b = match params.table {
                0 if random.count(0, 2) == 0 => Vec::new(),
                0 => f32s(&angles),
                1 => f32s(&table),
                _ => f16s(&table),
            };
            let a = if is_q8 {
                q8_blocks(random, elements)
            } else {
                of(format, &random.values(elements, size))
            };
            let output_size = a.len() as u32;
            Case {
                output_size,
                ..case(kernel, entry, &params.to_le_bytes(), a, b)
            }
        }
        "rmsnorm_f32" | "rmsnorm_f16" => {
            let params = RmsNorm {
                eps: [1e-5, 1e-6, 0.0, 0.1][random.count(0, 3) as usize],
                hidden: columns,
                rows,
            };
            let a = random.values(rows * columns * if forward { 1 } else { 2 }, size);
            // A row of zeros without eps is 0/0.
            let a: Vec<f64> = a
                .into_iter()
                .map(|v| if v == 0.0 { size } else { v })
                .collect();
            let w = random.values(columns, 1.0);
            let elements = rows * columns + if forward { 0 } else { columns };
            Case {
                output_size: elements * element_bytes,
                scratch_size: if forward { 4 * rows } else { 4 * columns },
                ..case(
                    kernel,
                    entry,
                    &params.to_le_bytes(),
                    of(format, &a),
                    of(format, &w),
                )
            }
        }
        "swiglu_f32" | "swiglu_f16" => {
            let params = Swiglu {
                rows,
                hidden: columns,
                beta: [1.0, 1.702, 0.5, -1.0][random.count(0, 3) as usize],
            };
            let a = random.values(rows * columns * if forward { 1 } else { 2 }, size);
            let gate = random.values(rows * columns, size);
            Case {
                output_size: rows * columns * element_bytes * if forward { 1 } else { 2 },
                ..case(
                    kernel,
                    entry,
                    &params.to_le_bytes(),
                    of(format, &a),
                    of(format, &gate),
                )
            }
        }
        "lora_apply_f32" | "lora_apply_f16" => {
            let params = Lora {
                rows,
                in_features: columns,
                rank: random.count(1, 9),
                out_features: random.count(1, 12),
                scale: [1.0, 2.0, 0.25, -1.5][random.count(0, 3) as usize],
            };
            let Lora {
                in_features,
                rank,
                out_features,
                ..
            } = params;
            let x = rows * in_features + if forward { 0 } else { rows * out_features };
            let weights = (in_features + out_features) * rank;
            let elements = if forward {
                rows * out_features
            } else {
                rows * in_features + weights
            };
            let base = of(format, &random.values(elements, size));
            let (a, b) = (random.values(x, size), random.values(weights, 0.5));
            Case {
                output_size: elements * element_bytes,
                base: forward.then_some(base),
                scratch_size: rows * rank * if forward { 4 } else { 8 },
                ..case(
                    kernel,
                    entry,
                    &params.to_le_bytes(),
                    of(format, &a),
                    of(format, &b),
                )
            }
        }
        _ => {
            let params = Kv {
                rows,
                dim: 32 * random.count(1, 4),
            };
            let elements = rows * params.dim;
            let block_bytes = if kernel.ends_with("q8") { 34 } else { 18 };
            let packed = elements / 32 * block_bytes;
            let (a, output_size) = if kernel.starts_with("kv_pack") {
                (f32s(&random.values(elements, size)), packed)
            } else {
                let bytes = (0..packed).map(|_| random.word() as u8).collect();
                (bytes, elements * 4)
            };
            Case {
                output_size,
                ..case(kernel, entry, &params.to_le_bytes(), a, Vec::new())
            }
        }
    }
}

/// Kernels of other authors that are a definition have calls for its properties, by its contract: the definition's oracle knows their answers too.
#[test]
fn calls_for_the_properties_of_a_definition_are_judged_by_its_oracle() {
    let definitions = kernel_pack::contract::definitions();
    let definition = definitions.iter().find(|one| one.kernel == "swiglu_f32");
    let contract = std::sync::Arc::new(definition.unwrap().contract().unwrap());
    let cases: Vec<Case> = (0..8)
        .flat_map(|index| open::generated(&contract, 1, index))
        .collect();
    let refused = |case: &&Case| {
        let zeros = vec![0; case.output_size as usize];
        matches!(judge(case, &zeros), Verdict::Fail(_))
            && matches!(judge_all(case, &zeros), Some(Verdict::Fail(_)))
    };
    let refused = cases.iter().filter(refused).count();
    assert!(2 * refused > cases.len(), "{refused} of {}", cases.len());
}
