use super::{Exported, Module};
use std::collections::HashMap;
use wasmparser::{KnownCustom, Name, Parser, Payload};

/// A module for people: its text by offsets, and what its functions are called.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    lines: HashMap<usize, String>,
    names: HashMap<u32, String>,
}

impl Listing {
    /// Of a module; what cannot be printed has no text.
    pub(crate) fn of(module: &Module) -> Listing {
        let mut text = String::new();
        let mut lines = HashMap::new();
        if let Ok(printed) = wasmprinter::Config::new().offsets_and_lines(&module.wasm, &mut text) {
            for (offset, line) in printed {
                if let Some(offset) = offset {
                    lines
                        .entry(offset as usize)
                        .or_insert_with(|| instruction(line));
                }
            }
        }
        let mut names = HashMap::new();
        for (name, exported) in &module.exports {
            if let Exported::Function(index) = exported {
                names.insert(*index, name.clone());
            }
        }
        for payload in Parser::new(0).parse_all(&module.wasm).flatten() {
            let Payload::CustomSection(custom) = payload else {
                continue;
            };
            let KnownCustom::Name(reader) = custom.as_known() else {
                continue;
            };
            for name in reader.into_iter().flatten() {
                if let Name::Function(map) = name {
                    let named = map.into_iter().flatten();
                    names.extend(named.map(|naming| (naming.index, naming.name.to_owned())));
                }
            }
        }
        Listing { lines, names }
    }

    /// The instruction that begins at an offset of the module.
    pub(crate) fn text(&self, offset: usize) -> &str {
        self.lines.get(&offset).map_or("?", String::as_str)
    }

    /// The name of a function, or its number.
    pub(crate) fn function(&self, index: u32) -> String {
        match self.names.get(&index) {
            Some(name) => name.clone(),
            None => format!("function {index}"),
        }
    }
}

/// A line without its comments; the end of a function is printed as that of its list.
fn instruction(line: &str) -> String {
    let line = line.trim();
    let code = line.split("(;").next().unwrap_or(line).trim();
    if code == ")" { "end" } else { code }.to_owned()
}
