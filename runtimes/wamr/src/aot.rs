//! The ahead-of-time compiler as a process of its own: what it does to hostile modules stays there.

use crate::adapter;
use runtime_api::{Error, Result, Stage};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{Read, Seek},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};
use wait_timeout::ChildExt;

/// How long a module may take to compile. The compiler ends itself too, should this process be gone by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same where nobody waits to run it: LLVM takes half a minute for some kernels on armv7.
const PATIENCE_AHEAD: Duration = Duration::from_secs(120);

/// What it compiles for.
const TARGETS: [&str; 3] = ["armv7", "aarch64", "x86_64"];

/// An `assay-wamrc` that answers.
pub(crate) struct Compiler {
    program: PathBuf,
    arguments: Vec<&'static str>,
    version: String,
    patience: Duration,
    /// SHA-256 of the executable, once somebody wants to know.
    digest: OnceLock<[u8; 32]>,
}

impl Compiler {
    /// Asks `program` for its version.
    pub(crate) fn new(program: &Path, simd: bool) -> Result<Self> {
        let arguments = if simd { vec!["--simd"] } else { Vec::new() };
        Self::with(program, arguments, PATIENCE)
    }

    /// The same, for base modules on another machine.
    pub(crate) fn for_target(&self, target: &str) -> Result<Self> {
        match TARGETS.into_iter().find(|known| *known == target) {
            Some(target) => Self::with(&self.program, vec!["--target", target], PATIENCE_AHEAD),
            None => Err(Error::unsupported(format!(
                "target {target}: assay-wamrc's targets are {}",
                TARGETS.join(", ")
            ))),
        }
    }

    fn with(program: &Path, arguments: Vec<&'static str>, patience: Duration) -> Result<Self> {
        let mut compiler = Self {
            program: program.to_owned(),
            arguments,
            version: String::new(),
            patience,
            digest: OnceLock::new(),
        };
        let (status, output) = compiler.run(Command::new(program).arg("--version"))?;
        if !status.success() {
            return Err(adapter(format!(
                "{} --version: {status}: {}",
                program.display(),
                output.trim()
            )));
        }
        compiler.version = output.trim().to_owned();
        Ok(compiler)
    }

    /// Build options for the engine's description: name and value.
    pub(crate) fn description(&self) -> [(String, String); 2] {
        [
            ("compiler".to_owned(), self.version.clone()),
            (
                "compiler arguments".to_owned(),
                if self.arguments.is_empty() {
                    "none".to_owned()
                } else {
                    self.arguments.join(" ")
                },
            ),
        ]
    }

    /// What code depends on: version, arguments, and the very executable, whose options stand in none of its words.
    pub(crate) fn identity(&self) -> Result<Vec<u8>> {
        let digest = match self.digest.get() {
            Some(digest) => *digest,
            None => {
                let program = fs::read(&self.program)
                    .map_err(|error| adapter(format!("{}: {error}", self.program.display())))?;
                *self.digest.get_or_init(|| Sha256::digest(program).into())
            }
        };
        let mut identity = digest.to_vec();
        for text in self
            .arguments
            .iter()
            .copied()
            .chain([self.version.as_str()])
        {
            identity.extend_from_slice(&(text.len() as u64).to_le_bytes());
            identity.extend_from_slice(text.as_bytes());
        }
        Ok(identity)
    }

    /// Machine code for `wasm`, a module that WAMR's loader has validated.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().map_err(adapter)?;
        let input = folder.path().join("module.wasm");
        let output = folder.path().join("module.aot");
        fs::write(&input, wasm).map_err(adapter)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(&input).arg(&output);
        let (status, words) = self.run(&mut command)?;
        if status.code() == Some(1) {
            return Err(Error::Rejected {
                stage: Stage::Compile,
                message: words.trim().to_owned(),
            });
        }
        if !status.success() {
            return Err(adapter(format!(
                "the compiler ended with {status}: {words}"
            )));
        }
        fs::read(&output).map_err(adapter)
    }

    /// Runs to the end, or stops it; the text is what it printed. Output goes to a file, which cannot block it.
    fn run(&self, command: &mut Command) -> Result<(ExitStatus, String)> {
        let failed =
            |error: std::io::Error| adapter(format!("{}: {error}", self.program.display()));
        let mut printed: File = tempfile::tempfile().map_err(failed)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(printed.try_clone().map_err(failed)?)
            .stderr(printed.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let Some(status) = child.wait_timeout(self.patience).map_err(failed)? else {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(adapter(format!(
                "the compiler took more than {:?}",
                self.patience
            )));
        };
        let mut text = Vec::new();
        printed.rewind().map_err(failed)?;
        printed.read_to_end(&mut text).map_err(failed)?;
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }
}
