//! Executables that serve engines, started as `PROGRAM ENGINE [ARGUMENT...] [--code-cache DIR]`.

use crate::serve;
use runtime_api::{Result, Runtime};
use runtime_cache::Caching;
use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// As `assay` uses them: wrong use, and a failure of what serves.
const USAGE: u8 = 2;
const FAILED: u8 = 5;

/// The main function of an executable that serves engines. `open` opens the one that is named, with the arguments that are left;
/// `None`: the executable has no such engine, or not with these arguments.
pub fn main(open: impl FnOnce(&str, &[OsString]) -> Option<Result<Box<dyn Runtime>>>) -> ExitCode {
    let words = std::env::args_os().skip(1);
    let line = CommandLine::parse(words);
    let opened = line
        .as_ref()
        .and_then(|line| open(&line.engine, &line.arguments));
    let (Some(line), Some(opened)) = (&line, opened) else {
        complain(
            "usage: ENGINE [ARGUMENT...] [--code-cache DIR], of an engine that this executable has",
        );
        return USAGE.into();
    };
    let served = opened
        .map_err(io::Error::other)
        .and_then(|engine| serve_process(engine, line.code_cache.as_deref()));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{}: {error}", line.engine));
            FAILED.into()
        }
    }
}

/// Serves an engine over stdin and stdout until stdin ends; with a folder, over a private cache of compiled code there.
///
/// # Errors
/// As [`serve`].
pub fn serve_process(engine: Box<dyn Runtime>, code_cache: Option<&Path>) -> io::Result<()> {
    let engine = cached(engine, code_cache);
    serve(engine.as_ref(), io::stdin().lock(), io::stdout().lock())
}

pub(crate) fn cached(engine: Box<dyn Runtime>, folder: Option<&Path>) -> Box<dyn Runtime> {
    match folder {
        Some(folder) => Box::new(Caching::new(engine, folder)),
        None => engine,
    }
}

/// That nobody listens must not change how the process ends.
fn complain(message: &str) {
    drop(writeln!(io::stderr(), "{message}"));
}

#[derive(Debug, PartialEq)]
struct CommandLine {
    engine: String,
    arguments: Vec<OsString>,
    code_cache: Option<PathBuf>,
}

impl CommandLine {
    fn parse(words: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = words.into_iter();
        let mut line = Self {
            engine: words.next()?.into_string().ok()?,
            arguments: Vec::new(),
            code_cache: None,
        };
        while let Some(word) = words.next() {
            if word == "--code-cache" {
                line.code_cache = Some(words.next()?.into());
            } else {
                line.arguments.push(word);
            }
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_comes_first_and_a_cache_anywhere_after_it() {
        let parse = |words: &[&str]| CommandLine::parse(words.iter().map(OsString::from));
        let line = |arguments: &[&str], cache: Option<&str>| {
            Some(CommandLine {
                engine: "an.engine".to_owned(),
                arguments: arguments.iter().map(OsString::from).collect(),
                code_cache: cache.map(PathBuf::from),
            })
        };
        assert_eq!(parse(&["an.engine"]), line(&[], None));
        let cache = line(&["one"], Some("dir"));
        assert_eq!(parse(&["an.engine", "one", "--code-cache", "dir"]), cache);
        assert_eq!(parse(&["an.engine", "--code-cache", "dir", "one"]), cache);
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&["an.engine", "--code-cache"]), None);
    }
}
