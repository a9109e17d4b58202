//! Attention with what rten has not: windows, the products of queries and keys as an output, a mask that is shorter than a cache.

use super::{Known, Node, Writer};
use rten_onnx::onnx::DataType;

pub(super) fn attention(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    let window = |name| node.int(name).unwrap_or(-1);
    let (left, right) = (window("left_window_size"), window("right_window_size"));
    let windowed = node.has("left_window_size") || node.has("right_window_size");
    if !windowed && !node.wants(3) && node.input(6).is_none() {
        return false;
    }
    let Some(rank @ (3 | 4)) = known.rank(node.input(0)) else {
        return false;
    };
    if !heads(node, rank, writer) {
        return false;
    }
    let (past, cached) = (node.input(4).is_some(), node.input(6).is_some());
    if past != node.input(5).is_some() || (past && cached) || left < -1 || right < -1 {
        return false;
    }
    writer.write(if past {
        "keys = Concat(in4, k; axis = 2); values = Concat(in5, v; axis = 2);"
    } else {
        "keys = Identity(k); values = Identity(v);"
    });
    writer.write("queries = Gather(Shape(q), 2); many = Gather(Shape(keys), 2);");
    writer.write(match (past, cached) {
        (true, _) => "offset = Gather(Shape(in4), 2);",
        (_, true) => "offset = Reshape(Cast(in6; to = 7), [-1, 1, 1, 1]) - queries;",
        _ => "offset = queries * 0;",
    });
    writer.write(
        "place = Unsqueeze(Range(0, queries, 1), [1]) + offset;
         key = Unsqueeze(Range(0, many, 1), [0]);
         bias0 = Expand(0.0, Concat(Reshape(queries, [1]), Reshape(many, [1]); axis = 0));",
    );
    if !mask(node, known, writer) {
        return false;
    }
    let causal = node.int("is_causal").unwrap_or(0) != 0;
    let limits = [
        (causal, "LessOrEqual(key, place)".to_owned()),
        (left >= 0, format!("LessOrEqual(place - key, {left})")),
        (right >= 0, format!("LessOrEqual(key - place, {right})")),
        (
            cached,
            "Less(key, Reshape(Cast(in6; to = 7), [-1, 1, 1, 1]))".to_owned(),
        ),
    ];
    let mut bias = "bias1".to_owned();
    for (number, (_, allowed)) in limits.iter().enumerate().filter(|(_, (set, _))| *set) {
        writer.write(&format!(
            "limit{number} = {bias} + Where({allowed}, 0.0, -inf);"
        ));
        bias = format!("limit{number}");
    }
    products(node, &bias, writer);
    if rank == 3 {
        writer.write("out0 = Reshape(Transpose(y; perm = [0, 2, 1, 3]), [0, 0, -1]);");
    } else {
        writer.write("out0 = y;");
    }
    for (output, word) in [(1, "keys"), (2, "values")] {
        if node.wants(output) {
            writer.write(&format!("out{output} = {word};"));
        }
    }
    true
}

/// Queries, keys and values by heads; false where the file does not say how many there are.
fn heads(node: &Node, rank: usize, writer: &mut Writer) -> bool {
    if rank == 4 {
        writer.write("q = Identity(in0); k = Identity(in1); v = Identity(in2);");
        return true;
    }
    let (Some(of_queries), Some(of_keys)) = (node.int("q_num_heads"), node.int("kv_num_heads"))
    else {
        return false;
    };
    for (input, word, heads) in [(0, "q", of_queries), (1, "k", of_keys), (2, "v", of_keys)] {
        writer.bind_ints("split", &[0, 0, heads, -1]);
        writer.write(&format!(
            "{word} = Transpose(Reshape(in{input}, split); perm = [0, 2, 1, 3]);"
        ));
    }
    true
}

/// The mask as what is added, `-inf` where it ends before the keys do; false where the file does not say of which type it is.
fn mask(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    if node.input(3).is_none() {
        writer.write("bias1 = Identity(bias0);");
        return true;
    }
    writer.write(match known.of(node.input(3)) {
        Some(DataType::BOOL) => "mask = Where(in3, 0.0, -inf);",
        Some(DataType::FLOAT) => "mask = Identity(in3);",
        _ => return false,
    });
    writer.write(
        "given = Shape(mask);
         missing = Reshape(many, [1]) - Slice(given, [-1], [2147483647]);
         rest = Expand(-inf, Concat(Slice(given, [0], [-1]), missing; axis = 0));
         bias1 = bias0 + Concat(mask, rest; axis = -1);",
    );
    true
}

/// From queries, keys, values and what is added, the answer and the products.
fn products(node: &Node, bias: &str, writer: &mut Writer) {
    match node.float("scale") {
        Some(scale) => {
            writer.bind_float("scale", scale.sqrt());
        }
        None => writer.write("scale = Sqrt(1.0 / Sqrt(Cast(Gather(Shape(q), 3); to = 1)));"),
    }
    // Heads of keys serve several heads of queries each, one after another.
    writer.write(
        "hq = Slice(Shape(q), [1], [2]); hk = Slice(Shape(keys), [1], [2]);
         batch = Slice(Shape(keys), [0], [1]);
         grouped = Unsqueeze(q * scale, [2]);
         qs = Reshape(grouped, Concat(batch, hk, hq / hk, Slice(Shape(q), [2], [4]); axis = 0));
         kt = Unsqueeze(Transpose(keys * scale; perm = [0, 1, 3, 2]), [2]);
         product = MatMul(qs, kt);
         raw = Reshape(product, Concat(batch, hq, Reshape(queries, [1]), Reshape(many, [1]); axis = 0));",
    );
    let softcap = node.float("softcap").unwrap_or(0.0);
    if softcap > 0.0 {
        writer.bind_float("softcap", softcap);
        writer.write("capped = Tanh(raw / softcap) * softcap;");
    } else {
        writer.write("capped = Identity(raw);");
    }
    // A query that may see no key gets nothing, and not what is no number.
    writer.write(&format!(
        "biased = capped + {bias};
         masked = Equal(ReduceMax({bias}, [-1]; keepdims = 1), -inf);
         weights = Where(masked, 0.0, Softmax(biased; axis = -1));
         ws = Reshape(weights, Shape(product));
         y = Reshape(MatMul(ws, Unsqueeze(values, [2])), Concat(batch, hq, Slice(Shape(q), [2], [3]), [-1]; axis = 0));"
    ));
    if node.wants(3) {
        let word = match node.int("qk_matmul_output_mode").unwrap_or(0) {
            2 => "biased",
            3 => "weights",
            _ => "capped",
        };
        writer.write(&format!("out3 = {word};"));
    }
}
