//! Signed packs of one small kernel, made on the spot.

use kernel_pack::{
    TrustList,
    build::build_folder,
    sign::{PackSigningKey, sign_folder},
};
use runtime_call::{Output, Tensors};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// What a pack's kernel `scale` does beside multiplying by its factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Nothing.
    Good,
    /// Answers twice the factor of its vectors.
    Wrong,
    /// Traps where the first element is not that of its vectors.
    TrapsAfterHealth,
    /// Keeps the sum of all first elements in memory, and adds the one before to the output.
    Leaks,
}

/// An element that makes every kernel trap.
pub(crate) const TRAPS: f32 = 666.0;
/// An element that makes every kernel loop.
pub(crate) const LOOPS: f32 = 777.0;
/// An element that makes every kernel write a guard band.
pub(crate) const SPILLS: f32 = 888.0;
/// An element that every kernel refuses with INVALID_INPUT.
pub(crate) const REFUSED: f32 = 999.0;

/// The first element of the vectors.
const FIRST: f32 = 1.0;

/// The key of the tests; its seed is public.
pub(crate) fn key() -> PackSigningKey {
    PackSigningKey::from_seed(&[0xA1; 32])
}

pub(crate) fn trusted() -> TrustList {
    TrustList::parse(&key().public(), "test").unwrap()
}

/// `y = factor * x`, element by element.
pub(crate) fn module(factor: f32, habit: Habit) -> Vec<u8> {
    let factor = if habit == Habit::Wrong {
        2.0 * factor
    } else {
        factor
    };
    let habit = match habit {
        Habit::Good | Habit::Wrong => String::new(),
        Habit::TrapsAfterHealth => format!(
            "(if (f32.ne (f32.load (local.get $a)) (f32.const {FIRST})) (then unreachable))"
        ),
        Habit::Leaks => "(local.set $kept (f32.load (i32.const 16)))
            (f32.store (i32.const 16) (f32.load (local.get $a)))"
            .to_owned(),
    };
    let text = format!(
        r#"(module (memory (export "memory") 1 64)
  (global (export "__heap_base") i32 (i32.const 1024))
  (func (export "kernel_init") (param i32 i32) (result i32) i32.const 0)
  (func (export "kernel_info") (param i32) (result i32) i32.const 5)
  (func (export "kernel_cleanup") (result i32) i32.const 0)
  (func (export "kernel_forward") (param $d i32) (result i32)
    (local $a i32) (local $end i32) (local $y i32) (local $kept f32)
    (local.set $a (i32.load (local.get $d)))
    (local.set $end (i32.add (local.get $a) (i32.load offset=4 (local.get $d))))
    (local.set $y (i32.load offset=16 (local.get $d)))
    (if (f32.eq (f32.load (local.get $a)) (f32.const {TRAPS})) (then unreachable))
    (if (f32.eq (f32.load (local.get $a)) (f32.const {LOOPS})) (then (loop $again (br $again))))
    (if (f32.eq (f32.load (local.get $a)) (f32.const {SPILLS}))
      (then (i32.store offset=4 (local.get $y) (i32.const -1)) (i32.store (local.get $end) (i32.const -1))))
    (if (f32.eq (f32.load (local.get $a)) (f32.const {REFUSED})) (then (return (i32.const 1))))
    {habit}
    (loop $next
      (f32.store (local.get $y)
        (f32.add (local.get $kept) (f32.mul (f32.load (local.get $a)) (f32.const {factor}))))
      (local.set $a (i32.add (local.get $a) (i32.const 4)))
      (local.set $y (i32.add (local.get $y) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $a) (local.get $end))))
    (i32.const 0)))"#
    );
    wat::parse_str(text).unwrap()
}

/// A folder of packs.
pub(crate) struct Packs(TempDir);

impl Packs {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A signed pack of version `0.version.0` whose kernel multiplies by the version.
    pub(crate) fn pack(&self, version: u32, habit: Habit) -> PathBuf {
        self.pack_with(version, habit, &|_| ())
    }

    /// The same, with a manifest that `change` has changed.
    pub(crate) fn pack_with(
        &self,
        version: u32,
        habit: Habit,
        change: &dyn Fn(&mut Value),
    ) -> PathBuf {
        let folder = self.path().join(format!("{version}-{habit:?}"));
        for part in ["kernels", "contracts", "vectors"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::write(
            folder.join("kernels/scale.wasm"),
            module(version as f32, habit),
        )
        .unwrap();
        let contract = json!({
            "axes": { "n": { "typical": [1, 4] } },
            "truth": ["vectors"],
            "tolerance": { "ulp": 0 },
        });
        fs::write(folder.join("contracts/scale.json"), contract.to_string()).unwrap();
        let hex = |values: &[f32]| -> String {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            bytes.map(|byte| format!("{byte:02x}")).collect()
        };
        let array =
            |values: &[f32]| json!({ "dtype": "f32", "shape": [values.len()], "hex": hex(values) });
        let (x, y) = (
            [FIRST, 2.0, -3.0],
            [FIRST, 2.0, -3.0].map(|x| x * version as f32),
        );
        let vectors = json!({
            "kernel": "scale",
            "cases": [{
                "name": "three", "class": "normal", "params": { "n": 3 },
                "inputs": { "x": array(&x) }, "outputs": { "y": { "y": null } },
            }],
        });
        let mut vectors = vectors;
        vectors["cases"][0]["outputs"] = json!({ "author": array(&y) });
        fs::write(folder.join("vectors/scale.json"), vectors.to_string()).unwrap();
        let mut template = json!({
            "name": "scales", "version": format!("0.{version}.0"), "description": "one kernel",
            "min_runtime_version": "0.5.0", "max_runtime_version": "1.0.0",
            "created_at": "2026-11-29T00:00:00Z",
            "author": { "name": "Tests", "email": "tests@kernel-assay.example" },
            "kernels": [{
                "id": "scale", "name": "Scale", "category": "activation",
                "path": "kernels/scale.wasm", "entry_point": "kernel_forward",
                "inputs": [{ "name": "x", "dtype": "f32", "shape": ["n"] }],
                "outputs": [{ "name": "y", "dtype": "f32", "shape": ["n"] }],
                "params": { "n": { "type": "u32", "default": 1, "min": 1 } },
                "resource_limits": { "max_memory_pages": 64, "max_epoch_ticks": 1000, "max_table_elements": 1 },
                "platforms": {}, "contract": { "path": "contracts/scale.json" },
            }],
            "vectors": [{ "kernel": "scale", "path": "vectors/scale.json" }],
        });
        change(&mut template);
        let file = self.path().join("template.json");
        fs::write(&file, template.to_string()).unwrap();
        build_folder(&folder, &file, Some(&key().public())).unwrap();
        sign_folder(&folder, &key(), &[]).unwrap();
        folder
    }
}

/// The bytes of a call of `scale`.
pub(crate) struct Call {
    params: [u8; 4],
    x: Vec<u8>,
}

impl Call {
    pub(crate) fn new(x: &[f32]) -> Self {
        Self {
            params: (x.len() as u32).to_le_bytes(),
            x: x.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    pub(crate) fn tensors(&self) -> Tensors<'_> {
        Tensors {
            params: &self.params,
            a: &self.x,
            b: &[],
            output: Output::Written(self.x.len() as u32),
            scratch_size: 0,
        }
    }
}

/// The first element of an output.
pub(crate) fn first(output: &[u8]) -> f32 {
    f32::from_le_bytes(output[..4].try_into().unwrap())
}
