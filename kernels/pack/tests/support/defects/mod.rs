//! The broken packs of `fixtures/packs/broken`: each has one defect and is named for it.

use kernel_pack::Code;

use super::Draft;

mod binaries;
mod files;
mod kernels;
mod manifest;
mod signatures;

/// A pack with one defect, and what verification has to say about it.
pub struct Defect {
    pub name: &'static str,
    pub code: Code,
    pub kernel: Option<&'static str>,
    pub file: Option<&'static str>,
    /// A trust list of its own, beside the shared one.
    pub trust: Option<&'static str>,
    pub draft: Draft,
}

/// Small-order key: the identity point.
pub fn weak_trust_text() -> String {
    "# The identity point: any signature by it can be forged.\n\
     ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        .to_owned()
}

/// y = p + 3, a coordinate that is not reduced.
pub fn not_canonical_trust_text() -> String {
    "# A coordinate that is not reduced modulo the field's prime.\n\
     ed25519:8P///////////////////////////////////////38=\n"
        .to_owned()
}

const MANIFEST: Option<&str> = Some("kernels.json");
const SIGNATURE: Option<&str> = Some("kernels.json.sig");
const TINY_ID: Option<&str> = Some("tiny");

fn defect(
    name: &'static str,
    code: Code,
    kernel: Option<&'static str>,
    file: Option<&'static str>,
    draft: Draft,
) -> Defect {
    Defect {
        name,
        code,
        kernel,
        file,
        trust: None,
        draft,
    }
}

/// All of them.
pub fn all() -> Vec<Defect> {
    let mut defects = signatures::signatures();
    defects.extend(signatures::further_signatures());
    defects.extend(manifest::malformed());
    defects.extend(manifest::top_level());
    defects.extend(kernels::kernels());
    defects.extend(files::paths_and_hashes());
    defects.extend(binaries::binaries());
    defects.extend(binaries::modules());
    defects
}
