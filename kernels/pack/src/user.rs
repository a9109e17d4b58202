//! Where the user's own files are.

use std::path::PathBuf;

use crate::store::TrustStore;

/// The name of a trust list, in the user's configuration and beside packs.
pub const LIST: &str = "trusted_keys";

impl TrustStore {
    /// The user's own, which need not be there: `assay/trusted_keys` in XDG_CONFIG_HOME or ~/.config. Nothing where nobody says where that
    /// is, and inside WebAssembly, where no user is.
    pub fn of_user() -> Option<Self> {
        let folder = user_folder("XDG_CONFIG_HOME", ".config")?;
        Some(Self::at(&folder.join(LIST)))
    }

    /// The folder of the user's own records, such as the versions seen: `assay` in XDG_STATE_HOME or ~/.local/state.
    pub fn user_state() -> Option<PathBuf> {
        user_folder("XDG_STATE_HOME", ".local/state")
    }
}

/// This project's folder in one of the user's. Paths that are not absolute do not count, as the XDG specification says.
fn user_folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    if cfg!(target_family = "wasm") {
        return None;
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = absolute(variable).or_else(|| Some(absolute("HOME")?.join(in_home)))?;
    Some(folder.join("assay"))
}
