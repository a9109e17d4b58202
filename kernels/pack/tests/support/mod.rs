//! Small packs for tests: one kernel, a tiny module, test keys.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)] // each test file uses its part

pub mod defects;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kernel_pack::sign::PackSigningKey;
use kernel_pack::{Policy, SCHEMA, TrustList};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const SIGNATURES: &str = "kernels.json.sigs";

/// A line of `kernels.json.sigs`.
pub fn further(key: &PackSigningKey, message: &[u8]) -> String {
    use base64::Engine;
    let signature = base64::engine::general_purpose::STANDARD.encode(key.sign(message));
    format!("{} {signature}\n", key.public())
}

pub const MODULE: &str = "kernels/tiny.wasm";

/// The key that the tests' trust lists trust. Its seed is public: it proves nothing outside tests.
pub fn trusted_key() -> PackSigningKey {
    PackSigningKey::from_seed(&[0xA1; 32])
}

/// A key that the tests' trust lists revoke.
pub fn revoked_key() -> PackSigningKey {
    PackSigningKey::from_seed(&[0xB2; 32])
}

/// A key that no trust list knows.
pub fn unknown_key() -> PackSigningKey {
    PackSigningKey::from_seed(&[0xC3; 32])
}

pub fn trust_text() -> String {
    format!(
        "# Keys of the broken test packs; their seeds are public.\n{}\n{} revoked\n",
        trusted_key().public(),
        revoked_key().public()
    )
}

pub fn trust() -> TrustList {
    TrustList::parse(&trust_text(), "test").unwrap()
}

/// 2026-06-01, so that tests do not depend on the day they run.
pub fn policy() -> Policy {
    Policy::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_272_000))
}

/// A folder that ends with the test. WASI names no place for such; this workspace's runner offers `/tmp`.
pub fn scratch() -> tempfile::TempDir {
    let made = if cfg!(target_os = "wasi") {
        tempfile::tempdir_in("/tmp")
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// The text of a module that passes the pre-pass; pieces of it are replaced to break it.
pub const TINY: &str = r#"(module
  (memory (export "memory") 1 4)
  (table 2 funcref)
  (global (export "__heap_base") i32 (i32.const 1024))
  (func (export "kernel_forward") (param i32) (result i32) i32.const 0)
  (func (export "kernel_init") (param i32 i32) (result i32) i32.const 0)
  (func (export "kernel_info") (param i32) (result i32) i32.const 2)
  (func (export "kernel_cleanup") (result i32) i32.const 0)
)"#;

pub fn tiny_module() -> Vec<u8> {
    wat::parse_str(TINY).unwrap()
}

/// The tiny module with a piece of its text replaced.
pub fn altered(from: &str, to: &str) -> Vec<u8> {
    assert!(TINY.contains(from), "{from}");
    wat::parse_str(TINY.replacen(from, to, 1)).unwrap()
}

/// The tiny module with something added at the end.
pub fn extended(with: &str) -> Vec<u8> {
    wat::parse_str(format!("{}{with})", TINY.trim_end_matches(')'))).unwrap()
}

pub fn hash(bytes: &[u8]) -> String {
    format!("sha256:{}", digits(&Sha256::digest(bytes)))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A pack being put together.
pub struct Draft {
    pub manifest: Value,
    /// Written instead of the manifest's text.
    pub manifest_bytes: Option<Vec<u8>>,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Link to target.
    pub links: BTreeMap<String, String>,
    pub key: PackSigningKey,
    /// Written instead of the key's signature.
    pub signature: Option<Vec<u8>>,
    pub without_manifest: bool,
    pub without_signature: bool,
}

impl Draft {
    pub fn new() -> Self {
        let module = tiny_module();
        Self {
            manifest: json!({
                "$schema": SCHEMA,
                "name": "tiny",
                "version": "1.2.3",
                "created_at": "2026-01-18T00:00:00Z",
                "min_runtime_version": "0.5.0",
                "max_runtime_version": "1.0.0",
                "author": {
                    "name": "Test author",
                    "email": "author@tiny.example",
                    "signing_key": trusted_key().public(),
                },
                "kernels": [{
                    "id": "tiny",
                    "name": "Does nothing",
                    "category": "test",
                    "path": MODULE,
                    "hash": hash(&module),
                    "entry_point": "kernel_forward",
                    "inputs": [{"name": "x", "dtype": "f32", "shape": ["rows", 32]}],
                    "outputs": [{"name": "y", "dtype": "f32", "shape": ["rows", 32]}],
                    "params": {"theta": {"type": "f32", "default": 10000.0, "min": 1, "max": 1e9}},
                    "resource_limits": {
                        "max_memory_pages": 4, "max_epoch_ticks": 1000, "max_table_elements": 16
                    },
                    "platforms": {"wasmtime": {"min_version": "15.0.0", "features": ["bulk-memory"]}},
                    "benchmarks": {"rows_1": {"latency_us": 45, "throughput_gflops": 2.1}}
                }]
            }),
            manifest_bytes: None,
            files: BTreeMap::from([(MODULE.to_owned(), module)]),
            links: BTreeMap::new(),
            key: trusted_key(),
            signature: None,
            without_manifest: false,
            without_signature: false,
        }
    }

    pub fn kernel(&mut self) -> &mut Value {
        &mut self.manifest["kernels"][0]
    }

    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = self.manifest.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            Value::Object(members) => {
                members.insert(name.to_owned(), value);
            }
            _ => panic!("{pointer}"),
        }
        self
    }

    pub fn remove(mut self, pointer: &str) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let members = self.manifest.pointer_mut(parent).unwrap();
        assert!(
            members.as_object_mut().unwrap().remove(name).is_some(),
            "{pointer}"
        );
        self
    }

    /// Replaces the kernel's module and its hash.
    pub fn module(mut self, bytes: Vec<u8>) -> Self {
        self.kernel()["hash"] = hash(&bytes).into();
        self.files.insert(MODULE.to_owned(), bytes);
        self
    }

    /// Replaces a piece of the manifest's text.
    pub fn text(mut self, from: &str, to: &str) -> Self {
        let text = String::from_utf8(self.manifest_text()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        self.manifest_bytes = Some(text.replacen(from, to, 1).into_bytes());
        self
    }

    pub fn bytes(mut self, bytes: Vec<u8>) -> Self {
        self.manifest_bytes = Some(bytes);
        self
    }

    pub fn file(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.insert(path.to_owned(), bytes.to_vec());
        self
    }

    pub fn signed_by(mut self, key: PackSigningKey) -> Self {
        self.key = key;
        self
    }

    pub fn signature(mut self, bytes: Vec<u8>) -> Self {
        self.signature = Some(bytes);
        self
    }

    /// Adds a line of `kernels.json.sigs`; for the manifest as it is now.
    pub fn also(mut self, key: &PackSigningKey) -> Self {
        let line = further(key, &self.manifest_text());
        let lines = self.files.entry(SIGNATURES.to_owned()).or_default();
        lines.extend(line.into_bytes());
        self
    }

    pub fn manifest_text(&self) -> Vec<u8> {
        self.manifest_bytes.clone().unwrap_or_else(|| {
            let mut text = serde_json::to_vec_pretty(&self.manifest).unwrap();
            text.push(b'\n');
            text
        })
    }

    pub fn sign(&self) -> Vec<u8> {
        self.signature
            .clone()
            .unwrap_or_else(|| self.key.sign(&self.manifest_text()).to_vec())
    }

    /// All files of the pack, the manifest and the signature among them.
    pub fn all_files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files.clone();
        if !self.without_manifest {
            files.insert("kernels.json".to_owned(), self.manifest_text());
        }
        if !self.without_signature {
            files.insert("kernels.json.sig".to_owned(), self.sign());
        }
        files
    }

    /// Writes the pack into a folder.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (path, bytes) in self.all_files() {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        for (link, target) in &self.links {
            let link = folder.join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            rustix::fs::symlink(target, link).unwrap();
        }
    }
}
