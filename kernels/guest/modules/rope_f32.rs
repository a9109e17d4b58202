//! The module of rope_f32.
#![no_std]

kernel_guest::module!(kernel_core::RopeF32<kernel_guest::ModuleLanes>);
