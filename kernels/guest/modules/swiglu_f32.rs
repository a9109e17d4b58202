//! The module of swiglu_f32.
#![no_std]

kernel_guest::module!(kernel_core::SwigluF32<kernel_guest::ModuleLanes>);
