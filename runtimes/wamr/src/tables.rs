//! Keeps the tables of a module within one limit together.
//!
//! WAMR caps a table by its declared maximum, and each table by its own. Where two tables can grow, what one took must
//! be gone for the other: every `table.grow` becomes a call of an appended function, which keeps the count in an appended
//! global.

use crate::prepare::{Additions, Counts, encoded, slice};
use runtime_api::Limits;
use wasm_encoder::{
    BlockType, ConstExpr, Encode, Function, GlobalType, InstructionSink, RefType, TableType,
    ValType,
};
use wasmparser::{FunctionBody, Operator, Payload, Table, TableInit};

/// What becomes of a module's tables.
#[derive(Default)]
pub(crate) struct Tables {
    /// The table section with lowered maxima.
    pub(crate) section: Vec<u8>,
    /// The code section, if it had to change.
    pub(crate) code: Option<Vec<u8>>,
    /// Whether the limit is exceeded from the start.
    pub(crate) excess: bool,
}

/// Lowers maxima, and makes tables that can grow share what is left; an error is the reason why WAMR has no such tables.
pub(crate) fn cap(
    wasm: &[u8],
    payloads: &[Payload<'_>],
    counts: &Counts,
    limits: &Limits,
    additions: &mut Additions,
) -> Result<Tables, String> {
    let tables = payloads
        .iter()
        .find_map(|payload| match payload {
            Payload::TableSection(section) => Some(section.clone()),
            _ => None,
        })
        .into_iter()
        .flatten()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let minima = tables
        .iter()
        .fold(0_u64, |sum, table| sum.saturating_add(table.ty.initial));
    let room = u64::from(limits.max_table_elements).saturating_sub(minima);

    let mut section = encoded(&tables.len());
    let mut types = Vec::new();
    for table in &tables {
        let capped = capped(table, room)?;
        capped.encode(&mut section);
        types.push(capped);
    }
    let growable = types
        .iter()
        .filter(|table| table.maximum.is_none_or(|maximum| maximum > table.minimum))
        .count();
    let code = if growable > 1 {
        share(wasm, payloads, counts, &types, room, additions)?
    } else {
        None
    };
    Ok(Tables {
        section,
        code,
        excess: minima > u64::from(limits.max_table_elements),
    })
}

fn capped(table: &Table<'_>, room: u64) -> Result<TableType, String> {
    let element_type = match table.ty.element_type {
        wasmparser::RefType::FUNCREF => RefType::FUNCREF,
        wasmparser::RefType::EXTERNREF => RefType::EXTERNREF,
        _ => return Err("a table of typed references".to_owned()),
    };
    if table.ty.table64 || table.ty.shared || !matches!(table.init, TableInit::RefNull) {
        return Err("a 64-bit, shared or initialised table".to_owned());
    }
    let cap = table.ty.initial.saturating_add(room);
    Ok(TableType {
        element_type,
        table64: false,
        minimum: table.ty.initial,
        maximum: Some(table.ty.maximum.map_or(cap, |declared| declared.min(cap))),
        shared: false,
    })
}

/// The code section with calls in place of `table.grow`, if it has any.
fn share(
    wasm: &[u8],
    payloads: &[Payload<'_>],
    counts: &Counts,
    tables: &[TableType],
    room: u64,
    additions: &mut Additions,
) -> Result<Option<Vec<u8>>, String> {
    let bodies = || {
        payloads.iter().filter_map(|payload| match payload {
            Payload::CodeSectionEntry(body) => Some(body),
            _ => None,
        })
    };
    let mut growths = 0;
    let first_helper = counts
        .functions
        .saturating_add(u32::try_from(additions.functions.len()).unwrap_or(u32::MAX));
    let mut code = encoded(&bodies().count());
    for body in bodies() {
        let mut changed = Vec::new();
        growths += redirect(wasm, body, first_helper, tables.len(), &mut changed)?;
        changed.encode(&mut code);
    }
    if growths == 0 {
        return Ok(None);
    }
    let global = counts.globals;
    let mut left = encoded(&GlobalType {
        val_type: ValType::I32,
        mutable: true,
        shared: false,
    });
    ConstExpr::i32_const(u32::try_from(room).unwrap_or(u32::MAX).cast_signed()).encode(&mut left);
    additions.globals.push(left);
    for (index, table) in (0..).zip(tables) {
        let type_index = u32::try_from(additions.types.len()).unwrap_or(u32::MAX);
        additions.types.push(helper_type(table));
        additions.functions.push(type_index);
        additions.bodies.push(encoded(&helper(index, global)));
    }
    Ok(Some(code))
}

/// Copies a body with `call first_helper + table` for every `table.grow`; says how many there were.
fn redirect(
    wasm: &[u8],
    body: &FunctionBody<'_>,
    first_helper: u32,
    tables: usize,
    changed: &mut Vec<u8>,
) -> Result<usize, String> {
    let mut growths = 0;
    let mut copied = body.range().start;
    let mut reader = body
        .get_operators_reader()
        .map_err(|error| error.to_string())?;
    while !reader.eof() {
        let start = reader.original_position();
        let operator = reader.read().map_err(|error| error.to_string())?;
        if let Operator::TableGrow { table } = operator {
            if table as usize >= tables {
                return Err(format!("table.grow of table {table}, which there is not"));
            }
            changed.extend_from_slice(slice(wasm, copied..start)?);
            InstructionSink::new(changed).call(first_helper.saturating_add(table));
            copied = reader.original_position();
            growths += 1;
        }
    }
    changed.extend_from_slice(slice(wasm, copied..body.range().end)?);
    Ok(growths)
}

/// `(type (func (param <reference> i32) (result i32)))`
fn helper_type(table: &TableType) -> Vec<u8> {
    let parameters = [ValType::Ref(table.element_type), ValType::I32];
    [
        vec![0x60],
        encoded(&parameters.as_slice()),
        encoded(&[ValType::I32].as_slice()),
    ]
    .concat()
}

/// `table.grow` that answers -1 if more is asked for than is left, and takes what it gives from that.
fn helper(table: u32, left: u32) -> Function {
    const REFERENCE: u32 = 0;
    const DELTA: u32 = 1;
    const ANSWER: u32 = 2;
    let mut function = Function::new([(1, ValType::I32)]);
    function
        .instructions()
        .local_get(DELTA)
        .global_get(left)
        .i32_gt_u()
        .if_(BlockType::Empty)
        .i32_const(-1)
        .return_()
        .end()
        .local_get(REFERENCE)
        .local_get(DELTA)
        .table_grow(table)
        .local_tee(ANSWER)
        .i32_const(-1)
        .i32_ne()
        .if_(BlockType::Empty)
        .global_get(left)
        .local_get(DELTA)
        .i32_sub()
        .global_set(left)
        .end()
        .local_get(ANSWER)
        .end();
    function
}
