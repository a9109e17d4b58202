//! The module of kv_unpack_q8.
#![no_std]

kernel_guest::module!(kernel_core::KvUnpackQ8<kernel_guest::ModuleLanes>);
