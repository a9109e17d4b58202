use crate::layout::layout;

/// [`KernelInfo::flags`] bit 0: `kernel_backward` computes a gradient.
pub const FLAG_HAS_BACKWARD: u32 = 1;

layout! {
    [Clone, Copy, Debug, Default, PartialEq, Eq]
    /// What `kernel_info` writes: identity of the kernel, 20 bytes.
    KernelInfo {
        /// Address of the kernel's name (UTF-8, no terminator).
        name_ptr: u32,
        /// Bytes of the name.
        name_len: u32,
        /// ABI version the module was built for.
        abi_version: u16,
        /// Kernel version: major.
        major: u16,
        /// Kernel version: minor.
        minor: u16,
        /// Kernel version: patch.
        patch: u16,
        /// Bit 0: `kernel_backward` computes a gradient.
        flags: u32,
    }
}

impl KernelInfo {
    /// Bytes of the struct in linear memory.
    pub const SIZE: usize = 20;

    /// The 20 bytes a kernel writes.
    pub fn to_le_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0..4].copy_from_slice(&self.name_ptr.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.name_len.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.abi_version.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.major.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.minor.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.patch.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.flags.to_le_bytes());
        bytes
    }

    /// Reads what [`to_le_bytes`](Self::to_le_bytes) wrote; every pattern is an info.
    pub fn from_le_bytes(b: &[u8; Self::SIZE]) -> Self {
        Self {
            name_ptr: u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            name_len: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
            abi_version: u16::from_le_bytes([b[8], b[9]]),
            major: u16::from_le_bytes([b[10], b[11]]),
            minor: u16::from_le_bytes([b[12], b[13]]),
            patch: u16::from_le_bytes([b[14], b[15]]),
            flags: u32::from_le_bytes([b[16], b[17], b[18], b[19]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_in_the_documented_order() {
        let info = KernelInfo {
            name_ptr: 0x0403_0201,
            name_len: 0x0807_0605,
            abi_version: 0x0a09,
            major: 0x0c0b,
            minor: 0x0e0d,
            patch: 0x100f,
            flags: 0x1413_1211,
        };
        let bytes = info.to_le_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            assert_eq!(*byte as usize, index + 1);
        }
        assert_eq!(KernelInfo::from_le_bytes(&bytes), info);
    }
}
