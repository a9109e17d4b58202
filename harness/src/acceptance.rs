//! Which packs are accepted: by the user's own trust store, the lists that `--trust` names, and the versions seen before. Every
//! command that loads a pack decides here. Nothing that comes with a pack has a say (docs/trust.md).

use crate::{
    exit::{self, Exit, Stop},
    repeat::Repeat,
};
use anyhow::Result;
use kernel_pack::{
    Code, Error, Pack, Policy, PublicKey, Rejection, SeenVersions, TRUST_LIST_FILE, TrustList,
    TrustStore,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The value of `--seen` that stands for no record.
const NO_RECORD: &str = "none";

/// The options of every command that loads a pack.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// A trust list besides the user's own (repeatable); what any list revokes is revoked.
    #[arg(long, value_name = "FILE")]
    pub trust: Vec<PathBuf>,
    /// The record of the highest versions seen, or `none` [default: assay/seen.json in $XDG_STATE_HOME or ~/.local/state].
    #[arg(long, value_name = "FILE|none")]
    pub seen: Option<PathBuf>,
    /// Accept an older version of a pack than was seen before.
    #[arg(long)]
    pub allow_rollback: bool,
}

/// What a look at a pack gave.
pub struct Examined {
    /// The verified pack, or why it is none.
    pub result: Result<Pack, Error>,
    /// What the user should know in either case.
    pub notes: Vec<String>,
}

/// Where versions seen are recorded.
enum Record {
    At(PathBuf),
    /// It was asked for none, or there can be none.
    Off,
    /// Nobody says where the user's state is.
    Nowhere,
}

impl Acceptance {
    /// Verifies a pack.
    pub fn examine(&self, path: &Path) -> Examined {
        let mut notes = Vec::new();
        let result = self.verified(path, &mut notes);
        Examined { result, notes }
    }

    /// Verifies a pack for a command that goes on to use it. Notes go to stderr.
    ///
    /// # Errors
    /// With [`Exit::Rejected`] if the pack is refused, [`Exit::Usage`] for paths, trust lists and records that are not there or not
    /// understood, otherwise the harness's own failures.
    pub fn load(&self, path: &Path) -> Result<Pack> {
        let Examined { result, notes } = self.examine(path);
        for note in &notes {
            exit::complain(&format!("assay: note: {note}"));
        }
        result.map_err(|error| stop_with(error, &notes))
    }

    /// The keys by which packs are accepted, for what verifies a pack once more by itself.
    ///
    /// # Errors
    /// Usage for a list that is not there or not understood.
    pub fn keys(&self) -> Result<TrustList> {
        self.trusted(TrustStore::of_user().as_ref()).map_err(stop)
    }

    /// Records the version of a pack that was accepted, by default in the user's own record. Where that cannot be written, a
    /// note on stderr says so.
    ///
    /// # Errors
    /// Usage for a record that is damaged; a file that `--seen` names and that cannot be written.
    pub fn remember(&self, pack: &Pack) -> Result<()> {
        let reason = match self.record() {
            Record::Off => return Ok(()),
            Record::Nowhere => "neither XDG_STATE_HOME nor HOME says where".to_owned(),
            Record::At(path) => {
                let written =
                    SeenVersions::remember(&path, pack.name(), pack.signers(), pack.version());
                match written {
                    Ok(()) => return Ok(()),
                    Err(error @ Error::Io { .. }) if self.seen.is_none() => {
                        format!("failed to {error}")
                    }
                    Err(error) => return Err(stop(error)),
                }
            }
        };
        exit::complain(&format!(
            "assay: note: that version {} of {} was accepted is not remembered: {reason}",
            pack.version(),
            pack.name()
        ));
        Ok(())
    }

    /// Whether any of the options was given.
    pub fn is_asked_for(&self) -> bool {
        !self.trust.is_empty() || self.seen.is_some() || self.allow_rollback
    }

    /// Adds the options as they were given to a command that is printed to be repeated.
    #[must_use]
    pub fn repeated(&self, command: Repeat) -> Repeat {
        let command = command
            .paths("--trust", self.trust.iter().map(PathBuf::as_path))
            .paths("--seen", self.seen.as_deref());
        match self.allow_rollback {
            true => command.word("--allow-rollback"),
            false => command,
        }
    }

    fn verified(&self, path: &Path, notes: &mut Vec<String>) -> Result<Pack, Error> {
        // A path that does not exist is the first thing to say, before any trust list.
        if let Err(error) = std::fs::metadata(path)
            && error.kind() == std::io::ErrorKind::NotFound
        {
            return Err(Error::NotFound(path.to_owned()));
        }
        let store = TrustStore::of_user();
        notes.extend(self.unread_lists(path, store.as_ref()));
        let trust = self.trusted(store.as_ref())?;
        let mut policy = Policy::at(SystemTime::now());
        policy.allow_rollback = self.allow_rollback;
        match self.record() {
            Record::At(path) => policy.seen = SeenVersions::read(&path)?,
            Record::Off => {}
            Record::Nowhere => notes.push(
                "whether a newer version was seen before is not known: neither XDG_STATE_HOME nor HOME says where the record is"
                    .to_owned(),
            ),
        }
        kernel_pack::verify(path, &trust, &policy)
    }

    /// The keys of the user's store and of the lists that were named.
    fn trusted(&self, store: Option<&TrustStore>) -> Result<TrustList, Error> {
        let mut trust = TrustList::empty();
        if let Some(store) = store {
            match TrustList::read(store.path()) {
                Ok(list) => trust.merge(list),
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for file in &self.trust {
            trust.merge(TrustList::read(file)?);
        }
        Ok(trust)
    }

    fn record(&self) -> Record {
        match &self.seen {
            Some(path) if path.as_os_str() == NO_RECORD => Record::Off,
            Some(path) => Record::At(path.clone()),
            None if cfg!(target_family = "wasm") => Record::Off,
            None => match TrustStore::user_state() {
                Some(folder) => Record::At(folder.join("seen.json")),
                None => Record::Nowhere,
            },
        }
    }

    /// A note for each list that came with a pack. Whoever made the pack can have made it.
    fn unread_lists(&self, pack: &Path, store: Option<&TrustStore>) -> Vec<String> {
        let read: Vec<PathBuf> = self
            .trust
            .iter()
            .map(PathBuf::as_path)
            .chain(store.map(TrustStore::path))
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        [beside(pack), Some(pack.join(TRUST_LIST_FILE))]
            .into_iter()
            .flatten()
            .filter(|list| {
                let there = list.symlink_metadata().is_ok();
                let named = list.canonicalize().is_ok_and(|list| read.contains(&list));
                there && !named
            })
            .map(|list| {
                format!(
                    "{} came with the pack and was not read: it decides nothing, for whoever made the pack can have made it; a \
                     list of your own can be named with --trust",
                    list.display()
                )
            })
            .collect()
    }
}

fn beside(pack: &Path) -> Option<PathBuf> {
    // `.` and `..` have no name; what they stand for has.
    let named = match pack.file_name() {
        Some(_) => pack.to_owned(),
        None => pack.canonicalize().ok()?,
    };
    Some(named.parent()?.join(TRUST_LIST_FILE))
}

/// An error of a pack with its exit code.
pub(crate) fn stop(error: Error) -> anyhow::Error {
    stop_with(error, &[])
}

fn stop_with(error: Error, notes: &[String]) -> anyhow::Error {
    let exit = match &error {
        Error::Rejected(_) => Exit::Rejected,
        Error::NotFound(_)
        | Error::TrustList { .. }
        | Error::TrustStore(_)
        | Error::PublicKey(_)
        | Error::Successor(_)
        | Error::SigningKey(_)
        | Error::Template(_)
        | Error::SeenVersions { .. } => Exit::Usage,
        _ => Exit::Harness,
    };
    let mut message = format!("failed to {error}");
    let document = match &error {
        Error::Rejected(rejection) => {
            if let Some(advice) = advice(rejection) {
                message += &format!("\n{advice}");
            }
            Some(rejected_document(rejection, notes))
        }
        _ => None,
    };
    Stop {
        exit,
        message,
        document,
    }
    .into()
}

/// What to do about a pack that a key signed which nobody trusts; nothing for other packs. It is said and not done: only the user
/// decides whom to trust.
pub(crate) fn advice(rejection: &Rejection) -> Option<String> {
    let key = rejection
        .signer
        .as_deref()
        .filter(|_| rejection.code == Code::NoTrustedKey)?;
    let how = if cfg!(target_family = "wasm") {
        format!("in a list that --trust names:\n    {key}")
    } else {
        format!("with:\n    assay trust add {key}")
    };
    Some(format!(
        "  fingerprint of the key: {}\n  Anybody can make a key. If its author confirms the fingerprint another way, trust it {how}",
        key.fingerprint()
    ))
}

/// A key as documents have it.
pub(crate) fn key_document(key: &PublicKey) -> Value {
    json!({ "key": key.to_string(), "fingerprint": key.fingerprint() })
}

/// A pack that was refused, as `--json` has it.
pub(crate) fn rejected_document(rejection: &Rejection, notes: &[String]) -> Value {
    let further = rejection.further.iter().map(|one| {
        json!({
            "code": one.code.as_str(),
            "message": one.message,
            "kernel": one.kernel,
            "file": one.file,
        })
    });
    json!({
        "verdict": "rejected",
        "code": rejection.code.as_str(),
        "message": rejection.message,
        "kernel": rejection.kernel,
        "file": rejection.file,
        "signer": rejection.signer.as_deref().map(key_document),
        "further": further.collect::<Vec<_>>(),
        // Nothing that a rejected pack says of itself is repeated as a fact.
        "pack": null,
        "warnings": [],
        "notes": notes,
    })
}
