//! Whether what was accepted still would be.

use super::{Pack, Policy, check_expiry};
use crate::error::{Code, Rejection};
use crate::signature::revoked;
use crate::trust::TrustList;

impl Pack {
    /// Whether trusted keys and a policy of now still accept this pack: a host that runs for long asks before it goes on with what
    /// it verified earlier. The bytes are those that were verified; nothing is read.
    ///
    /// # Errors
    /// [`Code::KeyRevoked`], [`Code::NoTrustedKey`], [`Code::PackExpired`], [`Code::RollbackRefused`].
    pub fn check_again(&self, trust: &TrustList, policy: &Policy) -> Result<(), Rejection> {
        let known = |key| trust.find(key).filter(|entry| !entry.revoked);
        let author = self.signer();
        if trust.find(author).is_some_and(|entry| entry.revoked) {
            return Err(revoked(author, "the pack's author has the key"));
        }
        if !self.signers.iter().any(|key| known(key).is_some()) {
            let message = format!(
                "the pack was accepted by {}, which is not trusted any more",
                self.accepted_by
            );
            return Err(Rejection::new(Code::NoTrustedKey, message));
        }
        check_expiry(&self.manifest, policy)?;
        if !policy.allow_rollback {
            for key in &self.signers {
                policy
                    .seen
                    .check(&self.manifest.name, key, &self.manifest.version)?;
            }
        }
        Ok(())
    }
}
