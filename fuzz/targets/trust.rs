//! Bytes as what trust is made of: trust lists, further signatures, successor statements. Refused or taken, never anything else; a
//! statement that is taken reads back.
#![no_main]

use kernel_pack::{Successor, TrustList, signature::FurtherSignature};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(list) = TrustList::parse(text, "the fuzzer")
    {
        assert!(list.len() <= text.lines().count());
    }
    if let Ok(signatures) = FurtherSignature::parse_all(bytes) {
        assert!((1..=kernel_pack::signature::MOST_FURTHER_SIGNATURES).contains(&signatures.len()));
    }
    if let Ok(successor) = Successor::parse(bytes) {
        assert!(Successor::is_meant(bytes));
        assert_ne!(successor.old(), successor.new_key());
    }
});
