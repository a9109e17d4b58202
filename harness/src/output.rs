//! What reaches the user: text or one JSON document on stdout, everything else on stderr.

use crate::document::{Part, harmless, terminal};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::{
    io::{IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

/// The environment variable that asks for progress as lines, with the value `lines`: for programs that show it themselves, such as
/// a page in a browser.
const PROGRESS_VARIABLE: &str = "ASSAY_PROGRESS";
/// How long nothing is said after a line of progress.
const BETWEEN_LINES: Duration = Duration::from_millis(50);

/// How a command speaks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// One JSON document on stdout and nothing else there.
    pub json: bool,
    /// No progress on stderr.
    pub quiet: bool,
}

impl Output {
    /// Prints human text; nothing under `--json`. What was read from files and heard from programs can be in it: a terminal acts on none of it.
    ///
    /// # Errors
    /// If stdout cannot be written, a closed pipe included.
    pub fn text(&self, text: &str) -> Result<()> {
        self.styled(&harmless(text))
    }

    /// Prints human text that is harmless, and may have colours; nothing under `--json`.
    ///
    /// # Errors
    /// If stdout cannot be written, a closed pipe included.
    pub fn styled(&self, text: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .context("failed to write to stdout")
    }

    /// Prints parts of a document for people; nothing under `--json`.
    ///
    /// # Errors
    /// If stdout cannot be written, a closed pipe included.
    pub fn parts(&self, parts: &[Part]) -> Result<()> {
        self.styled(&terminal::render(parts, self.colour()))
    }

    /// Prints the JSON document under `--json`; nothing otherwise.
    ///
    /// # Errors
    /// If stdout cannot be written, a closed pipe included.
    pub fn document(&self, document: &impl Serialize) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut stdout, document)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(stdout))
            .and_then(|()| stdout.flush())
            .context("failed to write to stdout")
    }

    /// Prints a JSON document whose order means something, with `--json` and without.
    ///
    /// # Errors
    /// If stdout cannot be written, a closed pipe included.
    pub fn raw(&self, document: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{document}")
            .and_then(|()| stdout.flush())
            .context("failed to write to stdout")
    }

    /// Whether stdout takes colour: a terminal, and NO_COLOR not set.
    pub fn colour(&self) -> bool {
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
    }

    /// Whether progress is drawn: stderr is a terminal and nobody asked for quiet.
    pub fn progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// The progress of `length` steps of `what` (one word): a bar on stderr, whose `template` is indicatif's, or lines, or nothing
    /// where neither is wanted.
    pub fn progress_bar(&self, what: &'static str, length: u64, template: &str) -> Progress {
        let target = if self.progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        let wanted = std::env::var_os(PROGRESS_VARIABLE).is_some_and(|value| value == "lines");
        let progress = Progress {
            bar,
            lines: (wanted && !self.quiet).then(|| Lines {
                what,
                said: Mutex::new(Instant::now()),
            }),
        };
        progress.say(true);
        progress
    }
}

/// How far something is.
pub struct Progress {
    /// Counts, shown or not.
    bar: ProgressBar,
    lines: Option<Lines>,
}

/// Lines `progress DONE/ALL WHAT` on stderr.
struct Lines {
    what: &'static str,
    said: Mutex<Instant>,
}

impl Progress {
    /// So many steps are done besides.
    pub fn inc(&self, steps: u64) {
        self.bar.inc(steps);
        self.say(false);
    }

    /// So many steps are done.
    pub fn set_position(&self, steps: u64) {
        self.bar.set_position(steps);
        self.say(false);
    }

    /// So many steps there are.
    pub fn set_length(&self, steps: u64) {
        self.bar.set_length(steps);
    }

    /// Words for a bar.
    pub fn set_message(&self, message: String) {
        self.bar.set_message(message);
    }

    /// It is over.
    pub fn finish_and_clear(&self) {
        self.bar.finish_and_clear();
        self.say(true);
    }

    fn say(&self, at_once: bool) {
        let Some(lines) = &self.lines else { return };
        let Ok(mut said) = lines.said.lock() else {
            return;
        };
        if !at_once && said.elapsed() < BETWEEN_LINES {
            return;
        }
        *said = Instant::now();
        crate::exit::complain(&format!(
            "progress {}/{} {}",
            self.bar.position(),
            self.bar.length().unwrap_or_default(),
            lines.what
        ));
    }
}

/// Control characters, and others that a terminal would act on, as they are written in Rust.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\'' | '"' => character.to_string(),
            character => character.escape_debug().to_string(),
        })
        .collect()
}
