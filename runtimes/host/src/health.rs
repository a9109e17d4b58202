//! Whether a kernel answers what the pack's own signed vectors say, before it serves anybody.

use crate::{error::Error, slot::Slot, tensors::Slices};
use kernel_cases::{
    case::{Case, Entry},
    truth::{self, Verdict},
    vectors,
};
use kernel_pack::{Pack, PackKernel, Rejection};
use runtime_call::CallError;
use std::sync::Arc;

/// What the health check of a kernel was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The kernel.
    pub kernel: String,
    /// The engine that runs it.
    pub engine: String,
    /// Signed vectors that it answered rightly. 0: the pack has none for it, and all that is known is that it can be instantiated.
    pub vectors: usize,
}

/// Asks a kernel all its signed vectors.
pub(crate) fn check(pack: &Pack, kernel: &PackKernel, slot: &Slot) -> Result<Health, Error> {
    let mut asked = 0;
    for case in cases(pack, kernel)? {
        // Gradients are not what a host serves, and a refusal proves nothing about answers.
        if case.entry != Entry::Forward || !case.expects_output() {
            continue;
        }
        ask(slot, &case).map_err(|what| Error::Unhealthy {
            kernel: slot.kernel.clone(),
            engine: slot.engine.clone(),
            what: format!("{}: {what}", case.name),
        })?;
        asked += 1;
    }
    Ok(Health {
        kernel: slot.kernel.clone(),
        engine: slot.engine.clone(),
        vectors: asked,
    })
}

fn cases(pack: &Pack, kernel: &PackKernel) -> Result<Vec<Case>, Error> {
    let contract = kernel.contract();
    let mut cases = Vec::new();
    let own = pack.vectors().iter();
    for vector in own.filter(|vector| vector.kernel() == kernel.id()) {
        let loaded = match contract {
            // Nothing says how its vectors would become calls.
            Err(_) => continue,
            Ok(contract) if contract.builtin() != Some(kernel.id()) => {
                vectors::load_open(&Arc::new(contract.clone()), vector.path(), vector.bytes())
            }
            Ok(_) => vectors::load_bytes(vector.path(), vector.bytes()),
        };
        let refused = |reason: &str| {
            let rejection = Rejection::vectors(kernel.id(), vector.path(), reason);
            Error::Pack(rejection.into())
        };
        let loaded = loaded.map_err(|error| refused(&error.to_string()))?;
        if let Some(stray) = loaded.iter().find(|case| case.kernel != kernel.id()) {
            return Err(refused(&format!("it holds cases of {}", stray.kernel)));
        }
        cases.extend(loaded);
    }
    Ok(cases)
}

fn ask(slot: &Slot, case: &Case) -> Result<(), String> {
    let tensors = case.tensors();
    let mut asked = Slices::new(&tensors);
    let shape = asked.shape().map_err(|error| error.to_string())?;
    match slot.serve(&shape, &mut asked).map_err(|error| *error) {
        Ok(()) => {}
        // The pack's vector does not fit the memory that its manifest asks for: nothing was run.
        Err(error @ CallError::Place(_)) => return Err(error.to_string()),
        Err(error) => return Err(format!("failed to {error}")),
    }
    match truth::judge_all(case, &asked.output) {
        None | Some(Verdict::Pass { .. } | Verdict::NotApplicable(_)) => Ok(()),
        Some(Verdict::Fail(mismatch)) => Err(mismatch.to_string()),
        Some(Verdict::Unknown(reason)) => Err(reason),
    }
}
