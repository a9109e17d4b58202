//! Tables of a document, for tests that hold documents to code. Shared by the crates whose documents are in `docs/`.
#![allow(dead_code)] // each test uses its part

/// What stands under a heading, up to the next of the same level or a higher one.
pub(crate) fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let level = heading.bytes().take_while(|b| *b == b'#').count();
    let start = document
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no heading `{heading}`"));
    let text = &document[start + heading.len() + 2..];
    let mut end = 0;
    let mut fenced = false;
    for line in text.split_inclusive('\n') {
        fenced ^= line.starts_with("```");
        let marks = line.bytes().take_while(|b| *b == b'#').count();
        if !fenced && (1..=level).contains(&marks) {
            break;
        }
        end += line.len();
    }
    &text[..end]
}

/// The cells of all tables in a text, without their heads.
pub(crate) fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |index: usize| lines.get(index).is_some_and(|line| line.starts_with('|'));
    (0..lines.len())
        .filter(|&index| is_row(index))
        // A head is followed by dashes, and the dashes are no row.
        .filter(|&index| {
            let dashes = |index: usize| lines.get(index).is_some_and(|l| l.starts_with("|---"));
            !dashes(index) && !dashes(index + 1)
        })
        .map(|index| {
            lines[index]
                .trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect()
        })
        .collect()
}

/// Everything in a text that is spelled as code.
pub(crate) fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The content of the first fenced block of a language.
pub(crate) fn fenced<'a>(text: &'a str, language: &str) -> &'a str {
    let begin = format!("\n```{language}\n");
    let start = text
        .find(&begin)
        .unwrap_or_else(|| panic!("there is no block of {language}"));
    let block = &text[start + begin.len()..];
    &block[..block.find("```").unwrap_or(block.len())]
}
