//! Packs for an upgrade while text is generated: the core pack with another version, and with a fault.

use anyhow::{Context, Result};
use kernel_pack::{
    PublicKey,
    build::build_folder,
    sign::{PackSigningKey, sign_folder},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is wrong with a pack's `rmsnorm_f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the same modules.
    None,
    /// It gives wrong values, which the signed vectors show.
    Wrong,
    /// It is right about the signed vectors, and traps on rows as long as the model's.
    Traps,
    /// It is right about the signed vectors, and loops on rows as long as the model's.
    Loops,
}

/// Makes packs, signed with a key of its own that is forgotten with it.
pub struct Workshop {
    /// The repository's `fixtures`.
    fixtures: PathBuf,
    folder: tempfile::TempDir,
    key: PackSigningKey,
}

impl Workshop {
    /// A workshop that works from the repository's `fixtures`.
    ///
    /// # Errors
    /// No random numbers, or no temporary folder.
    pub fn open(fixtures: &Path) -> Result<Self> {
        Ok(Self {
            fixtures: fixtures.to_owned(),
            folder: tempfile::tempdir().context("make a folder for packs")?,
            key: PackSigningKey::generate()?,
        })
    }

    /// Whose signature its packs have.
    pub fn key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The core pack as of that version, whose `rmsnorm_f32` has a fault on rows of `hidden` elements.
    ///
    /// # Errors
    /// Fixtures that are not there, or a pack that cannot be written.
    pub fn pack(&self, version: &str, fault: Fault, hidden: usize) -> Result<PathBuf> {
        let folder = self.folder.path().join(version);
        for part in ["kernels", "vectors"] {
            copy(
                &self.fixtures.join("packs/core").join(part),
                &folder.join(part),
            )?;
        }
        let text = fs::read_to_string(self.fixtures.join("packs/core.template.json"))
            .context("read the core pack's template")?;
        let mut template: serde_json::Value = serde_json::from_str(&text)?;
        template["version"] = version.into();
        let module = match fault {
            Fault::None => None,
            Fault::Wrong => Some(fs::read(
                self.fixtures.join("faulty/eps_outside_root.wasm"),
            )?),
            Fault::Traps => Some(rmsnorm(hidden, "unreachable")?),
            Fault::Loops => Some(rmsnorm(hidden, "(loop $again (br $again))")?),
        };
        if let Some(module) = module {
            fs::write(folder.join("kernels/rmsnorm_f32.wasm"), module)?;
            // A pack holds no file that its manifest does not name.
            fs::remove_file(folder.join("kernels/rmsnorm_f32.simd.wasm"))?;
            let kernels = template["kernels"]
                .as_array_mut()
                .context("the template has no kernels")?;
            for kernel in kernels
                .iter_mut()
                .filter(|kernel| kernel["id"] == "rmsnorm_f32")
            {
                if let Some(kernel) = kernel.as_object_mut() {
                    kernel.remove("variants");
                }
            }
        }
        let path = self.folder.path().join(format!("{version}.json"));
        fs::write(&path, template.to_string())?;
        build_folder(&folder, &path, Some(&self.key.public()))?;
        sign_folder(&folder, &self.key, &[])?;
        Ok(folder)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let files = fs::read_dir(from).with_context(|| format!("list {}", from.display()))?;
    for file in files {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// `rmsnorm_f32` in text form, which does `instead` on rows of `hidden` elements. It checks nothing: it is wrong on purpose.
fn rmsnorm(hidden: usize, instead: &str) -> Result<Vec<u8>> {
    let text = format!(
        r#"(module (memory (export "memory") 1 4096)
  (global (export "__heap_base") i32 (i32.const 1024))
  (func (export "kernel_init") (param i32 i32) (result i32) i32.const 0)
  (func (export "kernel_info") (param i32) (result i32) i32.const 5)
  (func (export "kernel_cleanup") (result i32) i32.const 0)
  (func (export "kernel_forward") (param $d i32) (result i32)
    (local $x i32) (local $w i32) (local $y i32) (local $p i32)
    (local $hidden i32) (local $rows i32) (local $i i32) (local $at i32) (local $sum f32) (local $v f32)
    (local.set $x (i32.load (local.get $d)))
    (local.set $w (i32.load offset=8 (local.get $d)))
    (local.set $y (i32.load offset=16 (local.get $d)))
    (local.set $p (i32.load offset=32 (local.get $d)))
    (local.set $hidden (i32.load offset=4 (local.get $p)))
    (local.set $rows (i32.load offset=8 (local.get $p)))
    (if (i32.eq (local.get $hidden) (i32.const {hidden})) (then {instead}))
    (loop $row
      (local.set $sum (f32.const 0))
      (local.set $i (i32.const 0))
      (loop $square
        (local.set $v (f32.load (i32.add (local.get $x) (i32.shl (local.get $i) (i32.const 2)))))
        (local.set $sum (f32.add (local.get $sum) (f32.mul (local.get $v) (local.get $v))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $square (i32.lt_u (local.get $i) (local.get $hidden))))
      (local.set $sum (f32.div (f32.const 1) (f32.sqrt (f32.add
        (f32.div (local.get $sum) (f32.convert_i32_u (local.get $hidden)))
        (f32.load (local.get $p))))))
      (local.set $i (i32.const 0))
      (loop $scale
        (local.set $at (i32.shl (local.get $i) (i32.const 2)))
        (f32.store (i32.add (local.get $y) (local.get $at)) (f32.mul
          (f32.mul (f32.load (i32.add (local.get $x) (local.get $at))) (local.get $sum))
          (f32.load (i32.add (local.get $w) (local.get $at)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $scale (i32.lt_u (local.get $i) (local.get $hidden))))
      (local.set $at (i32.shl (local.get $hidden) (i32.const 2)))
      (local.set $x (i32.add (local.get $x) (local.get $at)))
      (local.set $y (i32.add (local.get $y) (local.get $at)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $row (local.get $rows)))
    (i32.const 0)))"#
    );
    Ok(wat::parse_str(text)?)
}
