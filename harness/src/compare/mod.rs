//! Two things beside each other. `packs` runs two packs on the same inputs, with `cost` for fuel, code and time; `outcomes` reads
//! two results of `conform` or `qualify`; `outputs` compares what several targets answered, bit for bit; `numbers` holds a pack
//! against numbers that were recorded. Two runs of `bench` are compared by `bench::compare`.

pub mod answers;
pub mod cost;
mod error;
pub mod numbers;
pub mod outcomes;
pub mod outputs;
pub mod packs;
mod text;

pub use error::CompareError;

use crate::bench::record;
use std::path::Path;

/// What can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder or archive with `kernels.json`.
    Pack,
    /// A results folder of `conform` or `qualify`.
    Conformance,
    /// A results folder of `bench`, or its records.
    Bench,
    /// A file of recorded numbers.
    Numbers,
}

impl Kind {
    const fn words(self) -> &'static str {
        match self {
            Kind::Pack => "a pack",
            Kind::Conformance => "results of `conform` or `qualify`",
            Kind::Bench => "results of `bench`",
            Kind::Numbers => "a file of recorded numbers",
        }
    }
}

/// How two paths are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Two of a kind.
    Both(Kind),
    /// Recorded numbers and a pack.
    Recorded,
}

/// How these two are compared.
///
/// # Errors
/// [`CompareError`], for a path that is not there or is none of the kinds, and for two that have nothing in common.
pub fn way(old: &Path, new: &Path) -> Result<Way, CompareError> {
    let (old_kinds, new_kinds) = (kinds(old)?, kinds(new)?);
    if old_kinds.contains(&Kind::Numbers) && new_kinds.contains(&Kind::Pack) {
        return Ok(Way::Recorded);
    }
    let common = old_kinds.iter().find(|kind| new_kinds.contains(kind));
    match common {
        Some(kind) if *kind != Kind::Numbers => Ok(Way::Both(*kind)),
        _ => {
            let say = |path: &Path, kinds: &[Kind]| {
                let words: Vec<_> = kinds.iter().map(|kind| kind.words()).collect();
                format!("`{}` is {}", path.display(), words.join(" and "))
            };
            Err(CompareError::Unlike {
                old: say(old, &old_kinds),
                new: say(new, &new_kinds),
            })
        }
    }
}

fn kinds(path: &Path) -> Result<Vec<Kind>, CompareError> {
    if !path.exists() {
        return Err(CompareError::NotThere {
            path: path.to_owned(),
        });
    }
    if !path.is_dir() {
        let ends_in = |extension: &str| path.extension().is_some_and(|end| end == extension);
        return Ok(vec![if ends_in("jsonl") {
            Kind::Bench
        } else if ends_in("json") {
            Kind::Numbers
        } else {
            Kind::Pack
        }]);
    }
    let has = |name: &str| path.join(name).is_file();
    let found: Vec<_> = [
        (has("kernels.json"), Kind::Pack),
        (
            has("conform.json") || has("qualify.json"),
            Kind::Conformance,
        ),
        (has(record::FILE), Kind::Bench),
    ]
    .into_iter()
    .filter_map(|(is, kind)| is.then_some(kind))
    .collect();
    if found.is_empty() {
        return Err(CompareError::NoKind {
            path: path.to_owned(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn like_is_compared_with_like() {
        let place = crate::scratch();
        let with = |folder: &str, files: &[&str]| {
            let path = place.path().join(folder);
            fs::create_dir_all(&path).unwrap();
            for file in files {
                fs::write(path.join(file), "").unwrap();
            }
            path
        };
        let pack = with("pack", &["kernels.json"]);
        let conform = with("conform", &["conform.json"]);
        let bench = with("bench", &["bench.jsonl"]);
        let both = with("both", &["qualify.json", "bench.jsonl"]);
        let numbers = with("n", &["numbers.json"]).join("numbers.json");
        let nothing = with("nothing", &[]);
        let same = |a: &Path, b: &Path| way(a, b).ok();
        assert_eq!(same(&pack, &pack), Some(Way::Both(Kind::Pack)));
        assert_eq!(same(&conform, &both), Some(Way::Both(Kind::Conformance)));
        assert_eq!(same(&both, &bench), Some(Way::Both(Kind::Bench)));
        assert_eq!(same(&numbers, &pack), Some(Way::Recorded));
        for (old, new) in [
            (&pack, &conform),
            (&bench, &conform),
            (&pack, &numbers),
            (&numbers, &numbers),
            (&nothing, &pack),
        ] {
            assert!(
                way(old, new).is_err(),
                "{} {}",
                old.display(),
                new.display()
            );
        }
    }
}
