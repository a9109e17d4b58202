//! What is read: a document of sections, tables and pictures. [`html`] and [`markdown`] render a report, [`terminal`] what a command prints.
//! It knows nothing of what it shows.

pub mod html;
pub mod markdown;
pub mod terminal;

/// A text without what a terminal would act on: control characters but for ends of lines, and others that are not seen, as they are written in Rust.
pub fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' | '\'' | '"' | '\\' => harmless.push(character),
            character => harmless.extend(character.escape_debug()),
        }
    }
    harmless
}

/// What a value means to the reader; shown by a word as well as by a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// It holds.
    Good,
    /// It is limited: unsupported, absent, known to fail, unsure.
    Limited,
    /// It does not hold.
    Bad,
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// What is read.
    pub text: String,
    /// What it means.
    pub tone: Tone,
    /// What it is sorted by, where that is not its text.
    pub number: Option<f64>,
}

impl Cell {
    /// Text.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Text with a meaning.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
            number: None,
        }
    }

    /// A number as it is to be read, and what to sort by.
    pub fn number(text: impl Into<String>, number: f64) -> Self {
        Self {
            text: text.into(),
            tone: Tone::Plain,
            number: Some(number),
        }
    }

    /// The same with a meaning.
    #[must_use]
    pub fn with_tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// A table; every row has as many cells as there are headers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it shows, with units and denominators.
    pub caption: String,
    /// Column headers.
    pub headers: Vec<String>,
    /// Cells.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// One that is still empty, and needs no caption.
    pub fn new(headers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            headers: headers.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: impl IntoIterator<Item = impl Into<Cell>>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// File name without extension.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// What it says, for those who do not see it.
    pub description: String,
    /// The picture.
    pub svg: String,
}

impl Figure {
    /// The picture with its title and description, to stand in a page.
    pub fn inline(&self) -> String {
        self.with("")
    }

    /// The picture as a file of its own, which has no page around it that sets the colour of text.
    pub fn alone(&self) -> String {
        self.with("<style>svg{color:#1b1f24}@media (prefers-color-scheme:dark){svg{color:#e6edf3}}</style>")
    }

    fn with(&self, style: &str) -> String {
        let (title, description) = (escape(&self.caption), escape(&self.description));
        let id = &self.name;
        let attributes =
            format!("<svg role=\"img\" aria-labelledby=\"{id}-title {id}-description\"");
        let words = format!(
            "><title id=\"{id}-title\">{title}</title><desc id=\"{id}-description\">{description}</desc>{style}"
        );
        // The start tag is the first of the picture; `>` in attributes would be escaped.
        self.svg
            .replacen("<svg", &attributes, 1)
            .replacen('>', &words, 1)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A part of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A paragraph.
    Text(String),
    /// Remarks.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A table that is read only when looked for.
    Folded(Table),
    /// A picture.
    Figure(Figure),
}

/// A section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Anchor, in lower case without spaces.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it consists of.
    pub parts: Vec<Part>,
}

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What was judged.
    pub title: String,
    /// The verdict in a few words.
    pub verdict: String,
    /// What it means.
    pub tone: Tone,
    /// Machine, versions, seed: name and value.
    pub facts: Vec<(String, String)>,
    /// In the order of reading.
    pub sections: Vec<Section>,
    /// The command that makes this report again.
    pub command: String,
}

impl Document {
    /// All pictures.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections
            .iter()
            .flat_map(|section| &section.parts)
            .filter_map(|part| match part {
                Part::Figure(figure) => Some(figure),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_shown_and_not_done() {
        let hostile = "a\u{1b}[2Jb\0c\rd\u{202e}e\u{7f}";
        let shown = "a\\u{1b}[2Jb\\0c\\rd\\u{202e}e\\u{7f}";
        assert_eq!(harmless(hostile), shown);
        let plain = "two lines\n\t'of' \"text\" \\ \u{b5} \u{2502} \u{e9}";
        assert_eq!(harmless(plain), plain);
        let table = Table {
            caption: hostile.to_owned(),
            rows: vec![vec![Cell::new(hostile)]],
            ..Table::new([hostile])
        };
        let parts = [
            Part::Text(hostile.to_owned()),
            Part::List(vec![hostile.to_owned()]),
            Part::Table(table),
        ];
        let rendered = terminal::render(&parts, false);
        assert!(
            rendered.chars().all(|c| c == '\n' || !c.is_control()),
            "{rendered:?}"
        );
        assert_eq!(rendered.matches("[2Jb\\0c").count(), 5, "{rendered}");
    }
}
