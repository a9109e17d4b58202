use super::median;
use serde::{Deserialize, Serialize};

/// Time as a function of size: t = overhead + slope * elements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What a call costs before its first element; in the unit of the times.
    pub overhead: f64,
    /// What an element costs.
    pub slope: f64,
}

impl Line {
    /// The size from which the overhead is less than `share` of the whole; 0 where there is none, `None` where elements cost
    /// nothing.
    pub fn crossover(&self, share: f64) -> Option<f64> {
        if self.overhead <= 0.0 {
            return Some(0.0);
        }
        (self.slope > 0.0).then(|| self.overhead * (1.0 - share) / (share * self.slope))
    }
}

/// The line through `points` (elements, time) by Theil and Sen: the slope is the median of the slopes of all pairs, so that a
/// point far off moves little; each pair counts as much as its distance in size, because sizes lie orders of magnitude apart
/// and noise between two small ones says nothing about the slope. The overhead is the median of what the slope leaves of the
/// smaller half of the points, where it can be seen. `None` with fewer than three sizes.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Line> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut sizes: Vec<f64> = points.iter().map(|point| point.0).collect();
    sizes.dedup();
    if sizes.len() < 3 {
        return None;
    }
    let mut slopes = Vec::new();
    for (index, (x, y)) in points.iter().enumerate() {
        for (other_x, other_y) in &points[index + 1..] {
            if other_x > x {
                slopes.push(((other_y - y) / (other_x - x), other_x - x));
            }
        }
    }
    let slope = weighted_median(slopes)?;
    let smaller = &points[..points.len().div_ceil(2)];
    let left: Vec<f64> = smaller.iter().map(|(x, y)| y - slope * x).collect();
    Some(Line {
        overhead: median(&left)?,
        slope,
    })
}

/// The value at half of the weight.
fn weighted_median(mut values: Vec<(f64, f64)>) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|value| value.1).sum::<f64>() / 2.0;
    let mut weight = 0.0;
    values
        .into_iter()
        .find(|value| {
            weight += value.1;
            weight >= half
        })
        .map(|value| value.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [f64; 5] = [64.0, 1024.0, 16_384.0, 65_536.0, 262_144.0];

    #[test]
    fn a_line_is_found_and_where_its_overhead_is_a_tenth() {
        let points = SIZES.map(|size| (size, 200.0 + 0.5 * size));
        let line = theil_sen(&points).unwrap();
        assert!((line.slope - 0.5).abs() < 1e-9 && (line.overhead - 200.0).abs() < 1e-6);
        // 200 is a tenth of 2000 = 200 + 0.5 * 3600.
        assert!((line.crossover(0.1).unwrap() - 3600.0).abs() < 1e-3);
    }

    #[test]
    fn a_point_far_off_moves_it_little() {
        let mut points = SIZES.map(|size| (size, 200.0 + 0.5 * size));
        points[2].1 *= 3.0;
        let line = theil_sen(&points).unwrap();
        assert!((line.slope - 0.5).abs() < 0.05, "{line:?}");
        assert!((line.overhead - 200.0).abs() < 50.0, "{line:?}");
    }

    #[test]
    fn too_few_sizes_make_no_line() {
        assert_eq!(theil_sen(&[(1.0, 2.0), (2.0, 3.0), (2.0, 3.1)]), None);
        let flat = Line {
            overhead: 5.0,
            slope: 0.0,
        };
        assert_eq!(flat.crossover(0.1), None);
        assert_eq!(
            Line {
                overhead: -1.0,
                slope: 1.0
            }
            .crossover(0.1),
            Some(0.0)
        );
    }
}
