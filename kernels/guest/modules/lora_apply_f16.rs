//! The module of lora_apply_f16.
#![no_std]

kernel_guest::module!(kernel_core::LoraApplyF16<kernel_guest::ModuleLanes>);
