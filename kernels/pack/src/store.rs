//! The user's own trust list, changed line by line: comments and order stay.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::key::PublicKey;
use crate::successor::Successor;
use crate::trust::{TrustedKey, parse_line, read_text};
use crate::write::{lock, write_file};

/// Characters of a name.
const LONGEST_NAME: usize = 200;

/// A key of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredKey {
    /// The key.
    pub key: PublicKey,
    /// Whether packs signed with it are refused.
    pub revoked: bool,
    /// Whether its packs may bring native code.
    pub allow_native: bool,
    /// The comment on its line; control characters are left out.
    pub name: String,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key was not in the store.
    Added,
    /// Its line says something else now.
    Changed,
    /// There was nothing to do.
    Nothing,
}

/// The file of trusted keys that belongs to the user: a [`TrustList`](crate::TrustList) with a comment as the name of each key.
///
/// Writers wait for each other; a reader sees the old list or the new one.
#[derive(Clone, Debug)]
pub struct TrustStore {
    path: PathBuf,
}

impl TrustStore {
    /// The store in a file, which need not be there.
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys, in the order of the file. A key on several lines is one; what any line says holds.
    ///
    /// # Errors
    /// As [`TrustList::read`](crate::TrustList::read), but a file that is not there is an empty store.
    pub fn keys(&self) -> Result<Vec<StoredKey>, Error> {
        Ok(self.read()?.keys())
    }

    /// Trusts a key. A key that is there already gets the name and the right to bring native code, where these are given.
    ///
    /// # Errors
    /// [`Error::TrustStore`] for a key that is revoked, and for a name that is not one line of text; as
    /// [`keys`](Self::keys); [`Error::Io`].
    pub fn add(
        &self,
        key: &PublicKey,
        name: Option<&str>,
        allow_native: bool,
    ) -> Result<Change, Error> {
        if let Some(name) = name {
            check_name(name)?;
        }
        self.change(|lines| lines.add(key, name, allow_native, &self.path))
    }

    /// Trusts the key that a trusted key names as its successor. The right to bring native code is not inherited.
    ///
    /// # Errors
    /// [`Error::TrustStore`] if the key that made the statement is not in the store, or is revoked; as [`add`](Self::add).
    pub fn add_successor(
        &self,
        successor: &Successor,
        name: Option<&str>,
        allow_native: bool,
    ) -> Result<Change, Error> {
        if let Some(name) = name {
            check_name(name)?;
        }
        self.change(|lines| {
            let keys = lines.keys();
            let old = successor.old();
            let refused = |reason: &str| {
                Error::TrustStore(format!(
                    "the key {old}, which names its successor, {reason}; ask the author for the new key another way"
                ))
            };
            let known = keys
                .iter()
                .find(|entry| entry.key == *old)
                .ok_or_else(|| refused("is not trusted itself"))?;
            if known.revoked {
                return Err(refused("is revoked"));
            }
            let inherited = format!("successor of {}", match known.name.as_str() {
                "" => old.to_string(),
                name => name.chars().take(LONGEST_NAME / 2).collect(),
            });
            let known = keys.iter().any(|entry| entry.key == *successor.new_key());
            let name = name.or(Some(inherited.as_str()).filter(|_| !known));
            lines.add(successor.new_key(), name, allow_native, &self.path)
        })
    }

    /// Revokes a key, also one that is not in the store: then no other list can bring it in.
    ///
    /// # Errors
    /// As [`keys`](Self::keys); [`Error::Io`].
    pub fn revoke(&self, key: &PublicKey) -> Result<Change, Error> {
        self.change(|lines| Ok(lines.revoke(key)))
    }

    /// Takes the lines of a key away; gives what they said, or nothing if there were none.
    ///
    /// # Errors
    /// As [`keys`](Self::keys); [`Error::Io`].
    pub fn remove(&self, key: &PublicKey) -> Result<Option<StoredKey>, Error> {
        let mut removed = None;
        self.change(|lines| {
            removed = lines.keys().into_iter().find(|entry| entry.key == *key);
            lines.0.retain(|line| !line.is_of(key));
            Ok(match removed {
                Some(_) => Change::Changed,
                None => Change::Nothing,
            })
        })?;
        Ok(removed)
    }

    fn read(&self) -> Result<Lines, Error> {
        match read_text(&self.path) {
            Ok(text) => Lines::parse(&text, &self.path.display().to_string()),
            Err(Error::NotFound(_)) => Ok(Lines(Vec::new())),
            Err(error) => Err(error),
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Lines) -> Result<Change, Error>,
    ) -> Result<Change, Error> {
        let _lock = lock(&self.path)?;
        let mut lines = self.read()?;
        let changed = change(&mut lines)?;
        if changed != Change::Nothing {
            // Some keep their configuration elsewhere and link to it: the link stays.
            let target = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
            write_file(&target, lines.text().as_bytes())?;
        }
        Ok(changed)
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    // A line feed in a name would begin a line of its own, and that could be a key.
    if name.trim().is_empty()
        || name.chars().count() > LONGEST_NAME
        || name.chars().any(char::is_control)
    {
        return Err(Error::TrustStore(format!(
            "a name is one line of 1 to {LONGEST_NAME} characters, without control characters"
        )));
    }
    Ok(())
}

/// A line of the file.
struct Line {
    text: String,
    /// What it says; nothing for comments.
    entry: Option<TrustedKey>,
}

impl Line {
    fn is_of(&self, key: &PublicKey) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.key == *key)
    }

    fn name(&self) -> &str {
        self.text
            .split_once('#')
            .map_or("", |(_, name)| name.trim())
    }

    /// Writes what the line says now, with a name.
    fn write(&mut self, entry: TrustedKey, name: &str) {
        self.text = entry.key.to_string();
        for (word, said) in [
            (" revoked", entry.revoked),
            (" allow-native", entry.allow_native),
        ] {
            if said {
                self.text.push_str(word);
            }
        }
        if !name.is_empty() {
            self.text.push_str(" # ");
            self.text.push_str(name);
        }
        self.entry = Some(entry);
    }
}

struct Lines(Vec<Line>);

impl Lines {
    fn parse(text: &str, source_name: &str) -> Result<Self, Error> {
        let lines = text.lines().enumerate().map(|(index, text)| {
            Ok(Line {
                text: text.to_owned(),
                entry: parse_line(text, source_name, index + 1)?,
            })
        });
        lines.collect::<Result<_, Error>>().map(Self)
    }

    fn text(&self) -> String {
        self.0
            .iter()
            .map(|line| format!("{}\n", line.text))
            .collect()
    }

    fn keys(&self) -> Vec<StoredKey> {
        let mut keys: Vec<StoredKey> = Vec::new();
        for line in &self.0 {
            let Some(entry) = &line.entry else { continue };
            match keys.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => {
                    known.revoked |= entry.revoked;
                    known.allow_native |= entry.allow_native;
                }
                None => keys.push(StoredKey {
                    key: entry.key,
                    revoked: entry.revoked,
                    allow_native: entry.allow_native,
                    name: line.name().chars().filter(|c| !c.is_control()).collect(),
                }),
            }
        }
        keys
    }

    fn add(
        &mut self,
        key: &PublicKey,
        name: Option<&str>,
        allow_native: bool,
        path: &Path,
    ) -> Result<Change, Error> {
        let known = self.keys().into_iter().find(|entry| entry.key == *key);
        if known.as_ref().is_some_and(|known| known.revoked) {
            return Err(Error::TrustStore(format!(
                "{key} is revoked in {}; if the revocation was a mistake, remove the key first (`assay trust remove {key}`), \
                 then add it",
                path.display()
            )));
        }
        let Some(line) = self.0.iter_mut().find(|line| line.is_of(key)) else {
            self.push(key, name.unwrap_or_default(), false, allow_native);
            return Ok(Change::Added);
        };
        let allowed = known.is_some_and(|known| known.allow_native);
        let name = name.map_or_else(|| line.name().to_owned(), |name| name.trim().to_owned());
        if (allowed || !allow_native) && name == line.name() {
            return Ok(Change::Nothing);
        }
        let entry = TrustedKey {
            key: *key,
            revoked: false,
            allow_native: allowed || allow_native,
        };
        line.write(entry, &name);
        Ok(Change::Changed)
    }

    fn revoke(&mut self, key: &PublicKey) -> Change {
        let mut found = Change::Added;
        for line in self.0.iter_mut().filter(|line| line.is_of(key)) {
            match line.entry.clone() {
                Some(entry) if !entry.revoked => {
                    let name = line.name().to_owned();
                    let entry = TrustedKey {
                        revoked: true,
                        ..entry
                    };
                    line.write(entry, &name);
                    found = Change::Changed;
                }
                _ if found == Change::Added => found = Change::Nothing,
                _ => {}
            }
        }
        if found == Change::Added {
            self.push(key, "", true, false);
        }
        found
    }

    fn push(&mut self, key: &PublicKey, name: &str, revoked: bool, allow_native: bool) {
        let mut line = Line {
            text: String::new(),
            entry: None,
        };
        let entry = TrustedKey {
            key: *key,
            revoked,
            allow_native,
        };
        line.write(entry, name.trim());
        self.0.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::PackSigningKey;
    use crate::trust::TrustList;

    fn signing(seed: u8) -> PackSigningKey {
        PackSigningKey::from_seed(&[seed; 32])
    }

    fn key(seed: u8) -> PublicKey {
        signing(seed).public_key()
    }

    struct Scratch {
        _folder: tempfile::TempDir,
        store: TrustStore,
    }

    impl Scratch {
        fn with(text: &str) -> Self {
            let folder = crate::scratch();
            let path = folder.path().join("trusted_keys");
            std::fs::write(&path, text).unwrap();
            Self {
                store: TrustStore::at(&path),
                _folder: folder,
            }
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.store.path()).unwrap()
        }
    }

    #[test]
    fn comments_order_and_foreign_lines_stay() {
        let text = format!(
            "# mine\n\n{} allow-native # a\n  {}  # b\n# end",
            key(1),
            key(2)
        );
        let scratch = Scratch::with(&text);
        let store = &scratch.store;
        assert_eq!(store.add(&key(3), Some("c"), false).unwrap(), Change::Added);
        assert_eq!(store.revoke(&key(1)).unwrap(), Change::Changed);
        assert_eq!(store.revoke(&key(1)).unwrap(), Change::Nothing);
        assert_eq!(
            scratch.text(),
            format!(
                "# mine\n\n{} revoked allow-native # a\n  {}  # b\n# end\n{} # c\n",
                key(1),
                key(2),
                key(3)
            )
        );
        let removed = store.remove(&key(1)).unwrap().unwrap();
        assert!(removed.revoked && removed.name == "a");
        assert_eq!(store.remove(&key(1)).unwrap(), None);
        assert_eq!(store.keys().unwrap().len(), 2);
        TrustList::read(store.path()).unwrap();
    }

    #[test]
    fn a_revoked_key_is_not_added_and_an_unknown_one_can_be_revoked() {
        let scratch = Scratch::with("");
        let store = &scratch.store;
        assert_eq!(store.revoke(&key(1)).unwrap(), Change::Added);
        let error = store.add(&key(1), None, false).unwrap_err().to_string();
        assert!(error.contains("assay trust remove"), "{error}");
        assert_eq!(scratch.text(), format!("{} revoked\n", key(1)));
        // On any line.
        let scratch = Scratch::with(&format!("{0}\n{0} revoked\n", key(1)));
        assert!(scratch.store.add(&key(1), None, true).is_err());
    }

    #[test]
    fn a_key_that_is_there_gets_what_is_asked_for_and_no_more() {
        let scratch = Scratch::with("");
        let store = &scratch.store;
        store.add(&key(1), Some("a"), false).unwrap();
        assert_eq!(store.add(&key(1), None, false).unwrap(), Change::Nothing);
        assert_eq!(store.add(&key(1), None, true).unwrap(), Change::Changed);
        assert_eq!(
            store.add(&key(1), Some("b"), false).unwrap(),
            Change::Changed
        );
        assert_eq!(scratch.text(), format!("{} allow-native # b\n", key(1)));
    }

    #[test]
    fn a_name_cannot_become_a_line() {
        let scratch = Scratch::with("");
        for name in ["", " ", "a\nb", "a\r", "\u{1b}[2J", &"x".repeat(201)] {
            assert!(
                scratch.store.add(&key(1), Some(name), false).is_err(),
                "{name:?}"
            );
        }
        assert_eq!(scratch.text(), "");
        scratch
            .store
            .add(&key(1), Some("a # b ed25519:"), false)
            .unwrap();
        assert_eq!(TrustList::read(scratch.store.path()).unwrap().len(), 1);
    }

    #[test]
    fn only_a_trusted_key_names_its_successor() {
        let statement = Successor::sign(&signing(1), &key(2)).unwrap();
        let successor = Successor::parse(statement.as_bytes()).unwrap();
        for text in [String::new(), format!("{} revoked\n", key(1))] {
            let scratch = Scratch::with(&text);
            assert!(
                scratch
                    .store
                    .add_successor(&successor, None, false)
                    .is_err()
            );
            assert_eq!(scratch.text(), text);
        }
        let scratch = Scratch::with(&format!("{} allow-native # Ann\n", key(1)));
        scratch
            .store
            .add_successor(&successor, None, false)
            .unwrap();
        let keys = scratch.store.keys().unwrap();
        assert_eq!(keys[1].key, key(2));
        assert_eq!(keys[1].name, "successor of Ann");
        assert!(!keys[1].allow_native, "it is not inherited");
        let scratch = Scratch::with(&format!("{}\n{} revoked\n", key(1), key(2)));
        assert!(
            scratch
                .store
                .add_successor(&successor, None, false)
                .is_err()
        );
    }

    #[test]
    fn what_is_malformed_is_not_written_over() {
        let scratch = Scratch::with("ed25519:AAAA\n");
        assert!(scratch.store.add(&key(1), None, false).is_err());
        assert!(scratch.store.remove(&key(1)).is_err());
        assert!(scratch.store.keys().is_err());
        assert_eq!(scratch.text(), "ed25519:AAAA\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_list_stays_a_link() {
        let scratch = Scratch::with("# real\n");
        let link = scratch.store.path().with_file_name("link");
        rustix::fs::symlink(scratch.store.path(), &link).unwrap();
        TrustStore::at(&link).add(&key(1), None, false).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(scratch.text().starts_with("# real\ned25519:"));
    }
}
