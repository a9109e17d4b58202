//! The protocol with some of its lines changed on the way.

use serde_json::Value;
use std::io::{self, BufRead, Read, Write};

/// What is changed in a message.
pub(super) type Edit = fn(&mut Value);

/// Requests, each changed before the adapter reads it.
pub(super) struct Edited<R> {
    input: R,
    edit: Edit,
    line: Vec<u8>,
    at: usize,
}

impl<R> Edited<R> {
    pub(super) fn new(input: R, edit: Edit) -> Self {
        Self {
            input,
            edit,
            line: Vec::new(),
            at: 0,
        }
    }
}

impl<R: BufRead> Read for Edited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            self.line.clear();
            self.at = 0;
            self.input.read_until(b'\n', &mut self.line)?;
            self.line = edited(&self.line, self.edit);
        }
        let read = (&self.line[self.at..]).read(into)?;
        self.at += read;
        Ok(read)
    }
}

/// Replies, each changed before the harness reads it.
pub(super) struct EditedWrites<W> {
    output: W,
    edit: Edit,
    line: Vec<u8>,
}

impl<W> EditedWrites<W> {
    pub(super) fn new(output: W, edit: Edit) -> Self {
        Self {
            output,
            edit,
            line: Vec::new(),
        }
    }
}

impl<W: Write> Write for EditedWrites<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            self.output.write_all(&edited(&line, self.edit))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// A line after an edit; what is no JSON stays as it is.
fn edited(line: &[u8], edit: Edit) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice(line) else {
        return line.to_vec();
    };
    edit(&mut value);
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}
