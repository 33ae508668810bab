//! Tensors: arrays of any rank whose elements have one type.

use std::fmt;

use half::f16;
use ndarray::{ArrayD, Axis, Ix1};

/// Declares the element types of tensors. Each has a variant, a Rust type and the name of the type in numpy.
macro_rules! tensors {
    ($($(#[$doc:meta])* $variant:ident($element:ty) = $name:literal),* $(,)?) => {
        /// An array of any rank whose elements have one type, in row-major order. An array of rank 0 is a single value.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Tensor {
            $($(#[$doc])* $variant(ArrayD<$element>),)*
        }

        /// The element type of a tensor. It is displayed as numpy's name of the type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DType {
            $($(#[$doc])* $variant,)*
        }

        impl Tensor {
            /// Returns the type of the tensor's elements.
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
            /// Returns a tensor with the same elements in row-major order and another shape. Returns `None` if that
            /// shape has another number of elements.
            pub fn into_shape(self, shape: &[usize]) -> Option<Self> {
                match self {
                    $(Self::$variant(array) => {
                        let is_in_order = array.is_standard_layout();
                        let array = if is_in_order { array } else { array.as_standard_layout().into_owned() };
                        array.into_shape_with_order(shape).ok().map(Self::$variant)
                    })*
                }
            }

            /// Joins columns to a matrix. Returns `None` unless all columns have rank 1, the same element type and the
            /// same length.
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
            /// Returns the name of the type in numpy, such as `float32`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the element type that numpy calls `name`, or `None` if it is unknown. `object` and `string` are
            /// strings too, because MLflow uses these names.
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
    /// Signed 8-bit integers.
    Int8(i8) = "int8",
    /// Signed 16-bit integers.
    Int16(i16) = "int16",
    /// Signed 32-bit integers, which MLflow calls `integer`.
    Int32(i32) = "int32",
    /// Signed 64-bit integers, which MLflow calls `long`.
    Int64(i64) = "int64",
    /// Unsigned 8-bit integers.
    UInt8(u8) = "uint8",
    /// Unsigned 16-bit integers.
    UInt16(u16) = "uint16",
    /// Unsigned 32-bit integers.
    UInt32(u32) = "uint32",
    /// Unsigned 64-bit integers.
    UInt64(u64) = "uint64",
    /// 16-bit floats.
    Float16(f16) = "float16",
    /// 32-bit floats, which MLflow calls `float`.
    Float32(f32) = "float32",
    /// 64-bit floats, which MLflow calls `double`.
    Float64(f64) = "float64",
    /// Strings.
    String(String) = "str",
    /// Byte strings, which MLflow calls `binary`.
    Binary(Vec<u8>) = "bytes",
    /// Dates and times as nanoseconds since 1970-01-01, without a time zone, which MLflow calls `datetime`. A missing
    /// time is `i64::MIN`, as in numpy.
    Datetime(i64) = "datetime64[ns]",
}

impl fmt::Display for DType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
