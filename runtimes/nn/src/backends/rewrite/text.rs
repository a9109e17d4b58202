//! Operators written as text, for what one operator becomes: `y = Pad(x, 2 * n; mode = "edge");` Values of text are values of the graph;
//! numbers are constants (`1` and `[1, 2]` of i64, `1.5` of f32), `+ - * /` the operators, `_` an input that is left out.

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, GraphProto, NodeProto, TensorProto, ValueInfoProto,
};
use std::{collections::BTreeMap, iter::Peekable, str::Chars};

/// What comes of text: nodes, whose values in between have names that no other value of the model has.
pub(super) struct Writer<'a> {
    /// With what those names begin.
    prefix: &'a str,
    count: &'a mut usize,
    names: BTreeMap<String, String>,
    pub(super) nodes: Vec<NodeProto>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(prefix: &'a str, count: &'a mut usize) -> Self {
        Self {
            prefix,
            count,
            names: BTreeMap::new(),
            nodes: Vec::new(),
        }
    }

    /// Lets a word of the text be a value of the graph. Nothing is done for a value without a name, which is one that is left out.
    pub(super) fn bind(&mut self, word: &str, name: Option<&String>) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.names.insert(word.to_owned(), name.clone());
        }
    }

    /// Lets a word of the text be a number of a file, which may be any.
    pub(super) fn bind_float(&mut self, word: &str, value: f32) {
        let name = self.constant(&Literal::Float(value));
        self.names.insert(word.to_owned(), name);
    }

    /// Lets a word of the text be an integer of a file.
    pub(super) fn bind_int(&mut self, word: &str, value: i64) {
        let name = self.constant(&Literal::Int(value));
        self.names.insert(word.to_owned(), name);
    }

    /// Lets a word of the text be a list of integers of a file.
    pub(super) fn bind_ints(&mut self, word: &str, values: &[i64]) {
        let name = self.constant(&Literal::Ints(values.to_vec()));
        self.names.insert(word.to_owned(), name);
    }

    /// Lets a word mean something else from here on.
    pub(super) fn forget(&mut self, word: &str) {
        self.names.remove(word);
    }

    /// The name in the graph of a word of the text.
    pub(super) fn value(&mut self, word: &str) -> String {
        self.name(word)
    }

    /// Adds what the text says. A text that is none is a fault of this program.
    ///
    /// # Panics
    /// There.
    pub(super) fn write(&mut self, text: &str) {
        let mut parser = Parser {
            rest: text.chars().peekable(),
            writer: self,
        };
        while parser.peek().is_some() {
            let word = parser.word();
            parser.expect('=');
            let name = parser.writer.name(&word);
            parser.sum(Some(name));
            parser.expect(';');
        }
    }

    /// Adds a loop of so many turns (the word of a number) over a body in text. It knows the number of its `turn` and the words around it; each
    /// word of `carried` begins as its partner says and becomes what the body calls `next_` and the word. After it the word with `_last` is
    /// its last value, and each word of `gathered` with `_all` its values of all turns, one after another.
    pub(super) fn repeat(
        &mut self,
        turns: &str,
        carried: &[(&str, &str)],
        gathered: &[&str],
        body: &str,
    ) {
        let mut inside = Writer {
            prefix: self.prefix,
            count: &mut *self.count,
            names: self.names.clone(),
            nodes: Vec::new(),
        };
        let value = |name: String| ValueInfoProto {
            name: Some(name),
            ..ValueInfoProto::default()
        };
        let inputs = ["turn", "goes"].into_iter();
        let inputs = inputs.chain(carried.iter().map(|(word, _)| *word));
        let input = inputs.map(|word| {
            let name = inside.fresh();
            inside.names.insert(word.to_owned(), name.clone());
            value(name)
        });
        let input: Vec<_> = input.collect();
        inside.write("on = Identity(goes);");
        inside.write(body);
        let next = carried.iter().map(|(word, _)| format!("next_{word}"));
        let outputs = std::iter::once("on".to_owned()).chain(next);
        let outputs = outputs.chain(gathered.iter().map(|word| (*word).to_owned()));
        let output = outputs.map(|word| value(inside.name(&word))).collect();
        let graph = GraphProto {
            node: inside.nodes,
            input,
            output,
            ..GraphProto::default()
        };
        let mut inputs = vec![self.name(turns), String::new()];
        inputs.extend(carried.iter().map(|(_, first)| self.name(first)));
        let last = carried.iter().map(|(word, _)| format!("{word}_last"));
        let all = gathered.iter().map(|word| format!("{word}_all"));
        let output = last.chain(all).map(|word| self.name(&word)).collect();
        self.nodes.push(NodeProto {
            op_type: Some("Loop".to_owned()),
            input: inputs,
            output,
            attribute: vec![AttributeProto {
                name: Some("body".to_owned()),
                g: Some(graph),
                r#type: Some(AttributeType::GRAPH),
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        });
    }

    fn fresh(&mut self) -> String {
        *self.count += 1;
        format!("{}{}", self.prefix, self.count)
    }

    /// The value of a word.
    fn name(&mut self, word: &str) -> String {
        if let Some(name) = self.names.get(word) {
            return name.clone();
        }
        let name = self.fresh();
        self.names.insert(word.to_owned(), name.clone());
        name
    }

    fn node(
        &mut self,
        operator: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
        output: Option<String>,
    ) -> String {
        let output = output.unwrap_or_else(|| self.fresh());
        self.nodes.push(NodeProto {
            op_type: Some(operator.to_owned()),
            input,
            output: vec![output.clone()],
            attribute,
            ..NodeProto::default()
        });
        output
    }

    fn constant(&mut self, literal: &Literal) -> String {
        let mut tensor = TensorProto::default();
        match literal {
            Literal::Float(value) => {
                tensor.data_type = Some(DataType::FLOAT);
                tensor.float_data.push(*value);
            }
            Literal::Int(value) => {
                tensor.data_type = Some(DataType::INT64);
                tensor.int64_data.push(*value);
            }
            Literal::Ints(values) => {
                tensor.data_type = Some(DataType::INT64);
                tensor.dims.push(values.len() as i64);
                tensor.int64_data.clone_from(values);
            }
            Literal::Words(words) => unreachable!("the constant `{words}`"),
        }
        let value = AttributeProto {
            name: Some("value".to_owned()),
            t: Some(tensor),
            r#type: Some(AttributeType::TENSOR),
            ..AttributeProto::default()
        };
        self.node("Constant", Vec::new(), vec![value], None)
    }
}

enum Literal {
    Int(i64),
    Float(f32),
    Ints(Vec<i64>),
    Words(String),
}

impl Literal {
    fn attribute(self, name: String) -> AttributeProto {
        let mut attribute = AttributeProto {
            name: Some(name),
            ..AttributeProto::default()
        };
        attribute.r#type = Some(match self {
            Literal::Int(value) => {
                attribute.i = Some(value);
                AttributeType::INT
            }
            Literal::Float(value) => {
                attribute.f = Some(value);
                AttributeType::FLOAT
            }
            Literal::Ints(values) => {
                attribute.ints = values;
                AttributeType::INTS
            }
            Literal::Words(words) => {
                attribute.s = Some(words);
                AttributeType::STRING
            }
        });
        attribute
    }
}

struct Parser<'a, 'b> {
    rest: Peekable<Chars<'a>>,
    writer: &'a mut Writer<'b>,
}

impl Parser<'_, '_> {
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(|it| it.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn taken(&mut self, wanted: char) -> bool {
        self.peek() == Some(wanted) && self.rest.next().is_some()
    }

    fn expect(&mut self, wanted: char) {
        assert!(
            self.taken(wanted),
            "`{wanted}` before {:?}",
            self.rest.clone().collect::<String>()
        );
    }

    fn word(&mut self) -> String {
        self.peek();
        self.run(|it| it.is_ascii_alphanumeric() || it == '_')
    }

    fn run(&mut self, fits: fn(char) -> bool) -> String {
        let mut run = String::new();
        while let Some(next) = self.rest.next_if(|it| fits(*it)) {
            run.push(next);
        }
        run
    }

    /// Terms that are added and subtracted, into the value of this name.
    fn sum(&mut self, name: Option<String>) -> String {
        let mut left = self.product();
        loop {
            let operator = match self.peek() {
                Some('+') => "Add",
                Some('-') => "Sub",
                _ => break,
            };
            self.rest.next();
            let right = self.product();
            left = self
                .writer
                .node(operator, vec![left, right], Vec::new(), None);
        }
        match name {
            Some(name) => self
                .writer
                .node("Identity", vec![left], Vec::new(), Some(name)),
            None => left,
        }
    }

    fn product(&mut self) -> String {
        let mut left = self.value();
        loop {
            let operator = match self.peek() {
                Some('*') => "Mul",
                Some('/') => "Div",
                _ => return left,
            };
            self.rest.next();
            let right = self.value();
            left = self
                .writer
                .node(operator, vec![left, right], Vec::new(), None);
        }
    }

    fn value(&mut self) -> String {
        match self.peek() {
            Some('(') => {
                self.rest.next();
                let value = self.sum(None);
                self.expect(')');
                value
            }
            Some(it) if it.is_ascii_alphabetic() => {
                let word = self.word();
                if self.taken('(') {
                    self.call(&word)
                } else {
                    self.writer.name(&word)
                }
            }
            _ => {
                let literal = self.literal();
                self.writer.constant(&literal)
            }
        }
    }

    fn call(&mut self, operator: &str) -> String {
        let mut inputs = Vec::new();
        while !matches!(self.peek(), Some(';' | ')')) {
            inputs.push(if self.taken('_') {
                String::new()
            } else {
                self.sum(None)
            });
            self.taken(',');
        }
        let mut attributes = Vec::new();
        while self.taken(';') || self.taken(',') {
            let name = self.word();
            self.expect('=');
            attributes.push(self.literal().attribute(name));
        }
        self.expect(')');
        self.writer.node(operator, inputs, attributes, None)
    }

    fn literal(&mut self) -> Literal {
        if self.taken('"') {
            let words = self.run(|it| it != '"');
            self.expect('"');
            return Literal::Words(words);
        }
        if self.taken('[') {
            let mut values = Vec::new();
            while !self.taken(']') {
                let Literal::Int(value) = self.literal() else {
                    unreachable!("a list of other than integers");
                };
                values.push(value);
                self.taken(',');
            }
            return Literal::Ints(values);
        }
        self.peek();
        let number = self.run(|it| matches!(it, '0'..='9' | '.' | '-' | 'e' | 'i' | 'n' | 'f'));
        if let Ok(value) = number.parse() {
            return Literal::Int(value);
        }
        let value = number.parse();
        Literal::Float(value.unwrap_or_else(|_| unreachable!("the number `{number}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_nodes() {
        let mut count = 0;
        let mut writer = Writer::new("~", &mut count);
        writer.bind("x", Some(&"X".to_owned()));
        writer.bind("y", Some(&"Y".to_owned()));
        writer.write(
            r#"n = Size(Shape(x)); y = Pad(x, (n + 1) * [0, -2], _; mode = "edge", z = -inf);"#,
        );
        assert_eq!(writer.nodes.len(), 9);
        let pad = &writer.nodes[7];
        assert_eq!(pad.input[0], "X");
        assert_eq!(pad.input[2], "");
        assert_eq!(pad.attribute[0].s.as_deref(), Some("edge"));
        assert_eq!(pad.attribute[1].f, Some(f32::NEG_INFINITY));
        assert_eq!(writer.nodes[8].output, ["Y"]);
    }
}
