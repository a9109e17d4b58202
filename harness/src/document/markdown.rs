//! The report as Markdown, for a pull request or a job summary: tables, without the pictures and the folded parts.

use super::{Document, Part, Table, harmless};
use std::fmt::Write as _;

/// Renders the report.
pub fn render(document: &Document) -> String {
    let mut text = format!(
        "# {}\n\n**{}**\n\n",
        escape(&document.title),
        escape(&document.verdict)
    );
    for (name, value) in &document.facts {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "- {}: {}", escape(name), escape(value));
    }
    for section in &document.sections {
        let _ = write!(text, "\n## {}\n\n", escape(section.title));
        for part in &section.parts {
            match part {
                Part::Text(paragraph) => text += &format!("{}\n\n", escape(paragraph)),
                Part::List(items) => {
                    for item in items {
                        let _ = writeln!(text, "- {}", escape(item));
                    }
                    text.push('\n');
                }
                Part::Table(table) => text += &grid(table),
                Part::Folded(_) | Part::Figure(_) => {}
            }
        }
    }
    let _ = writeln!(text, "\nMade by `{}`.", document.command);
    text
}

fn grid(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("{}\n\n", escape(&table.caption));
    text += &line(table.headers.iter().map(|header| escape(header)).collect());
    text += &format!("|{}\n", "---|".repeat(table.headers.len()));
    for row in &table.rows {
        text += &line(row.iter().map(|cell| escape(&cell.text)).collect());
    }
    text.push('\n');
    text
}

/// What would start markup, or end a cell.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in harmless(text).chars() {
        match character {
            '\n' => escaped.push(' '),
            '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '&' => {
                escaped.push('\\');
                escaped.push(character);
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Cell, Section, Tone};

    #[test]
    fn a_cell_cannot_break_its_table() {
        let document = Document {
            title: "core".to_owned(),
            verdict: "qualified".to_owned(),
            tone: Tone::Good,
            facts: Vec::new(),
            sections: vec![Section {
                id: "a",
                title: "A",
                parts: vec![Part::Table(Table {
                    caption: "Reasons".to_owned(),
                    headers: vec!["reason".to_owned()],
                    rows: vec![vec![Cell::new("a|b\nc<d>")]],
                })],
            }],
            command: "assay report x".to_owned(),
        };
        let text = render(&document);
        assert!(text.contains("| a\\|b c\\<d\\> |"), "{text}");
    }
}
