//! One file that opens from disk: no network, no frame, styles and script inside.

use super::{Cell, Document, Part, Tone};
use anyhow::{Context, Result};
use askama::Template;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    document: &'a Document,
}

/// Renders the report.
///
/// # Errors
/// If the template cannot be rendered.
pub fn render(document: &Document) -> Result<String> {
    Page { document }
        .render()
        .context("failed to render the HTML report")
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Limited => "limited",
            Tone::Bad => "bad",
        }
    }
}

/// Lets a long header break before a dot, as in `wasmtime.cranelift`.
fn breakable(header: &str) -> String {
    header.replace('.', "\u{200b}.")
}

impl Cell {
    /// The attribute `class` of a cell, if it needs one: a full run has some ten thousand.
    fn classes(&self) -> String {
        let classes: Vec<&str> = [
            (self.tone != Tone::Plain, self.tone.class()),
            (self.number.is_some(), "number"),
            // Better not broken over lines.
            (self.text.len() <= 24 && self.text.contains(' '), "short"),
            (self.text.len() > 60, "wide"),
        ]
        .into_iter()
        .filter_map(|(applies, class)| applies.then_some(class))
        .collect();
        if classes.is_empty() {
            String::new()
        } else {
            format!(" class=\"{}\"", classes.join(" "))
        }
    }

    /// Whether it is a name that heads a row in one line, on a phone too.
    fn is_name(&self) -> bool {
        self.text.len() <= 24 && !self.text.contains(' ')
    }

    /// What the script sorts by.
    fn sort_key(&self) -> String {
        // Seven digits sort as well as seventeen.
        self.number
            .map_or_else(String::new, |n| (n as f32).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Figure, Section, Table};

    fn document() -> Document {
        Document {
            title: "a <pack>".to_owned(),
            verdict: "qualified".to_owned(),
            tone: Tone::Good,
            facts: vec![("CPU".to_owned(), "one & two".to_owned())],
            sections: vec![Section {
                id: "numbers",
                title: "Numbers",
                parts: vec![
                    Part::Table(Table {
                        caption: "All of them".to_owned(),
                        headers: vec!["name".to_owned(), "ns".to_owned()],
                        rows: vec![vec![
                            Cell::new("<script>alert(1)</script>"),
                            Cell::number("1.5", 1.5),
                        ]],
                    }),
                    Part::Figure(Figure {
                        name: "numbers".to_owned(),
                        caption: "Numbers".to_owned(),
                        description: "One bar".to_owned(),
                        svg: "<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>".to_owned(),
                    }),
                ],
            }],
            command: "assay report results".to_owned(),
        }
    }

    #[test]
    fn what_comes_from_records_is_escaped_and_nothing_is_loaded_from_elsewhere() {
        let page = render(&document()).unwrap();
        assert!(page.contains("a &#60;pack&#62;") && page.contains("one &#38; two"));
        assert!(!page.contains("<script>alert"));
        assert!(page.contains("<svg role=\"img\"") && page.contains("<caption>"));
        for loading in ["src=", "href=\"http", "@import", "url("] {
            assert!(!page.contains(loading), "the page loads by {loading}");
        }
    }
}
