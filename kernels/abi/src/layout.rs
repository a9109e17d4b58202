//! The ABI as data: what headers and documents for other languages are made from, and checked against.

use crate::{Descriptor, KernelInfo, Region, params};

/// A struct in linear memory. Its fields follow each other without padding.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Name of the Rust type.
    pub name: &'static str,
    /// What it is, as its documentation says.
    pub documentation: &'static str,
    /// The fields in their order.
    pub fields: &'static [Field],
}

/// A field of a [`Layout`].
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// `u16`, `u32`, `f32`, or the name of another layout.
    pub kind: &'static str,
    /// What it is, as its documentation says.
    pub documentation: &'static str,
}

/// All structs; one that holds others comes after them.
pub const LAYOUTS: [Layout; 8] = [
    Region::LAYOUT,
    Descriptor::LAYOUT,
    KernelInfo::LAYOUT,
    params::Rope::LAYOUT,
    params::RmsNorm::LAYOUT,
    params::Swiglu::LAYOUT,
    params::Kv::LAYOUT,
    params::Lora::LAYOUT,
];

impl Layout {
    /// Bytes of the struct.
    pub fn size(&self) -> usize {
        self.fields.iter().map(Field::size).sum()
    }

    /// Whether it is the parameter struct of kernels.
    pub fn is_params(&self) -> bool {
        !matches!(self.name, "Region" | "Descriptor" | "KernelInfo")
    }
}

impl Field {
    /// Bytes of the field.
    pub fn size(&self) -> usize {
        match self.kind {
            "u16" => 2,
            "u32" | "f32" => 4,
            other => LAYOUTS
                .iter()
                .find(|layout| layout.name == other)
                .map_or(0, Layout::size),
        }
    }
}

/// Declares a struct together with its layout.
macro_rules! layout {
    (
        [$($derive:ident),* $(,)?]
        $(#[doc = $documentation:literal])*
        $name:ident {
            $($(#[doc = $field_documentation:literal])* $field:ident: $kind:ty),* $(,)?
        }
    ) => {
        $(#[doc = $documentation])*
        #[derive($($derive),*)]
        pub struct $name {
            $($(#[doc = $field_documentation])* pub $field: $kind),*
        }

        impl $name {
            /// The struct as data.
            pub const LAYOUT: $crate::layout::Layout = $crate::layout::Layout {
                name: stringify!($name),
                documentation: concat!($($documentation, "\n"),*),
                fields: &[$($crate::layout::Field {
                    name: stringify!($field),
                    kind: stringify!($kind),
                    documentation: concat!($($field_documentation, "\n"),*),
                }),*],
            };
        }
    };
}
pub(crate) use layout;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_that_are_encoded() {
        let sizes = LAYOUTS.map(|layout| layout.size());
        let encoded = [
            8,
            Descriptor::SIZE,
            KernelInfo::SIZE,
            params::Rope::SIZE,
            params::RmsNorm::SIZE,
            params::Swiglu::SIZE,
            params::Kv::SIZE,
            params::Lora::SIZE,
        ];
        assert_eq!(sizes, encoded);
    }
}
