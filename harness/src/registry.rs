//! The engines this project knows. All feature `cfg`s stand here: one arm per engine beside its "absent, because ..." twin.

use crate::exit;
use anyhow::Result;
use assay_worker::Launch;
use globset::GlobMatcher;
use runtime_api::{Error, Kind, Runtime};
use std::path::{Path, PathBuf};

/// Opens an engine in this process: what a worker does.
type Open = fn() -> Result<Box<dyn Runtime>, Error>;

/// An engine, in this build or not, or from outside.
pub struct Engine {
    /// Engine and strategy.
    pub id: String,
    /// How it executes code; an engine from outside says so itself when it is started.
    pub kind: Option<Kind>,
    /// Whether the default build has it.
    pub default: bool,
    /// Ready to be started, or the reason why not.
    pub availability: Availability,
}

impl Engine {
    /// What starts its worker, where it is ready.
    pub fn launch(&self) -> Option<&Launch> {
        match &self.availability {
            Availability::Ready(launch) => Some(launch),
            Availability::Absent { .. } => None,
        }
    }

    /// Why it cannot be started, and how to add it where that is possible; `None` where it is ready.
    pub fn absence(&self) -> Option<String> {
        match &self.availability {
            Availability::Ready(_) => None,
            Availability::Absent {
                reason,
                command: Some(command),
            } => Some(format!("{reason}; to add it: {command}")),
            Availability::Absent {
                reason,
                command: None,
            } => Some(format!(
                "{reason} (docs/targets.md: which engine runs where)"
            )),
        }
    }

    /// Lets the worker keep compiled code in a folder, if it is one of this project.
    pub fn with_code_cache(&mut self, folder: &Path) {
        if let Availability::Ready(launch) = &mut self.availability
            && launch.states_id
        {
            launch.arguments.extend([CODE_CACHE.into(), folder.into()]);
        }
    }
}

/// The word before the folder of [`Engine::with_code_cache`].
const CODE_CACHE: &str = "--code-cache";

/// The same worker without its cache of compiled code, for one that shall not hold the secret of a cache.
pub fn without_code_cache(launch: &Launch) -> Launch {
    let mut launch = launch.clone();
    let mut words = launch.arguments.iter();
    if launch.states_id
        && let Some(position) = words.position(|word| word == CODE_CACHE)
    {
        launch
            .arguments
            .drain(position..(position + 2).min(launch.arguments.len()));
    }
    launch
}

/// Whether an engine can be started.
pub enum Availability {
    /// A worker can be launched.
    Ready(Launch),
    /// Not in this build or not on this machine.
    Absent {
        /// Why.
        reason: String,
        /// The command that adds it; `None` where this target cannot have it.
        command: Option<&'static str>,
    },
}

/// Where an engine's code is.
#[allow(
    dead_code,
    reason = "which of these are constructed depends on the features and the target"
)]
#[derive(Clone, Copy)]
enum Place {
    /// In this executable.
    Here(Open),
    /// In an executable beside this one.
    Beside {
        program: &'static str,
        /// Why it may not be there.
        needs: &'static str,
    },
    /// Around this module: a page's own WebAssembly.
    #[cfg(target_family = "wasm")]
    Page(assay_worker::Exchange),
    /// Nowhere in this build.
    Absent(&'static str),
    /// In no build for this target.
    Never(&'static str),
}

struct Known {
    id: &'static str,
    kind: Kind,
    default: bool,
    place: Place,
    command: &'static str,
}

/// The fastest engine of the default build: most goals are about it.
pub const CRANELIFT: &str = "wasmtime.cranelift";
/// The code of [`CRANELIFT`] in instances of a pool.
pub const POOLING: &str = "wasmtime.pooling";
/// wasmtime's interpreter.
pub const PULLEY: &str = "wasmtime.pulley";
/// WAMR's code compiled ahead of time.
pub const AHEAD: &str = "wamr.aot";
/// Wasmer's code by LLVM.
const WASMER_LLVM: &str = "wasmer.llvm";
/// Engines that take LLVM a third of a second to two seconds for a module, the slowest first.
pub const SLOW_COMPILERS: [&str; 2] = [WASMER_LLVM, AHEAD];

const ADD_DEFAULT: &str = "cargo build --release -p assay";
const ADD_WASMI_FAST: &str =
    "cargo build --release -p runtime-wasmi --features worker --bin assay-wasmi-fast";
const ADD_WAMR: &str =
    "apt-get install cmake libclang-dev libsimde-dev && cargo build --release -p runtime-wamr";
const ADD_WAMR_AOT: &str = if cfg!(target_pointer_width = "64") {
    "apt-get install cmake libclang-dev libsimde-dev llvm-22-dev && cargo build --release -p runtime-wamr -p wamr-compiler"
} else {
    "on an x86_64 machine: scripts/for-device DIR armv7; here: ASSAY_WAMRC=DIR/code/armv7"
};
const ADD_WASMER: &str = "apt-get install llvm-22-dev libpolly-22-dev libffi-dev zlib1g-dev libzstd-dev && cargo build --release -p runtime-wasmer";

#[cfg(all(
    feature = "wasmtime",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
const WASMTIME: [Place; 4] = [
    Place::Here(runtime_wasmtime::cranelift),
    Place::Here(runtime_wasmtime::pulley),
    Place::Here(runtime_wasmtime::winch),
    Place::Here(runtime_wasmtime::pooling),
];
#[cfg(all(
    feature = "wasmtime",
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_family = "wasm"
    ))
))]
const WASMTIME: [Place; 4] = [
    Place::Never(
        "Cranelift is built in for x86_64 and aarch64, and has no backend for 32-bit machines at all; `wasmtime.pulley` interprets what it makes",
    ),
    Place::Here(runtime_wasmtime::pulley),
    Place::Never("Winch compiles for x86_64 and aarch64 only; `wasmtime.pulley` runs here"),
    Place::Never("a pool of instances takes address space of 64 bits"),
];
#[cfg(target_family = "wasm")]
const WASMTIME: [Place; 4] = [const {
    Place::Never(
        "wasmtime is not built for WebAssembly: it maps memory and catches signals of an operating system",
    )
}; 4];
#[cfg(not(any(feature = "wasmtime", target_family = "wasm")))]
const WASMTIME: [Place; 4] =
    [const { Place::Absent("this build leaves the default feature `wasmtime` out") }; 4];

#[cfg(feature = "wasmi")]
const WASMI: Place = Place::Here(runtime_wasmi::runtime);
#[cfg(not(feature = "wasmi"))]
const WASMI: Place = Place::Absent("this build leaves the default feature `wasmi` out");

const WASMI_FAST: Place = if cfg!(target_family = "wasm") {
    Place::Never("it is an executable of its own, and WebAssembly starts no executables")
} else {
    Place::Beside {
        program: "assay-wasmi-fast",
        needs: "wasmi with another dispatch is a build of its own",
    }
};
const WAMR: Place = if cfg!(target_family = "wasm") {
    Place::Never("WAMR is C code over an operating system, and is not built for WebAssembly")
} else {
    Place::Beside {
        program: "assay-wamr",
        needs: "it needs cmake and libclang",
    }
};
const WASMER: Place = if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
    Place::Beside {
        program: "assay-wasmer",
        needs: "it needs LLVM 22.1 (and wasmer-compiler-llvm is under BUSL-1.1)",
    }
} else {
    Place::Never(
        "wasmer's LLVM compiler has backends for x86_64, aarch64, riscv64 and loongarch64, and none for a 32-bit machine",
    )
};

/// The engine of a browser can only be reached from inside a page: elsewhere it is not an engine that could be there.
#[cfg(all(feature = "browser", target_family = "wasm"))]
fn browser() -> Option<Known> {
    Some(Known {
        id: "browser",
        kind: Kind::Jit,
        default: false,
        place: Place::Page(assay_worker::page::exchange),
        command: ADD_DEFAULT,
    })
}
#[cfg(not(all(feature = "browser", target_family = "wasm")))]
fn browser() -> Option<Known> {
    None
}

fn known() -> Vec<Known> {
    let [cranelift, pulley, winch, _] = WASMTIME;
    let engine = |id, kind, default, place, command| Known {
        id,
        kind,
        default,
        place,
        command,
    };
    let mut known = vec![
        engine(CRANELIFT, Kind::Jit, true, cranelift, ADD_DEFAULT),
        engine(PULLEY, Kind::Interpreter, true, pulley, ADD_DEFAULT),
        engine("wasmtime.winch", Kind::Jit, true, winch, ADD_DEFAULT),
        engine("wasmi", Kind::Interpreter, true, WASMI, ADD_DEFAULT),
        engine(
            "wasmi.fast",
            Kind::Interpreter,
            false,
            WASMI_FAST,
            ADD_WASMI_FAST,
        ),
        engine("wamr.fast", Kind::Interpreter, false, WAMR, ADD_WAMR),
        engine(AHEAD, Kind::Aot, false, WAMR, ADD_WAMR_AOT),
        engine(WASMER_LLVM, Kind::Jit, false, WASMER, ADD_WASMER),
    ];
    known.extend(browser());
    known
}

/// The same code as an engine's in instances of another kind: what `bench` looks at besides the engines, for their way of an
/// invocation.
fn pooled() -> Known {
    let [.., pooling] = WASMTIME;
    Known {
        id: POOLING,
        kind: Kind::Jit,
        default: false,
        place: pooling,
        command: ADD_DEFAULT,
    }
}

/// The worker of [`POOLING`], if `of` is the engine whose code it serves from a pool of instances; `None` for
/// all others, and where this build lacks it.
pub fn pooled_worker(of: &str) -> Option<Launch> {
    let engine = pooled();
    (of == CRANELIFT).then_some(())?;
    match engine.place {
        Place::Here(open) => launch_here(engine.id, open).ok(),
        _ => None,
    }
}

/// The workers of the engines that are in this very executable, the fastest first.
pub fn in_this_executable() -> Vec<Launch> {
    let here = known().into_iter().filter_map(|engine| match engine.place {
        Place::Here(open) => launch_here(engine.id, open).ok(),
        _ => None,
    });
    here.collect()
}

/// Opens an engine in this process.
///
/// # Errors
/// The reason why it is absent, or the engine's own.
pub fn open(id: &str) -> Result<Box<dyn Runtime>> {
    let engines = known().into_iter().chain([pooled()]);
    let Some(engine) = engines.into_iter().find(|engine| engine.id == id) else {
        return Err(exit::usage(format!(
            "there is no engine `{id}`; `assay list` names them"
        )));
    };
    match engine.place {
        Place::Here(open) => Ok(open()?),
        Place::Beside { program, .. } => Err(exit::engine_absent(format!(
            "`{id}` is served by `{program}`"
        ))),
        #[cfg(target_family = "wasm")]
        Place::Page(_) => Err(exit::engine_absent(format!("`{id}` is served by a page"))),
        Place::Absent(reason) | Place::Never(reason) => {
            Err(exit::engine_absent(format!("`{id}` is absent: {reason}")))
        }
    }
}

/// All engines that this project knows, in the order of reports.
pub fn engines() -> Vec<Engine> {
    let engine = |known: Known| Engine {
        id: known.id.to_owned(),
        kind: Some(known.kind),
        default: known.default,
        availability: availability(&known),
    };
    known().into_iter().map(engine).collect()
}

fn availability(engine: &Known) -> Availability {
    let launch = match engine.place {
        Place::Here(open) => launch_here(engine.id, open),
        Place::Beside { program, needs } => launch_beside(engine.id, program, needs),
        #[cfg(target_family = "wasm")]
        Place::Page(exchange) => Ok(Launch::within(
            engine.id,
            assay_worker::Peer::Page(exchange),
        )),
        Place::Absent(reason) => Err(reason.to_owned()),
        Place::Never(reason) => {
            return Availability::Absent {
                reason: reason.to_owned(),
                command: None,
            };
        }
    };
    launch.map_or_else(
        |reason| Availability::Absent {
            reason,
            command: Some(engine.command),
        },
        Availability::Ready,
    )
}

/// This executable serves its engines as a worker.
#[cfg(not(target_family = "wasm"))]
fn launch_here(id: &str, _: Open) -> Result<Launch, String> {
    let here = std::env::current_exe()
        .map_err(|error| format!("the path of this executable is unknown: {error}"))?;
    Launch::own(id, here, &["worker", id]).map_err(|error| error.to_string())
}

/// Inside WebAssembly a worker is no process.
#[cfg(target_family = "wasm")]
fn launch_here(id: &str, open: Open) -> Result<Launch, String> {
    Ok(Launch::within(id, assay_worker::Peer::Engine(open)))
}

fn launch_beside(id: &str, program: &str, needs: &str) -> Result<Launch, String> {
    let path = beside(program)
        .ok_or_else(|| format!("the worker `{program}` is not beside this executable: {needs}"))?;
    let mut launch = Launch::own(id, path, &[id]).map_err(|error| error.to_string())?;
    if id == AHEAD {
        launch.arguments.push(wamr_compiler()?.into());
    }
    Ok(launch)
}

/// Adds engines from outside, given as `NAME=COMMAND ARGUMENT...` with the quoting of a shell.
///
/// # Errors
/// Usage, for a name that is empty, taken or not made of `[a-z0-9._-]`, and for a command that cannot be split.
pub fn with_adapters(mut engines: Vec<Engine>, adapters: &[String]) -> Result<Vec<Engine>> {
    for adapter in adapters {
        let wrong = |what: &str| {
            exit::usage(format!(
                "--adapter `{adapter}`: {what}; it takes NAME=COMMAND ARGUMENT..."
            ))
        };
        let (id, command) = adapter
            .split_once('=')
            .ok_or_else(|| wrong("there is no `=`"))?;
        let harmless = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if id.is_empty() || !id.chars().all(harmless) {
            return Err(wrong("the name may hold a-z, 0-9, `.`, `_`, `-`"));
        }
        if engines.iter().any(|engine| engine.id == id) {
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
/// Usage for a name that fits nothing; engine absent otherwise.
pub fn select(engines: Vec<Engine>, wanted: &[String]) -> Result<Vec<Engine>> {
    let globs = matchers(wanted)?;
    for (pattern, glob) in wanted.iter().zip(&globs) {
        if !engines.iter().any(|engine| glob.is_match(&engine.id)) {
            let ids: Vec<_> = engines.iter().map(|engine| engine.id.as_str()).collect();
            return Err(exit::usage(format!(
                "no engine is called `{pattern}`; there are: {}",
                ids.join(", ")
            )));
        }
    }
    for engine in &engines {
        if let Some(reason) = engine.absence()
            && wanted.contains(&engine.id)
        {
            return Err(exit::engine_absent(format!(
                "engine `{}` is absent: {reason}",
                engine.id
            )));
        }
    }
    let selected: Vec<_> = engines
        .into_iter()
        .filter(|engine| globs.is_empty() || globs.iter().any(|glob| glob.is_match(&engine.id)))
        .collect();
    if selected.iter().all(|engine| engine.launch().is_none()) {
        return Err(exit::engine_absent(
            "none of the engines asked for is ready; `assay list` says why",
        ));
    }
    Ok(selected)
}

/// Compiles ids and globs.
///
/// # Errors
/// Usage, for a pattern that is not a glob.
pub fn matchers(patterns: &[String]) -> Result<Vec<GlobMatcher>> {
    patterns
        .iter()
        .map(|pattern| {
            globset::Glob::new(pattern)
                .map(|glob| glob.compile_matcher())
                .map_err(|error| {
                    exit::usage(format!("`{pattern}` is not an id or a glob: {error}"))
                })
        })
        .collect()
}

/// WAMR's ahead-of-time compiler is an executable of its own, for its library clashes with the runtime's; or a folder of what one
/// made on another machine. Whoever names either vouches for native code.
fn wamr_compiler() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("ASSAY_WAMRC").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.exists() {
            Ok(path)
        } else {
            Err(format!(
                "ASSAY_WAMRC names `{}`, which is not there",
                path.display()
            ))
        };
    }
    if cfg!(not(target_pointer_width = "64")) {
        return Err(
            "its compiler `assay-wamrc` needs LLVM 22 and is built for 64-bit machines only; what it made there can be run here"
                .to_owned(),
        );
    }
    beside("assay-wamrc").ok_or_else(|| {
        "the ahead-of-time compiler `assay-wamrc` is not beside this executable: it needs LLVM 22.1".to_owned()
    })
}

/// An executable beside this one; tests run one folder further down.
pub(crate) fn beside(program: &str) -> Option<PathBuf> {
    let here = std::env::current_exe().ok()?;
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn exit_of(engines: Vec<Engine>, wanted: &[&str]) -> exit::Exit {
        let wanted: Vec<_> = wanted.iter().map(|&w| w.to_owned()).collect();
        match select(engines, &wanted) {
            Ok(_) => exit::Exit::Passed,
            Err(error) => exit::of(&error),
        }
    }

    #[test]
    fn names_globs_and_absence_end_as_documented() {
        let engines = || vec![ready("a.one"), absent("a.two"), absent("b")];
        assert_eq!(exit_of(engines(), &[]), exit::Exit::Passed);
        assert_eq!(exit_of(engines(), &["a.*"]), exit::Exit::Passed);
        assert_eq!(exit_of(engines(), &["a.one"]), exit::Exit::Passed);
        assert_eq!(exit_of(engines(), &["a.one", "nothing"]), exit::Exit::Usage);
        assert_eq!(exit_of(engines(), &["a.[one"]), exit::Exit::Usage);
        assert_eq!(
            exit_of(engines(), &["a.one", "b"]),
            exit::Exit::EngineAbsent
        );
        assert_eq!(exit_of(engines(), &["b*"]), exit::Exit::EngineAbsent);
        assert_eq!(exit_of(vec![absent("b")], &[]), exit::Exit::EngineAbsent);
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
        assert_eq!(exit::of(&error), exit::Exit::EngineAbsent);
        let message = format!("{error:#}");
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
        for wrong in ["mine", "=run", "a=run", "A B=run", "mine=", "mine='run"] {
            let result = with_adapters(vec![ready("a")], &[wrong.to_owned()]);
            let error = result.err().unwrap_or_else(|| panic!("{wrong} was taken"));
            assert_eq!(exit::of(&error), exit::Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn every_engine_is_named_once() {
        let mut ids: Vec<_> = known().iter().map(|engine| engine.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), known().len());
    }
}
