//! LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685, equation 3, with x as rows and
//! scale = alpha / rank.

use crate::element::{Element, Tracked, dot, sum};

/// Sizes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of x and of y.
    pub rows: usize,
    /// Columns of x and rows of A.
    pub in_features: usize,
    /// Columns of A and rows of B.
    pub rank: usize,
    /// Columns of B and of y.
    pub out_features: usize,
}

/// Gradients of x, A and B.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// \[rows, in\]
    pub dx: Vec<Element>,
    /// \[in, rank\]
    pub da: Vec<Element>,
    /// \[rank, out\]
    pub db: Vec<Element>,
}

/// y = base + scale * ((x*A)*B). x\[rows, in\], a\[in, rank\], b\[rank, out\], base\[rows, out\] -> y\[rows, out\]. The magnitude of
/// an element is |base| + |scale| * sum |x||A||B|.
pub fn lora_apply(
    shape: Shape,
    scale: f64,
    x: &[f64],
    a: &[f64],
    b: &[f64],
    base: &[f64],
) -> Vec<Element> {
    let Shape {
        rank, out_features, ..
    } = shape;
    let h = projected(shape, x, a);
    h.chunks_exact(rank)
        .zip(base.chunks_exact(out_features))
        .flat_map(|(h, base)| {
            base.iter().enumerate().map(move |(column, base)| {
                let update = dot((0..rank).map(|r| (h[r], exact(b, r * out_features + column))));
                Tracked::exact(*base)
                    .add(Tracked::exact(scale).mul(update))
                    .element()
            })
        })
        .collect()
}

/// The gradient: u = scale * dy*B^T; dx = u*A^T; dA = x^T*u; dB = scale * (x*A)^T*dy. dy\[rows, out\], the others as in
/// [`lora_apply`].
pub fn lora_backward(
    shape: Shape,
    scale: f64,
    dy: &[f64],
    x: &[f64],
    a: &[f64],
    b: &[f64],
) -> Gradients {
    let Shape {
        rows,
        in_features,
        rank,
        out_features,
    } = shape;
    let scale = Tracked::exact(scale);
    let h = projected(shape, x, a);
    let mut u = Vec::with_capacity(rows * rank);
    for row in 0..rows {
        for r in 0..rank {
            u.push(scaled(
                scale,
                (0..out_features).map(|column| {
                    (
                        exact(dy, row * out_features + column),
                        exact(b, r * out_features + column),
                    )
                }),
            ));
        }
    }
    let mut dx = Vec::with_capacity(rows * in_features);
    for row in 0..rows {
        for i in 0..in_features {
            let sum = dot((0..rank).map(|r| (u[row * rank + r], exact(a, i * rank + r))));
            dx.push(sum.element());
        }
    }
    let mut da = Vec::with_capacity(in_features * rank);
    for i in 0..in_features {
        for r in 0..rank {
            let sum =
                dot((0..rows).map(|row| (exact(x, row * in_features + i), u[row * rank + r])));
            da.push(sum.element());
        }
    }
    let mut db = Vec::with_capacity(rank * out_features);
    for r in 0..rank {
        for column in 0..out_features {
            let terms =
                (0..rows).map(|row| (h[row * rank + r], exact(dy, row * out_features + column)));
            db.push(scaled(scale, terms).element());
        }
    }
    Gradients { dx, da, db }
}

/// scale times a sum of products, scaled before or after: nothing says which.
fn scaled(scale: Tracked, terms: impl Iterator<Item = (Tracked, Tracked)> + Clone) -> Tracked {
    scale
        .mul(dot(terms.clone()))
        .or_by(sum(terms.map(|(a, b)| Tracked::product(&[scale, a, b]))))
}

/// x*A: \[rows, rank\].
fn projected(shape: Shape, x: &[f64], a: &[f64]) -> Vec<Tracked> {
    let Shape {
        in_features, rank, ..
    } = shape;
    x.chunks_exact(in_features)
        .flat_map(|row| {
            (0..rank).map(move |r| {
                dot((0..in_features).map(|i| (exact(row, i), exact(a, i * rank + r))))
            })
        })
        .collect()
}

fn exact(values: &[f64], index: usize) -> Tracked {
    Tracked::exact(values[index])
}
