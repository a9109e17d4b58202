//! Attention of new positions to all so far, in plain Rust: the same bits whoever runs the kernels.

use crate::config::Config;

/// Sums that a product of two vectors is gathered in, so that the compiler may take vectors of them.
const LANES: usize = 16;

/// What each new position sees: `query` \[rows, heads, head_dim\] of the positions from `start` on, `keys` and `values`
/// \[start + rows, kv_heads, head_dim\]; the result has the shape of `query`.
pub fn attend(
    config: &Config,
    start: usize,
    query: &[f32],
    keys: &[f32],
    values: &[f32],
) -> Vec<f32> {
    let Config {
        heads,
        kv_heads,
        head_dim,
        ..
    } = *config;
    let scale = 1.0 / (head_dim as f32).sqrt();
    let mut seen = vec![0.0; query.len()];
    let mut weights = Vec::new();
    let of_heads = query
        .chunks_exact(head_dim)
        .zip(seen.chunks_exact_mut(head_dim));
    for (index, (query, seen)) in of_heads.enumerate() {
        let (row, head) = (index / heads, index % heads);
        // A position sees itself and those before it.
        let positions = start + row + 1;
        let offset = head / (heads / kv_heads) * head_dim;
        let of_head = |position: usize| {
            let at = position * kv_heads * head_dim + offset;
            at..at + head_dim
        };
        weights.clear();
        weights.extend((0..positions).map(|at| dot(query, &keys[of_head(at)]) * scale));
        softmax(&mut weights);
        for (at, weight) in weights.iter().enumerate() {
            for (seen, value) in seen.iter_mut().zip(&values[of_head(at)]) {
                *seen += weight * value;
            }
        }
    }
    seen
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (one, one_rest) = one.as_chunks::<LANES>();
    let (other, other_rest) = other.as_chunks::<LANES>();
    for (one, other) in one.iter().zip(other) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let rest: f32 = one_rest
        .iter()
        .zip(other_rest)
        .map(|(one, other)| one * other)
        .sum();
    sums.iter().sum::<f32>() + rest
}

fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in &mut *scores {
        *score = (*score - largest).exp();
    }
    let sum: f32 = scores.iter().sum();
    for score in scores {
        *score /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config = Config {
        layers: 1,
        hidden: 8,
        feed_forward: 8,
        heads: 4,
        kv_heads: 2,
        head_dim: 2,
        context: 8,
        theta: 1.0,
        eps: 1e-5,
    };

    #[test]
    fn a_position_sees_itself_and_those_before_it_through_its_own_head() {
        // Equal keys: each position sees the mean of the values up to itself.
        let keys = [1.0; 12];
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let seen = attend(&CONFIG, 1, &[1.0; 16], &keys, &values);
        // Two rows, positions 1 and 2; heads 0 and 1 ask the first head of keys, 2 and 3 the second.
        let first = [2.0, 3.0, 2.0, 3.0, 4.0, 5.0, 4.0, 5.0];
        let second = [4.0, 5.0, 4.0, 5.0, 6.0, 7.0, 6.0, 7.0];
        for (seen, expected) in seen.iter().zip(first.iter().chain(&second)) {
            assert!((seen - expected).abs() < 1e-5, "{seen} {expected}");
        }
    }

    #[test]
    fn a_key_that_fits_takes_all_the_weight() {
        let keys = [100.0, 0.0, 0.0, 0.0, -100.0, 0.0, 0.0, 0.0];
        let values = [1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0];
        let seen = attend(
            &CONFIG,
            1,
            &[1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            &keys,
            &values,
        );
        assert_eq!(seen[..4], [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn products_take_what_is_left_over_from_lanes() {
        let ones = [1.0; 19];
        let values: Vec<f32> = (0..19).map(|value| value as f32).collect();
        assert_eq!(dot(&ones, &values), 171.0);
    }
}
