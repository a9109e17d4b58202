//! The module of rmsnorm_f16.
#![no_std]

kernel_guest::module!(kernel_core::RmsNormF16<kernel_guest::ModuleLanes>);
