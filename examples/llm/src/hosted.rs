//! Kernels of a signed pack, through the kernel host.

use crate::{
    engines,
    kernels::{Call, Kernel, Kernels, Native},
};
use anyhow::Result;
use kernel_abi::Status;
use kernel_pack::{Pack, Policy, TrustList};
use runtime_host::{Budget, Host, OnFailure, Output, Sizes, Tensor, Tensors, Trust};
use std::{path::PathBuf, time::SystemTime};

/// Where kernels come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The pack.
    pub pack: PathBuf,
    /// Whose packs are accepted.
    pub trust: PathBuf,
}

impl Source {
    /// Reads and verifies the pack.
    ///
    /// # Errors
    /// It is refused, or one of the two cannot be read.
    pub fn verify(&self) -> Result<Pack> {
        let policy = Policy::at(SystemTime::now());
        Ok(kernel_pack::verify(&self.pack, &self.keys()?, &policy)?)
    }

    /// Whose packs are accepted.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn keys(&self) -> Result<TrustList> {
        Ok(TrustList::read(&self.trust)?)
    }
}

/// The kernels of the pack that a host serves. Where one fails, native code answers, and the call counts as degraded.
pub struct Hosted {
    host: Host,
    simd: bool,
}

impl Hosted {
    /// A host with one engine that serves the pack.
    ///
    /// # Errors
    /// The pack is refused, or the engine refuses a kernel.
    pub fn open(source: &Source, engine: &str, budget: Budget) -> Result<Self> {
        Self::trusting(source, source.keys()?, engine, budget)
    }

    /// The same, of which further packs may be signed by these keys.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn trusting(
        source: &Source,
        keys: TrustList,
        engine: &str,
        budget: Budget,
    ) -> Result<Self> {
        let engine = engines::open(engine)?;
        let features = &engine.info().capabilities.features;
        let simd = features.iter().any(|feature| feature == "simd");
        let host = Host::builder()
            .engine(engine)
            .trust(Trust::list(keys))
            .budget(budget)
            .on_failure(OnFailure::Native)
            .native(move |kernel, tensors| native(simd, kernel, tensors))
            .build()?;
        host.upgrade(&source.pack)?;
        Ok(Self { host, simd })
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Whether the engine runs the variants for SIMD.
    pub fn simd(&self) -> bool {
        self.simd
    }
}

/// The native form of the kernels that the model calls.
fn native(simd: bool, kernel: &str, tensors: &Tensors<'_>) -> Option<Result<Vec<u8>, Status>> {
    let kernel = Kernel::of_id(kernel)?;
    let Output::Written(size) = tensors.output else {
        return None;
    };
    let mut output = vec![0; size as usize];
    let call = Call {
        kernel,
        params: tensors.params,
        a: tensors.a,
        b: tensors.b,
        output: &mut output,
    };
    Some(match (Native { simd }).compute(call) {
        Status::OK => Ok(output),
        status => Err(status),
    })
}

impl Kernels for Hosted {
    fn run(&mut self, call: Call<'_>) -> Result<()> {
        let Call {
            kernel,
            params,
            a,
            b,
            output,
        } = call;
        let sizes = Sizes {
            a: u32::try_from(a.len())?,
            b: u32::try_from(b.len())?,
            output: u32::try_from(output.len())?,
            scratch: 0,
        };
        let mut fill = |tensor, bytes: &mut [u8]| match tensor {
            Tensor::A => bytes.copy_from_slice(a),
            Tensor::B => bytes.copy_from_slice(b),
            Tensor::Output => {}
        };
        let mut take = |bytes: &[u8]| output.copy_from_slice(bytes);
        self.host
            .call_in_place(kernel.id(), params, sizes, false, &mut fill, &mut take)?;
        Ok(())
    }

    fn describe(&self) -> String {
        let host = &self.host;
        let engine = host.engine_of(Kernel::RmsNorm.id()).unwrap_or_default();
        let generation = host.generation().unwrap_or_default();
        format!(
            "{engine} | {}, generation {generation} | {} calls degraded",
            host.active_pack().unwrap_or_default(),
            host.totals().degraded,
        )
    }
}
