//! Files that a repository cannot hold, archives, and what depends on time, host and earlier packs.

#[cfg(unix)]
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::support::{self, Draft, MODULE, hash, policy, trust};
#[cfg(unix)]
use kernel_pack::sign::PackSigningKey;
use kernel_pack::{Code, Error, Param, Policy, SeenVersions, TrustList, verify};
use serde_json::json;
use tempfile::TempDir;

fn written(draft: &Draft) -> TempDir {
    let folder = support::scratch();
    draft.write(folder.path());
    folder
}

fn code_under(path: &Path, policy: &Policy) -> Code {
    match verify(path, &trust(), policy) {
        Err(Error::Rejected(rejection)) => rejection.code,
        Err(other) => panic!("expected a rejection, got {other}"),
        Ok(_) => panic!("expected a rejection, got a pack"),
    }
}

fn code(path: &Path) -> Code {
    let started = Instant::now();
    let code = code_under(path, &policy());
    assert!(started.elapsed() < Duration::from_secs(1));
    code
}

#[cfg(unix)] // WASI makes no FIFOs
fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(std::fs::metadata(path).unwrap().file_type().is_fifo());
}

fn sparse(path: &Path, size: u64) {
    std::fs::File::create(path).unwrap().set_len(size).unwrap();
}

#[cfg(unix)]
#[test]
fn a_fifo_in_any_place_neither_blocks_nor_passes() {
    for place in [MODULE, "kernels.json", "kernels.json.sig"] {
        let folder = written(&Draft::new());
        std::fs::remove_file(folder.path().join(place)).unwrap();
        fifo(&folder.path().join(place));
        assert_eq!(code(folder.path()), Code::NotARegularFile, "{place}");
    }
    let folder = written(&Draft::new());
    fifo(&folder.path().join("extra"));
    assert_eq!(code(folder.path()), Code::UnlistedFile);
    let alone = support::scratch();
    fifo(&alone.path().join("pack.tar"));
    assert_eq!(code(&alone.path().join("pack.tar")), Code::NotARegularFile);
}

#[test]
fn large_files_are_refused_by_their_size_not_by_reading_them() {
    for (place, expected) in [
        (MODULE, Code::FileTooLarge),
        ("kernels.json", Code::ManifestTooLarge),
        ("kernels.json.sig", Code::SignatureMalformed),
    ] {
        let folder = written(&Draft::new());
        sparse(&folder.path().join(place), 100 << 30);
        assert_eq!(code(folder.path()), expected, "{place}");
    }
    let folder = written(&Draft::new());
    sparse(&folder.path().join(MODULE), (8 << 20) + 1);
    assert_eq!(code(folder.path()), Code::FileTooLarge);
    let folder = written(&Draft::new());
    sparse(&folder.path().join(MODULE), 8 << 20);
    assert_eq!(code_under(folder.path(), &policy()), Code::HashMismatch);
}

#[cfg(unix)] // in WASI no link leads out of a folder, and there are no devices
#[test]
fn a_link_to_a_device_is_refused_unopened() {
    let mut draft = Draft::new();
    draft.files.remove(MODULE);
    draft
        .links
        .insert(MODULE.to_owned(), "/dev/zero".to_owned());
    assert_eq!(code(written(&draft).path()), Code::NotARegularFile);
    assert_eq!(code(Path::new("/dev/zero")), Code::NotARegularFile);
}

/// Root may read anything, until this thread gives that up.
#[cfg(target_os = "linux")]
#[test]
fn what_the_system_refuses_to_read_is_no_rejection() {
    use caps::{CapSet, Capability};

    let folder = written(&Draft::new());
    let module = folder.path().join(MODULE);
    std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o000)).unwrap();
    let verified = std::thread::scope(|scope| {
        let unprivileged = scope.spawn(|| {
            for capability in [
                Capability::CAP_DAC_OVERRIDE,
                Capability::CAP_DAC_READ_SEARCH,
            ] {
                caps::drop(None, CapSet::Effective, capability).unwrap();
            }
            assert!(std::fs::File::open(&module).is_err());
            verify(folder.path(), &trust(), &policy())
        });
        unprivileged.join().unwrap()
    });
    assert!(matches!(verified, Err(Error::Io { .. })));
}

#[test]
fn nothing_there_is_no_rejection_and_an_empty_folder_is() {
    let folder = support::scratch();
    assert!(matches!(
        verify(&folder.path().join("missing"), &trust(), &policy()),
        Err(Error::NotFound(_))
    ));
    assert_eq!(code(folder.path()), Code::ManifestMissing);
}

#[test]
fn empty_folders_are_no_files_and_files_in_them_are() {
    let folder = written(&Draft::new());
    std::fs::create_dir_all(folder.path().join("notes/more")).unwrap();
    assert!(verify(folder.path(), &trust(), &policy()).is_ok());
    std::fs::write(folder.path().join("notes/more/file"), "").unwrap();
    assert_eq!(code(folder.path()), Code::UnlistedFile);
}

fn tar_of(members: &[(&str, &[u8], tar::EntryType)]) -> TempDir {
    let folder = support::scratch();
    let file = std::fs::File::create(folder.path().join("pack.tar")).unwrap();
    let mut builder = tar::Builder::new(file);
    for (path, bytes, kind) in members {
        let mut header = tar::Header::new_gnu();
        // Written as it is: the library refuses to make the paths that are tested here.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("kernels.json").unwrap();
        }
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.finish().unwrap();
    folder
}

fn regular(draft: &Draft, prefix: &str) -> Vec<(String, Vec<u8>)> {
    draft
        .all_files()
        .into_iter()
        .map(|(path, bytes)| (format!("{prefix}{path}"), bytes))
        .collect()
}

#[test]
fn an_archive_is_the_same_tree_under_the_same_rules() {
    use tar::EntryType;
    let with = |prefix: &str, extra: &[(&str, &[u8], EntryType)]| {
        let files = regular(&Draft::new(), prefix);
        let mut members: Vec<_> = files
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice(), EntryType::Regular))
            .collect();
        members.extend_from_slice(extra);
        tar_of(&members)
    };
    let path = |folder: &TempDir| folder.path().join("pack.tar");
    for prefix in ["", "./", "tiny/", "./tiny/"] {
        let folder = with(prefix, &[]);
        let pack = verify(&path(&folder), &trust(), &policy()).unwrap();
        assert_eq!(pack.kernels()[0].wasm(), support::tiny_module());
    }
    let file = EntryType::Regular;
    for (member, expected) in [
        (("extra", b"x".as_slice(), file), Code::UnlistedFile),
        ((MODULE, b"x".as_slice(), file), Code::PathInvalid),
        (("../extra", b"x".as_slice(), file), Code::PathEscape),
        (("/extra", b"x".as_slice(), file), Code::PathEscape),
        (("kernels/../../x", b"x".as_slice(), file), Code::PathEscape),
        (("a\\b", b"x".as_slice(), file), Code::PathInvalid),
        (
            ("link", b"".as_slice(), EntryType::Symlink),
            Code::NotARegularFile,
        ),
        (
            ("hard", b"".as_slice(), EntryType::Link),
            Code::NotARegularFile,
        ),
        (
            ("pipe", b"".as_slice(), EntryType::Fifo),
            Code::NotARegularFile,
        ),
        (
            ("device", b"".as_slice(), EntryType::Char),
            Code::NotARegularFile,
        ),
        (
            ("../folder", b"".as_slice(), EntryType::Directory),
            Code::PathEscape,
        ),
    ] {
        assert_eq!(code(&path(&with("", &[member]))), expected, "{}", member.0);
    }
    assert!(
        verify(
            &path(&with("", &[("notes", b"", EntryType::Directory)])),
            &trust(),
            &policy()
        )
        .is_ok()
    );
    let large = vec![0; (8 << 20) + 1];
    let folder = tar_of(
        &regular(&Draft::new().file(MODULE, &large), "")
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice(), file))
            .collect::<Vec<_>>(),
    );
    assert_eq!(code_under(&path(&folder), &policy()), Code::FileTooLarge);
}

#[test]
fn what_is_no_archive_has_no_manifest() {
    let folder = support::scratch();
    let path = folder.path().join("pack.tar");
    for content in [b"".as_slice(), b"hello", &[0x1f; 600], &[0; 10_240]] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(code(&path), Code::ManifestMissing);
    }
    sparse(&path, 100 << 30);
    assert_eq!(code(&path), Code::FileTooLarge);
}

#[test]
fn a_cut_archive_is_never_accepted_and_never_panics() {
    let files = regular(&Draft::new(), "");
    let members: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.as_slice(), tar::EntryType::Regular))
        .collect();
    let folder = tar_of(&members);
    let path = folder.path().join("pack.tar");
    let whole = std::fs::read(&path).unwrap();
    // Without the two blocks at its end and the padding of the last member, an archive still has all its files.
    for length in (0..whole.len() - 1024 - 512).step_by(97) {
        std::fs::write(&path, &whole[..length]).unwrap();
        code_under(&path, &policy());
    }
}

#[test]
fn a_pack_expires_at_its_moment() {
    let folder = written(&Draft::new().set("/expires_at", json!("2026-06-01T00:00:00Z")));
    let moment = policy().now;
    let at = |now: SystemTime| {
        let mut policy = policy();
        policy.now = now;
        policy
    };
    assert!(
        verify(
            folder.path(),
            &trust(),
            &at(moment - Duration::from_secs(1))
        )
        .is_ok()
    );
    assert_eq!(code_under(folder.path(), &at(moment)), Code::PackExpired);
}

#[test]
fn releases_are_compared_by_precedence() {
    let draft = Draft::new()
        .set("/min_runtime_version", json!("0.5.0-rc.2"))
        .set("/max_runtime_version", json!("0.5.0"));
    let folder = written(&draft);
    let release = |version: &str| {
        let mut policy = policy();
        policy.runtime_version = version.parse().unwrap();
        verify(folder.path(), &trust(), &policy).map(drop)
    };
    for accepted in ["0.5.0", "0.5.0-rc.2", "0.5.0-rc.11", "0.5.0+build.7"] {
        assert!(release(accepted).is_ok(), "{accepted}");
    }
    for (version, expected) in [
        ("0.5.0-rc.1", Code::RuntimeTooOld),
        ("0.5.0-beta", Code::RuntimeTooOld),
        ("0.5.1-alpha", Code::RuntimeTooNew),
    ] {
        match release(version) {
            Err(Error::Rejected(rejection)) => assert_eq!(rejection.code, expected, "{version}"),
            other => panic!("{version}: {other:?}"),
        }
    }
}

#[test]
fn an_older_version_needs_to_be_asked_for() {
    let newer = written(&Draft::new().set("/version", json!("1.3.0")));
    let older = written(&Draft::new());
    let mut policy = policy();
    let mut seen = SeenVersions::default();
    let pack = verify(newer.path(), &trust(), &policy).unwrap();
    seen.record(pack.name(), pack.signer(), pack.version());
    policy.seen = seen;
    assert_eq!(code_under(older.path(), &policy), Code::RollbackRefused);
    policy.allow_rollback = true;
    assert!(verify(older.path(), &trust(), &policy).is_ok());
}

#[test]
fn a_further_trusted_key_carries_a_new_author_over() {
    let new = support::unknown_key();
    let new_author = || {
        Draft::new()
            .set("/author/signing_key", json!(new.public()))
            .signed_by(support::unknown_key())
    };
    let list = |text: String| TrustList::parse(&text, "test").unwrap();
    let old = support::trusted_key();
    let alone = written(&new_author());
    assert_eq!(code(alone.path()), Code::NoTrustedKey);
    let both = written(&new_author().also(&old));
    let pack = verify(both.path(), &trust(), &policy()).unwrap();
    assert_eq!(pack.key(), new.public());
    assert_eq!(pack.accepted_by().to_string(), old.public());
    // Who trusts the author needs no other key, whatever became of that.
    for others in [String::new(), format!("{} revoked", old.public())] {
        let trust = list(format!("{}\n{others}\n", new.public()));
        let pack = verify(both.path(), &trust, &policy()).unwrap();
        assert_eq!(pack.accepted_by(), pack.signer());
    }
    // A revoked author is refused, whoever else signed.
    let trust = list(format!("{}\n{} revoked\n", old.public(), new.public()));
    match verify(both.path(), &trust, &policy()) {
        Err(Error::Rejected(rejection)) => assert_eq!(rejection.code, Code::KeyRevoked),
        other => panic!("{other:?}"),
    }
}

/// Also where somebody else signed in its name, which would be a mismatch otherwise.
#[test]
fn a_revoked_author_is_refused_whoever_signed() {
    let revoked = support::revoked_key().public();
    let draft = Draft::new().set("/author/signing_key", json!(revoked));
    assert_eq!(code(written(&draft).path()), Code::KeyRevoked);
}

#[test]
fn an_old_pack_of_the_key_before_does_not_pass_behind_a_newer_one_that_both_signed() {
    let (old, new) = (support::trusted_key(), support::unknown_key());
    let of_old = |version: &str| Draft::new().set("/version", json!(version));
    let of_both = Draft::new()
        .set("/version", json!("2.0.0"))
        .set("/author/signing_key", json!(new.public()))
        .signed_by(support::unknown_key())
        .also(&old);
    let mut seen = SeenVersions::default();
    let accepted = verify(written(&of_both).path(), &trust(), &policy()).unwrap();
    for key in accepted.signers() {
        seen.record(accepted.name(), key, accepted.version());
    }
    let mut policy = policy();
    policy.seen = seen;
    for (version, refused) in [("1.5.0", true), ("2.0.0", false), ("2.1.0", false)] {
        let result = verify(written(&of_old(version)).path(), &trust(), &policy);
        match result {
            Err(Error::Rejected(rejection)) if refused => {
                assert_eq!(rejection.code, Code::RollbackRefused);
            }
            Ok(_) if !refused => {}
            other => panic!("{version}: {other:?}"),
        }
    }
}

#[test]
fn the_right_to_bring_native_code_is_that_of_the_key_by_which_a_pack_was_accepted() {
    let (old, new) = (support::trusted_key(), support::unknown_key());
    let artifact = json!([{
        "kernel": "tiny", "engine": "wamr", "engine_version": "2.4.4", "target": "x86_64-linux",
        "path": "aot/tiny.aot", "hash": hash(b"\0aot native"),
    }]);
    let draft = Draft::new()
        .set("/artifacts", artifact)
        .file("aot/tiny.aot", b"\0aot native")
        .set("/author/signing_key", json!(new.public()))
        .signed_by(support::unknown_key())
        .also(&old);
    let folder = written(&draft);
    let allows = |text: String| {
        let trust = TrustList::parse(&text, "test").unwrap();
        let pack = verify(folder.path(), &trust, &policy()).unwrap();
        pack.allows_native()
    };
    let (old, new) = (old.public(), new.public());
    assert!(allows(format!("{old} allow-native")));
    assert!(!allows(format!("{old}\n")));
    assert!(!allows(format!("{old} allow-native\n{new}")));
    assert!(allows(format!("{old}\n{new} allow-native")));
}

#[test]
fn an_unknown_signer_is_named_only_if_it_signed() {
    let unknown = support::unknown_key();
    let rejection = |draft: &Draft| match verify(written(draft).path(), &trust(), &policy()) {
        Err(Error::Rejected(rejection)) if rejection.code == Code::NoTrustedKey => rejection,
        other => panic!("{other:?}"),
    };
    let signed = Draft::new()
        .set("/author/signing_key", json!(unknown.public()))
        .set("/name", json!("trust-me"))
        .signed_by(support::unknown_key());
    let found = rejection(&signed);
    assert_eq!(found.signer.as_deref(), Some(&unknown.public_key()));
    assert!(found.message.contains(&unknown.public()));
    assert!(!found.message.contains("trust-me"), "{found}");
    // Somebody else's signature, or none that fits.
    for draft in [
        Draft::new().signed_by(support::unknown_key()),
        signed.text("trust-me", "trust-us").signature(vec![7; 64]),
        Draft::new().bytes(b"{}".to_vec()).signature(vec![7; 64]),
    ] {
        let found = rejection(&draft);
        assert_eq!(found.signer, None, "{found}");
        assert!(found.message.contains("changed"), "{found}");
    }
}

#[test]
fn further_signatures_are_read_like_any_file() {
    let folder = written(&Draft::new());
    let path = folder.path().join(support::SIGNATURES);
    std::fs::create_dir(&path).unwrap();
    assert_eq!(code(folder.path()), Code::NotARegularFile);
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    assert_eq!(code(folder.path()), Code::SignatureMalformed);
}

#[test]
fn a_fallback_of_a_kernel_that_is_not_there_is_a_warning() {
    let draft = Draft::new().set("/fallbacks", json!({"other\u{1b}": "tiny"}));
    let pack = verify(written(&draft).path(), &trust(), &policy()).unwrap();
    let [warning] = pack.warnings() else {
        panic!("{:?}", pack.warnings());
    };
    assert!(warning.contains("other") && !warning.contains('\u{1b}'));
    assert!(pack.kernels()[0].fallback().is_none());
    let many: serde_json::Map<_, _> = (0..257)
        .map(|index| (format!("other{index}"), json!("tiny")))
        .collect();
    let draft = Draft::new().set("/fallbacks", many.into());
    assert_eq!(code(written(&draft).path()), Code::ManifestInvalid);
}

#[test]
fn bounds_of_a_parameter_may_be_left_out() {
    let param = |value| {
        let draft = Draft::new().set("/kernels/0/params", json!({"p": value}));
        verify(written(&draft).path(), &trust(), &policy())
            .map(|pack| pack.kernels()[0].entry().params[0].1)
    };
    assert_eq!(
        param(json!({"type": "f32", "default": 3})).unwrap(),
        Param::F32 {
            default: 3.0,
            min: f32::MIN,
            max: f32::MAX
        }
    );
    assert_eq!(
        param(json!({"type": "i32", "default": -3, "max": 5})).unwrap(),
        Param::I32 {
            default: -3,
            min: i32::MIN,
            max: 5
        }
    );
    assert_eq!(
        param(json!({"type": "u32", "default": 3, "min": 1})).unwrap(),
        Param::U32 {
            default: 3,
            min: 1,
            max: u32::MAX
        }
    );
    for wrong in [
        json!({"type": "f32", "default": 1e39}),
        json!({"type": "u32", "default": -1}),
        json!({"type": "i32", "default": 6, "max": 5}),
        json!({"type": "u32", "min": 0, "max": 5}),
        json!({"type": "f32", "default": 1, "min": null}),
    ] {
        assert!(param(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn native_code_is_checked_always_and_handed_out_with_whether_its_key_may_bring_it() {
    let with = |content: &[u8]| {
        let artifact = json!([{
            "kernel": "tiny", "engine": "wamr", "engine_version": "2.4.4", "target": "x86_64-linux",
            "path": "aot/tiny.aot", "hash": hash(b"\0aot native"),
        }]);
        Draft::new()
            .set("/artifacts", artifact)
            .file("aot/tiny.aot", content)
    };
    let folder = written(&with(b"\0aot native"));
    let pack = verify(folder.path(), &trust(), &policy()).unwrap();
    assert!(!pack.allows_native());
    assert_eq!(pack.artifacts()[0].bytes(), b"\0aot native");
    let allowing = format!("{} allow-native", support::trusted_key().public());
    let allowing = TrustList::parse(&allowing, "test").unwrap();
    let pack = verify(folder.path(), &allowing, &policy()).unwrap();
    assert!(pack.allows_native());
    assert_eq!(pack.artifacts()[0].bytes(), b"\0aot native");
    assert_eq!(
        code(written(&with(b"\0aot Native")).path()),
        Code::HashMismatch
    );
}

#[test]
fn a_variant_runs_where_its_features_are() {
    use kernel_pack::Feature::{BulkMemory, Simd};
    let simd = support::extended("(func (drop (v128.const i64x2 0 0)))");
    let variants = json!([
        {"features": ["simd"], "path": "kernels/tiny.simd.wasm", "hash": hash(&simd)},
        // Uses more than it says.
        {"features": ["bulk-memory"], "path": "kernels/tiny.simd.wasm", "hash": hash(&simd)},
    ]);
    let draft = Draft::new()
        .set("/kernels/0/variants", variants)
        .file("kernels/tiny.simd.wasm", &simd);
    let pack = verify(written(&draft).path(), &trust(), &policy()).unwrap();
    let kernel = &pack.kernels()[0];
    let chosen = |features: &[kernel_pack::Feature]| {
        let features = features.iter().copied().collect();
        kernel
            .variant_for(&features)
            .map(|variant| variant.wasm().to_vec())
    };
    assert_eq!(chosen(&[Simd]), Some(simd));
    assert_eq!(chosen(&[BulkMemory]), None);
    assert_eq!(chosen(&[]), None);
    let broken = Draft::new()
        .set(
            "/kernels/0/variants",
            draft.manifest["kernels"][0]["variants"].clone(),
        )
        .file("kernels/tiny.simd.wasm", b"changed");
    assert_eq!(code(written(&broken).path()), Code::HashMismatch);
}

#[test]
fn every_kernel_passes_before_any_is_handed_out() {
    let mut draft = Draft::new().file("kernels/second.wasm", &support::extended("(memory 1)"));
    let mut second = draft.kernel().clone();
    second["id"] = json!("second");
    second["path"] = json!("kernels/second.wasm");
    second["hash"] = json!(hash(&draft.files["kernels/second.wasm"]));
    draft.manifest["kernels"]
        .as_array_mut()
        .unwrap()
        .push(second);
    match verify(written(&draft).path(), &trust(), &policy()) {
        Err(Error::Rejected(rejection)) => {
            assert_eq!(rejection.code, Code::ModuleInvalid);
            assert_eq!(rejection.kernel.as_deref(), Some("second"));
        }
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)] // files have no modes in WASI
#[test]
fn keys_are_private_and_not_overwritten() {
    let folder = support::scratch();
    let path = folder.path().join("key");
    let key = PackSigningKey::generate().unwrap();
    key.write(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(PackSigningKey::read(&path).unwrap().public(), key.public());
    assert!(PackSigningKey::generate().unwrap().write(&path).is_err());
    assert_eq!(PackSigningKey::read(&path).unwrap().public(), key.public());
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing half written stays behind");
}
