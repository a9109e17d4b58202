//! lora_apply_f32 that adds x * A to what scratch holds instead of clearing it first.
#![no_std]

use kernel_abi::params::Lora;
use kernel_core::{
    Element, F32, LoraApplyF32, Regions,
    slice::{rows, rows_mut, split},
};

kernel_faulty::faulty!(LoraApplyF32, |params: &Lora, regions: Regions<'_>| {
    let [input, rank, output] =
        [params.in_features, params.rank, params.out_features].map(|n| n as usize);
    let (a, b) = split(F32::view(regions.input_b), input * rank);
    let x = rows(F32::view(regions.input_a), input);
    let products = rows_mut(F32::view_mut(regions.scratch), rank);
    let y = rows_mut(F32::view_mut(regions.output), output);
    for ((x, products), y) in x.zip(products).zip(y) {
        for (x, a) in x.iter().zip(rows(a, rank)) {
            for (product, a) in products.iter_mut().zip(a) {
                *product = F32::store(product.load() + x.load() * a.load());
            }
        }
        for (column, y) in y.iter_mut().enumerate() {
            let b = b.iter().skip(column).step_by(output.max(1));
            let sum = products
                .iter()
                .zip(b)
                .fold(0f32, |sum, (product, b)| sum + product.load() * b.load());
            *y = F32::store(y.load() + params.scale * sum);
        }
    }
});
