//! Bytes as a contract and as a definition of others: refused or taken, never anything else. What is taken is shown and reads back the same, and its
//! expressions have a value or a reason.
#![no_main]

use kernel_pack::contract::{Contract, Expression, Use, import};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(contract) = Contract::parse(bytes, "contract.json") {
        let shown = contract.to_json();
        let again =
            Contract::parse(shown.as_bytes(), "shown.json").expect("what is shown is a contract");
        assert_eq!(again.to_json(), shown);
        for value in [0, 1, 7, i64::from(u32::MAX), i64::MAX, i64::MIN] {
            let _ = contract.shape(&|_| Some(value));
        }
    }
    let _ = import(bytes, "definition.json");
    if let Ok(text) = std::str::from_utf8(bytes) {
        for purpose in [Use::Size, Use::Constraint, Use::Distance] {
            if let Ok(expression) = Expression::parse(text, purpose) {
                for value in [0, 1, -1, i64::MAX, i64::MIN] {
                    let _ = expression.integer(&|_| Some(value));
                    let _ = expression.real(&|_| Some(value as f64));
                }
            }
        }
    }
});
