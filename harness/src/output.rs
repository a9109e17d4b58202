//! What reaches the user: text or one JSON document on stdout, everything else on stderr.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// How a command speaks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// One JSON document on stdout and nothing else there.
    pub json: bool,
    /// No progress on stderr.
    pub quiet: bool,
}

impl Output {
    /// Prints human text; nothing under `--json`.
    ///
    /// # Errors
    /// If stdout cannot be written, a closed pipe included.
    pub fn text(&self, text: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .context("failed to write to stdout")
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

    /// Whether stdout takes colour: a terminal, and NO_COLOR not set.
    pub fn colour(&self) -> bool {
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
    }

    /// Whether progress is drawn: stderr is a terminal and nobody asked for quiet.
    pub fn progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// A bar of `length` steps on stderr, which stays hidden where progress is not drawn; `template` is indicatif's.
    pub fn progress_bar(&self, length: u64, template: &str) -> ProgressBar {
        let target = if self.progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}
