//! The module of kv_unpack_q4.
#![no_std]

kernel_guest::module!(kernel_core::KvUnpackQ4<kernel_guest::ModuleLanes>);
