//! `assay pack new`: the folder that an author begins with.

use crate::{
    acceptance::stop,
    exit::{Exit, usage},
    output::Output,
};
use anyhow::{Context as _, Result};
use kernel_pack::sign::PackSigningKey;
use serde_json::json;
use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
};

/// What the kernel is written in.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Language {
    /// C11, for clang.
    C,
    /// Rust, without the standard library.
    Rust,
    /// Zig.
    Zig,
    /// AssemblyScript.
    #[value(name = "assemblyscript")]
    AssemblyScript,
}

/// A file to write: name, content.
type File = (&'static str, &'static str);

/// What every language has.
const COMMON: [File; 5] = [
    ("README.md", include_str!("../../templates/pack/README.md")),
    ("build", include_str!("../../templates/pack/build")),
    (".gitignore", include_str!("../../templates/pack/gitignore")),
    (
        "pack.template.json",
        include_str!("../../templates/pack/pack.template.json"),
    ),
    (
        "pack/contracts/scaled_square.json",
        include_str!("../../templates/pack/scaled_square.json"),
    ),
];
/// The file among them that is run.
const PROGRAM: &str = "build";

impl Language {
    fn files(self) -> &'static [File] {
        match self {
            Self::C => &[
                ("compile", include_str!("../../templates/pack/c/compile")),
                (
                    "scaled_square.c",
                    include_str!("../../templates/pack/c/scaled_square.c"),
                ),
                (
                    "kernel_abi.h",
                    include_str!("../../../kernels/abi/include/kernel_abi.h"),
                ),
            ],
            Self::Rust => &[
                ("compile", include_str!("../../templates/pack/rust/compile")),
                // Under its own name it would be a package of this repository.
                (
                    "Cargo.toml",
                    include_str!("../../templates/pack/rust/manifest.toml"),
                ),
                (
                    "scaled_square.rs",
                    include_str!("../../templates/pack/rust/scaled_square.rs"),
                ),
            ],
            Self::Zig => &[
                ("compile", include_str!("../../templates/pack/zig/compile")),
                (
                    "kernel.zig",
                    include_str!("../../templates/pack/zig/kernel.zig"),
                ),
                (
                    "reference.zig",
                    include_str!("../../templates/pack/zig/reference.zig"),
                ),
                (
                    "exports.zig",
                    include_str!("../../templates/pack/zig/exports.zig"),
                ),
            ],
            Self::AssemblyScript => &[
                (
                    "compile",
                    include_str!("../../templates/pack/assemblyscript/compile"),
                ),
                (
                    "scaled_square.ts",
                    include_str!("../../templates/pack/assemblyscript/scaled_square.ts"),
                ),
            ],
        }
    }

    /// What compiles it, and the files of kernel and reference, in the words of the README.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::C => (
                "clang and lld (`apt-get install clang lld`)",
                "`scaled_square.c`",
            ),
            Self::Rust => (
                "Rust with its target (`rustup target add wasm32-unknown-unknown`)",
                "`scaled_square.rs`",
            ),
            Self::Zig => (
                "Zig 0.16 (`pip install ziglang==0.16.0`, then `export ZIG='python3 -m ziglang'`)",
                "`kernel.zig`, `reference.zig`; `exports.zig` is around both",
            ),
            Self::AssemblyScript => (
                "AssemblyScript (`npm install assemblyscript`)",
                "`scaled_square.ts`",
            ),
        }
    }
}

/// Writes the folder: sources, contract, template, a new key.
///
/// # Errors
/// With [`Exit::Usage`] for a folder that holds something, or cannot be written.
pub fn run(folder: &Path, language: Language, output: &Output) -> Result<Exit> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.filter(|name| is_pack_name(name)).ok_or_else(|| {
        usage(format!(
            "the last part of {} becomes the name of the pack: 1 to 64 letters, digits, `.`, `_`, `-`, a letter or digit first",
            folder.display()
        ))
    })?;
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Ok(false) => {
            return Err(usage(format!(
                "{} is not empty; name a new folder",
                folder.display()
            )));
        }
        Err(error) => return Err(usage(format!("{}: {error}", folder.display()))),
    }
    let format = &time::format_description::well_known::Rfc3339;
    let now = time::OffsetDateTime::now_utc().replace_nanosecond(0)?;
    let (needs, source) = language.words();
    let known = [
        ("{{name}}", name),
        ("{{created_at}}", &now.format(format)?),
        ("{{release}}", env!("CARGO_PKG_VERSION")),
        ("{{needs}}", needs),
        ("{{source}}", source),
    ];
    let mut written = Vec::new();
    for (file, text) in COMMON.iter().chain(language.files()) {
        let text = known.iter().fold((*text).to_owned(), |text, (key, value)| {
            text.replace(key, value)
        });
        write(&folder.join(file), &text, *file == PROGRAM)
            .map_err(|error| usage(format!("{}: {error}", folder.join(file).display())))?;
        written.push(*file);
    }
    let key = PackSigningKey::generate().map_err(stop)?;
    key.write(&folder.join("author.key")).map_err(stop)?;
    fs::write(folder.join("author.pub"), key.public() + "\n")
        .context("failed to write author.pub")?;
    written.extend(["author.key", "author.pub"]);
    output.document(
        &json!({ "name": name, "folder": folder, "public_key": key.public(), "files": written }),
    )?;
    output.text(&format!(
        "{name}: one kernel, scaled_square, with its contract and a new key; it takes {needs}\n\
         to a verdict: cd {} && ./build && assay qualify pack --trust author.pub",
        shlex::try_quote(&folder.display().to_string())?
    ))?;
    Ok(Exit::Passed)
}

/// Whether a manifest may have it as its name.
fn is_pack_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "._-".contains(one))
}

fn write(path: &Path, text: &str, is_program: bool) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_program {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o755);
    }
    #[cfg(not(unix))]
    let _ = is_program;
    options.open(path)?.write_all(text.as_bytes())
}
