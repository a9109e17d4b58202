//! What a kernel promises of scratch: rmsnorm leaves the root of each row there, where there is room for all of them.

use super::{Case, Mismatch, expectation::decode};
use crate::{
    case::Entry,
    tolerance::{Format, U},
};
use kernel_abi::params::RmsNorm;

/// Sizes of terms whose squares neither overflow nor lose anything, and so do their sums.
const USUAL: std::ops::Range<f64> = 1e-15..1e15;

/// The first row whose root is not in scratch after a call with status 0; `None` where all are, and where nothing is promised. Roots may be off by what a
/// sum of squares in f32 loses, one term after the other; rows with values that overflow, are no numbers or lose their last bits are left out.
pub fn breaks_promise(case: &Case, scratch: &[u8]) -> Option<Mismatch> {
    let contract = case.open.as_ref().map(|call| &call.contract);
    let kernel = match contract {
        Some(contract) => contract.builtin()?,
        None => &case.kernel,
    };
    let format = match kernel {
        "rmsnorm_f32" => Format::F32,
        "rmsnorm_f16" => Format::F16,
        _ => return None,
    };
    let params = RmsNorm::from_le_bytes(&case.params)?;
    let (rows, hidden) = (params.rows as usize, params.hidden as usize);
    let is_promised = case.entry == Entry::Forward
        && case.expects_output()
        && case.tweaks.is_empty()
        && case.scratch_size as usize / 4 >= rows;
    if !is_promised || hidden == 0 {
        return None;
    }
    let x = decode(format, &case.a);
    let roots = decode(Format::F32, scratch.get(..4 * rows)?);
    let allowed = U * (8.0 + hidden as f64 / 2.0);
    let rows = x.chunks_exact(hidden).zip(roots).enumerate();
    for (index, (row, got)) in rows {
        let is_usual = |x: &f64| *x == 0.0 || USUAL.contains(&x.abs());
        let eps = f64::from(params.eps);
        if !row.iter().all(is_usual) || !(eps == 0.0 || USUAL.contains(&eps)) {
            continue;
        }
        let squares: f64 = row.iter().map(|x| x * x).sum();
        let expected = (squares / hidden as f64 + eps).sqrt();
        let holds = (got - expected).abs() <= allowed * expected;
        if !holds {
            return Some(Mismatch {
                index,
                expected: expected.to_string(),
                got: got.to_string(),
                ulp: None,
                detail: "the root of a row, which scratch has room for".to_owned(),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{edge, generate};

    #[test]
    fn roots_are_looked_at_where_there_is_room() {
        let mut looked = 0;
        for kernel in ["rmsnorm_f32", "rmsnorm_f16"] {
            let generated = (0..64).filter_map(|index| generate::case(kernel, 1, index));
            for case in edge::cases(kernel).into_iter().chain(generated) {
                let format = if kernel == "rmsnorm_f32" {
                    Format::F32
                } else {
                    Format::F16
                };
                let Some(params) = RmsNorm::from_le_bytes(&case.params) else {
                    continue;
                };
                // As a kernel computes them, in f32 and one after the other.
                let roots = decode(format, &case.a)
                    .chunks(params.hidden.max(1) as usize)
                    .flat_map(|row| {
                        let sum = row.iter().fold(0f32, |sum, x| sum + *x as f32 * *x as f32);
                        (sum / row.len() as f32 + params.eps).sqrt().to_le_bytes()
                    })
                    .collect::<Vec<u8>>();
                let mut scratch = roots;
                scratch.resize(case.scratch_size as usize, 0x4b);
                assert_eq!(breaks_promise(&case, &scratch), None, "{}", case.name);
                let (roots, _) = scratch.as_chunks_mut::<4>();
                for root in roots {
                    *root = (f32::from_le_bytes(*root) * 1.01).to_le_bytes();
                }
                looked += u32::from(breaks_promise(&case, &scratch).is_some());
            }
        }
        assert!(looked > 16, "{looked} cases");
    }
}
