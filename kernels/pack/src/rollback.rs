//! The highest version seen of every pack, so that an old pack cannot pass for the newest.

use std::collections::BTreeMap;
use std::path::Path;

use semver::Version;

use crate::error::{Code, Error, Rejection};
use crate::json::{self, Value};
use crate::write::write_file;

/// The highest version seen per pack name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenVersions {
    highest: BTreeMap<String, Version>,
}

impl SeenVersions {
    /// Reads the record; a file that does not exist is an empty record.
    ///
    /// # Errors
    /// [`Error::SeenVersions`] for a file that is not such a record: it is not taken for an empty one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Error::io("read", path, error)),
        };
        let malformed = |reason: String| Error::SeenVersions {
            path: path.to_owned(),
            reason,
        };
        let Value::Object(members) = json::parse(&bytes).map_err(malformed)? else {
            return Err(malformed(
                "it is not an object of pack names and versions".to_owned(),
            ));
        };
        let mut highest = BTreeMap::new();
        for (name, version) in members {
            let Value::String(version) = version else {
                return Err(malformed(format!("the version of {name} is not a string")));
            };
            let version = Version::parse(&version).map_err(|error| malformed(error.to_string()))?;
            highest.insert(name, version);
        }
        Ok(Self { highest })
    }

    /// Writes the record; a reader sees the old one or the new one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let members = self
            .highest
            .iter()
            .map(|(name, version)| (name.clone(), Value::String(version.to_string())))
            .collect();
        let bytes = serde_json::to_vec_pretty(&Value::Object(members))
            .map_err(|error| Error::io("write", path, error))?;
        write_file(path, &bytes)
    }

    /// Remembers a version that was accepted; never forgets a higher one.
    pub fn record(&mut self, name: &str, version: &Version) {
        match self.highest.get_mut(name) {
            Some(highest) if highest.cmp_precedence(version).is_lt() => *highest = version.clone(),
            Some(_) => {}
            None => {
                self.highest.insert(name.to_owned(), version.clone());
            }
        }
    }

    /// Refuses a version below the highest seen.
    pub(crate) fn check(&self, name: &str, version: &Version) -> Result<(), Rejection> {
        match self.highest.get(name) {
            Some(highest) if version.cmp_precedence(highest).is_lt() => {
                let message = format!(
                    "version {version} of {name} is older than {highest}, which was seen before; ask for the rollback \
                     if it is meant"
                );
                Err(Rejection::new(Code::RollbackRefused, message).file(crate::MANIFEST_FILE))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_only_goes_up_and_survives_the_file() {
        let folder = crate::scratch();
        let path = folder.path().join("seen.json");
        let version = |text: &str| Version::parse(text).unwrap();
        let mut seen = SeenVersions::read(&path).unwrap();
        seen.record("core", &version("1.0.0-rc.1"));
        seen.record("core", &version("1.0.0"));
        seen.record("core", &version("0.9.0"));
        seen.write(&path).unwrap();
        let seen = SeenVersions::read(&path).unwrap();
        assert!(seen.check("core", &version("1.0.0")).is_ok());
        assert!(seen.check("core", &version("1.0.0+other.build")).is_ok());
        assert!(seen.check("other", &version("0.1.0")).is_ok());
        for older in ["1.0.0-rc.2", "0.9.9"] {
            assert_eq!(
                seen.check("core", &version(older)).unwrap_err().code,
                Code::RollbackRefused
            );
        }
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
            "{\"a\":\"1.0.0\",\"a\":\"0.1.0\"}",
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(SeenVersions::read(&path).is_err(), "{content}");
        }
    }
}
