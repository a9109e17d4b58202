use serde::{Deserialize, Serialize};
use std::fmt;

/// A form in which an engine may show what it makes of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Cranelift's intermediate representation, as Cranelift gets it from the translation of wasm.
    Clif,
    /// LLVM's intermediate representation, before LLVM optimises it.
    LlvmIrUnoptimized,
    /// LLVM's intermediate representation, after LLVM has optimised it.
    LlvmIr,
    /// The instructions that are executed: of the machine, or of the engine's bytecode.
    Asm,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Clif => "clif",
            Form::LlvmIrUnoptimized => "llvm-ir-unoptimized",
            Form::LlvmIr => "llvm-ir",
            Form::Asm => "asm",
        })
    }
}
