//! Random modules: number K of a seed is the same on every machine, however fast it is.

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// Bytes that wasm-smith makes a module of, at most.
const MOST_BYTES: usize = 6144;
/// How often wasm-smith is asked again where it can make nothing of the bytes.
const ATTEMPTS: u64 = 16;
/// Names of exports. Some engines take some of them for their own purposes.
const NAMES: [&str; 12] = [
    "run",
    "kernel_forward",
    "malloc",
    "free",
    "__post_instantiate",
    "__wasm_call_ctors",
    "_initialize",
    "_start",
    "",
    "a\\00b",
    "\\e2\\82\\ac",
    "f",
];

/// A random module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The binary module.
    pub wasm: Vec<u8>,
    /// How many random bytes it was made of. Fewer make a smaller module of the same beginning.
    pub length: usize,
}

/// Module `number` of `seed`; of at most `length` of its random bytes, where given. `None` if wasm-smith can make nothing of them.
pub fn generate(seed: u64, number: u64, length: Option<usize>) -> Option<Generated> {
    let mut choices = Random::new(seed, number);
    let config = config(&mut choices)?;
    let fuel = choices.one_of(&[200, 200, 200, 200, 200, 2_000, 2_000, 70_000]);
    let whole = 256 + choices.below(MOST_BYTES as u64 - 256) as usize;
    let length = length.map_or(whole, |length| length.min(whole));
    for _ in 0..ATTEMPTS {
        let bytes: Vec<u8> = (0..whole).map(|_| choices.next() as u8).collect();
        let made = Module::new(config.clone(), &mut Unstructured::new(&bytes[..length]));
        if let Ok(mut module) = made
            && module.ensure_termination(fuel).is_ok()
        {
            return Some(Generated {
                wasm: module.to_bytes(),
                length,
            });
        }
    }
    None
}

/// What a module is like. What packs may not use is off; the rest is chosen.
fn config(choices: &mut Random) -> Option<Config> {
    let reference_types = choices.odds(1, 2);
    let floats = choices.odds(3, 4);
    Some(Config {
        exports: Some(exports(choices)?),
        // A trap ends an instance: in every other module more is seen of what does not trap.
        disallow_traps: choices.odds(1, 2),
        canonicalize_nans: true,
        allow_floats: floats,
        bulk_memory_enabled: choices.odds(3, 4),
        multi_value_enabled: choices.odds(3, 4),
        reference_types_enabled: reference_types,
        saturating_float_to_int_enabled: choices.odds(3, 4),
        sign_extension_ops_enabled: choices.odds(3, 4),
        simd_enabled: floats && choices.odds(1, 2),
        generate_custom_sections: choices.odds(1, 8),
        max_types: 12,
        max_funcs: 2 + choices.below(8) as usize,
        max_globals: choices.below(8) as usize,
        max_tables: if reference_types { 3 } else { 1 },
        max_table_elements: choices.one_of(&[0, 10, 1000]),
        max_elements: 20,
        max_element_segments: choices.below(5) as usize,
        max_data_segments: choices.below(5) as usize,
        max_instructions: 20 + choices.below(300) as usize,
        max_nesting_depth: 1 + choices.below(8) as usize,
        // The exported memory is the only one.
        max_memories: 0,
        max_imports: 0,
        max_tags: 0,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    })
}

/// The exports of a module, as a module: a memory, and functions that the worker protocol can call.
fn exports(choices: &mut Random) -> Option<Vec<u8>> {
    let mut text = String::from("(module");
    if choices.odds(15, 16) {
        let minimum = choices.one_of(&[0, 1, 1, 1, 2, 3]);
        text += &format!(" (memory (export \"memory\") {minimum}");
        if choices.odds(1, 2) {
            text += &format!(" {}", minimum + choices.below(64));
        }
        text += ")";
    }
    if choices.odds(1, 4) {
        text += " (global (export \"global\") (mut i32) (i32.const 0))";
    }
    let mut names = NAMES.to_vec();
    for _ in 0..2 + choices.below(4) {
        let name = names.swap_remove(choices.below(names.len() as u64) as usize);
        let parameters = choices.one_of(&["", "(param i32)", "(param i32 i32)"]);
        text += &format!(" (func (export \"{name}\") {parameters} (result i32) unreachable)");
    }
    text += ")";
    wat::parse_str(text).ok()
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// The stream of a module: neither seeds nor numbers that lie beside each other have streams that do.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut random = Self { state: seed };
        random.state = random.next() ^ number;
        random.state = random.next();
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// A number below `bound`, which is small beside 2^64: no value is noticeably likelier.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn odds(&mut self, of: u64, among: u64) -> bool {
        self.below(among) < of
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::collections::BTreeSet;

    /// A change of this digest means that `--only K` of an older release names other modules: say so in the release notes.
    #[test]
    fn a_number_of_a_seed_names_the_same_module_everywhere() {
        let mut digest = Sha256::new();
        for number in 0..50 {
            digest.update(generate(7, number, None).unwrap().wasm);
        }
        insta::assert_snapshot!(hex::encode(digest.finalize()));
    }

    #[test]
    fn every_module_is_one_that_a_pack_could_hold_and_every_feature_is_met() {
        let mut used = BTreeSet::new();
        for number in 0..300 {
            let generated = generate(1, number, None).unwrap();
            let facts = kernel_pack::inspect_plain_module(&generated.wasm, 3, 65_536)
                .unwrap_or_else(|refused| panic!("module {number}: {refused}"));
            used.extend(facts.features_used.iter().map(|feature| feature.as_str()));
        }
        assert_eq!(used, BTreeSet::from(runtime_api::PACK_FEATURES));
    }

    #[test]
    fn fewer_bytes_make_smaller_modules() {
        let whole = generate(3, 5, None).unwrap();
        let part = generate(3, 5, Some(whole.length / 8)).unwrap();
        assert!(part.wasm.len() < whole.wasm.len());
    }
}
