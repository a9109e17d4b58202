//! How an engine's worker is started, or why it cannot be.

use super::{
    Availability,
    known::{AHEAD, Known, Open, Place},
};
use assay_worker::Launch;
use std::path::PathBuf;

/// Ready to be started, or the reason why not.
pub(super) fn availability(engine: &Known) -> Availability {
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
pub(super) fn launch_here(id: &str, _: Open) -> Result<Launch, String> {
    let here = std::env::current_exe()
        .map_err(|error| format!("the path of this executable is unknown: {error}"))?;
    Launch::own(id, here, &["worker", id]).map_err(|error| error.to_string())
}

/// Inside WebAssembly a worker is no process.
#[cfg(target_family = "wasm")]
pub(super) fn launch_here(id: &str, open: Open) -> Result<Launch, String> {
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
