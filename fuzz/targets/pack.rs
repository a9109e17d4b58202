//! Any files as a pack: signed with a key that is trusted, so that everything behind the signature is reached, or not.
#![no_main]

use arbitrary::Arbitrary;
use kernel_pack::{MANIFEST_FILE, Policy, SIGNATURE_FILE, TrustList, sign::PackSigningKey, verify};
use std::{fs, time::SystemTime};

/// What the folder holds.
#[derive(Arbitrary, Debug)]
struct Files {
    manifest: Vec<u8>,
    /// The test key, or these bytes as a signature.
    signature: Option<Vec<u8>>,
    others: Vec<(String, Vec<u8>)>,
    /// Names of folders.
    folders: Vec<String>,
}

libfuzzer_sys::fuzz_target!(|files: Files| {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path();
    // Files that another one stands in the way of are left out, as are names that the file system does not take.
    let inside = |name: &str| kernel_pack::check_path(name).is_ok();
    for (name, bytes) in files.others.iter().filter(|(name, _)| inside(name)) {
        let path = pack.join(name);
        if let Some(parent) = path.parent() {
            drop(fs::create_dir_all(parent));
        }
        drop(fs::write(path, bytes));
    }
    for name in files.folders.iter().filter(|name| inside(name)) {
        drop(fs::create_dir_all(pack.join(name)));
    }
    let key = PackSigningKey::from_seed(&[7; 32]);
    drop(fs::write(pack.join(MANIFEST_FILE), &files.manifest));
    let signature = files
        .signature
        .unwrap_or_else(|| key.sign(&files.manifest).to_vec());
    drop(fs::write(pack.join(SIGNATURE_FILE), signature));
    let trust = TrustList::parse(&key.public(), "the fuzzer").expect("a trust list");
    // That it ends without a panic is what is asked: no files made of random bytes are a pack.
    drop(verify(pack, &trust, &Policy::at(SystemTime::UNIX_EPOCH)));
});
