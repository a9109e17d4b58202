//! The module of kv_pack_q4.
#![no_std]

kernel_guest::module!(kernel_core::KvPackQ4<kernel_guest::ModuleLanes>);
