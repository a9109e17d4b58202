use crate::{
    Backend, Encoding, Error, Graph, Limits, Session, Target,
    work::{self, LeftBehind},
};
use std::{collections::BTreeMap, sync::Arc};

/// What an embedder offers to its guests: backends, graphs by name, limits.
pub struct Nn {
    backends: Vec<Arc<dyn Backend>>,
    named: BTreeMap<String, Arc<dyn Graph>>,
    pub(crate) limits: Limits,
    pub(crate) left_behind: LeftBehind,
}

impl Nn {
    /// Nothing yet, within these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            backends: Vec::new(),
            named: BTreeMap::new(),
            limits,
            left_behind: LeftBehind::default(),
        }
    }

    /// Adds a backend for graphs that guests bring along. Of two for the same encoding the first is asked.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backends.push(backend);
        self
    }

    /// Adds a graph that guests load by name: it is loaded once, here, by the backend of the embedder's choice.
    ///
    /// # Errors
    /// Those of [`Backend::load`].
    pub fn named(
        mut self,
        name: &str,
        backend: &dyn Backend,
        bytes: Vec<u8>,
    ) -> Result<Self, Error> {
        let graph = work::apart(|| backend.load(&[bytes], Target::Cpu))?;
        self.named.insert(name.to_owned(), graph);
        Ok(self)
    }

    /// The side of one instance of a guest, whose handles mean nothing to another's.
    pub fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self))
    }

    /// Computations that took too long and are still running.
    pub fn left_behind(&self) -> usize {
        self.left_behind.count()
    }

    pub(crate) fn find(&self, name: &str) -> Result<Arc<dyn Graph>, Error> {
        let found = self.named.get(name).cloned();
        found.ok_or_else(|| Error::NotFound(format!("no graph is called `{name}`")))
    }

    /// The backend for an encoding, found out from the bytes where it is not said.
    pub(crate) fn chosen(
        &self,
        encoding: Encoding,
        parts: &[Vec<u8>],
    ) -> Result<Arc<dyn Backend>, Error> {
        let mut backends = self.backends.iter();
        let found = backends.find(|backend| match encoding {
            Encoding::Autodetect => backend.recognises(parts),
            encoding => backend.encoding() == encoding,
        });
        found
            .cloned()
            .ok_or_else(|| Error::Encoding(format!("no backend here takes graphs of {encoding:?}")))
    }
}
