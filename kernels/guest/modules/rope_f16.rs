//! The module of rope_f16.
#![no_std]

kernel_guest::module!(kernel_core::RopeF16<kernel_guest::ModuleLanes>);
