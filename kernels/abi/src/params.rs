//! Parameter structs: consecutive 4-byte little-endian fields. Only the layout is decoded here; which
//! values a kernel accepts is the kernel's decision.

use crate::layout::layout;

/// Declares a parameter struct of 4-byte fields together with its encoding.
macro_rules! params {
    ($(#[doc = $doc:literal])* $name:ident, $size:literal { $($(#[doc = $field_doc:literal])* $field:ident: $type:ty),* $(,)? }) => {
        layout! {
            [Clone, Copy, Debug, PartialEq]
            $(#[doc = $doc])* $name { $($(#[doc = $field_doc])* $field: $type),* }
        }

        impl $name {
            /// Bytes of the struct in linear memory.
            pub const SIZE: usize = $size;

            /// The bytes a kernel reads.
            pub fn to_le_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                let words = [$(self.$field.to_le_bytes()),*];
                for (into, word) in bytes.chunks_exact_mut(4).zip(words) {
                    into.copy_from_slice(&word);
                }
                bytes
            }

            /// Decodes exactly [`SIZE`](Self::SIZE) bytes; `None` for any other length.
            pub fn from_le_bytes(bytes: &[u8]) -> Option<Self> {
                if bytes.len() != $size {
                    return None;
                }
                let mut words = bytes.chunks_exact(4);
                Some(Self { $($field: {
                    let word = words.next()?;
                    <$type>::from_le_bytes([word[0], word[1], word[2], word[3]])
                }),* })
            }
        }
    };
}

params! {
    /// rmsnorm_f32, rmsnorm_f16: y = x / sqrt(mean(x^2) + eps) * w.
    RmsNorm, 12 {
        /// Added to the mean of squares, inside the root.
        eps: f32,
        /// Elements of a row, and of the weight.
        hidden: u32,
        /// Number of rows.
        rows: u32,
    }
}

params! {
    /// swiglu_f32, swiglu_f16: y = gate * sigmoid(beta * gate) * x.
    Swiglu, 12 {
        /// Number of rows.
        rows: u32,
        /// Elements of a row.
        hidden: u32,
        /// Factor of the gate inside the sigmoid.
        beta: f32,
    }
}

params! {
    /// kv_pack_*, kv_unpack_*: rows of `dim` elements in blocks of 32.
    Kv, 8 {
        /// Number of rows.
        rows: u32,
        /// Elements of a row, a multiple of 32.
        dim: u32,
    }
}

params! {
    /// lora_apply_f32, lora_apply_f16: y = base + scale * ((x * A) * B).
    Lora, 20 {
        /// Number of rows of x and of the output.
        rows: u32,
        /// Columns of x.
        in_features: u32,
        /// Columns of A and rows of B.
        rank: u32,
        /// Columns of B and of the output.
        out_features: u32,
        /// alpha / rank.
        scale: f32,
    }
}

layout! {
    [Clone, Copy, Debug, PartialEq]
    /// rope_f32, rope_f16, rope_q8: rotates pairs of x\[batch, seq, heads, head_dim\].
    Rope {
        /// Base of the angles that the kernel computes itself when it is given none.
        theta: f32,
        /// Positions.
        seq: u32,
        /// Elements of a head; even.
        head_dim: u32,
        /// Heads.
        heads: u32,
        /// Batch.
        batch: u32,
        /// 0: pairs (2i, 2i + 1); 1: pairs (i, i + head_dim / 2). A struct of 20 bytes ends before it: 0.
        layout: u32,
        /// What input b holds. 0: angles, or nothing; 1: cos then sin, f32; 2: cos then sin, f16 (rope_f16 only). A struct
        /// of 24 bytes ends before it: 0.
        table: u32,
    }
}

impl Rope {
    /// Bytes of the struct with all optional fields.
    pub const SIZE: usize = 28;

    /// All 28 bytes.
    pub fn to_le_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&self.theta.to_le_bytes());
        let words = [
            self.seq,
            self.head_dim,
            self.heads,
            self.batch,
            self.layout,
            self.table,
        ];
        for (into, word) in bytes[4..].chunks_exact_mut(4).zip(words) {
            into.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Decodes 20, 24 or 28 bytes (`layout` and `table` default to 0); `None` for any other length.
    pub fn from_le_bytes(bytes: &[u8]) -> Option<Self> {
        if !matches!(bytes.len(), 20 | 24 | 28) {
            return None;
        }
        let word = |index: usize| {
            bytes
                .get(index * 4..index * 4 + 4)
                .map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        };
        Some(Self {
            theta: f32::from_bits(word(0)),
            seq: word(1),
            head_dim: word(2),
            heads: word(3),
            batch: word(4),
            layout: word(5),
            table: word(6),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_in_the_documented_order() {
        let lora = Lora {
            rows: 1,
            in_features: 2,
            rank: 3,
            out_features: 4,
            scale: 1.0,
        };
        let bytes = lora.to_le_bytes();
        assert_eq!(
            bytes,
            [
                1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0x80, 0x3f
            ]
        );
        assert_eq!(Lora::from_le_bytes(&bytes), Some(lora));
        assert_eq!(Lora::from_le_bytes(&bytes[..16]), None);
    }

    #[test]
    fn rope_takes_its_optional_fields_or_leaves_them_zero() {
        let rope = Rope {
            theta: 10_000.0,
            seq: 2,
            head_dim: 4,
            heads: 3,
            batch: 1,
            layout: 1,
            table: 2,
        };
        let bytes = rope.to_le_bytes();
        assert_eq!(Rope::from_le_bytes(&bytes), Some(rope));
        assert_eq!(
            Rope::from_le_bytes(&bytes[..24]),
            Some(Rope { table: 0, ..rope })
        );
        assert_eq!(
            Rope::from_le_bytes(&bytes[..20]),
            Some(Rope {
                layout: 0,
                table: 0,
                ..rope
            })
        );
        assert_eq!(Rope::from_le_bytes(&bytes[..22]), None);
    }
}
