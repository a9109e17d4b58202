//! Which input of a vector case goes where in a call, and which of its oracles bind: the tables of docs/vectors.md.

use super::{
    super::{
        case::{Binding, Case, Entry, External, Source},
        tolerance::check_magnitudes,
    },
    MAX_FILE_BYTES, VectorError,
    file::{Array, Class, File, VectorCase},
};
use kernel_abi::{
    block::{ELEMENTS, Q4_BYTES, Q8_BYTES},
    params::{Kv, Lora, RmsNorm, Swiglu},
};
use kernel_pack::Dtype;

mod rope;

/// Calls that a file may ask for.
const MAX_CALLS: usize = 1 << 14;
/// Largest hidden for which rmsnorm_f16 is bit for bit onnxruntime's.
const RMSNORM_F16_EXACT_HIDDEN: u32 = 4096;
/// The oracle that class `onnx_node` is about.
const ONNX_NODE_ORACLE: &str = "onnx_node_test";

/// The calls of a file.
pub(super) fn cases(file: &str, content: &File) -> Result<Vec<Case>, VectorError> {
    let mut cases = Vec::new();
    for vector in &content.cases {
        let calls = calls(&content.kernel, vector)
            .and_then(|calls| finish(&content.kernel, vector, calls))
            .map_err(|what| VectorError::Case {
                file: file.to_owned(),
                case: vector.name.clone(),
                what,
            })?;
        cases.extend(calls);
        if cases.len() > MAX_CALLS {
            return Err(VectorError::TooLarge {
                file: file.to_owned(),
                limit: MAX_CALLS as u64,
                unit: "calls",
            });
        }
    }
    Ok(cases)
}

/// One call of a vector case.
struct Call<'a> {
    /// What its name has after the case's.
    suffix: String,
    params: Vec<u8>,
    a: &'a [u8],
    b: Vec<u8>,
    base: Option<&'a [u8]>,
    scratch_bytes: u64,
    /// Type of the output's elements.
    output: Dtype,
    /// Number of them.
    output_elements: u64,
    /// Numbers that they stand for: more than elements where blocks are packed.
    values: u64,
    /// The part of the case's outputs that this call makes, and the number of parts.
    part: (usize, usize),
    oracles: Oracles,
}

/// Which oracles bind a call, and how closely.
struct Oracles {
    named: Vec<(&'static str, Binding)>,
    /// How closely `onnx_node_test` binds in a case of class `onnx_node`.
    onnx_node: Binding,
}

impl Oracles {
    fn binding(&self, class: Class, oracle: &str) -> Binding {
        match class {
            Class::Stress | Class::ImplDefined => Binding::Informs,
            Class::OnnxNode if oracle == ONNX_NODE_ORACLE => self.onnx_node,
            Class::OnnxNode => Binding::Informs,
            Class::Normal | Class::Edge => self
                .named
                .iter()
                .find(|(name, _)| *name == oracle)
                .map_or(Binding::Informs, |(_, binding)| *binding),
        }
    }
}

fn calls<'a>(kernel: &str, vector: &'a VectorCase) -> Result<Vec<Call<'a>>, String> {
    match kernel {
        "rope_f32" => rope::calls(vector, rope::Kind::F32),
        "rope_f16" => rope::calls(vector, rope::Kind::F16),
        "rope_q8" => rope::calls(vector, rope::Kind::Q8),
        "rmsnorm_f32" => rmsnorm(vector, Dtype::F32),
        "rmsnorm_f16" => rmsnorm(vector, Dtype::F16),
        "swiglu_f32" => swiglu(vector, Dtype::F32),
        "swiglu_f16" => swiglu(vector, Dtype::F16),
        "kv_pack_q8" => kv(vector, Q8_BYTES, true),
        "kv_pack_q4" => kv(vector, Q4_BYTES, true),
        "kv_unpack_q8" => kv(vector, Q8_BYTES, false),
        "kv_unpack_q4" => kv(vector, Q4_BYTES, false),
        "lora_apply_f32" => lora(vector, Dtype::F32),
        "lora_apply_f16" => lora(vector, Dtype::F16),
        other => Err(format!("no vectors are known for the kernel `{other}`")),
    }
}

fn rmsnorm(vector: &VectorCase, dtype: Dtype) -> Result<Vec<Call<'_>>, String> {
    let rows = vector.params.dimension("rows")?;
    let hidden = vector.params.dimension("hidden")?;
    let eps = vector.params.number("eps")?;
    if eps < 0.0 {
        return Err(format!("params.eps is {eps}, which no kernel takes"));
    }
    let elements = product(&[rows, hidden])?;
    let named = match dtype {
        Dtype::F16 if hidden <= RMSNORM_F16_EXACT_HIDDEN => {
            vec![("ort", Binding::Bits), ("cr", Binding::Tolerance)]
        }
        Dtype::F32 if !vector.outputs.contains_key("cr") => vec![("ort", Binding::Tolerance)],
        _ => vec![("cr", Binding::Tolerance)],
    };
    Ok(vec![Call {
        b: input(vector, "w", dtype, hidden.into())?.to_vec(),
        ..elementwise(
            RmsNorm { eps, hidden, rows }.to_le_bytes().to_vec(),
            input(vector, "x", dtype, elements)?,
            (dtype, elements),
            named,
        )
    }])
}

fn swiglu(vector: &VectorCase, dtype: Dtype) -> Result<Vec<Call<'_>>, String> {
    let rows = vector.params.dimension("rows")?;
    let hidden = vector.params.dimension("hidden")?;
    let beta = vector.params.number("beta")?;
    let elements = product(&[rows, hidden])?;
    Ok(vec![Call {
        b: input(vector, "gate", dtype, elements)?.to_vec(),
        ..elementwise(
            Swiglu { rows, hidden, beta }.to_le_bytes().to_vec(),
            input(vector, "x", dtype, elements)?,
            (dtype, elements),
            vec![("cr", Binding::Tolerance)],
        )
    }])
}

fn kv(vector: &VectorCase, block_bytes: usize, pack: bool) -> Result<Vec<Call<'_>>, String> {
    let rows = vector.params.dimension("rows")?;
    let dim = vector.params.dimension("dim")?;
    if !dim.is_multiple_of(ELEMENTS as u32) {
        return Err(format!("params.dim is {dim} and no multiple of {ELEMENTS}"));
    }
    let values = product(&[rows, dim])?;
    let packed = (Dtype::U8, packed_bytes(values, block_bytes)?);
    let plain = (Dtype::F32, values);
    let (name, from, to) = if pack {
        ("x", plain, packed)
    } else {
        ("packed", packed, plain)
    };
    let call = elementwise(
        Kv { rows, dim }.to_le_bytes().to_vec(),
        input(vector, name, from.0, from.1)?,
        to,
        vec![("gguf", Binding::Bits)],
    );
    Ok(vec![Call {
        values,
        oracles: Oracles {
            onnx_node: Binding::Bits,
            ..call.oracles
        },
        ..call
    }])
}

fn lora(vector: &VectorCase, dtype: Dtype) -> Result<Vec<Call<'_>>, String> {
    let params = &vector.params;
    let lora = Lora {
        rows: params.dimension("rows")?,
        in_features: params.dimension("in")?,
        rank: params.dimension("rank")?,
        out_features: params.dimension("out")?,
        scale: params.number("scale")?,
    };
    let x = product(&[lora.rows, lora.in_features])?;
    let a = product(&[lora.in_features, lora.rank])?;
    let b = product(&[lora.rank, lora.out_features])?;
    let y = product(&[lora.rows, lora.out_features])?;
    let a = input(vector, "A", dtype, a)?;
    let b = input(vector, "B", dtype, b)?;
    Ok(vec![Call {
        b: [a, b].concat(),
        base: Some(input(vector, "base", dtype, y)?),
        scratch_bytes: product(&[lora.rows, lora.rank])?.saturating_mul(4),
        ..elementwise(
            lora.to_le_bytes().to_vec(),
            input(vector, "x", dtype, x)?,
            (dtype, y),
            vec![("cr", Binding::Tolerance)],
        )
    }])
}

/// A call without input b, base and scratch, and with an output of so many elements of a type.
fn elementwise<'a>(
    params: Vec<u8>,
    a: &'a [u8],
    (output, elements): (Dtype, u64),
    named: Vec<(&'static str, Binding)>,
) -> Call<'a> {
    Call {
        suffix: String::new(),
        params,
        a,
        b: Vec::new(),
        base: None,
        scratch_bytes: 0,
        output,
        output_elements: elements,
        values: elements,
        part: (0, 1),
        oracles: Oracles {
            named,
            onnx_node: Binding::Tolerance,
        },
    }
}

/// Calls as cases, with what the oracles say.
fn finish(kernel: &str, vector: &VectorCase, calls: Vec<Call<'_>>) -> Result<Vec<Case>, String> {
    let cases = calls
        .into_iter()
        .map(|call| {
            let external = externals(vector, &call)?;
            Ok(Case {
                kernel: kernel.to_owned(),
                entry: Entry::Forward,
                source: Source::Vector,
                name: format!("vector:{}{}", vector.name, call.suffix),
                output_size: size(
                    call.output_elements
                        .saturating_mul(call.output.unit().1.into()),
                    "output",
                )?,
                params: call.params,
                a: call.a.to_vec(),
                b: call.b,
                base: call.base.map(<[u8]>::to_vec),
                scratch_size: size(call.scratch_bytes, "scratch")?,
                tweaks: Vec::new(),
                expect: 0,
                external,
                stress: vector.class.only_informs(),
                open: None,
            })
        })
        .collect::<Result<Vec<Case>, String>>()?;
    let binds = |external: &External| external.binding != Binding::Informs;
    if !vector.class.only_informs() && !cases.iter().any(|case| case.external.iter().any(binds)) {
        let oracles: Vec<&str> = vector.outputs.keys().map(String::as_str).collect();
        return Err(format!(
            "none of its oracles ({}) binds, and its class does not only inform",
            oracles.join(", ")
        ));
    }
    Ok(cases)
}

fn externals(vector: &VectorCase, call: &Call<'_>) -> Result<Vec<External>, String> {
    let (index, count) = call.part;
    let magnitude = match &vector.magnitude {
        None => None,
        Some(array) => {
            let values = array
                .floats()
                .ok_or_else(|| format!("mag is {} and no array of floats", array.dtype.name()))?;
            let expected = call.values * count as u64;
            if values.len() as u64 != expected {
                return Err(format!(
                    "mag has {} elements, the output stands for {expected}",
                    values.len()
                ));
            }
            Some(part(&values, index, count).to_vec())
        }
    };
    let mut externals = Vec::new();
    for (oracle, array) in &vector.outputs {
        let binding = call.oracles.binding(vector.class, oracle);
        let expected = call.output_elements * count as u64;
        if array.dtype != call.output || elements_of(array) != expected {
            if binding == Binding::Informs {
                continue; // another format, or not a result of this kernel
            }
            return Err(format!(
                "outputs.{oracle} is {} x {}, the output is {} x {expected}",
                array.dtype.name(),
                elements_of(array),
                call.output.name(),
            ));
        }
        if let (Binding::Tolerance, Some(magnitude), Some(values)) =
            (binding, &magnitude, array.floats())
        {
            check_magnitudes(magnitude, part(&values, index, count))?;
        }
        externals.push(External {
            oracle: oracle.clone(),
            bytes: part(&array.bytes, index, count).to_vec(),
            binding,
            magnitude: magnitude.clone(),
        });
    }
    Ok(externals)
}

fn input<'a>(
    vector: &'a VectorCase,
    name: &str,
    dtype: Dtype,
    elements: u64,
) -> Result<&'a [u8], String> {
    let array = vector
        .inputs
        .get(name)
        .ok_or_else(|| format!("inputs.{name} is missing"))?;
    if array.dtype != dtype || elements_of(array) != elements {
        return Err(format!(
            "inputs.{name} is {} x {}, the params ask for {} x {elements}",
            array.dtype.name(),
            elements_of(array),
            dtype.name(),
        ));
    }
    Ok(&array.bytes)
}

fn elements_of(array: &Array) -> u64 {
    array.bytes.len() as u64 / u64::from(array.dtype.unit().1)
}

/// One of `count` equal parts.
fn part<T>(all: &[T], index: usize, count: usize) -> &[T] {
    let length = all.len() / count;
    &all[index * length..][..length]
}

fn product(dimensions: &[u32]) -> Result<u64, String> {
    dimensions
        .iter()
        .try_fold(1u64, |product, &next| product.checked_mul(next.into()))
        .ok_or_else(|| "the product of its params overflows".to_owned())
}

/// Bytes of that many values in blocks.
fn packed_bytes(values: u64, block_bytes: usize) -> Result<u64, String> {
    (values / ELEMENTS as u64)
        .checked_mul(block_bytes as u64)
        .ok_or_else(|| "the product of its params overflows".to_owned())
}

fn size(bytes: u64, what: &str) -> Result<u32, String> {
    u32::try_from(bytes)
        .ok()
        .filter(|bytes| u64::from(*bytes) <= MAX_FILE_BYTES)
        .ok_or_else(|| {
            format!("it asks for {bytes} bytes of {what}, the limit is {MAX_FILE_BYTES}")
        })
}
