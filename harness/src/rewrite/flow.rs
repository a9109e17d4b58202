//! Basic blocks: stretches of a function that run from the first instruction to the last, or trap on the way.

use super::body::Body;
use std::{collections::HashMap, ops::Range};
use wasmparser::Operator;

/// A basic block that a way leads to. What only `unreachable` or a branch lies before is in no block: validation asks for it, and nothing runs
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its instructions, by their position in the function.
    pub(crate) operators: Range<usize>,
    /// Whether all that it leads to is a trap: it ends in `unreachable`, calls a function that does, or leads to such blocks only.
    pub(crate) only_traps: bool,
}

/// A block while the function is read.
#[derive(Default)]
struct Draft {
    operators: Range<usize>,
    next: Vec<usize>,
    calls: Vec<u32>,
    returns: bool,
    traps: bool,
}

enum Label {
    /// A branch goes back to this block.
    Loop(Option<usize>),
    /// A branch goes behind the end; these blocks do. Of an `if`, the block that decides.
    Ahead {
        from: Vec<usize>,
        decides: Option<usize>,
    },
}

/// The blocks of each function, in order.
pub(crate) fn blocks(bodies: &[Body<'_>]) -> Vec<Vec<Block>> {
    let drafts: Vec<Vec<Draft>> = bodies.iter().map(drafts).collect();
    let functions: Vec<u32> = bodies.iter().map(|body| body.function).collect();
    let doomed = doomed(&functions, &drafts);
    drafts
        .into_iter()
        .zip(doomed)
        .map(|(drafts, doomed)| {
            let blocks = drafts.into_iter().zip(doomed);
            blocks
                .map(|(draft, only_traps)| Block {
                    operators: draft.operators,
                    only_traps,
                })
                .collect()
        })
        .collect()
}

/// Which blocks of these functions lead to nothing but traps. Each is looked at once, and each way out of it once: a pack decides how many there are.
fn doomed(functions: &[u32], drafts: &[Vec<Draft>]) -> Vec<Vec<bool>> {
    let mut doomed: Vec<Vec<bool>> = drafts.iter().map(|of| vec![false; of.len()]).collect();
    // Of each block, what leads to it, and how many ways out of it are not known to end in a trap; of each function, who calls it.
    let mut from: Vec<Vec<Vec<usize>>> = drafts.iter().map(|of| vec![vec![]; of.len()]).collect();
    let mut open: Vec<Vec<usize>> = Vec::with_capacity(drafts.len());
    let mut callers: HashMap<u32, Vec<(usize, usize)>> = HashMap::new();
    let mut found = Vec::new();
    for (function, drafts) in drafts.iter().enumerate() {
        for (block, draft) in drafts.iter().enumerate() {
            draft
                .next
                .iter()
                .for_each(|&next| from[function][next].push(block));
            for &call in &draft.calls {
                callers.entry(call).or_default().push((function, block));
            }
            if draft.traps {
                found.push((function, block));
            }
        }
        open.push(drafts.iter().map(|draft| draft.next.len()).collect());
    }
    while let Some((function, block)) = found.pop() {
        if std::mem::replace(&mut doomed[function][block], true) {
            continue;
        }
        for &before in &from[function][block] {
            open[function][before] -= 1;
            if open[function][before] == 0 && !drafts[function][before].returns {
                found.push((function, before));
            }
        }
        if block == 0 {
            found.extend(callers.remove(&functions[function]).unwrap_or_default());
        }
    }
    doomed
}

/// Reads a function. `current` is the block that an instruction belongs to; there is none where nothing leads.
fn drafts(body: &Body<'_>) -> Vec<Draft> {
    let mut reader = Reader {
        drafts: Vec::new(),
        current: None,
        labels: vec![Label::Ahead {
            from: Vec::new(),
            decides: None,
        }],
    };
    reader.begin(0, []);
    for (index, placed) in body.operators.iter().enumerate() {
        reader.operator(index, &placed.operator);
    }
    reader.drafts
}

struct Reader {
    drafts: Vec<Draft>,
    current: Option<usize>,
    labels: Vec<Label>,
}

impl Reader {
    /// Begins a block before an instruction, which these lead to.
    fn begin(&mut self, at: usize, from: impl IntoIterator<Item = usize>) {
        let new = self.drafts.len();
        self.drafts.push(Draft {
            operators: at..at,
            ..Draft::default()
        });
        for from in from {
            self.drafts[from].next.push(new);
        }
        self.current = Some(new);
    }

    fn operator(&mut self, index: usize, operator: &Operator<'_>) {
        if let Some(current) = self.current {
            self.drafts[current].operators.end = index + 1;
        }
        match operator {
            Operator::Block { .. } => self.ahead(None),
            Operator::Loop { .. } => {
                if let Some(current) = self.current {
                    self.begin(index + 1, [current]);
                }
                self.labels.push(Label::Loop(self.current));
            }
            Operator::If { .. } => {
                let decides = self.current;
                self.ahead(decides);
                if let Some(decides) = decides {
                    self.begin(index + 1, [decides]);
                }
            }
            Operator::Else => {
                let then = self.current.take();
                if let Some(Label::Ahead { from, decides }) = self.labels.last_mut() {
                    from.extend(then);
                    if let Some(decides) = decides.take() {
                        self.begin(index + 1, [decides]);
                    }
                }
            }
            Operator::End => self.end(index),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.current = None;
            }
            Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth);
                if let Some(current) = self.current {
                    self.begin(index + 1, [current]);
                }
            }
            Operator::BrTable { targets } => {
                let all = targets.targets().flatten().chain([targets.default()]);
                all.for_each(|target| self.branch(target));
                self.current = None;
            }
            Operator::Return => self.leave(|draft| draft.returns = true),
            Operator::Unreachable => self.leave(|draft| draft.traps = true),
            Operator::Call { function_index } => {
                if let Some(current) = self.current {
                    self.drafts[current].calls.push(*function_index);
                }
            }
            _ => {}
        }
    }

    fn ahead(&mut self, decides: Option<usize>) {
        self.labels.push(Label::Ahead {
            from: Vec::new(),
            decides,
        });
    }

    fn leave(&mut self, how: impl FnOnce(&mut Draft)) {
        if let Some(current) = self.current.take() {
            how(&mut self.drafts[current]);
        }
    }

    fn branch(&mut self, depth: u32) {
        let Some(current) = self.current else { return };
        let Some(label) = self.labels.len().checked_sub(depth as usize + 1) else {
            return;
        };
        match &mut self.labels[label] {
            Label::Loop(Some(head)) => self.drafts[current].next.push(*head),
            Label::Loop(None) => {}
            // The outermost label is the function's: a branch to it returns.
            Label::Ahead { .. } if label == 0 => self.drafts[current].returns = true,
            Label::Ahead { from, .. } => from.push(current),
        }
    }

    fn end(&mut self, index: usize) {
        let Some(Label::Ahead { mut from, decides }) = self.labels.pop() else {
            // Behind a loop nothing but its last block leads.
            return;
        };
        if self.labels.is_empty() {
            self.leave(|draft| draft.returns = true);
            return;
        }
        from.extend(decides);
        if from.is_empty() {
            // Nothing branches here: the block goes on.
            return;
        }
        from.extend(self.current.take());
        self.begin(index + 1, from);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Module, *};

    /// Of each function: the blocks, each by its first instruction and length, and `!` if it only traps.
    fn of(text: &str) -> Vec<Vec<String>> {
        let module = Module::of(wat::parse_str(text).unwrap()).unwrap();
        let bodies = module.all_bodies().unwrap();
        let blocks = blocks(&bodies);
        let shown = blocks.iter().map(|blocks| {
            let shown = blocks.iter().map(|block| {
                let traps = if block.only_traps { "!" } else { "" };
                format!("{}+{}{traps}", block.operators.start, block.operators.len())
            });
            shown.collect()
        });
        shown.collect()
    }

    #[test]
    fn a_block_begins_where_a_way_leads_and_where_one_parts() {
        assert_eq!(of("(module (func nop nop))"), [["0+3"]]);
        assert_eq!(
            of("(module (func (param i32) local.get 0 if nop else nop nop end nop))"),
            // if; then with the `else` behind it; else with its `end`; the rest.
            [["0+2", "2+2", "4+3", "7+2"]]
        );
        assert_eq!(
            of("(module (func (param i32) local.get 0 if nop end))"),
            [["0+2", "2+2", "4+1"]]
        );
        assert_eq!(
            of("(module (func (param i32) loop local.get 0 br_if 0 end nop))"),
            [["0+1", "1+2", "3+3"]]
        );
        assert_eq!(
            of("(module (func block block br 0 nop end nop end))"),
            // `nop` behind `br` is in no block.
            [["0+3", "5+3"]]
        );
        assert_eq!(
            of("(module (func (param i32) block block local.get 0 br_table 0 1 end nop end))"),
            [["0+4", "5+2", "7+1"]]
        );
    }

    #[test]
    fn what_only_traps_is_apart_also_through_calls() {
        let text = "(module
            (func $f (param i32) local.get 0 if call $g else nop end)
            (func $g call $h)
            (func $h (param) unreachable)
            (func $endless loop br 0 end)
            (func $perhaps (param i32) block local.get 0 br_if 0 return end unreachable))";
        assert_eq!(
            of(text),
            [
                vec!["0+2", "2+2!", "4+2", "6+1"],
                vec!["0+2!"],
                vec!["0+1!"],
                vec!["0+1", "1+1"],
                vec!["0+3", "3+1", "5+1!"],
            ]
        );
    }

    #[test]
    fn blocks_that_only_trap_are_found_in_one_pass_however_many_there_are() {
        let ifs = "i32.const 1 if nop end ".repeat(100_000);
        let chain: String = (0..20_000)
            .map(|n| format!("(func call {})", n + 1))
            .collect();
        let start = std::time::Instant::now();
        let last = of(&format!("(module {chain} (func {ifs} unreachable))"));
        assert!(last.iter().flatten().all(|block| block.ends_with('!')));
        assert_eq!(last[20_000].len(), 200_001);
        // One pass a block took minutes.
        assert!(start.elapsed() < std::time::Duration::from_secs(30));
    }
}
