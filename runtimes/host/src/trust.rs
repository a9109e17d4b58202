//! Whom the host trusts, and which versions it has seen.

use kernel_pack::{Error, Pack, Policy, SeenVersions, TrustList, TrustStore};
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Whom a host trusts. Files are read anew at every pack, so that a key that is revoked while the host runs is refused from then on.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    fixed: TrustList,
    stores: Vec<PathBuf>,
    seen: Option<PathBuf>,
    failed: Option<PathBuf>,
}

impl Trust {
    /// The keys of a list, as long as the host lives.
    pub fn list(list: TrustList) -> Self {
        Self {
            fixed: list,
            ..Self::default()
        }
    }

    /// The keys of a file, which need not be there: the user's trust store, or a list of an application's own.
    pub fn file(path: &Path) -> Self {
        Self {
            stores: vec![path.to_owned()],
            ..Self::default()
        }
    }

    /// The user's own trust store and records: those that `assay trust` and `assay qualify` keep.
    ///
    /// # Errors
    /// In words, where neither XDG_CONFIG_HOME nor HOME says where they are.
    pub fn of_user() -> Result<Self, String> {
        let store = TrustStore::of_user().ok_or_else(|| {
            "whom you trust is not known: neither XDG_CONFIG_HOME nor HOME says where the trust store is"
                .to_owned()
        })?;
        let trust = Self::file(store.path());
        Ok(match TrustStore::user_state() {
            Some(folder) => trust.remembering(&folder),
            None => trust,
        })
    }

    /// Also keeps on disk, in this folder, the highest versions seen (`seen.json`) and the versions that failed (`failed.json`).
    pub fn remembering(mut self, folder: &Path) -> Self {
        self.seen = Some(folder.join("seen.json"));
        self.failed = Some(folder.join("failed.json"));
        self
    }

    pub(crate) fn failed_file(&self) -> Option<&Path> {
        self.failed.as_deref()
    }

    /// Verifies a pack by what the files say now.
    pub(crate) fn verify(&self, path: &Path, allow_rollback: bool) -> Result<Pack, Error> {
        kernel_pack::verify(path, &self.keys()?, &self.policy(allow_rollback)?)
    }

    /// Remembers that a pack was accepted.
    pub(crate) fn remember(&self, pack: &Pack) -> Result<(), Error> {
        match &self.seen {
            Some(path) => SeenVersions::remember(path, pack.name(), pack.signers(), pack.version()),
            None => Ok(()),
        }
    }

    /// Whether a pack that was verified before still would be: keys are revoked, packs expire, newer versions are seen.
    pub(crate) fn check_again(&self, pack: &Pack, allow_rollback: bool) -> Result<(), Error> {
        pack.check_again(&self.keys()?, &self.policy(allow_rollback)?)
            .map_err(Error::from)
    }

    fn policy(&self, allow_rollback: bool) -> Result<Policy, Error> {
        let mut policy = Policy::at(SystemTime::now());
        policy.allow_rollback = allow_rollback;
        if let Some(path) = &self.seen {
            policy.seen = SeenVersions::read(path)?;
        }
        Ok(policy)
    }

    fn keys(&self) -> Result<TrustList, Error> {
        let mut keys = self.fixed.clone();
        for store in &self.stores {
            match TrustList::read(store) {
                Ok(list) => keys.merge(list),
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }
}
