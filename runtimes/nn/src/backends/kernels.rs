use super::document::{Calls, Program, recognises};
use crate::{Backend, Encoding, Error, Graph, Target};
use runtime_call::{CallError, Tensors};
use runtime_host::{Host, Reason, ServeError};
use std::sync::Arc;

/// Documents of kernels, served by a kernel host: the kernels of a signed pack in their sandbox, with the host's budgets and policies.
///
/// What the host answers is what a guest gets, a fallback too if the host's policy is to have one. A pack that is exchanged while graphs are
/// loaded serves them from then on.
#[derive(Clone)]
pub struct Kernels {
    host: Host,
}

impl Kernels {
    /// Over a host. It should limit each call (`HostBuilder::budget`): graphs are computed where they are asked for.
    pub fn new(host: Host) -> Self {
        Self { host }
    }
}

impl Backend for Kernels {
    fn id(&self) -> &'static str {
        "kernels"
    }

    fn encoding(&self) -> Encoding {
        Encoding::Kernels
    }

    fn recognises(&self, parts: &[Vec<u8>]) -> bool {
        recognises(parts)
    }

    fn load(&self, parts: &[Vec<u8>], target: Target) -> Result<Arc<dyn Graph>, Error> {
        super::only_cpu(target)?;
        Ok(Arc::new(Program::read(parts, self.clone())?))
    }
}

impl Calls for Kernels {
    fn knows(&self, kernel: &str) -> bool {
        self.host.engine_of(kernel).is_some()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn call(&self, kernel: &str, tensors: &Tensors<'_>) -> Result<Vec<u8>, Error> {
        match self.host.call(kernel, tensors) {
            Ok(served) => Ok(served.output),
            Err(error) => Err(mapped(&error)),
        }
    }
}

fn mapped(error: &ServeError) -> Error {
    let words = error.to_string();
    match error {
        ServeError::UnknownKernel(_) => Error::NotFound(words),
        ServeError::Place(_)
        | ServeError::Failed {
            error: CallError::Place(_),
            ..
        } => Error::TooLarge(words),
        // The kernel's own refusal of sizes or parameters, which the graph or its inputs brought.
        ServeError::Failed {
            reason: Reason::Status | Reason::Caller,
            ..
        } => Error::Argument(words),
        _ => Error::Failed(words),
    }
}
