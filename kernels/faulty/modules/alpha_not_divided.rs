//! lora_apply_f32 that scales by alpha instead of by alpha / rank.
#![no_std]

use kernel_abi::params::Lora;
use kernel_core::{LoraApplyF32, Regions};

kernel_faulty::faulty!(LoraApplyF32, |params: &Lora, regions: Regions<'_>| {
    let alpha = Lora {
        scale: params.scale * params.rank as f32,
        ..*params
    };
    <LoraApplyF32>::run(&alpha, regions);
});
