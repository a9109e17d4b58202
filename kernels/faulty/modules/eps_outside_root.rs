//! rmsnorm_f32 that adds eps to the root instead of to the mean square.
#![no_std]

use kernel_abi::params::RmsNorm;
use kernel_core::{
    Element, F32, Regions, RmsNormF32, row_factor,
    slice::{rows, rows_mut},
    sum_of_squares,
};

kernel_faulty::faulty!(RmsNormF32, |params: &RmsNorm, regions: Regions<'_>| {
    let hidden = params.hidden as usize;
    let without = RmsNorm {
        eps: 0.0,
        ..*params
    };
    let weight = F32::view(regions.input_b);
    let roots = F32::view_mut(regions.scratch);
    let roots = roots.get_mut(..params.rows as usize).unwrap_or(&mut []);
    let mut roots = roots.iter_mut();
    let y = rows_mut(F32::view_mut(regions.output), hidden);
    for (x, y) in rows(F32::view(regions.input_a), hidden).zip(y) {
        let root = row_factor(&without, sum_of_squares(x)).0 + params.eps;
        let factor = 1.0 / root;
        for ((x, weight), y) in x.iter().zip(weight).zip(y) {
            *y = F32::store(x.load() * factor * weight.load());
        }
        if let Some(into) = roots.next() {
            *into = F32::store(root);
        }
    }
});
