//! Arrays of one element type and any rank. Never converts one type to another.

use std::fmt;

use half::f16;
use ndarray::{ArrayD, Axis, Ix1};

/// Declares the element types: the variant, the Rust type and numpy's name.
macro_rules! tensors {
    ($($(#[$doc:meta])* $variant:ident($element:ty) = $name:literal),* $(,)?) => {
        /// An array of one element type and any rank, in row-major order. An array of rank 0 is one value.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Tensor {
            $($(#[$doc])* $variant(ArrayD<$element>),)*
        }

        /// The element type of a tensor. `Display` is numpy's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DType {
            $($(#[$doc])* $variant,)*
        }

        impl Tensor {
            /// Returns the element type.
            pub fn dtype(&self) -> DType {
                match self {
                    $(Self::$variant(_) => DType::$variant,)*
                }
            }

            /// Returns the size of each dimension, outermost first.
            pub fn shape(&self) -> &[usize] {
                match self {
                    $(Self::$variant(array) => array.shape(),)*
                }
            }
        }

        impl Tensor {
            /// Joins columns to a matrix; `None` unless they have rank 1, one type and one length.
            pub fn from_columns(columns: Vec<Self>) -> Option<Self> {
                match columns.first()?.dtype() {
                    $(DType::$variant => {
                        let mut arrays = Vec::with_capacity(columns.len());
                        for column in &columns {
                            let Self::$variant(array) = column else { return None };
                            arrays.push(array.view().into_dimensionality::<Ix1>().ok()?);
                        }
                        // Stacking leaves the matrix in column-major order.
                        let matrix = ndarray::stack(Axis(1), &arrays).ok()?.as_standard_layout().into_owned();
                        Some(Self::$variant(matrix.into_dyn()))
                    })*
                }
            }
        }

        impl DType {
            /// Returns numpy's name of the type, such as `float32`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the type with a numpy name. MLflow also writes `object` and `string` for strings.
            pub fn from_name(name: &str) -> Option<Self> {
                Some(match name {
                    $($name => Self::$variant,)*
                    "object" | "string" => Self::String,
                    _ => return None,
                })
            }
        }
    };
}

tensors! {
    /// Booleans.
    Bool(bool) = "bool",
    /// Integers of 8 bits.
    Int8(i8) = "int8",
    /// Integers of 16 bits.
    Int16(i16) = "int16",
    /// Integers of 32 bits: MLflow's `integer`.
    Int32(i32) = "int32",
    /// Integers of 64 bits: MLflow's `long`.
    Int64(i64) = "int64",
    /// Unsigned integers of 8 bits.
    UInt8(u8) = "uint8",
    /// Unsigned integers of 16 bits.
    UInt16(u16) = "uint16",
    /// Unsigned integers of 32 bits.
    UInt32(u32) = "uint32",
    /// Unsigned integers of 64 bits.
    UInt64(u64) = "uint64",
    /// Floats of 16 bits.
    Float16(f16) = "float16",
    /// Floats of 32 bits: MLflow's `float`.
    Float32(f32) = "float32",
    /// Floats of 64 bits: MLflow's `double`.
    Float64(f64) = "float64",
    /// Strings.
    String(String) = "str",
    /// Byte strings: MLflow's `binary`.
    Binary(Vec<u8>) = "bytes",
    /// Nanoseconds since 1970 without a time zone: MLflow's `datetime`. A missing time is `i64::MIN`, as in numpy.
    Datetime(i64) = "datetime64[ns]",
}

impl fmt::Display for DType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
