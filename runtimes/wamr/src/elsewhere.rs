//! What `assay-wamrc` made on another machine, for one that has no compiler: a folder with an index of modules.

use crate::{MACHINE, adapter};
use runtime_api::{COMPILED_ELSEWHERE, Error, Result, Stage};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// Name of the index: `compiler VERSION`, `target NAME`, and a line for each module, `SHA-256 SHA-256` of module and code, or
/// `SHA-256 refused WORDS` where the compiler refused it. The code of a module is in the file `SHA-256.aot`.
const INDEX: &str = "index";

/// What became of a module there.
enum Made {
    /// SHA-256 of the code.
    Code(String),
    /// The compiler's words.
    Refused(String),
}

/// A folder whose index could be read.
pub(crate) struct Folder {
    path: PathBuf,
    compiler: String,
    made: BTreeMap<String, Made>,
    digest: [u8; 32],
    missed: AtomicBool,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let index = path.join(INDEX);
        let wrong = |what: &str| adapter(format!("{}: {what}", index.display()));
        let text = fs::read_to_string(&index).map_err(|error| wrong(&error.to_string()))?;
        let mut lines = text.lines();
        let compiler = lines
            .next()
            .and_then(|line| line.strip_prefix("compiler "))
            .ok_or_else(|| wrong("it does not begin with `compiler VERSION`"))?;
        let target = lines
            .next()
            .and_then(|line| line.strip_prefix("target "))
            .ok_or_else(|| wrong("its second line is not `target NAME`"))?;
        if target != MACHINE {
            return Err(wrong(&format!("made for {target}; this is {MACHINE}")));
        }
        let mut made = BTreeMap::new();
        for line in lines {
            let (module, what) = line
                .split_once(' ')
                .ok_or_else(|| wrong(&format!("`{line}` names a module and nothing else")))?;
            let what = match what.strip_prefix("refused ") {
                Some(words) => Made::Refused(words.to_owned()),
                None => Made::Code(what.to_owned()),
            };
            made.insert(module.to_owned(), what);
        }
        Ok(Self {
            path: path.to_owned(),
            compiler: compiler.to_owned(),
            made,
            digest: Sha256::digest(text.as_bytes()).into(),
            missed: AtomicBool::new(false),
        })
    }

    pub(crate) fn description(&self) -> [(String, String); 2] {
        [
            ("compiler".to_owned(), self.compiler.clone()),
            (
                COMPILED_ELSEWHERE.to_owned(),
                format!(
                    "{} modules, none compared with what a compiler here would make; besides them only forms that a pack brings can run",
                    self.made.len()
                ),
            ),
        ]
    }

    /// What code depends on: all of it, for the index has its hashes.
    pub(crate) fn identity(&self) -> Vec<u8> {
        self.digest.to_vec()
    }

    /// Whether a module was asked for that is not there.
    pub(crate) fn missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// Machine code for `wasm`. One that is not there is no property of the engine, which could be left out of a verdict: it is an
    /// error, which forbids one.
    pub(crate) fn code(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        let module = hex(wasm);
        let due = match self.made.get(&module) {
            Some(Made::Code(due)) => due,
            Some(Made::Refused(words)) => {
                return Err(Error::Rejected {
                    stage: Stage::Compile,
                    message: words.clone(),
                });
            }
            None => {
                self.missed.store(true, Ordering::Relaxed);
                return Err(adapter(format!(
                    "no compiler is here, and {} has no code for module {module}",
                    self.path.display()
                )));
            }
        };
        let file = self.path.join(format!("{module}.aot"));
        let code =
            fs::read(&file).map_err(|error| adapter(format!("{}: {error}", file.display())))?;
        if hex(&code) != *due {
            return Err(adapter(format!(
                "{}: it is not the code that the index names",
                file.display()
            )));
        }
        Ok(code)
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "tests say what they expect by unwrapping"
    )]
    use super::*;

    fn folder(index: &str) -> (tempfile::TempDir, Result<Folder>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(INDEX), index).unwrap();
        let opened = Folder::open(folder.path());
        (folder, opened)
    }

    #[test]
    fn code_is_for_its_module_and_nothing_else() {
        let index = format!(
            "compiler c 1\ntarget {MACHINE}\n{} {}\n{} refused too large\n",
            hex(b"one"),
            hex(b"code"),
            hex(b"two")
        );
        let (files, opened) = folder(&index);
        let opened = opened.unwrap();
        let file = files.path().join(format!("{}.aot", hex(b"one")));
        fs::write(&file, b"code").unwrap();
        assert_eq!(opened.code(b"one").unwrap(), b"code");
        let refused = opened.code(b"two").unwrap_err();
        assert!(
            matches!(&refused, Error::Rejected { message, .. } if message == "too large"),
            "{refused}"
        );
        assert!(!opened.missed());
        // Nothing of it may pass for what an engine cannot: that would be left out of a verdict.
        assert!(matches!(opened.code(b"three"), Err(Error::Adapter { .. })));
        assert!(opened.missed());
        fs::write(&file, b"cod").unwrap();
        assert!(matches!(opened.code(b"one"), Err(Error::Adapter { .. })));
        fs::remove_file(&file).unwrap();
        assert!(matches!(opened.code(b"one"), Err(Error::Adapter { .. })));
    }

    #[test]
    fn an_index_of_another_machine_or_of_nothing_is_refused() {
        for index in [
            "",
            "compiler c 1\n",
            "compiler c 1\ntarget z80\n",
            &format!("target {MACHINE}\ncompiler c 1\n"),
            &format!("compiler c 1\ntarget {MACHINE}\nalone\n"),
        ] {
            let (_files, opened) = folder(index);
            assert!(matches!(opened, Err(Error::Adapter { .. })), "{index}");
        }
    }
}
