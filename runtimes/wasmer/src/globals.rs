//! Globals that inserted code needs.

use wasmer::{GlobalInit, GlobalType, ModuleInfo, Mutability, Type};

/// Adds a mutable global to a module; its index.
pub(crate) fn add(module: &mut ModuleInfo, of: Type, initially: GlobalInit) -> u32 {
    module.global_initializers.push(initially);
    module
        .globals
        .push(GlobalType::new(of, Mutability::Var))
        .as_u32()
}
