//! What a cache believes: files that it wrote itself, in a folder that is closed to others, and nothing else.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use runtime_api::{
    Budget, BudgetKind, Error, Info, Limits, Module, Options, Result, Runtime, TrustedCode,
};
use runtime_cache::{Cache, Caching, Found, Key, Source};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

fn options() -> Options {
    Options {
        limits: Limits::default(),
        metering: BudgetKind::Epoch,
    }
}

fn wasm(answer: i32) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 1) (func (export "answer") (result i32) (i32.const {answer})))"#
    ))
    .unwrap()
}

fn answer(module: &dyn Module) -> i32 {
    let mut instance = module.instantiate(Budget::Epoch(100)).unwrap();
    let entry = instance.entry("answer", 0).unwrap();
    instance.call(entry, &[], Budget::Epoch(100)).unwrap()
}

/// Counts what an engine is asked for.
struct Counted {
    runtime: Box<dyn Runtime>,
    compiled: AtomicU32,
    loaded: AtomicU32,
}

impl Counted {
    fn new() -> Self {
        Self {
            runtime: runtime_wasmtime::pulley().unwrap(),
            compiled: AtomicU32::new(0),
            loaded: AtomicU32::new(0),
        }
    }
}

impl Runtime for Counted {
    fn info(&self) -> &Info {
        self.runtime.info()
    }

    fn compile(&self, wasm: &[u8], options: &Options) -> Result<Box<dyn Module>> {
        self.compiled.fetch_add(1, Ordering::Relaxed);
        self.runtime.compile(wasm, options)
    }

    fn precompile(&self, wasm: &[u8], options: &Options) -> Result<Vec<u8>> {
        self.compiled.fetch_add(1, Ordering::Relaxed);
        self.runtime.precompile(wasm, options)
    }

    fn code_identity(&self, options: &Options) -> Result<Vec<u8>> {
        self.runtime.code_identity(options)
    }

    fn load_code(
        &self,
        wasm: &[u8],
        code: TrustedCode<'_>,
        options: &Options,
    ) -> Result<Box<dyn Module>> {
        self.loaded.fetch_add(1, Ordering::Relaxed);
        self.runtime.load_code(wasm, code, options)
    }
}

/// A cache that holds the code of `wasm(7)`, and where.
struct Filled {
    _folder: TempDir,
    path: PathBuf,
    cache: Cache,
    engine: Counted,
    key: Key,
    file: PathBuf,
}

fn filled() -> Filled {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let cache = Cache::open(&path).unwrap();
    let engine = Counted::new();
    let (module, source) = cache.compile(&engine, &wasm(7), &options()).unwrap();
    assert_eq!((answer(&*module), source), (7, Source::Kept));
    let key = Key::new(&engine, &wasm(7), &options()).unwrap();
    let file = path.join(key.file());
    assert!(matches!(cache.find(&key), Found::Code(_)));
    Filled {
        _folder: folder,
        path,
        cache,
        engine,
        key,
        file,
    }
}

impl Filled {
    /// The file is refused for a reason with these words, and the module is compiled, right, and kept again.
    fn refuses(&self, words: &str) {
        match self.cache.find(&self.key) {
            Found::Refused(reason) => assert!(reason.contains(words), "{reason:?}, not {words:?}"),
            other => panic!("{words}: {other:?}"),
        }
        let compiled = self.engine.compiled.load(Ordering::Relaxed);
        let (module, source) = self
            .cache
            .compile(&self.engine, &wasm(7), &options())
            .unwrap();
        assert_eq!((answer(&*module), source), (7, Source::Kept), "{words}");
        assert_eq!(
            self.engine.compiled.load(Ordering::Relaxed),
            compiled + 1,
            "{words}"
        );
        assert!(matches!(self.cache.find(&self.key), Found::Code(_)));
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_was_kept_is_loaded_and_not_compiled() {
    let filled = filled();
    let (compiled, loaded) = (
        filled.engine.compiled.load(Ordering::Relaxed),
        filled.engine.loaded.load(Ordering::Relaxed),
    );
    // Another process has another `Cache`.
    let again = Cache::open(&filled.path).unwrap();
    let (module, source) = again.compile(&filled.engine, &wasm(7), &options()).unwrap();
    assert_eq!((answer(&*module), source), (7, Source::Cache));
    assert_eq!(filled.engine.compiled.load(Ordering::Relaxed), compiled);
    assert_eq!(filled.engine.loaded.load(Ordering::Relaxed), loaded + 1);
}

#[test]
fn everything_is_closed_to_others() {
    let filled = filled();
    assert_eq!(mode(&filled.path), 0o700);
    let names: Vec<_> = fs::read_dir(&filled.path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // The secret and the code; nothing that was on its way.
    assert_eq!(names.len(), 2, "{names:?}");
    for path in names {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let filled = filled();
    let good = fs::read(&filled.file).unwrap();
    let all = 0..good.len();
    // All of the header, and a sample of the code.
    for at in all.clone().take(100).chain(all.step_by(997)) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&filled.file, bad).unwrap();
        let found = filled.cache.find(&filled.key);
        assert!(matches!(found, Found::Refused(_)), "byte {at}: {found:?}");
    }
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 0x80;
    fs::write(&filled.file, bad).unwrap();
    filled.refuses("not written by this cache");
}

#[test]
fn cut_empty_and_longer_files_are_refused() {
    let filled = filled();
    let good = fs::read(&filled.file).unwrap();
    let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
    for (bytes, words) in [
        (&good[..good.len() - 1], "length"),
        (&good[..100], "length"),
        (&good[..50], "bytes are not what was written"),
        (&[][..], "bytes are not what was written"),
        (&longer, "length"),
    ] {
        fs::write(&filled.file, bytes).unwrap();
        filled.refuses(words);
    }
    let file = fs::File::create(&filled.file).unwrap();
    file.set_len(1 << 40).unwrap();
    filled.refuses("bytes are not what was written");
}

#[test]
fn code_of_another_module_is_refused() {
    let filled = filled();
    filled
        .cache
        .compile(&filled.engine, &wasm(8), &options())
        .unwrap();
    let other = Key::new(&filled.engine, &wasm(8), &options()).unwrap();
    fs::copy(filled.path.join(other.file()), &filled.file).unwrap();
    filled.refuses("another key");
}

#[test]
fn a_file_of_another_cache_is_refused() {
    let (filled, other) = (self::filled(), self::filled());
    assert_eq!(filled.key, other.key);
    fs::copy(&other.file, &filled.file).unwrap();
    filled.refuses("not written by this cache");
}

#[test]
fn links_pipes_and_folders_are_refused() {
    let filled = filled();
    let aside = filled.path.join("aside");
    fs::rename(&filled.file, &aside).unwrap();
    symlink(&aside, &filled.file).unwrap();
    filled.refuses("symbolic link");
    assert!(fs::symlink_metadata(&filled.file).unwrap().is_file());

    fs::remove_file(&filled.file).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&filled.file)
        .status();
    if made.is_ok_and(|status| status.success()) {
        set_mode(&filled.file, 0o600);
        filled.refuses("another type");
    }

    fs::remove_file(&filled.file).unwrap();
    fs::create_dir(&filled.file).unwrap();
    let (module, source) = filled
        .cache
        .compile(&filled.engine, &wasm(7), &options())
        .unwrap();
    // A folder cannot be replaced by a file.
    assert_eq!((answer(&*module), source), (7, Source::NotKept));
}

#[test]
fn files_open_to_others_are_refused() {
    let filled = filled();
    for open in [0o604, 0o640, 0o602, 0o620, 0o666, 0o610] {
        set_mode(&filled.file, open);
        filled.refuses("open to others");
        assert_eq!(mode(&filled.file), 0o600);
    }
}

mod needs_root {
    use super::{Cache, filled};
    use std::os::unix::fs::chown;

    #[test]
    #[ignore = "needs root, who alone can give files away"]
    fn what_belongs_to_another_user_is_refused() {
        let filled = filled();
        chown(&filled.file, Some(12_345), None).unwrap();
        filled.refuses("belongs to user 12345");
        chown(&filled.path, Some(12_345), None).unwrap();
        let reason = Cache::open(&filled.path).unwrap_err();
        assert!(
            reason.contains("the folder belongs to user 12345"),
            "{reason}"
        );
    }
}

#[test]
fn folders_open_to_others_are_no_caches() {
    let filled = filled();
    for open in [0o777, 0o770, 0o750, 0o701] {
        set_mode(&filled.path, open);
        let reason = Cache::open(&filled.path).unwrap_err();
        assert!(reason.contains("the folder is open to others"), "{reason}");
        let caching = Caching::new(runtime_wasmtime::pulley().unwrap(), &filled.path);
        let text = &caching.info().build[Caching::OPTION];
        assert!(text.starts_with("off: "), "{text}");
        let module = caching.compile(&wasm(7), &options()).unwrap();
        assert_eq!(answer(&*module), 7);
    }
}

#[test]
fn a_link_a_file_or_an_impossible_place_is_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real");
    Cache::open(&real).unwrap();
    let link = folder.path().join("link");
    symlink(&real, &link).unwrap();
    assert!(Cache::open(&link).unwrap_err().contains("symbolic link"));
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(Cache::open(&file).is_err());
    assert!(Cache::open(&file.join("below")).is_err());
}

#[test]
fn a_secret_that_others_may_know_is_none() {
    for spoil in [
        (|secret: &Path| set_mode(secret, 0o644)) as fn(&Path),
        |secret| fs::write(secret, b"short").unwrap(),
        |secret| fs::write(secret, [7; 33]).unwrap(),
        |secret| {
            fs::rename(secret, secret.with_file_name("aside")).unwrap();
            symlink(secret.with_file_name("aside"), secret).unwrap();
        },
    ] {
        let filled = filled();
        spoil(&filled.path.join("secret"));
        let reason = Cache::open(&filled.path).unwrap_err();
        assert!(reason.contains("secret"), "{reason}");
    }
    // A new secret makes nothing of what is there believable.
    let filled = filled();
    fs::remove_file(filled.path.join("secret")).unwrap();
    let again = Cache::open(&filled.path).unwrap();
    assert!(matches!(again.find(&filled.key), Found::Refused(_)));
}

#[test]
fn what_cannot_be_written_is_compiled() {
    let filled = filled();
    // Where there was a folder once; this holds for root, too, whom modes do not stop.
    fs::remove_dir_all(&filled.path).unwrap();
    let (module, source) = filled
        .cache
        .compile(&filled.engine, &wasm(9), &options())
        .unwrap();
    assert_eq!((answer(&*module), source), (9, Source::NotKept));
}

/// `/dev/full` is no folder; a limit on the size of files is as good as a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_nothing_but_the_cache() {
    if std::env::var_os("CACHE_TEST_LIMITED").is_none() {
        // In a process of its own: the limit would hold for the other tests, too.
        let test = std::env::current_exe().unwrap();
        // Under an emulator, what starts executables of the target.
        let runner = std::env::var("ASSAY_RUNNER").unwrap_or_default();
        let done = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 1 && exec \"$0\" \"$@\""])
            .args(runner.split_whitespace())
            .arg(test)
            .args(["--exact", "a_full_disk_costs_nothing_but_the_cache"])
            .env("CACHE_TEST_LIMITED", "1")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let cache = Cache::open(&path).unwrap();
    let engine = Counted::new();
    let (module, source) = cache.compile(&engine, &wasm(7), &options()).unwrap();
    assert_eq!((answer(&*module), source), (7, Source::NotKept));
    // Only the secret: nothing half written stays.
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}

#[test]
fn keys_tell_apart_what_code_depends_on() {
    let engine = Counted::new();
    let key = |wasm: &[u8], options: &Options| Key::new(&engine, wasm, options).unwrap();
    let usual = key(&wasm(7), &options());
    assert_eq!(usual, key(&wasm(7), &options()));
    assert_ne!(usual, key(&wasm(8), &options()));
    let mut others = [options(); 4];
    others[0].metering = BudgetKind::Fuel;
    others[1].limits.max_memory_pages -= 1;
    others[2].limits.max_table_elements -= 1;
    others[3].limits.max_stack_bytes -= 1;
    for other in others {
        assert_ne!(usual, key(&wasm(7), &other), "{other:?}");
    }
    // Elsewhere Pulley is all that wasmtime has.
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        let cranelift = runtime_wasmtime::cranelift().unwrap();
        assert_ne!(usual, Key::new(&*cranelift, &wasm(7), &options()).unwrap());
    }
}

#[test]
fn errors_are_those_of_compiling() {
    let filled = filled();
    for bytes in [&b"\0asm"[..], b"", b"(module)", b"\x7fELF"] {
        let refused = filled.cache.compile(&filled.engine, bytes, &options());
        assert!(matches!(refused, Err(Error::Rejected { .. })));
    }
    let importing = wat::parse_str(r#"(module (import "a" "b" (func)))"#).unwrap();
    let refused = filled.cache.compile(&filled.engine, &importing, &options());
    assert!(matches!(refused, Err(Error::Rejected { .. })));
}

#[test]
fn an_engine_without_such_code_compiles() {
    let filled = filled();
    let wasmi = runtime_wasmi::runtime().unwrap();
    let before = fs::read_dir(&filled.path).unwrap().count();
    let (module, source) = filled.cache.compile(&*wasmi, &wasm(7), &options()).unwrap();
    assert_eq!((answer(&*module), source), (7, Source::NotKept));
    assert_eq!(fs::read_dir(&filled.path).unwrap().count(), before);
}
