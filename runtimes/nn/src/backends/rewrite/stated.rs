//! What the backend `onnx` states: operators, and what of each it has not. Files are held to this when they are loaded.

use super::{
    Node,
    pool::{is_lower, is_plain},
};
use crate::Error;
use rten_onnx::onnx::{DataType, NodeProto, OperatorSetIdProto, TensorProto};

/// Versions of the operators (`opset_import`): the last is that of the node tests of onnx 1.23.2.
pub const VERSIONS: std::ops::RangeInclusive<i64> = 7..=28;

/// Operators without exceptions.
pub const WHOLE: &str = "\
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Ceil Clip Concat ConcatFromSequence ConstantOfShape Cos Cosh CumSum \
    DepthToSpace Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm \
    GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity If InstanceNormalization IsInf IsNaN LeakyRelu \
    Less LessOrEqual Log LogSoftmax Loop LpNormalization MatMul MatMulInteger Max Mean Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot \
    Or Pow PRelu RMSNormalization Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin \
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape ReverseSequence RotaryEmbedding Round Scatter ScatterElements ScatterND SequenceAt \
    SequenceConstruct SequenceErase SequenceInsert SequenceLength Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign Split \
    SplitToSequence Sqrt Squeeze Sub Sum Swish Tan Tanh Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor";

/// An operator of which something is missing.
pub struct Part {
    /// Its name.
    pub operator: &'static str,
    /// What is missing, in words.
    pub without: &'static str,
    missing: fn(&Node) -> bool,
}

const fn part(operator: &'static str, without: &'static str, missing: fn(&Node) -> bool) -> Part {
    Part {
        operator,
        without,
        missing,
    }
}

/// Operators with exceptions. Each is asked for nodes that no rule rewrites.
pub const PARTS: &[Part] = &[
    part(
        "Attention",
        "windows, `qk_matmul_output` and `nonpad_kv_seqlen` where the file does not say how many dimensions Q and of which type the mask has; softmax is in f32, whatever `softmax_precision` says",
        |node| {
            node.has("left_window_size")
                || node.has("right_window_size")
                || node.wants(3)
                || node.input(6).is_some()
        },
    ),
    part("AveragePool", POOLED, |node| !is_plain(node)),
    part("BatchNormalization", "`spatial` = 0", |node| {
        node.int("spatial") == Some(0)
    }),
    part("BitCast", ELEMENTS, |node| !element(node, "to")),
    part("Cast", ELEMENTS, |node| !element(node, "to")),
    part("CastLike", "`saturate` = 0", |node| {
        node.int("saturate") == Some(0)
    }),
    part("Constant", "strings and sparse tensors", |node| {
        ["value_string", "value_strings", "sparse_value"]
            .iter()
            .any(|name| node.has(name))
    }),
    part(
        "Conv",
        "`auto_pad` = SAME_LOWER without `kernel_shape`, three dimensions of space",
        convolved,
    ),
    part(
        "ConvInteger",
        "`auto_pad` = SAME_LOWER without `kernel_shape`, three dimensions of space",
        convolved,
    ),
    part(
        "ConvTranspose",
        "`output_shape`, `auto_pad` = SAME_LOWER, three dimensions of space",
        |node| {
            node.has("output_shape")
                || is_lower(node)
                || node.ints("kernel_shape").len() > 2
                || node.ints("strides").len() > 2
        },
    ),
    part("DequantizeLinear", "`block_size`, `output_dtype`", blocked),
    part(
        "GridSample",
        "cubic with `padding_mode` = border, of which sources say different things; other than bilinear and zeros in two dimensions, where the file does not say how many dimensions the input has",
        |node| {
            !matches!(node.words("mode"), None | Some("linear" | "bilinear"))
                || !matches!(node.words("padding_mode"), None | Some("zeros"))
        },
    ),
    part(
        "GRU",
        "`sequence_lens`, `clip`, other activations",
        recurrent,
    ),
    part(
        "LSTM",
        "`sequence_lens`, peepholes, `clip`, `input_forget`, other activations",
        |node| recurrent(node) || node.input(7).is_some() || node.int("input_forget") == Some(1),
    ),
    part(
        "LayerNormalization",
        "`stash_type` other than f32",
        |node| node.int("stash_type").is_some_and(|of| of != 1),
    ),
    part("MaxPool", POOLED, |node| !is_plain(node)),
    part(
        "Pad",
        "edge, reflect and wrap of dimensions before the last two, which is refused when it is computed",
        |_| false,
    ),
    part("QuantizeLinear", "`block_size`, `output_dtype`", blocked),
    part(
        "Resize",
        "cubic, `antialias`, `axes`, `exclude_outside`, `keep_aspect_ratio_policy`, align_corners, half_pixel_symmetric and tf_crop_and_resize where the file does not say how many dimensions the input has",
        |node| !super::resize::is_plain(node),
    ),
    part("SequenceEmpty", ELEMENTS, |node| {
        node.has("dtype") && !element(node, "dtype")
    }),
];

const POOLED: &str = "`dilations`, three dimensions of space, SAME_LOWER and `Indices` of kernels with more than 512 cells";
const ELEMENTS: &str = "other types than f32, u8, i8, i32, i64 and truth values";

fn convolved(node: &Node) -> bool {
    let deep = |name| node.ints(name).len() > 2;
    is_lower(node) || deep("kernel_shape") || deep("strides")
}

fn blocked(node: &Node) -> bool {
    node.int("block_size").unwrap_or(0) != 0 || node.int("output_dtype").unwrap_or(0) != 0
}

fn recurrent(node: &Node) -> bool {
    let given = ["activations", "activation_alpha", "activation_beta", "clip"];
    node.input(4).is_some() || given.iter().any(|name| node.has(name))
}

fn is_element(of: DataType) -> bool {
    matches!(
        of,
        DataType::FLOAT
            | DataType::UINT8
            | DataType::INT8
            | DataType::INT32
            | DataType::INT64
            | DataType::BOOL
    )
}

fn element(node: &Node, name: &str) -> bool {
    let of = node.int(name).and_then(|of| i32::try_from(of).ok());
    of.is_some_and(|of| is_element(DataType(of)))
}

fn not_stated(words: &str) -> Error {
    Error::Unsupported(format!("docs/wasi-nn.md does not state {words}"))
}

/// The version of a file's operators; the last one where it says nothing.
pub(super) fn version(imports: &[OperatorSetIdProto]) -> Result<i64, Error> {
    let mut imports = imports.iter();
    let own = imports.find(|it| matches!(it.domain.as_deref(), None | Some("" | "ai.onnx")));
    let version = own.and_then(|it| it.version).unwrap_or(*VERSIONS.end());
    if VERSIONS.contains(&version) {
        return Ok(version);
    }
    Err(not_stated(&format!("version {version} of the operators")))
}

/// Refuses a tensor of other types, or of sizes that are none.
pub(super) fn tensor(tensor: &TensorProto) -> Result<(), Error> {
    // rten 0.27.0 multiplies sizes without a look at what they come to.
    let sizes = tensor.dims.iter().map(|size| u32::try_from(*size));
    let sizes: Result<Vec<_>, _> = sizes.collect();
    let bytes = sizes.map(|sizes| crate::byte_length(crate::Dtype::I64, &sizes));
    if !matches!(bytes, Ok(Ok(_))) {
        let message = format!("a tensor with dimensions {:?}", tensor.dims);
        return Err(Error::Argument(message));
    }
    match tensor.data_type {
        Some(of) if !is_element(of) => Err(not_stated(&format!("a tensor of {of}"))),
        _ => Ok(()),
    }
}

/// Refuses an operator that is not stated at all.
pub(super) fn operator(node: &NodeProto) -> Result<(), Error> {
    let name = node.op_type.as_deref().unwrap_or_default();
    let domain = node.domain.as_deref().unwrap_or_default();
    let known = WHOLE.split_whitespace().any(|it| it == name)
        || PARTS.iter().any(|part| part.operator == name);
    if !known || !matches!(domain, "" | "ai.onnx") {
        return Err(not_stated(&format!("the operator `{name}` of `{domain}`")));
    }
    for attribute in &node.attribute {
        if let Some(value) = &attribute.t {
            tensor(value)?;
        }
    }
    Ok(())
}

/// Refuses what is missing of an operator that no rule rewrites.
pub(super) fn without_rule(node: &NodeProto) -> Result<(), Error> {
    let name = node.op_type.as_deref().unwrap_or_default();
    let mut parts = PARTS.iter();
    match parts.find(|part| part.operator == name) {
        Some(part) if (part.missing)(&Node(node)) => {
            let without = part.without;
            Err(not_stated(&format!(
                "all of `{name}`, which is here without {without}"
            )))
        }
        _ => Ok(()),
    }
}
