//! Making a manifest from a folder of files and a template.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Findings};
use crate::json::{self, Value};
use crate::pack::read_contents;
use crate::path::check_path;
use crate::schema::{HostCaps, Manifest, SCHEMA};
use crate::source::{Source, hex, refuse};
use crate::write::{remove_file, write_file};
use crate::{LARGEST_FILE, LARGEST_MANIFEST, MANIFEST_FILE, SIGNATURE_FILE, SIGNATURES_FILE};

/// Writes `kernels.json` of a pack folder from a template: a manifest without hashes. Every object with a `path` gets
/// the `hash` of that file; `$schema` and, with `signing_key`, the author's key are filled in. The same input gives
/// the same bytes. What is written has passed every check of a verification but the signature; signatures that were
/// there are removed, because they no longer hold.
///
/// # Errors
/// [`Error::Template`] for a template that is not a JSON object, [`Error::Rejected`] for a pack that no host would
/// take, [`Error::NotFound`], [`Error::Io`].
pub fn build_folder(
    folder: &Path,
    template: &Path,
    signing_key: Option<&str>,
) -> Result<Manifest, Error> {
    let bytes = read_template(template)?;
    let mut value = json::parse(&bytes).map_err(|reason| {
        Error::Template(format!(
            "{} is not strict JSON: {reason}",
            template.display()
        ))
    })?;
    let Value::Object(members) = &mut value else {
        return Err(Error::Template(format!(
            "{} is not an object",
            template.display()
        )));
    };
    set(members, "$schema", SCHEMA.to_owned(), 0);
    if let Some(key) = signing_key
        && let Some((_, Value::Object(author))) =
            members.iter_mut().find(|(name, _)| name == "author")
    {
        let end = author.len();
        set(author, "signing_key", key.to_owned(), end);
    }
    let mut source = Source::open(folder)?;
    let mut missing = Findings::default();
    fill_hashes(&mut value, &mut source, &mut missing)?;
    missing.end(|| ())?;
    let mut bytes =
        serde_json::to_vec_pretty(&value).map_err(|error| Error::Template(error.to_string()))?;
    bytes.push(b'\n');
    let manifest = Manifest::parse(&bytes, &HostCaps::default())?;
    read_contents(&mut source, &manifest)?;
    remove_file(&folder.join(SIGNATURE_FILE))?;
    remove_file(&folder.join(SIGNATURES_FILE))?;
    write_file(&folder.join(MANIFEST_FILE), &bytes)?;
    Ok(manifest)
}

fn read_template(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound(path.to_owned()),
        _ => Error::io("read", path, source),
    })?;
    if bytes.len() as u64 > LARGEST_MANIFEST {
        return Err(Error::Template(format!(
            "{} is larger than 1 MiB",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Gives every object with a `path` the hash of that file, right behind the path; files that are not there are findings.
fn fill_hashes(
    value: &mut Value,
    source: &mut Source,
    missing: &mut Findings,
) -> Result<(), Error> {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .try_for_each(|item| fill_hashes(item, source, missing)),
        Value::Object(members) => {
            for (_, member) in members.iter_mut().filter(|(key, _)| !key.starts_with("x-")) {
                fill_hashes(member, source, missing)?;
            }
            let found = members.iter().position(|(key, _)| key == "path");
            if let Some(index) = found
                && let Value::String(path) = &members[index].1
                && let Some(hash) = missing.keep_read(hash(path, source))?
            {
                set(members, "hash", hash, index + 1);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The hash of a file of the pack, as manifests have it.
fn hash(path: &str, source: &mut Source) -> Result<String, Error> {
    check_path(path)?;
    let bytes = source
        .read(path, LARGEST_FILE)
        .map_err(|error| refuse(error, path, Code::KernelMissing, Code::FileTooLarge))?;
    Ok(format!("sha256:{}", hex(&Sha256::digest(&bytes))))
}

/// Replaces a member, or inserts it at an index.
fn set(members: &mut Vec<(String, Value)>, key: &str, text: String, index: usize) {
    match members.iter_mut().find(|(name, _)| name == key) {
        Some((_, value)) => *value = Value::String(text),
        None => members.insert(index, (key.to_owned(), Value::String(text))),
    }
}
