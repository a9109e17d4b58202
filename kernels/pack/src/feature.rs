//! WebAssembly features that a kernel may need.

/// A WebAssembly feature that a kernel may need and an engine may have. A pack may use no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Exported mutable globals.
    MutableGlobals,
    /// `i32.extend8_s` and its kin.
    SignExtension,
    /// `i32.trunc_sat_f32_s` and its kin.
    SaturatingFloatToInt,
    /// Several results; blocks with parameters.
    MultiValue,
    /// `memory.copy`, `memory.fill`, passive segments.
    BulkMemory,
    /// `externref`, several tables.
    ReferenceTypes,
    /// 128-bit vectors, without the relaxed instructions.
    Simd,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Feature; 7] = [
        Feature::MutableGlobals,
        Feature::SignExtension,
        Feature::SaturatingFloatToInt,
        Feature::MultiValue,
        Feature::BulkMemory,
        Feature::ReferenceTypes,
        Feature::Simd,
    ];

    /// The spelling in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Feature::MutableGlobals => "mutable-globals",
            Feature::SignExtension => "sign-extension",
            Feature::SaturatingFloatToInt => "saturating-float-to-int",
            Feature::MultiValue => "multi-value",
            Feature::BulkMemory => "bulk-memory",
            Feature::ReferenceTypes => "reference-types",
            Feature::Simd => "simd",
        }
    }

    /// The feature of this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|feature| feature.as_str() == text)
    }
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
