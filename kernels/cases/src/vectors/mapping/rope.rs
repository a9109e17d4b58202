//! Vectors of rotary embeddings: runs with angles, and runs with tables of cosines and sines.

use super::{
    super::file::{Array, Params, VectorCase},
    Call, MAX_CALLS, Oracles, elements_of, input, packed_bytes, part, product,
};
use crate::case::Binding;
use kernel_abi::{
    block::{ELEMENTS, Q8_BYTES},
    params::Rope,
};
use kernel_pack::Dtype;
use serde_json::Value;

/// Base of the angles where a case does not say: it counts only where the kernel computes the angles itself, and a vector case always
/// gives them.
const DEFAULT_THETA: f32 = 10_000.0;

/// Which of the kernels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    Q8,
}

/// What all calls of a case have.
struct Rotation<'a> {
    /// Of all batches.
    params: Rope,
    x: &'a [u8],
    output: Dtype,
    elements: u64,
    values: u64,
}

impl<'a> Rotation<'a> {
    fn new(vector: &'a VectorCase, kind: Kind) -> Result<Self, String> {
        let params = &vector.params;
        let [batch, seq, heads, head_dim] = [
            params.dimension("batch")?,
            params.dimension("seq")?,
            params.dimension("heads")?,
            params.dimension("dim")?,
        ];
        let multiple = if kind == Kind::Q8 { ELEMENTS as u32 } else { 2 };
        if !head_dim.is_multiple_of(multiple) {
            return Err(format!(
                "params.dim is {head_dim} and no multiple of {multiple}"
            ));
        }
        let values = product(&[batch, seq, heads, head_dim])?;
        let (name, output, elements) = match kind {
            Kind::F32 => ("x", Dtype::F32, values),
            Kind::F16 => ("x", Dtype::F16, values),
            Kind::Q8 => ("x_q8", Dtype::U8, packed_bytes(values, Q8_BYTES)?),
        };
        Ok(Self {
            params: Rope {
                theta: params.optional_number("theta")?.unwrap_or(DEFAULT_THETA),
                seq,
                head_dim,
                heads,
                batch,
                layout: u32::from(!params.flag("interleaved")?),
                table: 0,
            },
            x: input(vector, name, output, elements)?,
            output,
            elements,
            values,
        })
    }

    /// Elements of a table, and the calls that share the batches among them.
    fn table(&self, per_batch: bool) -> Result<(u64, u32), String> {
        let Rope {
            batch,
            seq,
            head_dim,
            ..
        } = self.params;
        let parts = if per_batch { batch } else { 1 };
        Ok((product(&[parts, seq, head_dim / 2])?, parts))
    }

    /// One call with all batches, or one per batch with its part of x and of the output.
    fn calls(
        &self,
        run: &str,
        table: u32,
        b: &[&[u8]],
        parts: u32,
        oracles: impl Fn() -> Oracles,
    ) -> Result<Vec<Call<'a>>, String> {
        let count = parts as usize;
        if count > MAX_CALLS {
            return Err(format!(
                "it asks for {parts} calls, the limit is {MAX_CALLS}"
            ));
        }
        let params = Rope {
            batch: self.params.batch / parts,
            table,
            ..self.params
        };
        let call = |index| Call {
            suffix: if count == 1 {
                format!("/{run}")
            } else {
                format!("/{run}/batch{index}")
            },
            params: params.to_le_bytes().to_vec(),
            a: part(self.x, index, count),
            b: b.iter()
                .flat_map(|tensor| part(tensor, index, count))
                .copied()
                .collect(),
            base: None,
            scratch_bytes: 0,
            output: self.output,
            output_elements: self.elements / u64::from(parts),
            values: self.values / u64::from(parts),
            part: (index, count),
            oracles: oracles(),
        };
        Ok((0..count).map(call).collect())
    }
}

/// The calls of a case.
pub(super) fn calls(vector: &VectorCase, kind: Kind) -> Result<Vec<Call<'_>>, String> {
    let rotation = Rotation::new(vector, kind)?;
    let per_batch = vector.params.optional_flag("tables_per_batch")?;
    let mut calls = Vec::new();
    if let Some(angles) = vector.inputs.get("freqs") {
        let of_all_batches = rotation.table(true)?.0;
        let (elements, parts) =
            rotation.table(per_batch && elements_of(angles) == of_all_batches)?;
        let angles = input(vector, "freqs", Dtype::F32, elements)?;
        calls.extend(rotation.calls("angles", 0, &[angles], parts, || Oracles {
            named: vec![match kind {
                Kind::F32 | Kind::F16 => ("cr", Binding::Tolerance),
                Kind::Q8 => ("y_q8_gguf", Binding::Tolerance),
            }],
            onnx_node: Binding::Informs,
        })?);
    }
    match (vector.inputs.get("cos"), vector.inputs.get("sin")) {
        (Some(cosines), Some(_)) => {
            let dtype = table_dtype(&vector.params, kind, cosines)?;
            let (elements, parts) = rotation.table(per_batch)?;
            let cosines = input(vector, "cos", dtype, elements)?;
            let sines = input(vector, "sin", dtype, elements)?;
            let table = if dtype == Dtype::F16 { 2 } else { 1 };
            let oracles = || oracles_of_tables(kind, table);
            calls.extend(rotation.calls("tables", table, &[cosines, sines], parts, oracles)?);
        }
        (None, None) => {}
        _ => return Err("inputs.cos and inputs.sin only make sense together".to_owned()),
    }
    if calls.is_empty() {
        return Err("it has neither inputs.freqs nor inputs.cos and inputs.sin".to_owned());
    }
    Ok(calls)
}

fn oracles_of_tables(kind: Kind, table: u32) -> Oracles {
    Oracles {
        named: match (kind, table) {
            (Kind::F32, _) => vec![("onnx_ref", Binding::Bits)],
            (Kind::F16, 2) => vec![("ort", Binding::Bits)],
            (Kind::F16, _) => Vec::new(),
            (Kind::Q8, _) => vec![("y_q8_gguf", Binding::Bits)],
        },
        onnx_node: match kind {
            Kind::F32 => Binding::Bits,
            Kind::F16 | Kind::Q8 => Binding::Tolerance,
        },
    }
}

/// Type of cos and sin: as params.tables says, else as they are.
fn table_dtype(params: &Params, kind: Kind, cosines: &Array) -> Result<Dtype, String> {
    let halves = match params.optional("tables") {
        None => cosines.dtype == Dtype::F16,
        Some(Value::String(name)) if name == "f16" => true,
        Some(Value::String(name)) if name == "f32" => false,
        Some(_) => return Err("params.tables is neither \"f16\" nor \"f32\"".to_owned()),
    };
    match (halves, kind) {
        (false, _) => Ok(Dtype::F32),
        (true, Kind::F16) => Ok(Dtype::F16),
        (true, Kind::F32 | Kind::Q8) => Err("tables in f16 are for rope_f16 only".to_owned()),
    }
}
