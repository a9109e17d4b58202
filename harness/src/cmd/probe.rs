//! `assay probe`: any module, every engine, side by side.

use super::engines::EngineArguments;
use crate::{
    document::Table,
    exit::{self, Exit},
    output::Output,
    parallel,
    probe::{self, End, Finding, Settings},
    registry::Engine,
};
use anyhow::Result;
use assay_worker::Launch;
use runtime_api::{Budget, Limits, Stage};
use serde::Serialize;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

/// Bytes of a module; base64 of more does not fit a line of the worker protocol.
const LARGEST_MODULE: u64 = 32 << 20;

/// Run any module on every engine, side by side: how each one ended.
#[derive(clap::Args)]
#[command(
    after_help = "The entry takes no argument or one i32, and returns an i32. 500 ms after its budget or the timeout, a worker is killed.\n\nExample: assay probe fixtures/traps/unreachable.wat --runtime 'wasmtime.*' --budget epoch:20"
)]
pub struct Arguments {
    /// A binary module, or a text module (*.wat).
    module: PathBuf,
    /// Export to call [default: `run`, else `kernel_forward`].
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Argument of an entry that takes one.
    #[arg(long, value_name = "N", default_value = "0", value_parser = argument, allow_hyphen_values = true)]
    arg: u32,
    #[command(flatten)]
    engines: EngineArguments,
    /// What instantiation and the call may cost, each: none, epoch:TICKS (of 10 ms) or fuel:N.
    #[arg(long, default_value = "epoch:200", value_parser = budget)]
    budget: Budget,
    /// Pages of 64 KiB that the memory may have.
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_memory_pages)]
    max_pages: u32,
    /// What everything may take on one engine, compilation included.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    timeout_ms: u64,
    /// Give the bytes to the engines as they are: no pre-pass.
    #[arg(long)]
    raw: bool,
}

#[derive(Serialize)]
struct Document {
    results: Vec<Finding>,
    agree: bool,
    /// Engines that are not in this build, with the command that adds them.
    absent: Vec<Absent>,
}

#[derive(Serialize)]
struct Absent {
    runtime: String,
    reason: String,
}

/// Runs the command.
///
/// # Errors
/// See the exit codes.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let engines = arguments.engines.engines()?;
    let wasm = read_module(&arguments.module)?;
    let settings = Settings {
        entry: arguments.entry.clone(),
        argument: arguments.arg,
        budget: arguments.budget,
        limits: Limits {
            max_memory_pages: arguments.max_pages,
            ..Limits::default()
        },
        timeout: Duration::from_millis(arguments.timeout_ms),
        raw: arguments.raw,
    };
    let launches: Vec<&Launch> = engines.iter().filter_map(Engine::launch).collect();
    let absent: Vec<Absent> = engines
        .iter()
        .filter_map(|engine| {
            Some(Absent {
                runtime: engine.id.clone(),
                reason: engine.absence()?,
            })
        })
        .collect();
    let results = parallel::each(&launches, parallel::processors(), |launch| {
        probe::probe(launch, &wasm, &settings)
    });
    let agree = probe::agree(&results);
    output.text(&text(&results, &absent, agree))?;
    output.document(&Document {
        results,
        agree,
        absent,
    })?;
    Ok(if agree { Exit::Passed } else { Exit::Failed })
}

/// Reads a plain file of at most so many bytes.
///
/// # Errors
/// Usage, with `what` it was to be.
pub fn read_plain(what: &str, path: &Path, most: u64) -> Result<Vec<u8>> {
    let wrong = |why: String| unreadable(what, path, &why);
    // Before it is opened: to open a pipe is to wait for whoever writes it.
    let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if !metadata.is_file() {
        return Err(wrong("it is no file".to_owned()));
    }
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(wrong(format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

fn unreadable(what: &str, path: &Path, why: &str) -> anyhow::Error {
    let path = path.display();
    exit::usage(format!("failed to read the {what} `{path}`: {why}"))
}

pub(crate) fn read_module(path: &Path) -> Result<Vec<u8>> {
    let wrong = |why: String| unreadable("module", path, &why);
    let mut bytes = read_plain("module", path, LARGEST_MODULE)?;
    if path.extension().is_some_and(|extension| extension == "wat") {
        let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        bytes = wat::parse_str(text).map_err(|error| wrong(error.to_string()))?;
        if bytes.len() as u64 > LARGEST_MODULE {
            return Err(wrong(format!("it is larger than {LARGEST_MODULE} bytes")));
        }
    }
    Ok(bytes)
}

/// An i32, signed or unsigned.
fn argument(text: &str) -> Result<u32, String> {
    text.parse::<u32>()
        .or_else(|_| text.parse::<i32>().map(|value| value as u32))
        .map_err(|_| "it takes a number of 32 bits".to_owned())
}

fn budget(text: &str) -> Result<Budget, String> {
    let amount = |text: &str| {
        text.parse()
            .map_err(|_| format!("`{text}` is no amount of ticks or fuel"))
    };
    match text.split_once(':') {
        None if text == "none" => Ok(Budget::None),
        Some(("epoch", ticks)) => Ok(Budget::Epoch(amount(ticks)?)),
        Some(("fuel", units)) => Ok(Budget::Fuel(amount(units)?)),
        _ => Err("it takes none, epoch:TICKS or fuel:N".to_owned()),
    }
}

fn text(results: &[Finding], absent: &[Absent], agree: bool) -> String {
    let mut table = Table::new(["engine", "outcome", "stage", "ms", "message"]);
    for finding in results {
        let outcome = match (finding.outcome, finding.value, finding.trap) {
            (End::Returned, Some(value), _) => format!("returned {value}"),
            (End::Trap, _, Some(trap)) => format!("trap {trap}"),
            (outcome, ..) => match outcome {
                End::Returned => "returned",
                End::Trap => "trap",
                End::Rejected => "rejected",
                End::Unsupported => "unsupported",
                End::Crashed => "crashed",
                End::TimedOut => "timed out",
            }
            .to_owned(),
        };
        let stage = finding.stage.map_or("", |stage| match stage {
            Stage::Compile => "compile",
            Stage::Instantiate => "instantiate",
            Stage::Call => "call",
        });
        let message = finding.message.as_deref().unwrap_or_default();
        table.add([
            finding.runtime.clone(),
            outcome,
            stage.to_owned(),
            format!("{:.1}", finding.elapsed_ms),
            // What an engine says of a module may hold the module's own words.
            message.escape_debug().to_string(),
        ]);
    }
    let mut text = format!("{table}\n");
    for Absent { runtime, reason } in absent {
        text += &format!("{runtime} absent: {reason}\n");
    }
    text + if agree {
        "the engines agree"
    } else {
        "the engines do not agree"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_spelled_as_documented() {
        assert_eq!(budget("none"), Ok(Budget::None));
        assert_eq!(budget("epoch:5"), Ok(Budget::Epoch(5)));
        assert_eq!(budget("fuel:1000"), Ok(Budget::Fuel(1000)));
        for wrong in ["", "epoch", "epoch:", "epoch:-1", "none:1", "fuel:x"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
        assert_eq!(argument("-1"), Ok(u32::MAX));
        assert_eq!(argument("4294967295"), Ok(u32::MAX));
        assert!(argument("4294967296").is_err());
    }
}
