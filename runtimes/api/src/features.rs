use crate::{Budget, BudgetKind, Error, Limits, Options, Result, Runtime};

/// The WebAssembly features that a pack may ask for, as manifests spell them; nothing beyond them is allowed.
pub const PACK_FEATURES: [&str; 7] = [
    "mutable-globals",
    "sign-extension",
    "saturating-float-to-int",
    "multi-value",
    "bulk-memory",
    "reference-types",
    "simd",
];

/// The features of [`PACK_FEATURES`] that an engine has: each is found out with a module that uses it and is run. All but SIMD are asked for
/// together first, because to compile seven modules is what starting some engines takes longest.
pub fn probe_features(runtime: &dyn Runtime) -> Vec<String> {
    let together = run(runtime, "all but SIMD", ALL_BUT_SIMD).is_ok();
    PROBES
        .iter()
        .filter(|probe| (together && probe.feature != "simd") || probe.run(runtime).is_ok())
        .map(|probe| probe.feature.to_owned())
        .collect()
}

/// A module that needs one feature, and whose export `probe` then gives 1.
pub(crate) struct Probe {
    pub(crate) feature: &'static str,
    #[cfg(feature = "suite")]
    pub(crate) check: &'static str,
    wasm: &'static [u8],
}

impl Probe {
    pub(crate) fn run(&self, runtime: &dyn Runtime) -> Result<()> {
        run(runtime, self.feature, self.wasm)
    }
}

/// Whether the export `probe` of a module, which needs `what`, gives 1.
fn run(runtime: &dyn Runtime, what: &str, wasm: &[u8]) -> Result<()> {
    let options = Options {
        limits: Limits::default(),
        metering: BudgetKind::None,
    };
    let module = runtime.compile(wasm, &options)?;
    let mut instance = module.instantiate(Budget::None)?;
    let entry = instance.entry("probe", 0)?;
    match instance.call(entry, &[], Budget::None)? {
        1 => Ok(()),
        other => Err(Error::Adapter {
            message: format!("the probe of {what} gives {other}"),
        }),
    }
}

/// Binary, because adapters probe outside tests, where no text is parsed; the texts stand in the tests.
pub(crate) const PROBES: &[Probe] = &[
    Probe {
        feature: "mutable-globals",
        #[cfg(feature = "suite")]
        check: "feature.mutable-globals",
        wasm: b"\0asm\x01\0\0\0\x01\x05\x01`\0\x01\x7f\x03\x02\x01\0\x06\x06\x01\x7f\x01A\0\x0b\x07\x13\x02\x07counter\x03\0\x05probe\0\0\x0a\x0a\x01\x08\0A\x01$\0#\0\x0b",
    },
    Probe {
        feature: "sign-extension",
        #[cfg(feature = "suite")]
        check: "feature.sign-extension",
        wasm: b"\0asm\x01\0\0\0\x01\x05\x01`\0\x01\x7f\x03\x02\x01\0\x07\x09\x01\x05probe\0\0\x0a\x0c\x01\x0a\0A\x80\x01\xc0A\x80\x7fF\x0b",
    },
    Probe {
        feature: "saturating-float-to-int",
        #[cfg(feature = "suite")]
        check: "feature.saturating-float-to-int",
        wasm: b"\0asm\x01\0\0\0\x01\x05\x01`\0\x01\x7f\x03\x02\x01\0\x07\x09\x01\x05probe\0\0\x0a\x12\x01\x10\0C\xf9\x02\x15P\xfc\0A\xff\xff\xff\xff\x07F\x0b",
    },
    Probe {
        feature: "multi-value",
        #[cfg(feature = "suite")]
        check: "feature.multi-value",
        wasm: b"\0asm\x01\0\0\0\x01\x0a\x02`\0\x02\x7f\x7f`\0\x01\x7f\x03\x03\x02\0\x01\x07\x09\x01\x05probe\0\x01\x0a\x0e\x02\x06\0A\x03A\x02\x0b\x05\0\x10\0k\x0b",
    },
    Probe {
        feature: "bulk-memory",
        #[cfg(feature = "suite")]
        check: "feature.bulk-memory",
        wasm: b"\0asm\x01\0\0\0\x01\x05\x01`\0\x01\x7f\x03\x02\x01\0\x05\x03\x01\0\x01\x07\x09\x01\x05probe\0\0\x0c\x01\x01\x0a&\x01$\0A\0A\0A\x01\xfc\x08\0\0A\x04A\0A\x01\xfc\x0a\0\0A\0A\0A\x01\xfc\x0b\0A\x04(\x02\0\x0b\x0b\x04\x01\x01\x01\x01",
    },
    Probe {
        feature: "reference-types",
        #[cfg(feature = "suite")]
        check: "feature.reference-types",
        wasm: b"\0asm\x01\0\0\0\x01\x05\x01`\0\x01\x7f\x03\x02\x01\0\x04\x07\x02p\0\x01o\0\x01\x07\x09\x01\x05probe\0\0\x0a\x11\x01\x0f\0\xd0oA\x01\xfc\x0f\x01\x1aA\x01%\x01\xd1\x0b",
    },
    Probe {
        feature: "simd",
        #[cfg(feature = "suite")]
        check: "feature.simd",
        wasm: b"\0asm\x01\0\0\0\x01\x05\x01`\0\x01\x7f\x03\x02\x01\0\x07\x09\x01\x05probe\0\0\x0a%\x01#\0\xfd\x0c\0\0\x80?\0\0\0@\0\0@@\0\0\x80@C\0\0\x80@\xfd\x13\xfdA\xfd\x1b\x03A\x7fF\x0b",
    },
];

/// What the probes of all features but SIMD do, in one module.
const ALL_BUT_SIMD: &[u8] = b"\0asm\x01\0\0\0\x01\x0a\x02`\0\x02\x7f\x7f`\0\x01\x7f\x03\x03\x02\0\x01\x04\x07\x02p\0\x01o\0\x01\x05\x03\x01\0\x01\x06\x06\x01\x7f\x01A\0\x0b\x07\x13\x02\x07counter\x03\0\x05probe\0\x01\x0c\x01\x01\x0a^\x02\x06\0A\x03A\x02\x0bU\0A\x01$\0A\0A\0A\x01\xfc\x08\0\0A\x04A\0A\x01\xfc\x0a\0\0A\0A\0A\x01\xfc\x0b\0\xd0oA\x01\xfc\x0f\x01\x1a#\0A\x04(\x02\0q\x10\0kA\x01%\x01\xd1qqA\x80\x01\xc0A\x80\x7fFC\xf9\x02\x15P\xfc\0A\xff\xff\xff\xff\x07Fqq\x0b\x0b\x04\x01\x01\x01\x01";

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{Validator, WasmFeatures};

    const ALL_BUT_SIMD_TEXT: &str = r#"(module
  (memory 1)
  (table 1 funcref)
  (table 1 externref)
  (global (export "counter") (mut i32) (i32.const 0))
  (func (result i32 i32) (i32.const 3) (i32.const 2))
  (func (export "probe") (result i32)
    (global.set 0 (i32.const 1))
    (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))
    (memory.copy (i32.const 4) (i32.const 0) (i32.const 1))
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))
    (drop (table.grow 1 (ref.null extern) (i32.const 1)))
    (i32.and
      (i32.and
        (i32.and (global.get 0) (i32.load (i32.const 4)))
        (i32.and (i32.sub (call 0)) (ref.is_null (table.get 1 (i32.const 1)))))
      (i32.and
        (i32.eq (i32.extend8_s (i32.const 0x80)) (i32.const -128))
        (i32.eq (i32.trunc_sat_f32_s (f32.const 1e10)) (i32.const 0x7fffffff)))))
  (data "\01"))"#;

    const TEXTS: [(&str, &str); 7] = [
        (
            "mutable-globals",
            r#"(module
  (global (export "counter") (mut i32) (i32.const 0))
  (func (export "probe") (result i32)
    (global.set 0 (i32.const 1))
    (global.get 0)))"#,
        ),
        (
            "sign-extension",
            r#"(module
  (func (export "probe") (result i32)
    (i32.eq (i32.extend8_s (i32.const 0x80)) (i32.const -128))))"#,
        ),
        (
            "saturating-float-to-int",
            r#"(module
  (func (export "probe") (result i32)
    (i32.eq (i32.trunc_sat_f32_s (f32.const 1e10)) (i32.const 0x7fffffff))))"#,
        ),
        (
            "multi-value",
            r#"(module
  (func (result i32 i32) (i32.const 3) (i32.const 2))
  (func (export "probe") (result i32)
    (i32.sub (call 0))))"#,
        ),
        (
            "bulk-memory",
            r#"(module
  (memory 1)
  (data "\01")
  (func (export "probe") (result i32)
    (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))
    (memory.copy (i32.const 4) (i32.const 0) (i32.const 1))
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))
    (i32.load (i32.const 4))))"#,
        ),
        (
            "reference-types",
            r#"(module
  (table 1 funcref)
  (table 1 externref)
  (func (export "probe") (result i32)
    (drop (table.grow 1 (ref.null extern) (i32.const 1)))
    (ref.is_null (table.get 1 (i32.const 1)))))"#,
        ),
        (
            "simd",
            r#"(module
  (func (export "probe") (result i32)
    (i32x4.extract_lane 3 (f32x4.eq (v128.const f32x4 1 2 3 4) (f32x4.splat (f32.const 4))))
    (i32.eq (i32.const -1))))"#,
        ),
    ];

    #[test]
    fn probes_are_these_texts() {
        for ((probe, feature), (name, text)) in PROBES.iter().zip(PACK_FEATURES).zip(TEXTS) {
            assert_eq!((probe.feature, name), (feature, feature));
            assert_eq!(probe.wasm, wat::parse_str(text).unwrap(), "{feature}");
        }
        assert_eq!(PROBES.len(), PACK_FEATURES.len());
        assert_eq!(ALL_BUT_SIMD, wat::parse_str(ALL_BUT_SIMD_TEXT).unwrap());
    }

    /// An engine that lacks any of them must not pass for one that has all.
    #[test]
    fn the_module_of_all_but_simd_needs_each_of_them_and_nothing_else() {
        let features = [
            WasmFeatures::MUTABLE_GLOBAL,
            WasmFeatures::SIGN_EXTENSION,
            WasmFeatures::SATURATING_FLOAT_TO_INT,
            WasmFeatures::MULTI_VALUE,
            WasmFeatures::BULK_MEMORY,
            WasmFeatures::REFERENCE_TYPES,
        ];
        assert_eq!(features.len() + 1, PACK_FEATURES.len());
        let all = features.into_iter().collect::<WasmFeatures>()
            | WasmFeatures::FLOATS
            | WasmFeatures::GC_TYPES;
        let is_valid = |features| {
            let mut validator = Validator::new_with_features(features);
            validator.validate_all(ALL_BUT_SIMD).is_ok()
        };
        assert!(is_valid(all));
        for feature in features {
            assert!(!is_valid(all - feature), "{feature:?}");
        }
    }
}
