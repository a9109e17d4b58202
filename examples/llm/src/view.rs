//! What people see while text is generated: the text as it comes, and a line of state below it.

use std::io::{self, IsTerminal, Write};

/// Where text goes. In a terminal its last line is kept for the state, and given back when this is dropped.
pub struct View {
    /// Columns and rows of the terminal; `None` where there is none, or no room.
    size: Option<(u16, u16)>,
    out: io::Stdout,
}

impl View {
    /// Takes the terminal's last line, where there is a terminal.
    ///
    /// # Errors
    /// Those of writing to it.
    pub fn open() -> io::Result<Self> {
        let out = io::stdout();
        let size = out
            .is_terminal()
            .then(terminal_size::terminal_size)
            .flatten();
        let size = size.map(|(columns, rows)| (columns.0, rows.0));
        let size = size.filter(|(_, rows)| *rows > 2);
        let mut view = Self { size, out };
        if let Some((_, rows)) = size {
            // Room below, then text scrolls in all lines but the last, and the cursor goes on where it was.
            write!(view.out, "\n\x1b[A\x1b7\x1b[1;{}r\x1b8", rows - 1)?;
            view.out.flush()?;
        }
        Ok(view)
    }

    /// Writes a piece of text.
    ///
    /// # Errors
    /// Those of writing.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Replaces the line of state; nothing where there is no terminal.
    ///
    /// # Errors
    /// Those of writing.
    pub fn state(&mut self, line: &str) -> io::Result<()> {
        if let Some((columns, rows)) = self.size {
            // What is longer than the line would go on in the text.
            let line: String = line
                .chars()
                .take(usize::from(columns).saturating_sub(2))
                .collect();
            write!(
                self.out,
                "\x1b7\x1b[{rows};1H\x1b[2K\x1b[7m {line} \x1b[0m\x1b8"
            )?;
            self.out.flush()?;
        }
        Ok(())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some((_, rows)) = self.size {
            // A terminal that is gone needs nothing back.
            let _ = writeln!(self.out, "\x1b7\x1b[r\x1b[{rows};1H\x1b[2K\x1b8");
            let _ = self.out.flush();
        }
    }
}
