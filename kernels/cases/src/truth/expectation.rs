//! What the oracles of `kernel_reference` say about a case.

use super::layout::Layout;
use crate::{
    case::{Case, Entry},
    number,
    tolerance::{self, Format, Policy},
};
use kernel_abi::params::{Kv, Lora, RmsNorm, Rope, Swiglu};
use kernel_reference::{Element, kv, lora, rmsnorm, rope, swiglu};

/// Most elements of an intermediate tensor that the oracle holds in memory.
const MAX_INTERMEDIATE: u64 = 1 << 24;

/// The truth about an output.
pub(super) enum Expectation {
    /// The exact bytes.
    Exact(Vec<u8>),
    /// Tensors, one behind the other, each with its policy.
    Elements(Format, Vec<(Policy, Vec<Element>)>),
    /// f32 elements that are packed into Q8_0 blocks.
    Requantised(Policy, Vec<Element>),
}

/// The truth about the case's output, or why there is none.
pub(super) fn expectation(case: &Case) -> Result<Expectation, String> {
    let refused = || "the parameters are not ones the kernel takes".to_owned();
    let format = match Layout::of_output(case) {
        Layout::F16 => Format::F16,
        _ => Format::F32,
    };
    let inputs = Inputs { case, format };
    match (case.kernel.as_str(), case.entry) {
        ("rope_f32" | "rope_f16" | "rope_q8", Entry::Forward) => {
            inputs.rope(Rope::from_le_bytes(&case.params).ok_or_else(refused)?)
        }
        ("rmsnorm_f32" | "rmsnorm_f16", _) => {
            inputs.rmsnorm(RmsNorm::from_le_bytes(&case.params).ok_or_else(refused)?)
        }
        ("swiglu_f32" | "swiglu_f16", _) => {
            inputs.swiglu(Swiglu::from_le_bytes(&case.params).ok_or_else(refused)?)
        }
        ("lora_apply_f32" | "lora_apply_f16", _) => {
            inputs.lora(Lora::from_le_bytes(&case.params).ok_or_else(refused)?)
        }
        ("kv_pack_q8" | "kv_pack_q4" | "kv_unpack_q8" | "kv_unpack_q4", Entry::Forward) => {
            inputs.kv(Kv::from_le_bytes(&case.params).ok_or_else(refused)?)
        }
        (_, Entry::Backward) => Err("the kernel has no gradient".to_owned()),
        _ => Err("there is no oracle for this kernel".to_owned()),
    }
}

struct Inputs<'a> {
    case: &'a Case,
    format: Format,
}

impl Inputs<'_> {
    fn rope(&self, params: Rope) -> Result<Expectation, String> {
        let is_q8 = self.case.kernel == "rope_q8";
        let widest_table = if self.format == Format::F16 { 2 } else { 1 };
        let unit = if is_q8 { 32 } else { 2 };
        let usable = params.layout <= 1
            && params.table <= widest_table
            && params.head_dim.is_multiple_of(unit);
        check(
            usable,
            "layout, table or head_dim is one the kernel refuses",
        )?;
        let elements = product(&[params.batch, params.seq, params.heads, params.head_dim])?;
        let pairs = product(&[params.seq, params.head_dim / 2])?;
        let x = if is_q8 {
            check_size("input a", &self.case.a, elements / 32 * 34)?;
            kv::unpack_q8(&self.case.a)
        } else {
            self.floats("input a", &self.case.a, elements)?
        };
        let shape = rope::Shape {
            batch: params.batch as usize,
            seq: params.seq as usize,
            heads: params.heads as usize,
            head_dim: params.head_dim as usize,
            halves: params.layout == 1,
        };
        let b = &self.case.b;
        let given;
        let rotation = match params.table {
            0 if b.is_empty() => {
                check(
                    params.theta.is_finite() && params.theta > 0.0,
                    "theta is one the kernel refuses",
                )?;
                rope::Rotation::Positions {
                    theta: f64::from(params.theta),
                }
            }
            0 => {
                check_size("input b", b, pairs * 4)?;
                given = decode(Format::F32, b);
                rope::Rotation::Angles(&given)
            }
            table => {
                let format = if table == 2 { Format::F16 } else { Format::F32 };
                check_size("input b", b, pairs * 2 * bytes_of(format))?;
                given = decode(format, b);
                let (cos, sin) = given.split_at(given.len() / 2);
                rope::Rotation::Tables { cos, sin }
            }
        };
        let y = rope::rope(shape, &x, rotation);
        let f32_policy = if params.table == 0 {
            tolerance::ROPE_ANGLES
        } else {
            tolerance::ROPE_TABLES
        };
        Ok(match self.format {
            _ if is_q8 => Expectation::Requantised(f32_policy, y),
            Format::F32 => self.one(f32_policy, y),
            Format::F16 => self.one(tolerance::ROPE_F16, y),
        })
    }

    fn rmsnorm(&self, params: RmsNorm) -> Result<Expectation, String> {
        let usable = params.eps.is_finite() && params.eps >= 0.0;
        check(usable, "eps is one the kernel refuses")?;
        let elements = product(&[params.rows, params.hidden])?;
        let eps = f64::from(params.eps);
        let hidden = params.hidden as usize;
        let w = self.floats("input b", &self.case.b, u64::from(params.hidden))?;
        if self.case.entry == Entry::Forward {
            let x = self.floats("input a", &self.case.a, elements)?;
            let policy = match self.format {
                Format::F32 => tolerance::rmsnorm_f32(hidden),
                Format::F16 => tolerance::RMSNORM_F16,
            };
            return Ok(self.one(policy, rmsnorm::rmsnorm(eps, &x, &w)));
        }
        let a = self.floats("input a", &self.case.a, 2 * elements)?;
        let (dy, x) = a.split_at(a.len() / 2);
        let (dx, dw) = rmsnorm::rmsnorm_backward(eps, dy, x, &w);
        let rows = params.rows as usize;
        let of_terms = |terms| tolerance::sum_gradient(self.format, terms);
        Ok(Expectation::Elements(
            self.format,
            vec![(of_terms(hidden), dx), (of_terms(hidden + rows), dw)],
        ))
    }

    fn swiglu(&self, params: Swiglu) -> Result<Expectation, String> {
        check(params.beta.is_finite(), "beta is one the kernel refuses")?;
        let elements = product(&[params.rows, params.hidden])?;
        let beta = f64::from(params.beta);
        let gate = self.floats("input b", &self.case.b, elements)?;
        if self.case.entry == Entry::Forward {
            let x = self.floats("input a", &self.case.a, elements)?;
            let policy = match self.format {
                Format::F32 => tolerance::SWIGLU_F32,
                Format::F16 => tolerance::SWIGLU_F16,
            };
            return Ok(self.one(policy, swiglu::swiglu(beta, &gate, &x)));
        }
        let a = self.floats("input a", &self.case.a, 2 * elements)?;
        let (dy, x) = a.split_at(a.len() / 2);
        let (dx, dgate) = swiglu::swiglu_backward(beta, dy, &gate, x);
        let policy = tolerance::swiglu_gradient(self.format);
        Ok(Expectation::Elements(
            self.format,
            vec![(policy, dx), (policy, dgate)],
        ))
    }

    fn lora(&self, params: Lora) -> Result<Expectation, String> {
        check(params.scale.is_finite(), "scale is one the kernel refuses")?;
        let x_elements = product(&[params.rows, params.in_features])?;
        let y_elements = product(&[params.rows, params.out_features])?;
        let a_elements = product(&[params.in_features, params.rank])?;
        let b_elements = product(&[params.rank, params.out_features])?;
        check(
            product(&[params.rows, params.rank])? <= MAX_INTERMEDIATE,
            "rows * rank is more than the oracle computes with",
        )?;
        let shape = lora::Shape {
            rows: params.rows as usize,
            in_features: params.in_features as usize,
            rank: params.rank as usize,
            out_features: params.out_features as usize,
        };
        let scale = f64::from(params.scale);
        let weights = self.floats(
            "input b",
            &self.case.b,
            a_elements.saturating_add(b_elements),
        )?;
        let (a, b) = weights.split_at(a_elements as usize);
        if self.case.entry == Entry::Forward {
            let x = self.floats("input a", &self.case.a, x_elements)?;
            let base = self.case.base.as_deref().ok_or("the case has no base")?;
            let base = self.floats("base", base, y_elements)?;
            let policy = tolerance::lora_apply(self.format, shape.in_features, shape.rank);
            let y = lora::lora_apply(shape, scale, &x, a, b, &base);
            return Ok(self.one(policy, y));
        }
        let tensors = self.floats(
            "input a",
            &self.case.a,
            y_elements.saturating_add(x_elements),
        )?;
        let (dy, x) = tensors.split_at(y_elements as usize);
        let gradients = lora::lora_backward(shape, scale, dy, x, a, b);
        let of_terms = |terms| tolerance::sum_gradient(self.format, terms);
        Ok(Expectation::Elements(
            self.format,
            vec![
                (of_terms(shape.out_features + shape.rank), gradients.dx),
                (of_terms(shape.out_features + shape.rows), gradients.da),
                (of_terms(shape.in_features + shape.rows), gradients.db),
            ],
        ))
    }

    fn kv(&self, params: Kv) -> Result<Expectation, String> {
        let usable = params.dim.is_multiple_of(32);
        check(usable, "dim is one the kernel refuses")?;
        let elements = product(&[params.rows, params.dim])?;
        let a = &self.case.a;
        let as_f32 = |values: Vec<f64>| {
            values
                .into_iter()
                .flat_map(|value| (value as f32).to_le_bytes())
                .collect()
        };
        let values = || -> Vec<f32> {
            decode(Format::F32, a)
                .into_iter()
                .map(|value| value as f32)
                .collect()
        };
        let size = match self.case.kernel.as_str() {
            "kv_unpack_q8" => elements / 32 * 34,
            "kv_unpack_q4" => elements / 32 * 18,
            _ => elements.saturating_mul(4),
        };
        check_size("input a", a, size)?;
        Ok(Expectation::Exact(match self.case.kernel.as_str() {
            "kv_pack_q8" => kv::pack_q8(&values()),
            "kv_pack_q4" => kv::pack_q4(&values()),
            "kv_unpack_q8" => as_f32(kv::unpack_q8(a)),
            _ => as_f32(kv::unpack_q4(a)),
        }))
    }

    fn one(&self, policy: Policy, elements: Vec<Element>) -> Expectation {
        Expectation::Elements(self.format, vec![(policy, elements)])
    }

    /// A tensor of the kernel's own format.
    fn floats(&self, what: &str, bytes: &[u8], elements: u64) -> Result<Vec<f64>, String> {
        check_size(what, bytes, elements.saturating_mul(bytes_of(self.format)))?;
        Ok(decode(self.format, bytes))
    }
}

fn bytes_of(format: Format) -> u64 {
    match format {
        Format::F32 => 4,
        Format::F16 => 2,
    }
}

/// Exact values; bytes that do not fill an element are left out.
pub(super) fn decode(format: Format, bytes: &[u8]) -> Vec<f64> {
    number::decode(format.dtype(), bytes)
}

/// Number of elements of a tensor with these dimensions.
fn product(dimensions: &[u32]) -> Result<u64, String> {
    check(
        !dimensions.contains(&0),
        "a dimension is 0, which the kernel refuses",
    )?;
    // More than any tensor holds, and far from wrapping in what follows.
    Ok(dimensions
        .iter()
        .fold(1, |product: u64, size| {
            product.saturating_mul(u64::from(*size))
        })
        .min(1 << 40))
}

fn check_size(what: &str, bytes: &[u8], expected: u64) -> Result<(), String> {
    check(
        bytes.len() as u64 == expected,
        &format!(
            "{what} has {} bytes where the parameters ask for {expected}",
            bytes.len()
        ),
    )
}

fn check(condition: bool, otherwise: &str) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}
