use crate::base64_bytes;
use crate::digest::Digest;
use runtime_api::{Budget, Entry, Error, Instance, Result, inside};
use serde::{Deserialize, Serialize};

/// One exchange with an instance: grow, write, call, read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// Memory is grown to at least this many pages first; 0 leaves it alone.
    #[serde(default)]
    pub pages: u32,
    /// Written before the calls, in order.
    #[serde(default)]
    pub writes: Vec<Write>,
    /// Called in order, until one does not return.
    pub calls: Vec<Call>,
    /// Read after the calls, if all of them returned.
    #[serde(default)]
    pub reads: Vec<Read>,
}

/// Bytes for linear memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "WriteFields")]
pub enum Write {
    /// These bytes.
    Bytes {
        /// First address.
        at: u32,
        /// Base64 on the wire.
        #[serde(with = "base64_bytes")]
        bytes: Vec<u8>,
    },
    /// One byte, repeated.
    Fill {
        /// First address.
        at: u32,
        /// How often.
        length: u32,
        /// The byte.
        fill: u8,
    },
}

/// The fields of a [`Write`]. To try one kind after the other, as serde does it, copies all bytes first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteFields {
    at: u32,
    bytes: Option<Fetched>,
    length: Option<u32>,
    fill: Option<u8>,
}

impl TryFrom<WriteFields> for Write {
    type Error = &'static str;

    fn try_from(fields: WriteFields) -> std::result::Result<Write, &'static str> {
        let WriteFields {
            at,
            bytes,
            length,
            fill,
        } = fields;
        match (bytes, length, fill) {
            (Some(Fetched(bytes)), None, None) => Ok(Write::Bytes { at, bytes }),
            (None, Some(length), Some(fill)) => Ok(Write::Fill { at, length, fill }),
            _ => Err("a write has `bytes`, or `length` and `fill`"),
        }
    }
}

/// A call of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The export's name.
    pub export: String,
    /// At most two i32 arguments, as their bits.
    pub arguments: Vec<u32>,
    /// What the call may cost.
    pub budget: Budget,
}

/// Bytes of linear memory to bring back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// First address.
    pub at: u32,
    /// How many.
    pub length: u32,
    /// In which form.
    pub form: Form,
}

/// Form of bytes read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The bytes themselves.
    Bytes,
    /// Their SHA-256.
    Sha256,
    /// Their XXH3 of 128 bits with this seed, the lowest byte first: ten times as fast, and as good against a module that does not know the seed.
    Xxh3(u64),
}

/// What came of an [`Invocation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// One per call that was made.
    pub calls: Vec<Outcome>,
    /// One per read, in the form asked for; empty if a call did not return.
    pub reads: Vec<Fetched>,
    /// Pages of memory after the calls; 0 if a call did not return.
    pub pages: u32,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It returned this i32.
    Returned(i32),
    /// It did not.
    Failed(Error),
}

/// Bytes read, or their digest: base64 on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fetched(
    /// The bytes.
    #[serde(with = "base64_bytes")]
    pub Vec<u8>,
);

/// Carries an invocation out.
///
/// # Errors
/// Whatever prevented the calls from being made, or the reads: growing, writing, resolving, reading. A call that
/// traps is an [`Outcome`], not an error.
pub fn execute(instance: &mut dyn Instance, invocation: &Invocation) -> Result<Observation> {
    if invocation.pages > 0 {
        let pages = instance.memory_pages()?;
        if pages < invocation.pages {
            instance.grow(invocation.pages - pages)?;
        }
    }
    for write in &invocation.writes {
        match write {
            Write::Bytes { at, bytes } => instance.write(*at, bytes)?,
            Write::Fill { at, length, fill } => fill_memory(instance, *at, *length, *fill)?,
        }
    }
    let entries = invocation
        .calls
        .iter()
        .map(|call| instance.entry(&call.export, call.arguments.len()))
        .collect::<Result<Vec<Entry>>>()?;

    let mut calls = Vec::with_capacity(entries.len());
    for (call, entry) in invocation.calls.iter().zip(entries) {
        match instance.call(entry, &call.arguments, call.budget) {
            Ok(value) => calls.push(Outcome::Returned(value)),
            Err(error) => {
                calls.push(Outcome::Failed(error));
                return Ok(Observation {
                    calls,
                    reads: Vec::new(),
                    pages: 0,
                });
            }
        }
    }

    let mut reads = Vec::with_capacity(invocation.reads.len());
    for read in &invocation.reads {
        reads.push(Fetched(match read.form {
            Form::Bytes => read_memory(instance, read.at, read.length)?,
            Form::Sha256 | Form::Xxh3(_) => digest_memory(instance, read)?,
        }));
    }
    let pages = if invocation.pages > 0 || !invocation.reads.is_empty() {
        instance.memory_pages()?
    } else {
        0
    };
    Ok(Observation {
        calls,
        reads,
        pages,
    })
}

/// Fills, digests and reads go through a buffer of this size: a wire message must not make the worker allocate what it names. It stays in
/// the nearest cache.
const CHUNK_BYTES: u32 = 16 * 1024;

fn fill_memory(instance: &mut dyn Instance, at: u32, length: u32, fill: u8) -> Result<()> {
    require_inside(instance, at, length)?;
    let buffer = vec![fill; length.min(CHUNK_BYTES) as usize];
    for (from, size) in chunks(at, length)? {
        instance.write(from, &buffer[..size as usize])?;
    }
    Ok(())
}

fn digest_memory(instance: &mut dyn Instance, read: &Read) -> Result<Vec<u8>> {
    let Read { at, length, form } = *read;
    require_inside(instance, at, length)?;
    let mut digest = Digest::new(form);
    let mut buffer = vec![0; length.min(CHUNK_BYTES) as usize];
    for (from, size) in chunks(at, length)? {
        let part = &mut buffer[..size as usize];
        instance.read(from, part)?;
        digest.update(part);
    }
    Ok(digest.finish())
}

pub(crate) fn read_memory(instance: &mut dyn Instance, at: u32, length: u32) -> Result<Vec<u8>> {
    require_inside(instance, at, length)?;
    let mut bytes = Vec::new();
    for (from, size) in chunks(at, length)? {
        let filled = bytes.len();
        bytes.resize(filled + size as usize, 0);
        instance.read(from, &mut bytes[filled..])?;
    }
    Ok(bytes)
}

/// A span that is not inside memory is refused whole, before its first chunk moves.
fn require_inside(instance: &mut dyn Instance, at: u32, length: u32) -> Result<()> {
    let memory_bytes = u64::from(instance.memory_pages()?) * 65_536;
    inside(at, length.into(), memory_bytes).map(drop)
}

/// Splits a span into (address, size) chunks; refuses one that ends beyond 2^32.
fn chunks(at: u32, length: u32) -> Result<impl Iterator<Item = (u32, u32)>> {
    if u64::from(at) + u64::from(length) > 1 << 32 {
        return Err(Error::Access {
            at,
            length: u64::from(length),
            memory_bytes: 1 << 32,
        });
    }
    Ok((0..length)
        .step_by(CHUNK_BYTES as usize)
        .map(move |from| (at + from, (length - from).min(CHUNK_BYTES))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_span_exactly_and_refuse_to_wrap() {
        let parts: Vec<_> = chunks(5, 2 * CHUNK_BYTES + 1).unwrap().collect();
        assert_eq!(
            parts,
            [
                (5, CHUNK_BYTES),
                (5 + CHUNK_BYTES, CHUNK_BYTES),
                (5 + 2 * CHUNK_BYTES, 1)
            ]
        );
        assert_eq!(
            chunks(u32::MAX, 1).unwrap().collect::<Vec<_>>(),
            [(u32::MAX, 1)]
        );
        assert!(chunks(u32::MAX, 2).is_err());
        assert_eq!(chunks(7, 0).unwrap().count(), 0);
    }
}
