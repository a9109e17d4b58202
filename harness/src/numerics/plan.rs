//! Operations with their operands, their due results and the modules that run them: made once, run on every engine.

use super::{
    grid,
    operation::{Compare, Group, Operand, Operation, Source, Type},
    oracle::{lanes, mask, vector},
};
use anyhow::{Context, Result};
use std::fmt::Write as _;

/// Where the results of the constant form lie; records of operands and results lie below.
pub(super) const CONSTANTS: u32 = 0xf800;
/// Bytes of a result of the constant form.
pub(super) const CONSTANT_BYTES: u32 = 16;
/// How many tuples of operands the constant form has.
const CONSTANT_TUPLES: usize = 6;
/// Pages of memory of every module.
pub(super) const PAGES: u32 = 1;
/// What results hold before they are written.
const UNWRITTEN: u8 = 0xd5;

/// All there is to run.
pub struct Plan {
    pub(super) modules: Vec<Part>,
}

/// A module and what it computes.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) feature: Option<&'static str>,
    pub(super) wasm: Vec<u8>,
    pub(super) probes: Vec<Probe>,
}

/// An operation with its operands and due results.
pub(super) struct Probe {
    pub(super) operation: Operation,
    pub(super) tuples: Vec<Vec<u128>>,
    pub(super) due: Vec<u128>,
    /// Indices of the tuples that are also run as constants.
    pub(super) constants: Vec<usize>,
}

impl Plan {
    /// All operations.
    ///
    /// # Errors
    /// If a module's text is wrong: a defect of the harness.
    pub fn new() -> Result<Plan> {
        let groups = super::operation::scalar()
            .into_iter()
            .chain(super::simd::vectors());
        let modules = groups.map(Part::new).collect::<Result<_>>()?;
        Ok(Plan { modules })
    }

    /// Number of operations.
    pub fn operations(&self) -> usize {
        self.modules.iter().map(|part| part.probes.len()).sum()
    }
}

impl Part {
    fn new(group: Group) -> Result<Part> {
        let probes: Vec<Probe> = group.operations.into_iter().map(Probe::new).collect();
        let wasm = module(&probes)
            .with_context(|| format!("failed to build the numeric module `{}`", group.name))?;
        Ok(Part {
            name: group.name,
            feature: group.feature,
            wasm,
            probes,
        })
    }
}

/// The module that runs these operations.
///
/// # Errors
/// If its text is wrong: a defect of the harness.
pub(super) fn module<'a>(probes: impl IntoIterator<Item = &'a Probe>) -> Result<Vec<u8>> {
    let mut text = format!("(module (memory (export \"memory\") {PAGES} {PAGES})\n");
    for probe in probes {
        text += &probe.functions();
    }
    text += ")";
    Ok(wat::parse_str(text)?)
}

impl Probe {
    fn new(operation: Operation) -> Probe {
        let (mut tuples, mut due) = (Vec::new(), Vec::new());
        for tuple in tuples_of(&operation.operands) {
            // Traps are the trap checks' business.
            if let Some(result) = (operation.oracle)(&tuple) {
                tuples.push(tuple);
                due.push(operation.compare.quieted(result));
            }
        }
        let mut constants: Vec<usize> = Vec::new();
        if operation.source == Source::Stack {
            // The second tuple, in which zeros of both signs meet, and others from all over.
            let spread = (0..CONSTANT_TUPLES - 1)
                .map(|i| (2 * i + 1) * tuples.len() / (2 * CONSTANT_TUPLES - 2));
            constants = std::iter::once(1).chain(spread).collect();
            constants.dedup();
        }
        Probe {
            operation,
            tuples,
            due,
            constants,
        }
    }

    /// The export that runs over operands in memory.
    pub(super) fn export(&self) -> &str {
        &self.operation.name
    }

    /// The export that runs over constants.
    pub(super) fn constant_export(&self) -> String {
        format!("{} constant", self.operation.name)
    }

    /// Bytes of an operand or a result in a record.
    fn slot(&self) -> u32 {
        let operation = &self.operation;
        let wide = operation.result == Type::V128
            || operation
                .operands
                .iter()
                .any(|operand| operand.kind == Type::V128);
        if wide { 16 } else { 8 }
    }

    /// Bytes of a record: the operands, then the result.
    pub(super) fn stride(&self) -> u32 {
        self.slot() * (self.operation.operands.len() as u32 + 1)
    }

    /// What memory holds from address 0 before the operation runs, or after it with these results.
    pub(super) fn records(&self, results: Option<&[u128]>) -> Vec<u8> {
        let slot = self.slot() as usize;
        let mut bytes = Vec::new();
        for (index, tuple) in self.tuples.iter().enumerate() {
            for operand in tuple {
                bytes.extend_from_slice(&operand.to_le_bytes()[..slot]);
            }
            match results {
                Some(results) => {
                    let size = (self.operation.result.width() / 8) as usize;
                    bytes.extend_from_slice(&results[index].to_le_bytes()[..size]);
                    bytes.resize(bytes.len() + slot - size, UNWRITTEN);
                }
                None => bytes.resize(bytes.len() + slot, UNWRITTEN),
            }
        }
        bytes
    }

    /// The results in records.
    pub(super) fn results(&self, records: &[u8]) -> Vec<u128> {
        let (slot, stride) = (self.slot() as usize, self.stride() as usize);
        let from = stride - slot;
        records
            .chunks_exact(stride)
            .map(|record| self.result(&record[from..]))
            .collect()
    }

    /// The result at the start of `bytes`.
    pub(super) fn result(&self, bytes: &[u8]) -> u128 {
        let size = (self.operation.result.width() / 8) as usize;
        let lowest_last = bytes[..size].iter().rev();
        lowest_last.fold(0, |value, byte| value << 8 | u128::from(*byte))
    }

    /// Bytes of the results of the constant form.
    pub(super) fn constant_bytes(&self) -> u32 {
        CONSTANT_BYTES * self.constants.len() as u32
    }

    fn functions(&self) -> String {
        let operation = &self.operation;
        let (name, slot, stride) = (&operation.name, self.slot(), self.stride());
        let result = operation.result.name();
        let at = "(local.get $at)";
        let value = match operation.source {
            Source::Memory => format!("({name} {at})"),
            Source::Stack => {
                let loads = operation
                    .operands
                    .iter()
                    .enumerate()
                    .map(|(index, operand)| {
                        format!(
                            "({}.load offset={} {at})",
                            operand.kind.name(),
                            index as u32 * slot
                        )
                    });
                format!("({name} {})", loads.collect::<Vec<_>>().join(" "))
            }
        };
        let mut text = format!(
            r#"(func (export "{name}") (param $count i32) (result i32) (local $at i32) (local $end i32)
                (local.set $end (i32.mul (local.get $count) (i32.const {stride})))
                (loop $next
                    ({result}.store offset={} {at} {value})
                    (br_if $next (i32.lt_u
                        (local.tee $at (i32.add {at} (i32.const {stride})))
                        (local.get $end))))
                {at})
            "#,
            stride - slot
        );
        if !self.constants.is_empty() {
            let _ = write!(
                text,
                r#"(func (export "{}") (param $at i32) (result i32)"#,
                self.constant_export()
            );
            for (index, &tuple) in self.constants.iter().enumerate() {
                let constants = self.tuples[tuple].iter().zip(&operation.operands);
                let constants: Vec<_> = constants
                    .map(|(&bits, operand)| constant(operand.kind, bits))
                    .collect();
                let offset = index as u32 * CONSTANT_BYTES;
                let _ = writeln!(
                    text,
                    "({result}.store offset={offset} {at} ({name} {}))",
                    constants.join(" ")
                );
            }
            text += "(local.get $at))\n";
        }
        text
    }
}

/// A constant in text that gives exactly these bits.
fn constant(kind: Type, bits: u128) -> String {
    match kind {
        Type::I32 => format!("(i32.const {bits:#x})"),
        Type::I64 => format!("(i64.const {bits:#x})"),
        Type::F32 => format!("(f32.const {})", float(bits as u64, 8, 23)),
        Type::F64 => format!("(f64.const {})", float(bits as u64, 11, 52)),
        Type::V128 => format!(
            "(v128.const i64x2 {:#x} {:#x})",
            bits as u64,
            (bits >> 64) as u64
        ),
    }
}

/// A float of so many bits of exponent and fraction, as text.
fn float(bits: u64, exponent_bits: u32, fraction_bits: u32) -> String {
    let sign = if bits >> (exponent_bits + fraction_bits) == 0 {
        ""
    } else {
        "-"
    };
    let special = (1 << exponent_bits) - 1;
    let exponent = bits >> fraction_bits & special;
    let fraction = bits & ((1 << fraction_bits) - 1);
    if exponent == special {
        return if fraction == 0 {
            format!("{sign}inf")
        } else {
            format!("{sign}nan:{fraction:#x}")
        };
    }
    let whole = if exponent == 0 {
        fraction
    } else {
        fraction | 1 << fraction_bits
    };
    let bias = (special / 2 + u64::from(fraction_bits)) as i64;
    format!("{sign}{whole:#x}p{}", exponent.max(1) as i64 - bias)
}

/// The operands of an instruction: all combinations of its operands' values. Lanes of vectors are combined with each other,
/// and packed into as few vectors as hold them.
fn tuples_of(operands: &[Operand]) -> Vec<Vec<u128>> {
    let values = if operands.len() == 1 {
        grid::long
    } else {
        grid::short
    };
    let is_vector = |operand: &&Operand| operand.kind == Type::V128;
    let in_lanes: Vec<Vec<u64>> = operands
        .iter()
        .filter(is_vector)
        .map(|operand| values(operand.lane))
        .collect();
    let scalars: Vec<Vec<u64>> = operands
        .iter()
        .filter(|operand| !is_vector(operand))
        .map(|operand| values(operand.lane))
        .collect();
    let scalars: Vec<Vec<u128>> = combinations(&scalars)
        .into_iter()
        .map(|tuple| tuple.into_iter().map(u128::from).collect())
        .collect();
    let Some(first) = operands.iter().find(is_vector) else {
        return scalars;
    };
    let width = first.lane.width();
    let mut packed = combinations(&in_lanes);
    let mut vectors = pack(width, &packed);
    if operands.len() == 1 {
        // Every value in another lane, and in all lanes at once.
        packed.rotate_left(1);
        vectors.extend(pack(width, &packed));
        vectors.extend(
            grid::short(first.lane)
                .into_iter()
                .map(|lane| vec![vector(width, vec![lane; 128 / width as usize])]),
        );
    }
    // Vectors come before scalars in all instructions.
    vectors
        .iter()
        .flat_map(|vectors| {
            scalars
                .iter()
                .map(move |scalars| [&vectors[..], &scalars[..]].concat())
        })
        .collect()
}

/// All combinations of one value of each list.
fn combinations(lists: &[Vec<u64>]) -> Vec<Vec<u64>> {
    lists.iter().fold(vec![Vec::new()], |combined, list| {
        combined
            .iter()
            .flat_map(|before| {
                list.iter()
                    .map(move |&value| [&before[..], &[value]].concat())
            })
            .collect()
    })
}

/// Packs tuples of lanes into tuples of vectors; the last one is filled up from the start.
fn pack(width: u32, lanes: &[Vec<u64>]) -> Vec<Vec<u128>> {
    let per_vector = 128 / width as usize;
    (0..lanes.len())
        .step_by(per_vector)
        .map(|from| {
            (0..lanes[from].len())
                .map(|operand| {
                    let part = lanes.iter().cycle().skip(from).take(per_vector);
                    vector(width, part.map(|tuple| tuple[operand]))
                })
                .collect()
        })
        .collect()
}

/// What a result is, compared with the due one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// As it must be.
    Right,
    /// Right but for signalling NaNs where arithmetic ones are due.
    Signalling,
    /// Something else.
    Wrong,
}

impl Compare {
    /// The due result with its NaNs made quiet where they are a class: Rust leaves that open as well.
    fn quieted(self, due: u128) -> u128 {
        match self {
            Compare::Bits => due,
            Compare::NanClass(32) => vector(
                32,
                lanes(32, due).into_iter().map(|lane| {
                    if f32::from_bits(lane as u32).is_nan() {
                        lane | 0x0040_0000
                    } else {
                        lane
                    }
                }),
            ),
            Compare::NanClass(_) => vector(
                64,
                lanes(64, due).into_iter().map(|lane| {
                    if f64::from_bits(lane).is_nan() {
                        lane | 0x0008_0000_0000_0000
                    } else {
                        lane
                    }
                }),
            ),
        }
    }

    /// Compares a result with the due one.
    pub(super) fn judge(self, due: u128, given: u128) -> Given {
        let Compare::NanClass(width) = self else {
            return if due == given {
                Given::Right
            } else {
                Given::Wrong
            };
        };
        // A NaN is what lies beyond infinity, the sign left aside; an arithmetic one has the quiet bit.
        let (infinity, quiet) = if width == 32 {
            (0x7f80_0000, 0x0040_0000)
        } else {
            (0x7ff0_0000_0000_0000, 0x0008_0000_0000_0000)
        };
        let is_nan = |lane: u64| lane & (mask(width) >> 1) > infinity;
        let mut judged = Given::Right;
        for (due, given) in lanes(width, due).into_iter().zip(lanes(width, given)) {
            if is_nan(due) && is_nan(given) {
                if given & quiet == 0 {
                    judged = Given::Signalling;
                }
            } else if due != given {
                return Given::Wrong;
            }
        }
        judged
    }
}
