//! Modules that are compiled already: two generations that have a module in common have it once.

use crate::pool::locked;
use runtime_api::{Error, Module, Options, Runtime};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

/// SHA-256 of a module, the engine's place in the host, and the options.
type Key = ([u8; 32], usize, Options);

/// What is compiled and still in use.
#[derive(Default)]
pub(crate) struct Compiled(Mutex<HashMap<Key, Weak<dyn Module>>>);

impl Compiled {
    /// The module of `wasm`, compiled now unless some generation has it.
    pub(crate) fn module(
        &self,
        (index, runtime): (usize, &dyn Runtime),
        (sha256, wasm): ([u8; 32], &[u8]),
        options: &Options,
    ) -> Result<Arc<dyn Module>, Error> {
        let key = (sha256, index, *options);
        if let Some(module) = locked(&self.0).get(&key).and_then(Weak::upgrade) {
            return Ok(module);
        }
        // Not under the lock: a compiler takes its time. Who compiles at the same time has a module of his own.
        let module: Arc<dyn Module> = Arc::from(runtime.compile(wasm, options)?);
        let mut known = locked(&self.0);
        known.retain(|_, module| module.strong_count() > 0);
        known.insert(key, Arc::downgrade(&module));
        Ok(module)
    }
}
