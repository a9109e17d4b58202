//! Documents on a terminal: text, and tables with cells in colour where it is taken. WebAssembly has no terminals, and the crate that colours
//! tables is not built for it.

use super::{Cell, Part, Table, Tone, harmless};
use comfy_table::{CellAlignment, presets};
use std::fmt;

/// Renders parts, with an empty line between two; pictures and what is folded are not for a terminal.
pub fn render(parts: &[Part], colour: bool) -> String {
    let shown = parts.iter().filter_map(|part| match part {
        Part::Text(paragraph) => Some(harmless(paragraph)),
        Part::List(items) => Some(harmless(&items.join("\n"))),
        Part::Table(table) if table.caption.is_empty() => Some(grid(table, colour)),
        Part::Table(table) => Some(format!(
            "{}\n{}",
            harmless(&table.caption),
            grid(table, colour)
        )),
        Part::Folded(_) | Part::Figure(_) => None,
    });
    let shown: Vec<String> = shown.filter(|part| !part.is_empty()).collect();
    shown.join("\n\n")
}

/// A table without its caption; numbers stand at the right.
pub fn grid(table: &Table, colour: bool) -> String {
    let mut grid = comfy_table::Table::new();
    grid.load_style(presets::UTF8_FULL_CONDENSED);
    set_colour(&mut grid, colour);
    // `wasmtime.cranelift` in two lines keeps eight engines within a terminal.
    grid.set_header(
        table
            .headers
            .iter()
            .map(|name| harmless(name).replacen('.', "\n.", 1)),
    );
    for row in &table.rows {
        grid.add_row(row.iter().map(cell));
    }
    grid.to_string()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grid(self, false))
    }
}

fn cell(cell: &Cell) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(harmless(&cell.text));
    let shown = match cell.number {
        Some(_) => shown.set_alignment(CellAlignment::Right),
        None => shown,
    };
    coloured(shown, cell.tone)
}

#[cfg(not(target_family = "wasm"))]
fn set_colour(table: &mut comfy_table::Table, colour: bool) {
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
}

#[cfg(not(target_family = "wasm"))]
fn coloured(cell: comfy_table::Cell, tone: Tone) -> comfy_table::Cell {
    use comfy_table::{Attribute, Color};
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Limited => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

#[cfg(target_family = "wasm")]
fn set_colour(_: &mut comfy_table::Table, _: bool) {}

#[cfg(target_family = "wasm")]
fn coloured(cell: comfy_table::Cell, _: Tone) -> comfy_table::Cell {
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_apart_and_what_only_a_page_can_show_is_left_out() {
        let table = |caption: &str| Table {
            caption: caption.to_owned(),
            rows: vec![vec![Cell::new("a.b"), Cell::number("7", 7.0)]],
            ..Table::new(["engine", "wasmi.fast"])
        };
        let parts = [
            Part::Text("first".to_owned()),
            Part::List(Vec::new()),
            Part::Table(table("")),
            Part::Folded(table("folded")),
            Part::List(vec!["one".to_owned(), "two".to_owned()]),
            Part::Table(table("with a caption")),
        ];
        insta::assert_snapshot!(render(&parts, false));
    }
}
