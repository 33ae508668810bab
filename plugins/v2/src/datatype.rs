//! The element types of tensors in the protocol, and the types of this project that hold them.

use std::fmt;

use mlflow_deploy_scoring::DType;
use serde::{Deserialize, Serialize};

/// Declares the element types: the name in the protocol, the size of an element in bytes, and the type of the tensor
/// that holds such elements.
macro_rules! datatypes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $size:expr, $dtype:ident;)*) => {
        /// An element type of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum Datatype {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Datatype {
            /// Returns the name of the type in the protocol, such as `FP32`.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the size of an element in bytes, or `None` if elements differ in size.
            pub(crate) fn size(self) -> Option<usize> {
                match self {
                    $(Self::$variant => $size,)*
                }
            }

            /// Returns the element type of the tensor that holds elements of this type.
            pub(crate) fn dtype(self) -> DType {
                match self {
                    $(Self::$variant => DType::$dtype,)*
                }
            }
        }
    };
}

datatypes! {
    Bool = "BOOL", Some(1), Bool;
    UInt8 = "UINT8", Some(1), UInt8;
    UInt16 = "UINT16", Some(2), UInt16;
    UInt32 = "UINT32", Some(4), UInt32;
    UInt64 = "UINT64", Some(8), UInt64;
    Int8 = "INT8", Some(1), Int8;
    Int16 = "INT16", Some(2), Int16;
    Int32 = "INT32", Some(4), Int32;
    Int64 = "INT64", Some(8), Int64;
    Float16 = "FP16", Some(2), Float16;
    Float32 = "FP32", Some(4), Float32;
    Float64 = "FP64", Some(8), Float64;
    /// The upper half of a 32-bit float. A tensor holds it as a 32-bit float, which represents it exactly.
    BFloat16 = "BF16", Some(2), Float32;
    /// Strings, or other bytes.
    Bytes = "BYTES", None, String;
}

impl Datatype {
    /// Returns the type of the protocol that holds the elements of a tensor.
    pub(crate) fn of(dtype: DType) -> Self {
        match dtype {
            DType::Bool => Self::Bool,
            DType::Int8 => Self::Int8,
            DType::Int16 => Self::Int16,
            DType::Int32 => Self::Int32,
            DType::Int64 | DType::Datetime => Self::Int64,
            DType::UInt8 => Self::UInt8,
            DType::UInt16 => Self::UInt16,
            DType::UInt32 => Self::UInt32,
            DType::UInt64 => Self::UInt64,
            DType::Float16 => Self::Float16,
            DType::Float32 => Self::Float32,
            DType::Float64 => Self::Float64,
            DType::String | DType::Binary => Self::Bytes,
        }
    }

    /// Returns true if Triton accepts elements of this type only in binary.
    pub(crate) fn needs_binary(self) -> bool {
        matches!(self, Self::Float16 | Self::BFloat16)
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
