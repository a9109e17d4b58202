use crate::Error;
use std::fmt;

/// The type of a tensor's elements, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Unsigned bytes; blocks of quantised values too.
    U8,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Dtype; 6] = [
        Dtype::F16,
        Dtype::F32,
        Dtype::F64,
        Dtype::U8,
        Dtype::I32,
        Dtype::I64,
    ];

    /// Bytes of an element.
    pub const fn size(self) -> u64 {
        match self {
            Dtype::U8 => 1,
            Dtype::F16 => 2,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F64 | Dtype::I64 => 8,
        }
    }

    /// The word for it in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Dtype::F16 => "f16",
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
            Dtype::U8 => "u8",
            Dtype::I32 => "i32",
            Dtype::I64 => "i64",
        }
    }

    /// The type of that word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Dimensions that a tensor may have at most.
pub const MAX_DIMENSIONS: usize = 16;

/// A tensor: elements in row-major order, as many bytes as its type and dimensions say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    dtype: Dtype,
    dimensions: Vec<u32>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of these bytes. No dimensions are a scalar, of one element.
    ///
    /// # Errors
    /// [`Error::Argument`] for more than [`MAX_DIMENSIONS`], or another number of bytes than type and dimensions say.
    pub fn new(dtype: Dtype, dimensions: Vec<u32>, bytes: Vec<u8>) -> Result<Self, Error> {
        if byte_length(dtype, &dimensions)? != bytes.len() as u64 {
            return Err(Error::Argument(format!(
                "{} bytes are no tensor of {dtype} with dimensions {dimensions:?}",
                bytes.len()
            )));
        }
        Ok(Self {
            dtype,
            dimensions,
            bytes,
        })
    }

    /// A tensor of f32.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn f32(dimensions: Vec<u32>, values: &[f32]) -> Result<Self, Error> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self::new(Dtype::F32, dimensions, bytes.collect())
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its dimensions, the outermost first.
    pub fn dimensions(&self) -> &[u32] {
        &self.dimensions
    }

    /// Its elements.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its elements as f32; none if they are of another type.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        (self.dtype == Dtype::F32).then(|| self.words(f32::from_le_bytes))
    }

    /// Its elements, of so many bytes each.
    pub(crate) fn words<const N: usize, T>(&self, word: fn([u8; N]) -> T) -> Vec<T> {
        let words = self.bytes.as_chunks().0.iter();
        words.map(|bytes| word(*bytes)).collect()
    }
}

/// Bytes of a tensor.
///
/// # Errors
/// [`Error::Argument`] for more than [`MAX_DIMENSIONS`], or more elements than 64 bits can count.
pub fn byte_length(dtype: Dtype, dimensions: &[u32]) -> Result<u64, Error> {
    if dimensions.len() > MAX_DIMENSIONS {
        return Err(Error::Argument(format!(
            "a tensor of {} dimensions; {MAX_DIMENSIONS} are the most",
            dimensions.len()
        )));
    }
    // A dimension of 0 makes the product 0, whatever the others are.
    if dimensions.contains(&0) {
        return Ok(0);
    }
    let mut sizes = dimensions.iter().map(|size| u64::from(*size));
    sizes
        .try_fold(dtype.size(), u64::checked_mul)
        .ok_or_else(|| Error::Argument("a tensor of more than 2^64 bytes".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_type_and_dimensions() {
        for (dtype, dimensions, length) in [
            (Dtype::F32, vec![2, 3], 24),
            (Dtype::F16, vec![], 2),
            (Dtype::U8, vec![5], 5),
            (Dtype::F64, vec![u32::MAX, 0, u32::MAX, u32::MAX], 0),
        ] {
            assert_eq!(byte_length(dtype, &dimensions), Ok(length));
            let fits = Tensor::new(dtype, dimensions.clone(), vec![0; length as usize]);
            assert_eq!(fits.unwrap().dimensions(), dimensions);
            let refused = Tensor::new(dtype, dimensions, vec![0; length as usize + 1]);
            assert!(matches!(refused, Err(Error::Argument(_))));
        }
        assert!(byte_length(Dtype::F64, &[u32::MAX, u32::MAX]).is_err());
        assert!(byte_length(Dtype::U8, &[1; 17]).is_err());
    }
}
