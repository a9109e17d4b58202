//! The module of rope_q8.
#![no_std]

kernel_guest::module!(kernel_core::RopeQ8<kernel_guest::ModuleLanes>);
