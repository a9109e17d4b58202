//! The expressions of contracts: dimensions, constraints, bytes of scratch, tolerances.
//!
//! Integers are computed in 64 bits, checked; tolerances in f64. A text is parsed once, is short, and has no loops, so that nothing takes long.

use std::collections::BTreeSet;
use std::fmt;

/// Longest text of an expression, in bytes.
pub const LONGEST_EXPRESSION: usize = 256;

/// How deep parentheses and calls may lie in each other.
const DEEPEST: u32 = 32;

/// What an expression is for decides what may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A number of elements or bytes: integers.
    Size,
    /// A relation: one comparison of integers.
    Constraint,
    /// A distance: decimal numbers and `sqrt` as well.
    Distance,
}

/// A parsed expression, with its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    text: String,
    root: Node,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Integer(i64),
    Decimal(f64),
    Name(String),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    SquareRoot(Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Minimum,
    Maximum,
    CeilingDivide,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undefined {
    /// A result leaves 64 bits.
    Overflow,
    /// A divisor is 0.
    DivisionByZero,
    /// A name has no value here.
    Unknown(String),
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undefined::Overflow => f.write_str("overflows 64 bits"),
            Undefined::DivisionByZero => f.write_str("divides by zero"),
            Undefined::Unknown(name) => write!(f, "uses `{name}`, which has no value here"),
        }
    }
}

impl Expression {
    /// Parses a text.
    ///
    /// # Errors
    /// What is wrong, and at which byte.
    pub fn parse(text: &str, purpose: Use) -> Result<Self, String> {
        if text.len() > LONGEST_EXPRESSION {
            return Err(format!(
                "is an expression of {} bytes; at most {LONGEST_EXPRESSION} are allowed",
                text.len()
            ));
        }
        let mut parser = Parser {
            text: text.as_bytes(),
            at: 0,
            depth: 0,
            purpose,
        };
        let root = parser.comparison()?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.expected("the end"));
        }
        Ok(Self {
            text: text.to_owned(),
            root,
        })
    }

    /// A number by itself.
    pub fn number(value: f64) -> Self {
        Self {
            text: value.to_string(),
            root: Node::Decimal(value),
        }
    }

    /// The text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name, if the expression is nothing else.
    pub fn as_name(&self) -> Option<&str> {
        match &self.root {
            Node::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The name that an equation says the value of, and that value: `head_dim == 2 * half`.
    pub fn equation(&self) -> Option<(&str, Expression)> {
        let Node::Binary(Operator::Equal, left, right) = &self.root else {
            return None;
        };
        let (name, value) = match (&**left, &**right) {
            (Node::Name(name), value) | (value, Node::Name(name)) => (name, value),
            _ => return None,
        };
        let value = Expression {
            text: self.text.clone(),
            root: value.clone(),
        };
        Some((name, value))
    }

    /// The names in it.
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut nodes = vec![&self.root];
        while let Some(node) = nodes.pop() {
            match node {
                Node::Name(name) => {
                    names.insert(name.as_str());
                }
                Node::Negative(inner) | Node::SquareRoot(inner) => nodes.push(inner),
                Node::Binary(_, left, right) => nodes.extend([&**left, &**right]),
                Node::Integer(_) | Node::Decimal(_) => {}
            }
        }
        names
    }

    /// Its value in integers; of a comparison 1 if it holds and 0 if not.
    ///
    /// # Errors
    /// Why there is none.
    pub fn integer(&self, value_of: &dyn Fn(&str) -> Option<i64>) -> Result<i64, Undefined> {
        integer(&self.root, value_of)
    }

    /// Its value in f64: not finite where f64 says so.
    ///
    /// # Errors
    /// A name that has no value.
    pub fn real(&self, value_of: &dyn Fn(&str) -> Option<f64>) -> Result<f64, Undefined> {
        real(&self.root, value_of)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn integer(node: &Node, value_of: &dyn Fn(&str) -> Option<i64>) -> Result<i64, Undefined> {
    let (operator, left, right) = match node {
        Node::Integer(value) => return Ok(*value),
        Node::Name(name) => {
            return value_of(name).ok_or_else(|| Undefined::Unknown(name.clone()));
        }
        Node::Negative(inner) => {
            return integer(inner, value_of)?
                .checked_neg()
                .ok_or(Undefined::Overflow);
        }
        // The parser lets these into distances only.
        Node::Decimal(value) => return Ok(*value as i64),
        Node::SquareRoot(inner) => return integer(inner, value_of),
        Node::Binary(operator, left, right) => (*operator, left, right),
    };
    let (left, right) = (integer(left, value_of)?, integer(right, value_of)?);
    let divided = |value: Option<i64>| match right {
        0 => Err(Undefined::DivisionByZero),
        _ => value.ok_or(Undefined::Overflow),
    };
    match operator {
        Operator::Add => left.checked_add(right).ok_or(Undefined::Overflow),
        Operator::Subtract => left.checked_sub(right).ok_or(Undefined::Overflow),
        Operator::Multiply => left.checked_mul(right).ok_or(Undefined::Overflow),
        Operator::Divide => divided(left.checked_div(right)),
        Operator::Remainder => divided(left.checked_rem(right)),
        Operator::CeilingDivide => {
            let quotient = divided(left.checked_div(right))?;
            let inexact = left % right != 0 && (left < 0) == (right < 0);
            Ok(quotient + i64::from(inexact))
        }
        Operator::Minimum => Ok(left.min(right)),
        Operator::Maximum => Ok(left.max(right)),
        Operator::Equal => Ok((left == right).into()),
        Operator::Unequal => Ok((left != right).into()),
        Operator::Less => Ok((left < right).into()),
        Operator::LessOrEqual => Ok((left <= right).into()),
        Operator::Greater => Ok((left > right).into()),
        Operator::GreaterOrEqual => Ok((left >= right).into()),
    }
}

fn real(node: &Node, value_of: &dyn Fn(&str) -> Option<f64>) -> Result<f64, Undefined> {
    let (operator, left, right) = match node {
        Node::Integer(value) => return Ok(*value as f64),
        Node::Decimal(value) => return Ok(*value),
        Node::Name(name) => {
            return value_of(name).ok_or_else(|| Undefined::Unknown(name.clone()));
        }
        Node::Negative(inner) => return Ok(-real(inner, value_of)?),
        Node::SquareRoot(inner) => return Ok(real(inner, value_of)?.sqrt()),
        Node::Binary(operator, left, right) => (*operator, left, right),
    };
    let (left, right) = (real(left, value_of)?, real(right, value_of)?);
    let truth = |holds: bool| f64::from(u8::from(holds));
    Ok(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Remainder => left % right,
        Operator::CeilingDivide => (left / right).ceil(),
        Operator::Minimum => left.min(right),
        Operator::Maximum => left.max(right),
        Operator::Equal => truth(left == right),
        Operator::Unequal => truth(left != right),
        Operator::Less => truth(left < right),
        Operator::LessOrEqual => truth(left <= right),
        Operator::Greater => truth(left > right),
        Operator::GreaterOrEqual => truth(left >= right),
    })
}

struct Parser<'text> {
    text: &'text [u8],
    at: usize,
    depth: u32,
    purpose: Use,
}

impl Parser<'_> {
    fn space(&mut self) {
        while self.text.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    fn expected(&self, what: &str) -> String {
        format!("is no expression: {what} is due at byte {}", self.at)
    }

    /// Goes on behind one of these, if it comes next. Longer ones stand before those that they begin with.
    fn take(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        self.space();
        let rest = &self.text[self.at..];
        let (text, operator) = operators
            .iter()
            .find(|(text, _)| rest.starts_with(text.as_bytes()))?;
        self.at += text.len();
        Some(*operator)
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.sum()?;
        if self.purpose != Use::Constraint {
            return Ok(left);
        }
        let comparisons = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        match self.take(&comparisons) {
            Some(operator) => Ok(binary(operator, left, self.sum()?)),
            None => Err(self.expected("one of == != <= >= < >")),
        }
    }

    fn sum(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("is nested deeper than {DEEPEST}"));
        }
        let mut left = self.product()?;
        while let Some(operator) = self.take(&[("+", Operator::Add), ("-", Operator::Subtract)]) {
            left = binary(operator, left, self.product()?);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn product(&mut self) -> Result<Node, String> {
        let mut left = self.factor()?;
        let operators = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("%", Operator::Remainder),
        ];
        while let Some(operator) = self.take(&operators) {
            left = binary(operator, left, self.factor()?);
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Node, String> {
        self.space();
        match self.text.get(self.at) {
            Some(b'-') => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(format!("is nested deeper than {DEEPEST}"));
                }
                let inner = self.factor()?;
                self.depth -= 1;
                Ok(Node::Negative(Box::new(inner)))
            }
            Some(b'(') => {
                self.at += 1;
                let inner = self.sum()?;
                self.close(b')')?;
                Ok(inner)
            }
            Some(b'0'..=b'9' | b'.') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => self.name(),
            _ => Err(self.expected("a number, a name or `(`")),
        }
    }

    fn close(&mut self, with: u8) -> Result<(), String> {
        self.space();
        if self.text.get(self.at) == Some(&with) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.expected(&format!("`{}`", char::from(with))))
        }
    }

    fn number(&mut self) -> Result<Node, String> {
        let start = self.at;
        while let Some(byte) = self.text.get(self.at) {
            let signed = matches!(byte, b'-' | b'+')
                && self.at > start
                && matches!(self.text[self.at - 1], b'e' | b'E');
            if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || signed) {
                break;
            }
            self.at += 1;
        }
        // ASCII all through.
        let digits = String::from_utf8_lossy(&self.text[start..self.at]);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return digits
                .parse()
                .map(Node::Integer)
                .map_err(|_| format!("has the number {digits}, which overflows 64 bits"));
        }
        if self.purpose != Use::Distance {
            return Err(format!(
                "has the number {digits}; whole numbers are due here"
            ));
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Node::Decimal(value)),
            _ => Err(format!("has {digits}, which is no number")),
        }
    }

    fn name(&mut self) -> Result<Node, String> {
        let start = self.at;
        while self
            .text
            .get(self.at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            self.at += 1;
        }
        let name = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        self.space();
        if self.text.get(self.at) != Some(&b'(') {
            return Ok(Node::Name(name));
        }
        self.at += 1;
        let first = self.sum()?;
        let operator = match name.as_str() {
            "sqrt" if self.purpose == Use::Distance => {
                self.close(b')')?;
                return Ok(Node::SquareRoot(Box::new(first)));
            }
            "min" => Operator::Minimum,
            "max" => Operator::Maximum,
            "ceil_div" => Operator::CeilingDivide,
            _ => {
                return Err(format!(
                    "calls `{name}`; there are min, max, ceil_div and, for distances, sqrt"
                ));
            }
        };
        self.close(b',')?;
        let second = self.sum()?;
        self.close(b')')?;
        Ok(binary(operator, first, second))
    }
}

fn binary(operator: Operator, left: Node, right: Node) -> Node {
    Node::Binary(operator, Box::new(left), Box::new(right))
}

#[cfg(test)]
mod tests;
