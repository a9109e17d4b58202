//! Which engines a command runs on: those of this project and adapters from outside, narrowed to what was asked for.

use super::{Availability, Engine, EngineError};
use assay_worker::Launch;
use globset::GlobMatcher;

/// What native code is called beside engines.
pub const NATIVE: &str = "native";
/// What it is called where it was compiled for this very processor.
pub const NATIVE_CPU: &str = "native.cpu";

/// Adds engines from outside, given as `NAME=COMMAND ARGUMENT...` with the quoting of a shell.
///
/// # Errors
/// [`EngineError::Adapter`], for a name that is empty, taken or not made of `[a-z0-9._-]`, and for a command that cannot be split.
pub fn with_adapters(
    mut engines: Vec<Engine>,
    adapters: &[String],
) -> Result<Vec<Engine>, EngineError> {
    for adapter in adapters {
        let wrong = |what| EngineError::Adapter {
            adapter: adapter.clone(),
            what,
        };
        let (id, command) = adapter
            .split_once('=')
            .ok_or_else(|| wrong("there is no `=`"))?;
        let harmless = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if id.is_empty() || !id.chars().all(harmless) {
            return Err(wrong("the name may hold a-z, 0-9, `.`, `_`, `-`"));
        }
        if [NATIVE, NATIVE_CPU].contains(&id) || engines.iter().any(|engine| engine.id == id) {
            return Err(wrong("the name is taken"));
        }
        let mut words = shlex::split(command)
            .ok_or_else(|| wrong("the command's quotes do not match"))?
            .into_iter();
        let program = words.next().ok_or_else(|| wrong("the command is empty"))?;
        engines.push(Engine {
            id: id.to_owned(),
            kind: None,
            default: false,
            availability: Availability::Ready(Launch::foreign(
                id,
                program.into(),
                words.map(Into::into).collect(),
            )),
        });
    }
    Ok(engines)
}

/// Narrows the engines to those that one of `wanted` names, in the order of reports. Every id or glob must name at least
/// one; an id without wildcards must be ready, and where nothing is asked for, or only globs are, at least one must be.
///
/// # Errors
/// [`EngineError`], for a name that fits nothing, and where none is ready or one that was named is not.
pub fn select(engines: Vec<Engine>, wanted: &[String]) -> Result<Vec<Engine>, EngineError> {
    let globs = matchers(wanted)?;
    for (pattern, glob) in wanted.iter().zip(&globs) {
        if !engines.iter().any(|engine| glob.is_match(&engine.id)) {
            let ids: Vec<_> = engines.iter().map(|engine| engine.id.as_str()).collect();
            return Err(EngineError::NoMatch {
                pattern: pattern.clone(),
                ids: ids.join(", "),
            });
        }
    }
    for engine in &engines {
        if let Some(reason) = engine.absence()
            && wanted.contains(&engine.id)
        {
            return Err(EngineError::Absent {
                what: format!("engine `{}`", engine.id),
                reason,
            });
        }
    }
    let selected: Vec<_> = engines
        .into_iter()
        .filter(|engine| globs.is_empty() || globs.iter().any(|glob| glob.is_match(&engine.id)))
        .collect();
    if selected.iter().all(|engine| engine.launch().is_none()) {
        return Err(EngineError::NoneReady);
    }
    Ok(selected)
}

/// Compiles ids and globs.
///
/// # Errors
/// [`EngineError::Pattern`].
pub fn matchers(patterns: &[String]) -> Result<Vec<GlobMatcher>, EngineError> {
    patterns
        .iter()
        .map(|pattern| {
            globset::Glob::new(pattern)
                .map(|glob| glob.compile_matcher())
                .map_err(|error| EngineError::Pattern {
                    pattern: pattern.clone(),
                    message: error.to_string(),
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime_api::Kind;
    use std::path::PathBuf;

    fn ready(id: &'static str) -> Engine {
        Engine {
            id: id.to_owned(),
            kind: Some(Kind::Interpreter),
            default: true,
            availability: Availability::Ready(
                Launch::own(id, PathBuf::from("worker"), &[]).unwrap(),
            ),
        }
    }

    fn absent(id: &'static str) -> Engine {
        Engine {
            availability: Availability::Absent {
                reason: "because".to_owned(),
                command: Some("add it"),
            },
            ..ready(id)
        }
    }

    #[test]
    fn names_globs_and_absence_are_told_apart() {
        let engines = || vec![ready("a.one"), absent("a.two"), absent("b")];
        let of = |engines: Vec<Engine>, wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|&word| word.to_owned()).collect();
            select(engines, &wanted).err()
        };
        for fits in [&[][..], &["a.*"], &["a.one"]] {
            assert!(of(engines(), fits).is_none(), "{fits:?}");
        }
        use EngineError::{Absent, NoMatch, NoneReady, Pattern};
        let nothing = of(engines(), &["a.one", "nothing"]);
        assert!(matches!(nothing, Some(NoMatch { .. })));
        let no_glob = of(engines(), &["a.[one"]);
        assert!(matches!(no_glob, Some(Pattern { .. })));
        let by_id = of(engines(), &["a.one", "b"]);
        assert!(matches!(by_id, Some(Absent { .. })));
        assert!(matches!(of(engines(), &["b*"]), Some(NoneReady)));
        assert!(matches!(of(vec![absent("b")], &[]), Some(NoneReady)));
    }

    #[test]
    fn no_command_is_promised_for_what_a_target_cannot_have() {
        let mut never = absent("never");
        never.availability = Availability::Absent {
            reason: "no backend".to_owned(),
            command: None,
        };
        let error = select(vec![ready("a"), never], &["never".to_owned()])
            .err()
            .unwrap();
        assert!(matches!(error, EngineError::Absent { .. }));
        let message = error.to_string();
        assert!(message.contains("no backend") && !message.contains("to add it"));
    }

    #[test]
    fn adapters_are_named_and_their_commands_split_like_a_shell_does() {
        let engines = with_adapters(
            vec![ready("a")],
            &["mine=/bin/run 'two words' three".to_owned()],
        )
        .unwrap();
        let Availability::Ready(launch) = &engines[1].availability else {
            panic!("an adapter is ready");
        };
        assert_eq!(launch.program, PathBuf::from("/bin/run"));
        assert_eq!(launch.arguments, ["two words", "three"]);
        for wrong in [
            "mine",
            "=run",
            "a=run",
            "A B=run",
            "mine=",
            "mine='run",
            "native=run",
        ] {
            let result = with_adapters(vec![ready("a")], &[wrong.to_owned()]);
            let error = result.err().unwrap_or_else(|| panic!("{wrong} was taken"));
            assert!(matches!(error, EngineError::Adapter { .. }), "{wrong}");
        }
    }
}
