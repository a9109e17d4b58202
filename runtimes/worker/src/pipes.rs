//! Both ends of a conversation with a process, line by line. Whoever asks also waits for the answer, in one thread: a call is little work, and to
//! wake a thread for each line would take longer than many calls do.

use super::protocol::MAX_LINE_BYTES;
use memchr::memchr;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionbio},
};
use std::{
    io::{self, Read, Write},
    process::{ChildStdin, ChildStdout},
    time::Duration,
};

/// Bytes that are read at once: what a pipe holds.
const AT_ONCE: usize = 64 << 10;

/// The pipes of a process, neither of which blocks.
pub(super) struct Pipes {
    /// `None` once it is closed.
    stdin: Option<ChildStdin>,
    /// What the process has not taken yet.
    to_write: Vec<u8>,
    /// Bytes of it that it has.
    written: usize,
    /// `None` once it has ended.
    stdout: Option<ChildStdout>,
    /// What was read and not asked for: less than a line, or what followed one.
    read: Vec<u8>,
    /// Bytes of it in which there is no line end.
    searched: usize,
    /// Where a read goes first, so that no memory is cleared for it.
    chunk: Box<[u8]>,
}

/// What came of waiting.
pub(super) enum Heard {
    /// A line with its end; without one where the process closed its stdout.
    Line(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// More than a line may have.
    TooLong,
    /// The process closed its stdout, and all of it was heard.
    End,
}

impl Pipes {
    /// # Errors
    /// The system's own.
    pub(super) fn of(stdin: Option<ChildStdin>, stdout: Option<ChildStdout>) -> io::Result<Pipes> {
        if let Some(stdin) = &stdin {
            ioctl_fionbio(stdin, true)?;
        }
        if let Some(stdout) = &stdout {
            ioctl_fionbio(stdout, true)?;
        }
        Ok(Pipes {
            stdin,
            to_write: Vec::new(),
            written: 0,
            stdout,
            read: Vec::new(),
            searched: 0,
            chunk: vec![0; AT_ONCE].into_boxed_slice(),
        })
    }

    /// Hands a line over, as much of it as the pipe takes; the rest goes while an answer is waited for. False if nobody can read it any more.
    pub(super) fn send(&mut self, line: Vec<u8>) -> bool {
        if self.stdin.is_none() {
            return false;
        }
        if self.to_write.is_empty() {
            self.to_write = line;
        } else {
            self.to_write.extend_from_slice(&line);
        }
        self.write();
        true
    }

    /// Tells the process that nothing more comes.
    pub(super) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits for a line, at most this long.
    pub(super) fn wait(&mut self, time: Duration) -> Heard {
        if let Some(line) = self.line() {
            return line;
        }
        let Some(stdout) = &self.stdout else {
            return Heard::End;
        };
        let mut ends = vec![PollFd::new(stdout, PollFlags::IN)];
        if let Some(stdin) = self.stdin.as_ref().filter(|_| !self.to_write.is_empty()) {
            ends.push(PollFd::new(stdin, PollFlags::OUT));
        }
        // Whoever asks has to look after the process now and then, and is never held without end: a time that no clock counts is not waited at all.
        let time = Timespec::try_from(time).unwrap_or_default();
        let ready = match poll(&mut ends, Some(&time)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => return Heard::Nothing,
            Err(_) => return Heard::End,
        };
        if ready == 0 {
            return Heard::Nothing;
        }
        let [read, write] =
            [0, 1].map(|end| ends.get(end).is_some_and(|end| !end.revents().is_empty()));
        drop(ends);
        if write {
            self.write();
        }
        if read {
            self.read();
        }
        self.line().unwrap_or(Heard::Nothing)
    }

    fn write(&mut self) {
        while let Some(stdin) = &mut self.stdin {
            let left = &self.to_write[self.written..];
            if left.is_empty() {
                break;
            }
            match stdin.write(left) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody reads any more. What the process still says is heard.
                Err(_) => self.stdin = None,
            }
        }
        self.to_write.clear();
        self.written = 0;
    }

    /// Reads once: a process that goes on writing is held by its pipe.
    fn read(&mut self) {
        let Some(stdout) = &mut self.stdout else {
            return;
        };
        match stdout.read(&mut self.chunk) {
            Ok(read @ 1..) => self.read.extend_from_slice(&self.chunk[..read]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Ok(0) | Err(_) => self.stdout = None,
        }
    }

    /// The first line of what was read, if there is one.
    fn line(&mut self) -> Option<Heard> {
        let length = match memchr(b'\n', &self.read[self.searched..]) {
            Some(end) => self.searched + end + 1,
            None => {
                self.searched = self.read.len();
                match self.stdout {
                    // It ended within a line.
                    None if !self.read.is_empty() => self.read.len(),
                    _ if self.read.len() > MAX_LINE_BYTES => return Some(Heard::TooLong),
                    _ => return None,
                }
            }
        };
        if length > MAX_LINE_BYTES {
            return Some(Heard::TooLong);
        }
        self.searched = 0;
        let after = self.read.split_off(length);
        Some(Heard::Line(std::mem::replace(&mut self.read, after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn pipes(script: &str) -> (std::process::Child, Pipes) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipes = Pipes::of(child.stdin.take(), child.stdout.take()).unwrap();
        (child, pipes)
    }

    fn heard(pipes: &mut Pipes) -> Heard {
        loop {
            match pipes.wait(Duration::from_secs(20)) {
                Heard::Nothing => {}
                heard => return heard,
            }
        }
    }

    #[test]
    fn lines_of_any_length_go_both_ways_whole_and_in_order() {
        let (mut child, mut pipes) = pipes("cat");
        for length in [0, 1, 4095, 65_535, 65_536, 1 << 20] {
            let mut line = vec![b'x'; length];
            line.push(b'\n');
            // Two before anybody listens.
            assert!(pipes.send(line.clone()) && pipes.send(b"then\n".to_vec()));
            assert!(matches!(heard(&mut pipes), Heard::Line(said) if said == line));
            assert!(matches!(heard(&mut pipes), Heard::Line(said) if said == b"then\n"));
        }
        pipes.close();
        assert!(matches!(heard(&mut pipes), Heard::End) && !pipes.send(b"late\n".to_vec()));
        child.wait().unwrap();
    }

    #[test]
    fn what_a_process_said_before_it_ended_is_heard_and_silence_is_told() {
        let (mut child, mut pipes) = pipes("exec <&-; sleep 0.3; printf 'one\\ntwo'");
        assert!(matches!(
            pipes.wait(Duration::from_millis(20)),
            Heard::Nothing
        ));
        // It reads nothing, and what it says is heard all the same.
        pipes.send(vec![b'x'; 1 << 20]);
        assert!(matches!(heard(&mut pipes), Heard::Line(said) if said == b"one\n"));
        assert!(matches!(heard(&mut pipes), Heard::Line(said) if said == b"two"));
        assert!(matches!(heard(&mut pipes), Heard::End));
        child.wait().unwrap();
    }

    #[test]
    fn an_endless_line_is_held_at_what_a_line_may_have() {
        let (mut child, mut pipes) = pipes("yes | tr -d '\\n'");
        assert!(matches!(heard(&mut pipes), Heard::TooLong));
        assert!(pipes.read.len() <= MAX_LINE_BYTES + AT_ONCE);
        drop(pipes);
        child.wait().unwrap();
    }
}
