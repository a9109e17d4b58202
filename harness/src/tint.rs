//! Tables with cells in colour. WebAssembly has no terminals, and the crate that colours tables is not built for it.

use comfy_table::{Cell, Table, presets};

/// What a cell says at a glance.
#[derive(Clone, Copy)]
pub(crate) enum Tint {
    /// All is well.
    Good,
    /// Something is to be known.
    Doubtful,
    /// Something is wrong.
    Bad,
}

/// An empty table, coloured or not.
pub(crate) fn table(colour: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    set_colour(&mut table, colour);
    table
}

/// A cell in its colour.
pub(crate) fn cell(text: impl ToString, tint: Tint) -> Cell {
    coloured(Cell::new(text), tint)
}

#[cfg(not(target_family = "wasm"))]
fn set_colour(table: &mut Table, colour: bool) {
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
}

#[cfg(not(target_family = "wasm"))]
fn coloured(cell: Cell, tint: Tint) -> Cell {
    use comfy_table::{Attribute, Color};
    match tint {
        Tint::Good => cell.fg(Color::Green),
        Tint::Doubtful => cell.fg(Color::Yellow),
        Tint::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

#[cfg(target_family = "wasm")]
fn set_colour(_: &mut Table, _: bool) {}

#[cfg(target_family = "wasm")]
fn coloured(cell: Cell, _: Tint) -> Cell {
    cell
}
