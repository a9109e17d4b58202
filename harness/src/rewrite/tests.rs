use super::{body::Edit, *};
use wasm_encoder::Instruction;

const TEXT: &str = r#"(module
    (func (param i64) (result i64) local.get 0 i64.const 1 i64.add)
    (func (export "assay") nop)
    (global (mut i32) (i32.const 7)))"#;

fn module() -> Module {
    Module::of(wat::parse_str(TEXT).unwrap()).unwrap()
}

fn is_valid(wasm: &[u8]) -> bool {
    wasmparser::Validator::new_with_features(FEATURES)
        .validate_all(wasm)
        .is_ok()
}

#[test]
fn what_is_not_changed_keeps_its_bytes() {
    let module = module();
    assert_eq!(module.assemble(&BTreeMap::new()).unwrap(), module.wasm);
    assert_eq!(module.free_prefix(), "assay_");
}

#[test]
fn an_edited_body_and_an_added_function_make_a_valid_module() {
    let module = module();
    let body = module.body(0).unwrap();
    assert_eq!(body.locals, [ValType::I64]);
    let add = &body.operators[2];
    let mut subtract = Vec::new();
    Instruction::I64Sub.encode(&mut subtract);
    let edited = body.edited(
        &module,
        &[Edit {
            bytes: add.bytes.clone(),
            with: subtract,
        }],
    );
    let mut changes = BTreeMap::new();
    changes.insert(
        section::CODE,
        Change {
            contents: Some(module.code(&HashMap::from([(0, edited)]))),
            ..Change::default()
        },
    );
    let mut added = Added::default();
    let mut function = Function::new([]);
    function.instruction(&Instruction::LocalGet(0));
    function.instruction(&Instruction::End);
    let kind: (&[ValType], &[ValType]) = (&[ValType::F32], &[ValType::F32]);
    added.function(&module, "one", kind, &function);
    added.function(&module, "two", kind, &function);
    added.into_changes(&mut changes);
    let wasm = module.assemble(&changes).unwrap();
    assert!(is_valid(&wasm));
    let after = Module::of(wasm).unwrap();
    assert_eq!(after.types.len(), module.types.len() + 1);
    assert_eq!(after.export("two"), Some(Exported::Function(3)));
    assert!(matches!(
        after.body(0).unwrap().operators[2].operator,
        wasmparser::Operator::I64Sub
    ));
    assert_eq!(
        Listing::of(&after).text(after.body(0).unwrap().operators[2].bytes.start),
        "i64.sub"
    );
}
