//! The highest version seen of every pack, so that an old pack cannot pass for the newest.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use semver::Version;

use crate::error::{Code, Error, Rejection};
use crate::json::{self, Value};
use crate::key::{PublicKey, decode_key};
use crate::write::{is_absent, lock, open_regular, write_file};

/// What stands for the key where a version counts for all keys.
const ANY_KEY: &str = "any";

/// A record larger than this is not a record.
const LARGEST_RECORD: u64 = 16 << 20;

/// The highest version seen per pack name and key that signed it.
///
/// In a file it is an object of names. With each goes an object of keys (`ed25519:<base64>`) and versions, where `any`
/// stands for every key; or only a version, which counts for every key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenVersions {
    /// Name, then key.
    highest: BTreeMap<String, BTreeMap<String, Version>>,
}

impl SeenVersions {
    /// Reads the record; a file that does not exist is an empty record.
    ///
    /// # Errors
    /// [`Error::SeenVersions`] for a file that is not such a record: it is not taken for an empty one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        match open_regular(path) {
            Ok(file) => file
                .take(LARGEST_RECORD + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| Error::io("read", path, error))?,
            Err(error) if is_absent(&error) => return Ok(Self::default()),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        Self::parse(&bytes).map_err(|reason| Error::SeenVersions {
            path: path.to_owned(),
            reason: format!("{reason}; mend it, or remove it to forget all versions"),
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > LARGEST_RECORD {
            return Err("it is larger than 16 MiB".to_owned());
        }
        let Value::Object(packs) = json::parse(bytes)? else {
            return Err("it is not an object of pack names and versions".to_owned());
        };
        let mut highest = BTreeMap::new();
        for (name, seen) in packs {
            let versions = match seen {
                Value::String(_) => BTreeMap::from([(ANY_KEY.to_owned(), version(&seen)?)]),
                Value::Object(keys) => {
                    let mut versions = BTreeMap::new();
                    for (key, seen) in keys {
                        if key != ANY_KEY && decode_key(&key).is_none() {
                            return Err(format!("{key:?} is no key"));
                        }
                        versions.insert(key, version(&seen)?);
                    }
                    versions
                }
                _ => return Err(format!("{name:?} has neither a version nor keys")),
            };
            highest.insert(name, versions);
        }
        Ok(Self { highest })
    }

    /// Adds a version that was accepted to the record in a file, for all keys that signed it. Other writers are waited for, and what they wrote is
    /// kept; a reader sees the old record or the new one.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::Io`] also if it cannot be written.
    pub fn remember(
        path: &Path,
        name: &str,
        keys: &[PublicKey],
        version: &Version,
    ) -> Result<(), Error> {
        let _lock = lock(path)?;
        let mut seen = Self::read(path)?;
        let mut changed = false;
        for key in keys {
            changed |= seen.record(name, key, version);
        }
        if changed {
            seen.write(path)?;
        }
        Ok(())
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let text = |version: &Version| Value::String(version.to_string());
        let packs = self
            .highest
            .iter()
            .map(|(name, versions)| {
                let keys = versions
                    .iter()
                    .map(|(key, version)| (key.clone(), text(version)));
                (name.clone(), Value::Object(keys.collect()))
            })
            .collect();
        let mut bytes = serde_json::to_vec_pretty(&Value::Object(packs))
            .map_err(|error| Error::io("write", path, error))?;
        bytes.push(b'\n');
        write_file(path, &bytes)
    }

    /// Remembers a version that was accepted; never forgets a higher one. Whether anything changed.
    pub fn record(&mut self, name: &str, key: &PublicKey, version: &Version) -> bool {
        let versions = self.highest.entry(name.to_owned()).or_default();
        let key = key.to_string();
        let higher = versions
            .get(&key)
            .is_none_or(|highest| highest.cmp_precedence(version).is_lt());
        if higher {
            versions.insert(key, version.clone());
        }
        higher
    }

    /// Refuses a version below the highest seen.
    pub(crate) fn check(
        &self,
        name: &str,
        key: &PublicKey,
        version: &Version,
    ) -> Result<(), Rejection> {
        let Some(versions) = self.highest.get(name) else {
            return Ok(());
        };
        for known in [key.to_string().as_str(), ANY_KEY] {
            if let Some(highest) = versions.get(known)
                && version.cmp_precedence(highest).is_lt()
            {
                let message = format!(
                    "version {version} of {name} is older than {highest}, which was seen before; ask for the rollback \
                     if it is meant"
                );
                return Err(
                    Rejection::new(Code::RollbackRefused, message).file(crate::MANIFEST_FILE)
                );
            }
        }
        Ok(())
    }
}

fn version(value: &Value) -> Result<Version, String> {
    let text = value
        .as_string()
        .ok_or_else(|| format!("{} stands where a version is expected", value.kind()))?;
    Version::parse(text).map_err(|error| format!("{text:?} is no version: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::PackSigningKey;

    fn key(seed: u8) -> PublicKey {
        PackSigningKey::from_seed(&[seed; 32]).public_key()
    }

    fn of(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn the_record_only_goes_up_and_survives_the_file() {
        let folder = crate::scratch();
        let path = folder.path().join("state/assay/seen.json");
        for version in ["1.0.0-rc.1", "1.0.0", "0.9.0"] {
            SeenVersions::remember(&path, "core", &[key(1)], &of(version)).unwrap();
        }
        let seen = SeenVersions::read(&path).unwrap();
        for accepted in ["1.0.0", "1.0.0+other.build", "2.0.0"] {
            assert!(seen.check("core", &key(1), &of(accepted)).is_ok());
        }
        assert!(seen.check("other", &key(1), &of("0.1.0")).is_ok());
        assert!(seen.check("core", &key(2), &of("0.1.0")).is_ok());
        for older in ["1.0.0-rc.2", "0.9.9"] {
            assert_eq!(
                seen.check("core", &key(1), &of(older)).unwrap_err().code,
                Code::RollbackRefused
            );
        }
    }

    #[test]
    fn a_plain_version_counts_for_any_key_and_is_kept() {
        let folder = crate::scratch();
        let path = folder.path().join("seen.json");
        std::fs::write(&path, r#"{"core": "1.2.0"}"#).unwrap();
        SeenVersions::remember(&path, "core", &[key(1)], &of("1.3.0")).unwrap();
        let seen = SeenVersions::read(&path).unwrap();
        assert!(seen.check("core", &key(2), &of("1.2.0")).is_ok());
        assert!(seen.check("core", &key(2), &of("1.1.0")).is_err());
        assert!(seen.check("core", &key(1), &of("1.2.0")).is_err());
    }

    #[test]
    fn writers_do_not_forget_what_others_wrote() {
        let folder = crate::scratch();
        let path = folder.path().join("seen.json");
        // Nothing runs at once in WASI.
        let write = |seed: u8| {
            let name = format!("pack{seed}");
            SeenVersions::remember(&path, &name, &[key(seed)], &of("1.0.0")).unwrap();
        };
        if cfg!(target_family = "wasm") {
            (1..=8).for_each(write);
        } else {
            std::thread::scope(|scope| {
                for seed in 1..=8 {
                    scope.spawn(move || write(seed));
                }
            });
        }
        assert_eq!(SeenVersions::read(&path).unwrap().highest.len(), 8);
    }

    #[test]
    fn a_damaged_record_is_not_an_empty_one() {
        let folder = crate::scratch();
        let path = folder.path().join("seen.json");
        for content in [
            "",
            "[]",
            "{\"core\":1}",
            "{\"core\":\"x\"}",
            "{\"core\":{\"somebody\":\"1.0.0\"}}",
            "{\"core\":{\"any\":1}}",
            "{\"a\":\"1.0.0\",\"a\":\"0.1.0\"}",
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(SeenVersions::read(&path).is_err(), "{content}");
            assert!(SeenVersions::remember(&path, "core", &[key(1)], &of("1.0.0")).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }
}
