//! A kernel's module with something planted in its entry point: a counter of calls, and what happens at one of them.
//!
//! The function that is exported keeps its index and its type. Its code moves to a function behind all others, which it calls.

use crate::rewrite::{Added, Change, Exported, Module, number, section};
use fastrand::Rng;
use runtime_api::Trap;
use std::collections::{BTreeMap, HashMap};
use wasm_encoder::{BlockType, Function, Instruction, MemArg, MemArgTarget};
use wasmparser::{BinaryReaderError, ValType};

/// What a planted kernel does at one of its calls, or at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It traps, in one of the ways of [`TRAPS`].
    Trap(usize),
    /// It computes again and again.
    Endless,
    /// It grows memory to one page more than it may have, and then, if there is room, by one page. It returns `refused` where the first did not fail,
    /// or the second did.
    Growth {
        /// Pages that it may have.
        limit: u32,
        /// Pages that it grows by: 1 or 0.
        by: u32,
        /// The status.
        refused: i32,
    },
    /// It writes a word where nothing of the call is.
    Stray {
        /// The address.
        at: u32,
        /// The word.
        word: u32,
    },
    /// It writes a word into its output.
    Answer {
        /// Bytes from the output's begin.
        offset: u32,
        /// The word.
        word: u32,
    },
    /// It writes at each call how many there were.
    Count {
        /// The address.
        at: u32,
    },
}

/// Ways to trap, and what comes of each.
pub(super) static TRAPS: [(Trap, &[Instruction<'static>]); 10] = [
    (Trap::Unreachable, &[Instruction::Unreachable]),
    (
        Trap::MemoryAccessViolation,
        &[
            Instruction::I32Const(-4),
            Instruction::I32Load(WORD),
            Instruction::Drop,
        ],
    ),
    (
        Trap::MemoryAccessViolation,
        &[
            Instruction::I32Const(-1),
            Instruction::LocalGet(DESCRIPTOR),
            Instruction::I32Store(WORD),
        ],
    ),
    (
        Trap::IntegerDivideByZero,
        &[
            Instruction::LocalGet(DESCRIPTOR),
            Instruction::I32Const(0),
            Instruction::I32DivU,
            Instruction::Drop,
        ],
    ),
    (
        Trap::IntegerOverflow,
        &[
            Instruction::I32Const(i32::MIN),
            Instruction::I32Const(-1),
            Instruction::I32DivS,
            Instruction::Drop,
        ],
    ),
    (
        Trap::InvalidConversionToInteger,
        &[
            Instruction::I32Const(0x7fc0_0000),
            Instruction::F32ReinterpretI32,
            Instruction::I32TruncF32S,
            Instruction::Drop,
        ],
    ),
    (
        Trap::IntegerOverflow,
        &[
            // 2^64.
            Instruction::I64Const(0x43f0_0000_0000_0000),
            Instruction::F64ReinterpretI64,
            Instruction::I64TruncF64U,
            Instruction::Drop,
        ],
    ),
    (
        Trap::IntegerDivideByZero,
        &[
            Instruction::I64Const(1),
            Instruction::LocalGet(DESCRIPTOR),
            Instruction::I32Const(0),
            Instruction::I32And,
            Instruction::I64ExtendI32U,
            Instruction::I64RemS,
            Instruction::Drop,
        ],
    ),
    (
        Trap::IntegerOverflow,
        &[
            Instruction::I64Const(i64::MIN),
            Instruction::I64Const(-1),
            Instruction::I64DivS,
            Instruction::Drop,
        ],
    ),
    (
        Trap::MemoryAccessViolation,
        &[
            Instruction::LocalGet(DESCRIPTOR),
            Instruction::I32Const(i32::MIN),
            Instruction::I32Or,
            Instruction::I32Load8U(MemArg {
                // Beyond 32 bits.
                offset: u32::MAX as u64,
                ..WORD
            }),
            Instruction::Drop,
        ],
    ),
];

/// How a call is counted and recognised: not two runs have the same code before a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// What a call adds to the counter.
    step: u32,
    /// How the counter is held against the call.
    form: u8,
    /// Locals that nobody uses.
    locals: u32,
}

impl Style {
    /// Any; a fault that shows its counter counts by one.
    pub(super) fn drawn(fault: &Fault, random: &mut Rng) -> Self {
        Self {
            step: match fault {
                Fault::Count { .. } => 1,
                _ => random.u32(..) | 1,
            },
            form: random.u8(..4),
            locals: random.u32(..4),
        }
    }

    /// Instructions that give whether the counter is at a call.
    fn is_at(self, counter: u32, call: u32) -> Vec<Instruction<'static>> {
        let due = Instruction::I32Const(call.wrapping_mul(self.step).cast_signed());
        let now = Instruction::GlobalGet(counter);
        match self.form {
            0 => vec![now, due, Instruction::I32Eq],
            1 => vec![due, now, Instruction::I32Xor, Instruction::I32Eqz],
            2 => vec![now, due, Instruction::I32Sub, Instruction::I32Eqz],
            _ => vec![due, now, Instruction::I32Ne, Instruction::I32Eqz],
        }
    }
}

/// The entry point's parameter: a descriptor's address.
const DESCRIPTOR: u32 = 0;
/// A local for the status.
const STATUS: u32 = 1;
/// Bytes of a descriptor before the address of the output.
const OUTPUT_ADDRESS: u64 = 16;
/// A word at the address itself. No alignment is promised.
const WORD: MemArg = MemArg {
    offset: 0,
    align: 0,
    target: MemArgTarget::Memory(0),
    ordering: None,
};

/// Why a module cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlantError {
    #[error("decode the module: {0}")]
    Undecoded(#[from] BinaryReaderError),
    #[error("find the function `{0}` in the module")]
    NoFunction(String),
}

impl Fault {
    /// The module with this planted in its function `entry`, at that call of an instance, from 1.
    pub(super) fn plant(
        &self,
        wasm: &[u8],
        entry: &str,
        call: u32,
        style: Style,
    ) -> Result<Vec<u8>, PlantError> {
        let module = Module::of(wasm.to_vec())?;
        let no_function = || PlantError::NoFunction(entry.to_owned());
        let Some(Exported::Function(function)) = module.export(entry) else {
            return Err(no_function());
        };
        let index = function.checked_sub(module.imported_functions());
        let index = index.ok_or_else(no_function)? as usize;
        let body = module.body(index)?;
        let (Some(first), Some(last)) = (body.operators.first(), body.operators.last()) else {
            return Err(no_function());
        };
        let own = body.locals.iter().skip(1).map(|kind| number(*kind));
        let mut kernel = Function::new_with_locals_types(own);
        kernel.raw(
            module.wasm[first.bytes.start..last.bytes.end]
                .iter()
                .copied(),
        );

        let mut added = Added::default();
        let counter = module.globals.len() as u32;
        added.counter();
        let one = [ValType::I32];
        let kernel = added.inner_function(&module, (&one, &one), &kernel);
        let entry = self.entry_point(kernel, counter, call, style);
        let bodies = HashMap::from([(index, entry.into_raw_body())]);
        let mut changes = BTreeMap::from([(
            section::CODE,
            Change {
                contents: Some(module.code(&bodies)),
                ..Change::default()
            },
        )]);
        added.into_changes(&mut changes);
        Ok(module.assemble(&changes)?)
    }

    /// Counts, does what comes before the kernel, calls it, does what comes after it.
    fn entry_point(&self, kernel: u32, counter: u32, call: u32, style: Style) -> Function {
        let locals = (0..=style.locals).map(|_| wasm_encoder::ValType::I32);
        let mut function = Function::new_with_locals_types(locals);
        let mut add = |instructions: &[Instruction<'_>]| {
            for instruction in instructions {
                function.instruction(instruction);
            }
        };
        let mut now = style.is_at(counter, call);
        now.push(Instruction::If(BlockType::Empty));
        add(&[
            Instruction::GlobalGet(counter),
            Instruction::I32Const(style.step.cast_signed()),
            Instruction::I32Add,
            Instruction::GlobalSet(counter),
        ]);
        add(&now);
        add(&self.before(kernel));
        add(&[
            Instruction::End,
            Instruction::LocalGet(DESCRIPTOR),
            Instruction::Call(kernel),
            Instruction::LocalSet(STATUS),
        ]);
        if let Fault::Count { at } = self {
            add(&[
                Instruction::I32Const(at.cast_signed()),
                Instruction::GlobalGet(counter),
                Instruction::I32Store(WORD),
            ]);
        }
        add(&now);
        add(&self.after());
        add(&[
            Instruction::End,
            Instruction::LocalGet(STATUS),
            Instruction::End,
        ]);
        function
    }

    fn before(&self, kernel: u32) -> Vec<Instruction<'static>> {
        match self {
            Fault::Trap(way) => TRAPS[*way].1.to_vec(),
            Fault::Endless => vec![
                Instruction::Loop(BlockType::Empty),
                Instruction::LocalGet(DESCRIPTOR),
                Instruction::Call(kernel),
                Instruction::Drop,
                Instruction::Br(0),
                Instruction::End,
            ],
            Fault::Growth { limit, by, refused } => vec![
                Instruction::I32Const(limit.cast_signed()),
                Instruction::MemorySize(0),
                Instruction::I32Sub,
                Instruction::I32Const(1),
                Instruction::I32Add,
                Instruction::MemoryGrow(0),
                Instruction::I32Const(-1),
                Instruction::I32Ne,
                Instruction::I32Const(by.cast_signed()),
                Instruction::MemoryGrow(0),
                Instruction::I32Const(-1),
                Instruction::I32Eq,
                Instruction::I32Or,
                Instruction::If(BlockType::Empty),
                Instruction::I32Const(*refused),
                Instruction::Return,
                Instruction::End,
            ],
            Fault::Stray { .. } | Fault::Answer { .. } | Fault::Count { .. } => Vec::new(),
        }
    }

    fn after(&self) -> Vec<Instruction<'static>> {
        match self {
            Fault::Stray { at, word } => vec![
                Instruction::I32Const(at.cast_signed()),
                Instruction::I32Const(word.cast_signed()),
                Instruction::I32Store(WORD),
            ],
            Fault::Answer { offset, word } => vec![
                Instruction::LocalGet(DESCRIPTOR),
                Instruction::I32Load(MemArg {
                    offset: OUTPUT_ADDRESS,
                    ..WORD
                }),
                Instruction::I32Const(offset.cast_signed()),
                Instruction::I32Add,
                Instruction::I32Const(word.cast_signed()),
                Instruction::I32Store(WORD),
            ],
            Fault::Trap(_) | Fault::Endless | Fault::Growth { .. } | Fault::Count { .. } => {
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_api::{Budget, Error, Limits, Options};
    use std::collections::BTreeSet;

    const KERNEL: &str = r#"(module (memory (export "memory") 1)
        (func (export "kernel_forward") (param i32) (result i32) local.get 0))"#;

    fn options() -> Options {
        Options {
            limits: Limits {
                max_memory_pages: 2,
                max_table_elements: 0,
                max_stack_bytes: 1 << 16,
            },
            metering: runtime_api::BudgetKind::None,
        }
    }

    /// What the first calls of an instance come to.
    fn calls(wasm: &[u8], count: u32) -> Vec<Result<i32, Error>> {
        let runtime = runtime_wasmi::runtime().unwrap();
        let module = runtime.compile(wasm, &options()).unwrap();
        let mut instance = module.instantiate(Budget::None).unwrap();
        let entry = instance.entry("kernel_forward", 1).unwrap();
        let calls = 0..count;
        calls
            .map(|argument| instance.call(entry, &[argument], Budget::None))
            .collect()
    }

    #[test]
    fn every_trap_comes_at_its_call_whatever_the_style() {
        let wasm = wat::parse_str(KERNEL).unwrap();
        let mut random = Rng::with_seed(7);
        let mut modules = BTreeSet::new();
        for (way, (due, _)) in TRAPS.iter().enumerate() {
            for _ in 0..8 {
                let fault = Fault::Trap(way);
                let style = Style::drawn(&fault, &mut random);
                let call = random.u32(1..6);
                let planted = fault.plant(&wasm, "kernel_forward", call, style).unwrap();
                let mut ended = calls(&planted, call);
                let last = ended.pop().unwrap();
                assert!(
                    matches!(&last, Err(Error::Trap { trap, .. }) if trap == due),
                    "{way} {style:?}: {last:?} where {due} is due"
                );
                let before: Vec<i32> = ended.into_iter().map(Result::unwrap).collect();
                assert_eq!(before, (0..call as i32 - 1).collect::<Vec<_>>());
                modules.insert(planted);
            }
        }
        // Nobody knows one by its bytes.
        assert!(modules.len() > 8 * TRAPS.len() - 4, "{}", modules.len());
    }
}
