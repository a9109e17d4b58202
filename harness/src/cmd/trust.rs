//! `assay trust`: the user's own list of keys whose packs are accepted.

use crate::{
    acceptance::{key_document, stop},
    exit::{self, Exit},
    output::Output,
};
use anyhow::{Context, Result};
use kernel_pack::{Change, PublicKey, StoredKey, Successor, TrustStore, open_regular};
use serde_json::{Value, json};
use std::{io::Read, path::Path};

/// Bytes of a file that names a key: a line, or a successor statement.
const LARGEST_FILE: u64 = 1 << 16;

/// Name the authors whose packs are accepted, in the user's own trust store.
#[derive(clap::Args)]
#[command(after_help = "\
The store is the file assay/trusted_keys in $XDG_CONFIG_HOME or ~/.config: one line
`ed25519:<base64> [revoked] [allow-native] # name` for each key; docs/trust.md.

Examples: assay trust add ed25519:6dWsD41P6FxJ0PlIyEyA9IVSYaD8OOwZQOc7+/UbzrI= --name Ann
          assay trust list")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Trusts a key: packs that its holder signs are accepted from now on.
    #[command(after_help = "\
Compare the key's fingerprint with its author first, another way than the pack came.

FILE holds one such line, whose words do not count, or a successor statement: it is taken only if the old key, which made it,
is in the store and not revoked.

Examples: assay trust add ed25519:6dWsD41P6FxJ0PlIyEyA9IVSYaD8OOwZQOc7+/UbzrI= --name Ann
          assay trust add ann-2027.successor")]
    Add {
        /// `ed25519:<base64>`, or a file.
        #[arg(value_name = "KEY|FILE")]
        key: String,
        /// A name for people, kept as the comment of the line.
        #[arg(long)]
        name: Option<String>,
        /// Its packs may bring native code, which runs outside of every sandbox.
        #[arg(long)]
        allow_native: bool,
    },
    /// Lists the keys of the store.
    #[command(after_help = "Example: assay trust list --json")]
    List,
    /// Refuses all packs of a key from now on, whatever other lists say.
    #[command(after_help = "\
Example: assay trust revoke ed25519:6dWsD41P6FxJ0PlIyEyA9IVSYaD8OOwZQOc7+/UbzrI=")]
    Revoke {
        /// `ed25519:<base64>`, or the whole fingerprint of a key of the store.
        key: String,
    },
    /// Forgets a key, and that it was revoked.
    #[command(after_help = "\
Example: assay trust remove ed25519:6dWsD41P6FxJ0PlIyEyA9IVSYaD8OOwZQOc7+/UbzrI=")]
    Remove {
        /// `ed25519:<base64>`, or the whole fingerprint of a key of the store.
        key: String,
    },
}

/// Runs the command.
///
/// # Errors
/// With [`Exit::Usage`] for keys and files that are not understood, and what the store does not allow; [`Exit::Rejected`] for a
/// weak key in the store; otherwise the harness's own failures.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Exit> {
    let store = TrustStore::of_user().ok_or_else(|| {
        exit::usage(
            "there is no trust store: neither XDG_CONFIG_HOME nor HOME says where it is; name a list with --trust instead",
        )
    })?;
    match &arguments.command {
        Command::Add {
            key,
            name,
            allow_native,
        } => add(&store, key, name.as_deref(), *allow_native, output)?,
        Command::List => list(&store, output)?,
        Command::Revoke { key } => {
            let key = key_of(&store, key)?;
            let said = match store.revoke(&key).map_err(stop)? {
                Change::Nothing => "was revoked already",
                _ => "is revoked: its packs are refused, whatever other lists say",
            };
            report(&store, "revoked", &key, said, output)?;
        }
        Command::Remove { key } => remove(&store, &key_of(&store, key)?, output)?,
    }
    Ok(Exit::Passed)
}

fn add(
    store: &TrustStore,
    text: &str,
    name: Option<&str>,
    allow_native: bool,
    output: &Output,
) -> Result<()> {
    let (key, change) = match Named::of(text)? {
        Named::Key(key) => (key, store.add(&key, name, allow_native)),
        Named::Successor(statement) => (
            *statement.new_key(),
            store.add_successor(&statement, name, allow_native),
        ),
    };
    let said = match change.map_err(stop)? {
        Change::Added => "is trusted",
        Change::Changed => "was trusted already; its line is changed",
        Change::Nothing => "was trusted already",
    };
    report(store, "added", &key, said, output)
}

fn remove(store: &TrustStore, key: &PublicKey, output: &Output) -> Result<()> {
    let said = match store.remove(key).map_err(stop)? {
        None => {
            return Err(exit::usage(format!(
                "{key} is not in {}",
                store.path().display()
            )));
        }
        Some(StoredKey { revoked: true, .. }) => {
            "is removed, and its revocation is gone: another list can trust it again"
        }
        Some(_) => "is removed: its packs are refused unless another list trusts it",
    };
    report(store, "removed", key, said, output)
}

/// Says what was done to a key.
fn report(
    store: &TrustStore,
    action: &str,
    key: &PublicKey,
    said: &str,
    output: &Output,
) -> Result<()> {
    let stored = store.keys().map_err(stop)?;
    let stored = stored.iter().find(|stored| stored.key == *key);
    let mut document = stored.map_or_else(|| key_document(key), stored_document);
    document["store"] = json!(store.path());
    document["action"] = json!(action);
    document["message"] = json!(format!("{key} {said}"));
    output.document(&document)?;
    output.text(&format!(
        "{key} {said}\n  fingerprint: {}\n  store: {}",
        key.fingerprint(),
        store.path().display()
    ))
}

fn list(store: &TrustStore, output: &Output) -> Result<()> {
    let keys = store.keys().map_err(stop)?;
    let documents: Vec<Value> = keys.iter().map(stored_document).collect();
    output.document(&json!({ "store": store.path(), "keys": documents }))?;
    let mut text = format!("{}: {} keys", store.path().display(), keys.len());
    for stored in &keys {
        text += &format!("\n{}", stored.key);
        for (word, said) in [
            ("revoked", stored.revoked),
            ("allow-native", stored.allow_native),
        ] {
            if said {
                text += &format!(" {word}");
            }
        }
        if !stored.name.is_empty() {
            text += &format!(" # {}", stored.name);
        }
        text += &format!("\n  {}", stored.key.fingerprint());
    }
    output.text(&text)
}

fn stored_document(stored: &StoredKey) -> Value {
    let mut document = key_document(&stored.key);
    document["revoked"] = json!(stored.revoked);
    document["allow_native"] = json!(stored.allow_native);
    document["name"] = json!(stored.name);
    document
}

/// A key as it is spelled, or one of the store by its fingerprint.
fn key_of(store: &TrustStore, text: &str) -> Result<PublicKey> {
    if text.starts_with("ed25519:") {
        return PublicKey::parse(text).map_err(stop);
    }
    let keys = store.keys().map_err(stop)?;
    keys.into_iter()
        .map(|stored| stored.key)
        .find(|key| key.has_fingerprint(text))
        .ok_or_else(|| {
            exit::usage(format!(
                "{} holds no key of this fingerprint; give the key, ed25519:<base64>, or its whole fingerprint (`assay trust list`)",
                store.path().display()
            ))
        })
}

/// What `assay trust add` was given.
enum Named {
    Key(PublicKey),
    Successor(Successor),
}

impl Named {
    fn of(text: &str) -> Result<Self> {
        if text.starts_with("ed25519:") {
            return PublicKey::parse(text).map(Self::Key).map_err(stop);
        }
        if text.starts_with("ed25519-secret:") {
            return Err(exit::usage(
                "that is a secret key, which nobody else should see; give the public one, ed25519:<base64>",
            ));
        }
        let path = Path::new(text);
        let failed = || format!("failed to read {text}");
        let mut bytes = Vec::new();
        open_regular(path)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => exit::usage(format!(
                    "`{text}` is neither a key, ed25519:<base64>, nor a file; a fingerprint alone does not tell the key"
                )),
                _ => anyhow::Error::from(error).context(failed()),
            })?
            .take(LARGEST_FILE + 1)
            .read_to_end(&mut bytes)
            .with_context(failed)?;
        if Successor::is_meant(&bytes) {
            return Successor::parse(&bytes).map(Self::Successor).map_err(stop);
        }
        // What the file holds is not repeated: it may be a secret key.
        let wrong = || {
            exit::usage(format!(
                "`{text}` holds neither one line ed25519:<base64> nor a successor statement"
            ))
        };
        let content = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
        let mut keys = content
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty());
        let (Some(line), None) = (keys.next(), keys.next()) else {
            return Err(wrong());
        };
        // Words after the key are for the user to say.
        let key = line.split_ascii_whitespace().next().unwrap_or_default();
        if !key.starts_with("ed25519:") || bytes.len() as u64 > LARGEST_FILE {
            return Err(wrong());
        }
        PublicKey::parse(key).map(Self::Key).map_err(stop)
    }
}
