//! Commands that repeat what was run, as they stand beside failures: words that a shell reads as they are meant.

use std::{fmt, path::Path};

/// A command line of `assay`.
#[derive(Clone, Debug)]
pub struct Repeat {
    words: Vec<String>,
}

impl Repeat {
    /// Starts with a subcommand.
    pub fn of(subcommand: &str) -> Self {
        Self {
            words: vec!["assay".to_owned(), subcommand.to_owned()],
        }
    }

    /// Adds a word without a name.
    #[must_use]
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.words.push(word.into());
        self
    }

    /// Adds a path without a name.
    #[must_use]
    pub fn path(self, path: &Path) -> Self {
        self.word(path.display().to_string())
    }

    /// Adds an option for each value.
    #[must_use]
    pub fn options<T: ToString>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        for value in values {
            self.words.extend([name.to_owned(), value.to_string()]);
        }
        self
    }

    /// Adds an option without a value, if it is asked for.
    #[must_use]
    pub fn flag(self, name: &str, asked: bool) -> Self {
        if asked { self.word(name) } else { self }
    }

    /// Adds an option for each path.
    #[must_use]
    pub fn paths<'a>(self, name: &str, paths: impl IntoIterator<Item = &'a Path>) -> Self {
        self.options(name, paths.into_iter().map(Path::display))
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A word that no shell can hold has a NUL, and no argument has one.
        let line = shlex::try_join(self.words.iter().map(String::as_str));
        f.write_str(&line.unwrap_or_else(|_| self.words.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_that_were_meant() {
        let words = ["a b.wasm", "*", "one=node 'x y'"];
        let line = Repeat::of("fuzz")
            .path(Path::new(words[0]))
            .options("--runtime", [words[1]])
            .paths("--trust", None)
            .options("--adapter", [words[2]])
            .to_string();
        let read = shlex::split(&line).unwrap();
        assert_eq!(
            read,
            [
                "assay",
                "fuzz",
                words[0],
                "--runtime",
                words[1],
                "--adapter",
                words[2]
            ]
        );
    }
}
