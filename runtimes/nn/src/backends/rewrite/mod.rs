//! What a file says and rten 0.27.0 has not, or computes wrongly, written as operators that it has.
//!
//! Each rule takes a node and gives the nodes that stand for it, or nothing where the engine does well by itself. A rule goes by what the file
//! says alone, never by values. What no rule makes right is refused when the file is loaded, by [`super::stated`].

mod attention;
mod boxes;
mod defaults;
mod known;
mod plain;
mod pool;
mod quantize;
mod recurrent;
mod resize;
mod sample;
mod text;

use crate::Error;
use known::Known;
use rten_onnx::onnx::{GraphProto, ModelProto, NodeProto};
use text::Writer;

/// What all rules may write for a file: files of strangers must not grow without end.
const MAX_NODES: usize = 200_000;

/// Rewrites a model, and says whether anything changed.
///
/// # Errors
/// [`Error::TooLarge`] for a file that would become too many nodes.
pub(super) fn rewrite(model: &mut ModelProto) -> Result<bool, Error> {
    let Some(graph) = &mut model.graph else {
        return Ok(false);
    };
    let mut names = 0;
    let prefix = (0_usize..)
        .map(|number| format!("~{number}."))
        .find(|prefix| !uses(graph, prefix))
        .unwrap_or_default();
    let mut rewriter = Rewriter {
        prefix,
        count: &mut names,
        written: 0,
        changed: false,
    };
    rewriter.graph(graph, &Known::default())?;
    Ok(rewriter.changed)
}

/// Whether any value's name begins with this.
fn uses(graph: &GraphProto, prefix: &str) -> bool {
    let begins = |name: &String| name.starts_with(prefix);
    let named = |name: &Option<String>| name.as_ref().is_some_and(begins);
    graph.initializer.iter().any(|it| named(&it.name))
        || graph.input.iter().any(|it| named(&it.name))
        || graph.node.iter().any(|node| {
            let graphs = node.attribute.iter().filter_map(|it| it.g.as_ref());
            node.input.iter().chain(&node.output).any(begins)
                || graphs.into_iter().any(|graph| uses(graph, prefix))
        })
}

struct Rewriter<'a> {
    prefix: String,
    count: &'a mut usize,
    written: usize,
    changed: bool,
}

impl Rewriter<'_> {
    /// A graph, of which values of those around it are known too.
    fn graph(&mut self, graph: &mut GraphProto, around: &Known) -> Result<(), Error> {
        let mut known = around.with(graph);
        let mut nodes = Vec::with_capacity(graph.node.len());
        for mut node in std::mem::take(&mut graph.node) {
            for attribute in &mut node.attribute {
                if let Some(inner) = &mut attribute.g {
                    self.graph(inner, &known)?;
                }
            }
            self.changed |= defaults::fill(&mut node, &known);
            let mut writer = Writer::new(&self.prefix, self.count);
            if rule(&Node(&node), &known, &mut writer) {
                self.changed = true;
                self.written += writer.nodes.len();
                if self.written > MAX_NODES {
                    let message = format!("more than {MAX_NODES} nodes after rewriting");
                    return Err(Error::TooLarge(message));
                }
                nodes.append(&mut writer.nodes);
            } else {
                known.learn(&node);
                nodes.push(node);
            }
        }
        graph.node = nodes;
        Ok(())
    }
}

/// Writes what stands for a node, and says whether anything does.
fn rule(node: &Node, known: &Known, writer: &mut Writer) -> bool {
    if !matches!(node.0.domain.as_deref(), None | Some("" | "ai.onnx")) {
        return false;
    }
    for (index, name) in node.0.input.iter().enumerate() {
        writer.bind(&format!("in{index}"), Some(name));
    }
    for (index, name) in node.0.output.iter().enumerate() {
        writer.bind(&format!("out{index}"), Some(name));
    }
    match node.0.op_type.as_deref().unwrap_or_default() {
        "Attention" => attention::attention(node, known, writer),
        "AveragePool" | "MaxPool" => pool::pool(node, writer),
        "GRU" => recurrent::gru(node, writer),
        "LSTM" => recurrent::lstm(node, writer),
        "NonMaxSuppression" => boxes::non_max_suppression(node, writer),
        "QuantizeLinear" => quantize::quantize(node, writer),
        "DynamicQuantizeLinear" => quantize::dynamic(writer),
        "GridSample" => sample::grid_sample(node, known, writer),
        "Resize" => resize::resize(node, known, writer),
        operator => plain::plain(operator, node, known, writer),
    }
}

/// A node, and how to ask it.
pub(super) struct Node<'a>(pub(super) &'a NodeProto);

impl<'a> Node<'a> {
    fn attribute(&self, name: &str) -> Option<&'a rten_onnx::onnx::AttributeProto> {
        let mut attributes = self.0.attribute.iter();
        attributes.find(|it| it.name.as_deref() == Some(name))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    pub(super) fn ints(&self, name: &str) -> &'a [i64] {
        self.attribute(name).map_or(&[], |it| &it.ints)
    }

    pub(super) fn words(&self, name: &str) -> Option<&'a str> {
        self.attribute(name)?.s.as_deref()
    }

    /// An input that is given.
    pub(super) fn input(&self, index: usize) -> Option<&'a String> {
        self.0.input.get(index).filter(|name| !name.is_empty())
    }

    /// Whether an output is wanted.
    pub(super) fn wants(&self, index: usize) -> bool {
        self.0
            .output
            .get(index)
            .is_some_and(|name| !name.is_empty())
    }
}
