use runtime_api::{Error, Options, Result, Runtime};
use sha2::{Digest, Sha256};

/// Code that depends on anything else than what a key is made of must not have the same key: this is counted up when the
/// meaning of the parts changes.
const VERSION: &str = "kernel assay code cache 1";

/// Which code: SHA-256 over the engine, its version and configuration, the options and the module's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a module's code, as `runtime` makes it with these options on this machine.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the engine has no code to keep.
    pub fn new(runtime: &dyn Runtime, wasm: &[u8], options: &Options) -> Result<Self> {
        let identity = runtime.code_identity(options)?;
        let info = runtime.info();
        let text = |value: serde_json::Result<Vec<u8>>| {
            value.map_err(|error| Error::Adapter {
                message: error.to_string(),
            })
        };
        let mut hasher = Sha256::new();
        for part in [
            VERSION.as_bytes(),
            info.id.as_bytes(),
            info.version.as_bytes(),
            std::env::consts::ARCH.as_bytes(),
            std::env::consts::OS.as_bytes(),
            &text(serde_json::to_vec(&info.build))?,
            &text(serde_json::to_vec(options))?,
            &identity,
            &Sha256::digest(wasm),
        ] {
            // With their lengths, so that no part's end passes for another's beginning.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Ok(Self(hasher.finalize().into()))
    }

    /// The key's bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of its file.
    pub fn file(&self) -> String {
        let mut name = String::with_capacity(69);
        for byte in self.0 {
            name += &format!("{byte:02x}");
        }
        name + ".code"
    }
}
