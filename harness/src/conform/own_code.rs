//! Whether a module that is to say what is right is the judged module itself: what a kernel computes tells nothing of whether it is right.

use crate::rewrite::{Exported, Module};
use sha2::{Digest, Sha256};
use wasmparser::Operator;

/// Whether two modules, each with the export that runs it, run the same code. What neither reaches by calls does not count, nor do names, the order of
/// functions, and instructions that do nothing.
pub(super) fn is_same(one: (&[u8], &str), other: (&[u8], &str)) -> bool {
    one.0 == other.0 || reached(one).is_some_and(|code| reached(other) == Some(code))
}

/// A digest of all code that an export reaches by calls.
fn reached((wasm, export): (&[u8], &str)) -> Option<[u8; 32]> {
    let module = Module::of(wasm.to_vec()).ok()?;
    let Exported::Function(first) = module.export(export)? else {
        return None;
    };
    let mut hasher = Sha256::new();
    let mut found = vec![first];
    let mut next = 0;
    while let Some(function) = found.get(next) {
        next += 1;
        let index = function.checked_sub(module.imported_functions())?;
        let body = module.body(index as usize).ok()?;
        hasher.update(format!("function {:?}", body.locals));
        for placed in &body.operators {
            let text = match &placed.operator {
                Operator::Nop => continue,
                Operator::Call { function_index } => {
                    let known = found.iter().position(|other| other == function_index);
                    let number = known.unwrap_or_else(|| {
                        found.push(*function_index);
                        found.len() - 1
                    });
                    format!("call {number}")
                }
                other => format!("{other:?}"),
            };
            hasher.update(text);
        }
    }
    Some(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn the_same_code_is_found_under_other_names_and_in_another_order() {
        let own = module(
            r#"(module (func $f (param f32) (result f32) (f32.add (local.get 0) (f32.const 1)))
              (func (export "run") (result f32) (call $f (f32.const 2))))"#,
        );
        let copy = module(
            r#"(module (func (export "other") nop)
              (func (export "reference") (result f32) nop (call $f (f32.const 2)))
              (func $f (param f32) (result f32) (f32.add (local.get 0) (f32.const 1))))"#,
        );
        // What differs is a function that is called.
        let another = module(
            r#"(module (func $f (param f32) (result f32) (f32.sub (local.get 0) (f32.const 1)))
              (func (export "run") (result f32) (call $f (f32.const 2))))"#,
        );
        assert!(is_same((&own, "run"), (&own, "run")));
        assert!(is_same((&own, "run"), (&copy, "reference")));
        assert!(!is_same((&own, "run"), (&copy, "other")));
        assert!(!is_same((&own, "run"), (&another, "run")));
        assert!(!is_same((&own, "run"), (&copy, "missing")));
    }
}
