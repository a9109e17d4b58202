use half::f16;

/// An f32 in linear memory: little-endian, at any address.
pub type F32 = [u8; 4];

/// An IEEE 754 binary16 in linear memory: little-endian, at any address.
pub type F16 = [u8; 2];

/// A stored floating-point number. All arithmetic is in f32.
///
/// Elements are byte arrays, so that a tensor can be viewed in place whatever the alignment of the caller's buffer; for
/// the compiler that is a plain load or store.
pub trait Element: Copy {
    /// Bytes of an element.
    const BYTES: u32;

    /// The value; exact.
    fn load(self) -> f32;

    /// The nearest element, ties to even.
    fn store(value: f32) -> Self;

    /// The elements in `bytes`; a rest that is no whole element is left out.
    fn view(bytes: &[u8]) -> &[Self];

    /// The elements in `bytes`; a rest that is no whole element is left out.
    fn view_mut(bytes: &mut [u8]) -> &mut [Self];
}

impl Element for F32 {
    const BYTES: u32 = 4;

    #[inline(always)]
    fn load(self) -> f32 {
        f32::from_le_bytes(self)
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        value.to_le_bytes()
    }

    fn view(bytes: &[u8]) -> &[Self] {
        bytes.as_chunks().0
    }

    fn view_mut(bytes: &mut [u8]) -> &mut [Self] {
        bytes.as_chunks_mut().0
    }
}

impl Element for F16 {
    const BYTES: u32 = 2;

    // The `const` conversions of `half` never use the processor's own, whose NaNs may differ.
    #[inline(always)]
    fn load(self) -> f32 {
        f16::from_le_bytes(self).to_f32_const()
    }

    #[inline(always)]
    fn store(value: f32) -> Self {
        f16::from_f32_const(value).to_le_bytes()
    }

    fn view(bytes: &[u8]) -> &[Self] {
        bytes.as_chunks().0
    }

    fn view_mut(bytes: &mut [u8]) -> &mut [Self] {
        bytes.as_chunks_mut().0
    }
}
