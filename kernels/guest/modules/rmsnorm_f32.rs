//! The module of rmsnorm_f32.
#![no_std]

kernel_guest::module!(kernel_core::RmsNormF32<kernel_guest::ModuleLanes>);
