//! Which engines and backends there are, and why others are not.

use crate::program::Arguments;
use anyhow::Result;
pub(crate) use assay::records::nn::LeftOut;
use assay::{
    exit,
    outcome::Outcome,
    registry::{self, EngineError},
};
use kernel_pack::TrustList;
use runtime_api::{Budget, Runtime};
use runtime_host::{Host, OnFailure, Trust};
use runtime_nn::{
    Backend,
    backends::{Kernels, Native, Onnx, OnnxRuntime},
};
use std::{path::PathBuf, sync::Arc};

/// All backends, in the order of reports.
pub(crate) const BACKENDS: [&str; 4] = ["kernels", "native", "onnx", "onnxruntime"];

/// What there is of engines and backends.
pub(crate) struct Offer {
    pub(crate) engines: Vec<String>,
    pub(crate) backends: Vec<&'static str>,
    pub(crate) left_out: Vec<LeftOut>,
    onnx_runtime: Option<OnnxRuntime>,
    pack: Option<(PathBuf, TrustList)>,
}

impl Offer {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let mut offer = Self {
            engines: Vec::new(),
            backends: Vec::new(),
            left_out: Vec::new(),
            onnx_runtime: None,
            pack: None,
        };
        if let Some(path) = &arguments.pack {
            arguments.acceptance.load(path)?;
            offer.pack = Some((path.clone(), arguments.acceptance.keys()?));
        }
        offer.find_engines(&arguments.runtime)?;
        offer.find_backends(&arguments.backend)?;
        Ok(offer)
    }

    fn find_engines(&mut self, wanted: &[String]) -> Result<()> {
        for engine in registry::select(registry::engines(), wanted)? {
            let (outcome, reason) = match registry::open(&engine.id) {
                Ok(_) => {
                    self.engines.push(engine.id);
                    continue;
                }
                Err(EngineError::Elsewhere { server, .. }) => (
                    Outcome::Unsupported,
                    format!(
                        "it runs in {server}, and the worker protocol has no functions that a guest could import"
                    ),
                ),
                Err(error) => (Outcome::Absent, format!("failed to {error}")),
            };
            self.left_out.push(LeftOut {
                what: engine.id,
                outcome,
                reason,
            });
        }
        if self.engines.is_empty() {
            let reasons = self.left_out.iter();
            let reasons: Vec<_> = reasons
                .map(|left| format!("{}: {}", left.what, left.reason))
                .collect();
            let message = format!("no engine links WASI-NN here; {}", reasons.join("; "));
            return Err(exit::engine_absent(message));
        }
        Ok(())
    }

    fn find_backends(&mut self, wanted: &[String]) -> Result<()> {
        let known = BACKENDS.join(", ");
        if let Some(unknown) = wanted.iter().find(|id| !BACKENDS.contains(&id.as_str())) {
            let message = format!("no backend is called `{unknown}`; there are {known}");
            return Err(exit::usage(message));
        }
        for id in BACKENDS {
            if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == id) {
                continue;
            }
            let reason = match id {
                "kernels" if self.pack.is_none() => "--pack names no pack".to_owned(),
                "onnxruntime" => match OnnxRuntime::open() {
                    Ok(backend) => {
                        self.onnx_runtime = Some(backend);
                        self.backends.push(id);
                        continue;
                    }
                    Err(reason) => reason,
                },
                _ => {
                    self.backends.push(id);
                    continue;
                }
            };
            if !wanted.is_empty() {
                let message = format!("the backend `{id}` is absent: {reason}");
                return Err(exit::engine_absent(message));
            }
            self.left_out.push(LeftOut {
                what: id.to_owned(),
                outcome: Outcome::Absent,
                reason,
            });
        }
        Ok(())
    }

    /// A backend for guests on an engine; kernels run on the same one.
    pub(crate) fn backend(&self, id: &str, engine: &str) -> Result<Arc<dyn Backend>> {
        Ok(match id {
            "kernels" => Arc::new(Kernels::new(self.host(engine)?)),
            "native" => Arc::new(Native::simd()),
            "onnx" => Arc::new(Onnx),
            _ => match &self.onnx_runtime {
                Some(backend) => Arc::new(backend.clone()),
                None => return Err(exit::engine_absent("ONNX Runtime is absent")),
            },
        })
    }

    /// A kernel host with the pack on an engine. A kernel has a second: honest ones take far less, also where the machine is busy.
    pub(crate) fn host(&self, engine: &str) -> Result<Host> {
        let Some((pack, keys)) = &self.pack else {
            return Err(exit::usage("--pack names no pack"));
        };
        let host = Host::builder()
            .engine(open(engine)?)
            .trust(Trust::list(keys.clone()))
            .on_failure(OnFailure::Refuse)
            .budget(Budget::Epoch(100))
            .build();
        let host = host.map_err(|error| anyhow::anyhow!("failed to {error}"))?;
        host.upgrade(pack)
            .map_err(|error| anyhow::anyhow!("failed to {error}"))?;
        Ok(host)
    }
}

pub(crate) fn open(engine: &str) -> Result<Box<dyn Runtime>> {
    Ok(registry::open(engine)?)
}
