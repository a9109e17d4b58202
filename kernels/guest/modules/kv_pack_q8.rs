//! The module of kv_pack_q8.
#![no_std]

kernel_guest::module!(kernel_core::KvPackQ8<kernel_guest::ModuleLanes>);
