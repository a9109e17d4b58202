//! RMSNorm: Zhang and Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467, equation 4, with eps added to the
//! mean of squares inside the root, as everyone has done since.

use crate::element::{Element, Tracked, dot, sum};

/// y = x * (1/sqrt(mean(x^2) + eps)) * w over rows of `w.len()` elements.
/// x\[rows, hidden\], w\[hidden\] -> y\[rows, hidden\].
pub fn rmsnorm(eps: f64, x: &[f64], w: &[f64]) -> Vec<Element> {
    x.chunks_exact(w.len())
        .flat_map(|row| {
            let factor = row_factor(eps, row);
            row.iter().zip(w).map(move |(x, w)| {
                Tracked::exact(*x)
                    .mul(factor)
                    .mul(Tracked::exact(*w))
                    .element()
            })
        })
        .collect()
}

/// The gradient. dy, x\[rows, hidden\], w\[hidden\] -> dx\[rows, hidden\] and dw\[hidden\], where with r = 1/sqrt(mean(x^2) + eps)
/// dx = r*w*dy - x * r^3/hidden * sum(w*dy*x) and dw = sum over rows of dy*x*r.
pub fn rmsnorm_backward(
    eps: f64,
    dy: &[f64],
    x: &[f64],
    w: &[f64],
) -> (Vec<Element>, Vec<Element>) {
    let hidden = w.len();
    let mut dx = Vec::with_capacity(x.len());
    let mut dw = vec![Tracked::ZERO; hidden];
    for (dy, x) in dy.chunks_exact(hidden).zip(x.chunks_exact(hidden)) {
        let r = row_factor(eps, x);
        let exact = |values: &[f64], index: usize| Tracked::exact(values[index]);
        let total =
            sum((0..hidden).map(|i| Tracked::product(&[exact(w, i), exact(dy, i), exact(x, i)])));
        let part = Tracked::exact(1.0 / hidden as f64);
        for (i, dw) in dw.iter_mut().enumerate() {
            let direct = Tracked::product(&[r, exact(w, i), exact(dy, i)]);
            let through_root = Tracked::product(&[exact(x, i), r, r, r, part, total]);
            dx.push(direct.add(through_root.negated()).element());
            *dw = dw.add(Tracked::product(&[exact(dy, i), exact(x, i), r]));
        }
    }
    (dx, dw.into_iter().map(Tracked::element).collect())
}

/// 1/sqrt(mean(x^2) + eps).
fn row_factor(eps: f64, row: &[f64]) -> Tracked {
    dot(row.iter().map(|x| (Tracked::exact(*x), Tracked::exact(*x))))
        .over(row.len())
        .add(Tracked::exact(eps))
        .reciprocal_root()
}
