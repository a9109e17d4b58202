//! Single faults: what may stand in the place of an instruction.

use crate::rewrite::{
    Module,
    body::{Body, Placed},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use wasm_encoder::{
    Encode, Instruction, MemArg, MemArgTarget,
    reencode::{Reencode, RoundtripReencoder},
};
use wasmparser::{Operator, ValType};

/// What is wrong with a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Another arithmetic or bitwise operator.
    Operator,
    /// Another comparison.
    Comparison,
    /// Another constant.
    Constant,
    /// Another offset of a load or store.
    Offset,
    /// A load or store of another width or sign.
    Width,
    /// A store, copy or fill left out.
    DroppedStore,
    /// Another local of the same type.
    SwappedLocal,
    /// A condition the other way round.
    NegatedCondition,
    /// Another lane.
    Lane,
    /// A call left out; it returns zeros.
    DroppedCall,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 10] = [
        Kind::Operator,
        Kind::Comparison,
        Kind::Constant,
        Kind::Offset,
        Kind::Width,
        Kind::DroppedStore,
        Kind::SwappedLocal,
        Kind::NegatedCondition,
        Kind::Lane,
        Kind::DroppedCall,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Operator => "operator",
            Kind::Comparison => "comparison",
            Kind::Constant => "constant",
            Kind::Offset => "offset",
            Kind::Width => "width",
            Kind::DroppedStore => "dropped-store",
            Kind::SwappedLocal => "swapped-local",
            Kind::NegatedCondition => "negated-condition",
            Kind::Lane => "lane",
            Kind::DroppedCall => "dropped-call",
        })
    }
}

/// What stands in the place of an instruction.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// The instructions, encoded.
    pub(super) with: Vec<u8>,
}

/// All faults of an instruction; whether the module is valid with one is for the validator to say.
pub(super) fn faults(module: &Module, body: &Body<'_>, placed: &Placed<'_>) -> Vec<Fault> {
    let mut found = Found {
        own: encoded(&placed.operator),
        faults: Vec::new(),
    };
    let operator = &placed.operator;
    for (kind, others) in [
        (Kind::Operator, operators(operator)),
        (Kind::Comparison, comparisons(operator)),
    ] {
        others.iter().for_each(|other| found.add(kind, &[other]));
    }
    constants(operator, &mut found);
    memory(operator, &mut found);
    lanes(operator, &mut found);
    rest(module, body, operator, &mut found);
    found.faults
}

struct Found {
    own: Vec<u8>,
    faults: Vec<Fault>,
}

impl Found {
    fn add(&mut self, kind: Kind, instructions: &[&Instruction<'_>]) {
        let mut with = Vec::new();
        instructions
            .iter()
            .for_each(|instruction| instruction.encode(&mut with));
        let known = self.faults.iter().any(|fault| fault.with == with);
        if with != self.own && !known {
            self.faults.push(Fault { kind, with });
        }
    }

    /// Instructions before the one that there is.
    fn before(&mut self, kind: Kind, instruction: &Instruction<'_>) {
        let mut with = Vec::new();
        instruction.encode(&mut with);
        with.extend_from_slice(&self.own);
        self.faults.push(Fault { kind, with });
    }
}

fn encoded(operator: &Operator<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(instruction) = RoundtripReencoder.instruction(operator.clone()) {
        instruction.encode(&mut bytes);
    }
    bytes
}

/// Instructions that take and give the same types, by name.
macro_rules! others {
    ($operator:expr; $($name:ident => $($other:ident)+),* $(,)?) => {
        match $operator {
            $(Operator::$name => &[$(Instruction::$other),+],)*
            _ => &[],
        }
    };
}

fn operators(operator: &Operator<'_>) -> &'static [Instruction<'static>] {
    others! { operator;
        I32Add => I32Sub, I32Sub => I32Add, I32Mul => I32Add, I32DivS => I32DivU, I32DivU => I32Mul, I32RemS => I32DivS, I32RemU => I32DivU,
        I32And => I32Or, I32Or => I32And I32Xor, I32Xor => I32Or, I32Shl => I32ShrU, I32ShrS => I32ShrU, I32ShrU => I32ShrS I32Shl,
        I32Rotl => I32Rotr, I32Rotr => I32Rotl, I32Clz => I32Ctz, I32Ctz => I32Clz, I32Extend8S => I32Extend16S, I32Extend16S => I32Extend8S,
        I64Add => I64Sub, I64Sub => I64Add, I64Mul => I64Add, I64DivS => I64DivU, I64DivU => I64Mul, I64RemS => I64DivS, I64RemU => I64DivU,
        I64And => I64Or, I64Or => I64And I64Xor, I64Xor => I64Or, I64Shl => I64ShrU, I64ShrS => I64ShrU, I64ShrU => I64ShrS I64Shl,
        I64Rotl => I64Rotr, I64Rotr => I64Rotl, I64Clz => I64Ctz, I64Ctz => I64Clz,
        I64ExtendI32S => I64ExtendI32U, I64ExtendI32U => I64ExtendI32S,
        F32Add => F32Sub, F32Sub => F32Add, F32Mul => F32Div F32Add, F32Div => F32Mul, F32Min => F32Max, F32Max => F32Min, F32Neg => F32Abs,
        F32Abs => F32Neg, F32Ceil => F32Floor, F32Floor => F32Ceil, F32Trunc => F32Nearest, F32Nearest => F32Trunc, F32Sqrt => F32Abs,
        F64Add => F64Sub, F64Sub => F64Add, F64Mul => F64Div F64Add, F64Div => F64Mul, F64Min => F64Max, F64Max => F64Min, F64Neg => F64Abs,
        F64Abs => F64Neg, F64Ceil => F64Floor, F64Floor => F64Ceil, F64Trunc => F64Nearest, F64Nearest => F64Trunc, F64Sqrt => F64Abs,
        F32ConvertI32S => F32ConvertI32U, F32ConvertI32U => F32ConvertI32S, F64ConvertI32S => F64ConvertI32U, F64ConvertI32U => F64ConvertI32S,
        I32TruncSatF32S => I32TruncSatF32U, I32TruncSatF32U => I32TruncSatF32S, I32TruncSatF64S => I32TruncSatF64U,
        I32TruncSatF64U => I32TruncSatF64S,
        F32x4Add => F32x4Sub, F32x4Sub => F32x4Add, F32x4Mul => F32x4Div F32x4Add, F32x4Div => F32x4Mul, F32x4Min => F32x4Max F32x4PMin,
        F32x4Max => F32x4Min F32x4PMax, F32x4PMin => F32x4PMax F32x4Min, F32x4PMax => F32x4PMin F32x4Max, F32x4Neg => F32x4Abs,
        F32x4Abs => F32x4Neg, F32x4Sqrt => F32x4Abs, F32x4Ceil => F32x4Floor, F32x4Floor => F32x4Ceil, F32x4Trunc => F32x4Nearest,
        F32x4Nearest => F32x4Trunc, F32x4ConvertI32x4S => F32x4ConvertI32x4U, F32x4ConvertI32x4U => F32x4ConvertI32x4S,
        F64x2Add => F64x2Sub, F64x2Sub => F64x2Add, F64x2Mul => F64x2Div F64x2Add, F64x2Div => F64x2Mul, F64x2PromoteLowF32x4 => F64x2ConvertLowI32x4S,
        I32x4Add => I32x4Sub, I32x4Sub => I32x4Add, I32x4Mul => I32x4Add, I32x4Shl => I32x4ShrU, I32x4ShrU => I32x4ShrS I32x4Shl,
        I32x4ShrS => I32x4ShrU, I32x4MinS => I32x4MinU I32x4MaxS, I32x4MaxS => I32x4MaxU I32x4MinS, I32x4MinU => I32x4MaxU, I32x4MaxU => I32x4MinU,
        I64x2Add => I64x2Sub, I64x2Sub => I64x2Add, I64x2Shl => I64x2ShrU, I64x2ShrU => I64x2Shl, I64x2ShrS => I64x2ShrU,
        I16x8Add => I16x8Sub, I16x8Sub => I16x8Add, I16x8Mul => I16x8Add, I16x8Shl => I16x8ShrU, I16x8ShrU => I16x8ShrS, I16x8ShrS => I16x8ShrU,
        I8x16Add => I8x16Sub, I8x16Sub => I8x16Add, I8x16Shl => I8x16ShrU, I8x16ShrU => I8x16ShrS, I8x16ShrS => I8x16ShrU,
        I16x8ExtendLowI8x16S => I16x8ExtendLowI8x16U I16x8ExtendHighI8x16S, I16x8ExtendHighI8x16S => I16x8ExtendHighI8x16U I16x8ExtendLowI8x16S,
        I16x8ExtendLowI8x16U => I16x8ExtendLowI8x16S, I16x8ExtendHighI8x16U => I16x8ExtendHighI8x16S,
        I32x4ExtendLowI16x8S => I32x4ExtendLowI16x8U I32x4ExtendHighI16x8S, I32x4ExtendHighI16x8S => I32x4ExtendHighI16x8U I32x4ExtendLowI16x8S,
        I32x4ExtendLowI16x8U => I32x4ExtendLowI16x8S I32x4ExtendHighI16x8U, I32x4ExtendHighI16x8U => I32x4ExtendHighI16x8S I32x4ExtendLowI16x8U,
        I8x16NarrowI16x8S => I8x16NarrowI16x8U, I8x16NarrowI16x8U => I8x16NarrowI16x8S, I16x8NarrowI32x4S => I16x8NarrowI32x4U,
        I16x8NarrowI32x4U => I16x8NarrowI32x4S, I32x4TruncSatF32x4S => I32x4TruncSatF32x4U, I32x4TruncSatF32x4U => I32x4TruncSatF32x4S,
        V128And => V128Or, V128AndNot => V128And, V128Or => V128And V128Xor, V128Xor => V128Or,
    }
}

fn comparisons(operator: &Operator<'_>) -> &'static [Instruction<'static>] {
    others! { operator;
        I32Eq => I32Ne, I32Ne => I32Eq, I32LtS => I32LeS I32LtU I32GeS, I32LtU => I32LeU I32LtS I32GeU, I32GtS => I32GeS I32GtU I32LeS,
        I32GtU => I32GeU I32GtS I32LeU, I32LeS => I32LtS I32LeU I32GtS, I32LeU => I32LtU I32LeS I32GtU, I32GeS => I32GtS I32GeU I32LtS,
        I32GeU => I32GtU I32GeS I32LtU,
        I64Eq => I64Ne, I64Ne => I64Eq, I64LtS => I64LeS I64LtU I64GeS, I64LtU => I64LeU I64LtS I64GeU, I64GtS => I64GeS I64GtU I64LeS,
        I64GtU => I64GeU I64GtS I64LeU, I64LeS => I64LtS I64LeU I64GtS, I64LeU => I64LtU I64LeS I64GtU, I64GeS => I64GtS I64GeU I64LtS,
        I64GeU => I64GtU I64GeS I64LtU,
        F32Eq => F32Ne, F32Ne => F32Eq, F32Lt => F32Le F32Ge, F32Gt => F32Ge F32Le, F32Le => F32Lt F32Gt, F32Ge => F32Gt F32Lt,
        F64Eq => F64Ne, F64Ne => F64Eq, F64Lt => F64Le F64Ge, F64Gt => F64Ge F64Le, F64Le => F64Lt F64Gt, F64Ge => F64Gt F64Lt,
        F32x4Eq => F32x4Ne, F32x4Ne => F32x4Eq, F32x4Lt => F32x4Le F32x4Ge, F32x4Gt => F32x4Ge F32x4Le, F32x4Le => F32x4Lt F32x4Gt,
        F32x4Ge => F32x4Gt F32x4Lt,
        I32x4Eq => I32x4Ne, I32x4Ne => I32x4Eq, I32x4LtS => I32x4LeS I32x4LtU, I32x4LtU => I32x4LeU I32x4LtS, I32x4GtS => I32x4GeS I32x4GtU,
        I32x4GtU => I32x4GeU I32x4GtS, I32x4LeS => I32x4LtS, I32x4LeU => I32x4LtU, I32x4GeS => I32x4GtS, I32x4GeU => I32x4GtU,
        I16x8Eq => I16x8Ne, I16x8GtS => I16x8GeS, I16x8LtS => I16x8LeS, I8x16Eq => I8x16Ne,
        V128AnyTrue => I32x4AllTrue, I32x4AllTrue => V128AnyTrue,
    }
}

fn constants(operator: &Operator<'_>, found: &mut Found) {
    let kind = Kind::Constant;
    match *operator {
        Operator::I32Const { value } => {
            for other in [value.wrapping_add(1), value.wrapping_sub(1), 0] {
                found.add(kind, &[&Instruction::I32Const(other)]);
            }
        }
        Operator::I64Const { value } => {
            for other in [value.wrapping_add(1), value.wrapping_sub(1), 0] {
                found.add(kind, &[&Instruction::I64Const(other)]);
            }
        }
        Operator::F32Const { value } => {
            let value = f32::from_bits(value.bits());
            for other in [value.next_up(), -value, value * 2.0] {
                found.add(kind, &[&Instruction::F32Const(other.into())]);
            }
        }
        Operator::F64Const { value } => {
            let value = f64::from_bits(value.bits());
            // The next value would mostly be lost when the result is rounded to f32: an ulp of that.
            let next = f64::from_bits(value.to_bits().wrapping_add(1 << 29));
            for other in [next, -value, value * 2.0] {
                found.add(kind, &[&Instruction::F64Const(other.into())]);
            }
        }
        Operator::V128Const { value } => {
            let value = value.i128();
            for other in [value ^ 1, value ^ (1 << 64), 0] {
                found.add(kind, &[&Instruction::V128Const(other)]);
            }
        }
        _ => {}
    }
}

/// Loads and stores: by name, the binary logarithm of the bytes, and those of another width.
macro_rules! memory_operators {
    ($operator:expr, $found:expr, $drops:expr; $($name:ident $log:literal => $($other:ident $other_log:literal)*),* $(,)?) => {
        match $operator {
            $(Operator::$name { memarg } => {
                let own = argument(memarg, $log);
                let bytes = 1_u64 << $log;
                for offset in [own.offset.wrapping_add(bytes), own.offset.wrapping_sub(bytes), own.offset + 1] {
                    if offset <= u64::from(u32::MAX) {
                        $found.add(Kind::Offset, &[&Instruction::$name(MemArg { offset, ..own })]);
                    }
                }
                $($found.add(Kind::Width, &[&Instruction::$other(argument(memarg, $other_log))]);)*
                if $drops {
                    $found.add(Kind::DroppedStore, &[&Instruction::Drop, &Instruction::Drop]);
                }
            })*
            _ => {}
        }
    };
}

/// The argument with an alignment that the width allows.
fn argument(memarg: &wasmparser::MemArg, log: u32) -> MemArg {
    MemArg {
        offset: memarg.offset,
        align: u32::from(memarg.align).min(log),
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

fn memory(operator: &Operator<'_>, found: &mut Found) {
    memory_operators! { operator, found, false;
        I32Load 2 => I32Load16U 1 I32Load8U 0, I32Load8U 0 => I32Load8S 0 I32Load16U 1, I32Load8S 0 => I32Load8U 0,
        I32Load16U 1 => I32Load16S 1 I32Load8U 0, I32Load16S 1 => I32Load16U 1, I64Load 3 => I64Load32U 2 I64Load16U 1,
        I64Load32U 2 => I64Load32S 2 I64Load 3, I64Load32S 2 => I64Load32U 2, I64Load16U 1 => I64Load16S 1, I64Load16S 1 => I64Load16U 1,
        I64Load8U 0 => I64Load8S 0, I64Load8S 0 => I64Load8U 0, F32Load 2 =>, F64Load 3 =>,
        V128Load 4 => V128Load64Zero 3, V128Load32Splat 2 => V128Load32Zero 2, V128Load64Zero 3 => V128Load32Zero 2, V128Load32Zero 2 => V128Load64Zero 3,
        V128Load16Splat 1 => V128Load32Splat 2, V128Load8x8S 3 => V128Load8x8U 3, V128Load8x8U 3 => V128Load8x8S 3,
        V128Load16x4S 3 => V128Load16x4U 3, V128Load16x4U 3 => V128Load16x4S 3,
    }
    memory_operators! { operator, found, true;
        I32Store 2 => I32Store16 1 I32Store8 0, I32Store16 1 => I32Store8 0 I32Store 2, I32Store8 0 => I32Store16 1, I64Store 3 => I64Store32 2,
        I64Store32 2 => I64Store16 1 I64Store 3, I64Store16 1 => I64Store8 0, I64Store8 0 => I64Store16 1, F32Store 2 =>, F64Store 3 =>,
        V128Store 4 =>,
    }
}

fn lanes(operator: &Operator<'_>, found: &mut Found) {
    /// Instructions of one lane, with how many there are.
    macro_rules! lane_operators {
        ($($name:ident $count:literal),*) => {
            match *operator {
                $(Operator::$name { lane } => {
                    for other in [(lane + 1) % $count, (lane + $count - 1) % $count] {
                        found.add(Kind::Lane, &[&Instruction::$name(other)]);
                    }
                })*
                Operator::I8x16Shuffle { lanes } => {
                    let mut swapped = lanes;
                    swapped.swap(0, 4);
                    let mut turned = lanes;
                    turned.rotate_left(1);
                    let mut first = lanes;
                    first[15] = (first[15] + 1) % 32;
                    for other in [swapped, turned, first] {
                        found.add(Kind::Lane, &[&Instruction::I8x16Shuffle(other)]);
                    }
                }
                _ => {}
            }
        };
    }
    lane_operators!(
        I8x16ExtractLaneS 16,
        I8x16ExtractLaneU 16,
        I8x16ReplaceLane 16,
        I16x8ExtractLaneS 8,
        I16x8ExtractLaneU 8,
        I16x8ReplaceLane 8,
        I32x4ExtractLane 4,
        I32x4ReplaceLane 4,
        I64x2ExtractLane 2,
        I64x2ReplaceLane 2,
        F32x4ExtractLane 4,
        F32x4ReplaceLane 4,
        F64x2ExtractLane 2,
        F64x2ReplaceLane 2
    );
    match operator {
        Operator::V128Store32Lane { memarg, lane } => {
            let (memarg, lane) = (argument(memarg, 2), (lane + 1) % 4);
            found.add(
                Kind::Lane,
                &[&Instruction::V128Store32Lane { memarg, lane }],
            );
            let drops = [&Instruction::Drop, &Instruction::Drop];
            found.add(Kind::DroppedStore, &drops);
        }
        Operator::V128Store64Lane { memarg, lane } => {
            let (memarg, lane) = (argument(memarg, 3), (lane + 1) % 2);
            found.add(
                Kind::Lane,
                &[&Instruction::V128Store64Lane { memarg, lane }],
            );
            let drops = [&Instruction::Drop, &Instruction::Drop];
            found.add(Kind::DroppedStore, &drops);
        }
        _ => {}
    }
}

fn rest(module: &Module, body: &Body<'_>, operator: &Operator<'_>, found: &mut Found) {
    let drop = &Instruction::Drop;
    match *operator {
        Operator::I32Eqz => {
            let not = [&Instruction::I32Const(0), &Instruction::I32Ne];
            found.add(Kind::Comparison, &not);
        }
        Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => {
            found.add(Kind::DroppedStore, &[drop, drop, drop]);
        }
        Operator::GlobalSet { .. } => found.add(Kind::DroppedStore, &[drop]),
        Operator::LocalGet { local_index } => {
            for other in alike(body, local_index) {
                found.add(Kind::SwappedLocal, &[&Instruction::LocalGet(other)]);
            }
        }
        Operator::LocalSet { local_index } => {
            for other in alike(body, local_index) {
                found.add(Kind::SwappedLocal, &[&Instruction::LocalSet(other)]);
            }
        }
        Operator::LocalTee { local_index } => {
            for other in alike(body, local_index) {
                found.add(Kind::SwappedLocal, &[&Instruction::LocalTee(other)]);
            }
        }
        Operator::BrIf { .. } | Operator::If { .. } | Operator::Select => {
            found.before(Kind::NegatedCondition, &Instruction::I32Eqz);
        }
        Operator::Call { function_index } => {
            let Some(kind) = module.function(function_index) else {
                return;
            };
            let mut instead = vec![Instruction::Drop; kind.params().len()];
            instead.extend(kind.results().iter().filter_map(|kind| zero(*kind)));
            found.add(Kind::DroppedCall, &instead.iter().collect::<Vec<_>>());
        }
        _ => {}
    }
}

/// The locals of the same type next to a local, on both sides.
fn alike(body: &Body<'_>, local: u32) -> impl Iterator<Item = u32> {
    let local = local as usize;
    let kind = body.locals.get(local);
    let is_alike = |other: &usize| body.locals.get(*other) == kind;
    let after = (local + 1..body.locals.len()).find(is_alike);
    let before = (0..local).rev().find(is_alike);
    [after, before]
        .into_iter()
        .flatten()
        .map(|other| other as u32)
}

fn zero(kind: ValType) -> Option<Instruction<'static>> {
    Some(match kind {
        ValType::I32 => Instruction::I32Const(0),
        ValType::I64 => Instruction::I64Const(0),
        ValType::F32 => Instruction::F32Const(0.0.into()),
        ValType::F64 => Instruction::F64Const(0.0.into()),
        ValType::V128 => Instruction::V128Const(0),
        ValType::Ref(_) => return None,
    })
}
