//! The module of lora_apply_f32.
#![no_std]

kernel_guest::module!(kernel_core::LoraApplyF32<kernel_guest::ModuleLanes>);
