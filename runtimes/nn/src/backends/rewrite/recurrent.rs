//! Recurrent operators.

use super::{Node, Writer};

/// `layout = 1`: the batch comes first, outside of the operator.
pub(super) fn lstm(node: &Node, writer: &mut Writer) -> bool {
    if node.int("layout").unwrap_or(0) != 1 {
        return false;
    }
    let mut inner = node.0.clone();
    inner
        .attribute
        .retain(|it| it.name.as_deref() != Some("layout"));
    for (index, word) in [(0, "x"), (5, "h"), (6, "c")] {
        if node.input(index).is_some() {
            writer.write(&format!("{word} = Transpose(in{index}; perm = [1, 0, 2]);"));
            inner.input[index] = writer.value(word);
        }
    }
    let results = [
        ("y", "[2, 0, 1, 3]"),
        ("yh", "[1, 0, 2]"),
        ("yc", "[1, 0, 2]"),
    ];
    let wanted = results.iter().enumerate();
    let wanted: Vec<_> = wanted.filter(|(index, _)| node.wants(*index)).collect();
    for (index, (word, _)) in &wanted {
        inner.output[*index] = writer.value(word);
    }
    writer.nodes.push(inner);
    for (index, (word, order)) in wanted {
        writer.write(&format!("out{index} = Transpose({word}; perm = {order});"));
    }
    true
}

/// What rten has not: a reset before the product, which is the default, and the batch first.
pub(super) fn gru(node: &Node, writer: &mut Writer) -> bool {
    let batch_first = node.int("layout").unwrap_or(0) == 1;
    let linear = node.int("linear_before_reset").unwrap_or(0) != 0;
    let plain = ["activations", "activation_alpha", "activation_beta", "clip"];
    let other = plain.iter().any(|name| node.has(name)) || node.input(4).is_some();
    if linear && !batch_first || other {
        return false;
    }
    let backwards: &[bool] = match node.words("direction").unwrap_or("forward") {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        _ => return false,
    };
    writer.write(if batch_first {
        "x = Transpose(in0; perm = [1, 0, 2]);"
    } else {
        "x = Identity(in0);"
    });
    writer.write("length = Gather(Shape(x), 0); hidden = Gather(Shape(in2), 2);");
    for (number, backwards) in backwards.iter().enumerate() {
        one_direction(node, (number, *backwards), (linear, batch_first), writer);
    }
    let words = |word: &str| {
        let words = (0..backwards.len()).map(|number| format!("{word}{number}"));
        words.collect::<Vec<_>>().join(", ")
    };
    writer.write(&format!(
        "y = Concat({}; axis = 1); yh = Concat({}; axis = 0);",
        words("y"),
        words("h")
    ));
    let orders = if batch_first {
        ["[2, 0, 1, 3]", "[1, 0, 2]"]
    } else {
        ["[0, 1, 2, 3]", "[0, 1, 2]"]
    };
    for (index, (word, order)) in ["y", "yh"].into_iter().zip(orders).enumerate() {
        if node.wants(index) {
            writer.write(&format!("out{index} = Transpose({word}; perm = {order});"));
        }
    }
    true
}

/// Values of one direction: `y` and `h` with its number.
fn one_direction(
    node: &Node,
    (number, backwards): (usize, bool),
    (linear, batch_first): (bool, bool),
    writer: &mut Writer,
) {
    writer.bind_int("number", number as i64);
    // Of three, the update's, the reset's and the hidden gate's; what is added by input and by state.
    writer.write(&format!(
        "first{number} = {};
         w{number} = Transpose(Gather(in1, number); perm = [1, 0]);
         r{number} = Transpose(Gather(in2, number); perm = [1, 0]);
         both{number} = Slice(r{number}, [0], Reshape(hidden + hidden, [1]), [1]);",
        match (node.input(5).is_some(), batch_first) {
            (false, _) =>
                "Expand(0.0, Concat(Slice(Shape(x), [1], [2]), Reshape(hidden, [1]); axis = 0))",
            (true, false) => "Gather(in5, number)",
            (true, true) => "Gather(in5, number; axis = 1)",
        }
    ));
    writer.write("one = Reshape(hidden, [1]); two = one + one; three = two + one;");
    writer.write(&if node.input(3).is_some() {
        format!(
            "b{number} = Gather(in3, number);
             wb{number} = Slice(b{number}, [0], three, [0]);
             rb{number} = Slice(b{number}, three, two * 3, [0]);"
        )
    } else {
        format!("wb{number} = Expand(0.0, three); rb{number} = wb{number} * 1.0;")
    });
    let place = if backwards {
        "length - 1 - turn"
    } else {
        "turn + 0"
    };
    let hidden = if linear {
        "gx + reset * (MatMul(state, rh) + rbh)"
    } else {
        "gx + MatMul(reset * state, rh) + rbh"
    };
    writer.write(&format!(
        "rh = Slice(r{number}, two, three, [1]); rbh = Slice(rb{number}, two, three, [0]);
         inputs = MatMul(x, w{number}) + wb{number};
         rbg = Slice(rb{number}, [0], two, [0]);"
    ));
    writer.repeat(
        "length",
        &[("state", &format!("first{number}"))],
        &["shown"],
        &format!(
            "now = Gather(inputs, {place});
             gates = Sigmoid(Slice(now, [0], two, [1]) + MatMul(state, both{number}) + rbg);
             update = Slice(gates, [0], one, [1]);
             reset = Slice(gates, one, two, [1]);
             gx = Slice(now, two, three, [1]);
             next_state = (1.0 - update) * Tanh({hidden}) + update * state;
             shown = next_state * 1.0;"
        ),
    );
    let order = if backwards {
        "Slice(shown_all, [-1], [-2147483647], [0], [-1])"
    } else {
        "shown_all"
    };
    writer.write(&format!(
        "y{number} = Unsqueeze({order}, [1]); h{number} = Unsqueeze(state_last, [0]);"
    ));
    for word in [
        "one",
        "two",
        "three",
        "rh",
        "rbh",
        "rbg",
        "inputs",
        "shown_all",
        "state_last",
    ] {
        writer.forget(word);
    }
}
