//! Files of strangers: whatever they hold, an error comes of it or an answer, in time, and never a crash.

use super::{Writer, known::MAX_DEPTH, stated};
use crate::{
    Backend, Error, Limits, Nn, Session, Target, Tensor,
    backends::{Onnx, declared::Declared},
};
use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
};
use std::{sync::Arc, time::Duration};

fn value(name: &str) -> ValueInfoProto {
    let size = Dimension {
        dim_value: Some(4),
        ..Dimension::default()
    };
    let tensor = TypeProtoTensor {
        elem_type: Some(DataType::FLOAT),
        shape: Some(TensorShapeProto { dim: vec![size] }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
            ..TypeProto::default()
        }),
    }
}

/// A graph from four numbers `x` to `y`.
fn graph(node: Vec<NodeProto>) -> GraphProto {
    GraphProto {
        node,
        input: vec![value("x")],
        output: vec![value("y")],
        ..GraphProto::default()
    }
}

fn written(text: &str) -> GraphProto {
    let mut count = 0;
    let mut writer = Writer::new("value", &mut count);
    for name in ["x", "y"] {
        writer.bind(name, Some(&name.to_owned()));
    }
    writer.write(text);
    graph(writer.nodes)
}

fn file(graph: GraphProto, version: i64) -> Vec<u8> {
    let model = ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: None,
            version: Some(version),
        }],
        ..ModelProto::default()
    };
    model.write_buf().unwrap()
}

fn session(limits: Limits) -> Session {
    Arc::new(Nn::new(limits).backend(Arc::new(Onnx))).session()
}

fn load(graph: GraphProto) -> Result<u32, Error> {
    let parts = vec![file(graph, 18)];
    session(Limits::default()).load(parts, crate::Encoding::Onnx, Target::Cpu)
}

fn answer(graph: GraphProto, limits: Limits) -> Result<Vec<f32>, Error> {
    let mut session = session(limits);
    let parts = vec![file(graph, 18)];
    let graph = session.load(parts, crate::Encoding::Onnx, Target::Cpu)?;
    let context = session.init_execution_context(graph)?;
    let x = Tensor::f32(vec![4], &[1.0, -2.0, 0.0, 4.0]).unwrap();
    session.set_input(context, 0, x)?;
    session.compute(context)?;
    let output = session.output(context, 0)?;
    Ok(output.to_f32().unwrap_or_default())
}

#[test]
fn text_is_computed() {
    let found = answer(written("y = (x + 1.0) * 2.0;"), Limits::default());
    assert_eq!(found, Ok(vec![4.0, -2.0, 2.0, 10.0]));
    let found = answer(written("y = Sign(x);"), Limits::default());
    assert_eq!(found, Ok(vec![1.0, -1.0, 0.0, 1.0]));
}

#[test]
fn what_is_not_stated_is_refused_when_it_is_loaded() {
    for text in [
        "y = Selu(x);",
        "y = Cast(Cast(x; to = 11); to = 1);",
        "y = Cast(Cast(x; to = 10); to = 1);",
        "y = MaxPool(x; kernel_shape = [30, 30], dilations = [2, 2]);",
        "y = GRU(x, x, x, x, x; hidden_size = 1);",
        "y = Constant(; value_string = \"text\");",
    ] {
        let refused = load(written(text));
        assert!(
            matches!(refused, Err(Error::Unsupported(_))),
            "{text}: {refused:?}"
        );
    }
    for version in [6, 29, i64::MIN, i64::MAX] {
        let parts = [file(written("y = Relu(x);"), version)];
        let refused = Onnx.load(&parts, Target::Cpu).err();
        assert!(matches!(refused, Some(Error::Unsupported(_))), "{version}");
    }
    let mut inside = written("y = Relu(x);");
    inside.node[0].domain = Some("com.microsoft".to_owned());
    assert!(matches!(load(inside), Err(Error::Unsupported(_))));
}

#[test]
fn weights_that_are_none_are_refused() {
    let weight = |dims: &[i64], data_type, bytes: usize| {
        let mut graph = written("y = x + w;");
        let name = graph.node[0].input[1].clone();
        graph.initializer.push(TensorProto {
            name: Some(name),
            dims: dims.to_vec(),
            data_type: Some(data_type),
            raw_data: Some(std::cell::RefCell::new(vec![0; bytes])),
            ..TensorProto::default()
        });
        load(graph)
    };
    assert_eq!(weight(&[4], DataType::FLOAT, 16), Ok(0));
    for (dims, of, bytes) in [
        (&[5][..], DataType::FLOAT, 16),
        (&[-4], DataType::FLOAT, 16),
        (&[i64::MAX, i64::MAX], DataType::FLOAT, 16),
        (&[1 << 62, 4], DataType::FLOAT, 0),
        (&[i64::MIN], DataType::FLOAT, 0),
        (&[4], DataType::DOUBLE, 32),
        (&[4], DataType::STRING, 16),
        (&[4], DataType(99), 16),
    ] {
        assert!(weight(dims, of, bytes).is_err(), "{dims:?} {of}");
    }
}

#[test]
#[cfg_attr(
    target_family = "wasm",
    ignore = "without threads nobody can give up what computes"
)]
fn a_loop_without_end_ends_for_the_guest() {
    let mut count = 0;
    let mut writer = Writer::new("value", &mut count);
    for name in ["x", "y"] {
        writer.bind(name, Some(&name.to_owned()));
    }
    // It does end, for the sake of this test's process, seconds later.
    writer.write("turns = Cast(ReduceMax(x; keepdims = 0); to = 7) * 500000;");
    writer.repeat("turns", &[("state", "x")], &[], "next_state = state * 1.0;");
    writer.write("y = Identity(state_last);");
    let limits = Limits {
        compute: Duration::from_millis(50),
        ..Limits::default()
    };
    let late = answer(graph(writer.nodes), limits);
    assert!(matches!(late, Err(Error::Failed(_))), "{late:?}");
}

#[test]
fn chains_have_a_limit_and_cycles_are_refused() {
    let link = |from: String, to: String| NodeProto {
        op_type: Some("Neg".to_owned()),
        input: vec![from],
        output: vec![to],
        ..NodeProto::default()
    };
    let name = |at: usize, length: usize| match at {
        0 => "x".to_owned(),
        at if at == length => "y".to_owned(),
        at => format!("v{at}"),
    };
    let chain = |length: usize| -> Vec<_> {
        let links = (0..length).map(|at| link(name(at, length), name(at + 1, length)));
        links.collect()
    };
    let patient = Limits {
        load: Duration::from_secs(60),
        compute: Duration::from_secs(60),
        ..Limits::default()
    };
    assert_eq!(
        answer(graph(chain(MAX_DEPTH)), patient),
        Ok(vec![1.0, -2.0, 0.0, 4.0])
    );
    let long = answer(graph(chain(MAX_DEPTH + 1)), Limits::default());
    assert!(matches!(long, Err(Error::TooLarge(_))), "{long:?}");
    let backwards = chain(100_000).into_iter().rev().collect();
    let refused = answer(graph(backwards), Limits::default());
    assert!(matches!(refused, Err(Error::Argument(_))), "{refused:?}");
    let cycle = vec![
        link("y".to_owned(), "v".to_owned()),
        link("v".to_owned(), "y".to_owned()),
    ];
    let refused = answer(graph(cycle), Limits::default());
    assert!(matches!(refused, Err(Error::Argument(_))), "{refused:?}");
}

#[test]
fn rewriting_has_a_limit() {
    let pool = "y = MaxPool(x; kernel_shape = [22, 22], dilations = [2, 2]);";
    let one = written(pool).node;
    let many = one.iter().cycle().take(400).cloned().collect();
    let refused = load(graph(many));
    assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
}

/// Each operator with few and many inputs without names, and with attributes that are none of it or out of all bounds.
#[test]
fn nonsense_is_no_crash() {
    let names = "axis kernel_shape strides dilations pads axes layout hidden_size block_size to select_last_index auto_pad mode \
        q_num_heads kv_num_heads left_window_size keepdims num_outputs blocksize group perm output_padding epsilon";
    let ints: [&[i64]; 4] = [&[i64::MIN, i64::MAX], &[-1], &[0, 0, 0, 0], &[1 << 40; 3]];
    let parts = stated::PARTS.iter().map(|part| part.operator);
    for operator in parts.chain(stated::WHOLE.split_whitespace()) {
        for (round, inputs) in [0, 1, 3, 8].into_iter().enumerate() {
            for given in [i64::MIN, -1, 0, 3, i64::MAX] {
                let attributes = names.split_whitespace().map(|name| AttributeProto {
                    name: Some(name.to_owned()),
                    i: Some(given),
                    f: Some(f32::NAN),
                    ints: ints[round].to_vec(),
                    s: Some("SAME_LOWER".to_owned()),
                    r#type: Some(AttributeType::INTS),
                    ..AttributeProto::default()
                });
                let node = NodeProto {
                    op_type: Some(operator.to_owned()),
                    input: vec!["x".to_owned(); inputs],
                    output: vec![
                        "y".to_owned(),
                        "z".to_owned(),
                        String::new(),
                        "w".to_owned(),
                    ],
                    attribute: attributes.collect(),
                    ..NodeProto::default()
                };
                let mut model = ModelProto {
                    graph: Some(graph(vec![node])),
                    ..ModelProto::default()
                };
                drop(super::rewrite(&mut model));
                drop(Declared::read(&[model.write_buf().unwrap()]));
            }
        }
    }
}
