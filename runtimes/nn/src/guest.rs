//! A guest on an engine.

use crate::{
    Nn,
    abi::{Abi, IMPORTS, Listener},
};
use runtime_api::{Budget, Error, Functions, Instance, Options, Runtime};
use std::sync::Arc;

/// A guest that was compiled, with what its instances may use.
pub struct Guest {
    compiled: Box<dyn runtime_api::Guest>,
    nn: Arc<Nn>,
    listener: Option<Arc<Listener>>,
}

impl Guest {
    /// Compiles a guest. It may import the functions of `wasi_ephemeral_nn` and nothing else.
    ///
    /// # Errors
    /// [`Error::Rejected`] for another module, [`Error::Unsupported`] from an engine whose adapter links no functions.
    pub fn compile(
        runtime: &dyn Runtime,
        wasm: &[u8],
        options: &Options,
        nn: Arc<Nn>,
    ) -> Result<Self, Error> {
        Ok(Self {
            compiled: runtime.compile_guest(wasm, options, &IMPORTS)?,
            nn,
            listener: None,
        })
    }

    /// Tells somebody how each call of a function ends, of all instances.
    #[must_use]
    pub fn heard_by(mut self, listener: Arc<Listener>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// An instance with graphs and contexts of its own.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn instantiate(&self, budget: Budget) -> Result<Box<dyn Instance + Send>, Error> {
        let functions = || {
            let abi = Abi::new(self.nn.session());
            let abi = match &self.listener {
                Some(listener) => abi.heard_by(Arc::clone(listener)),
                None => abi,
            };
            Box::new(abi) as Box<dyn Functions>
        };
        self.compiled.instantiate(budget, &functions)
    }
}
