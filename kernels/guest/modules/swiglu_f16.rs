//! The module of swiglu_f16.
#![no_std]

kernel_guest::module!(kernel_core::SwigluF16<kernel_guest::ModuleLanes>);
