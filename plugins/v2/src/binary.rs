//! Converts tensors to the bytes of the protocol's binary extension and back. Numbers are little-endian, in row-major
//! order. A string is its length as 4 bytes, and its bytes.

use half::{bf16, f16};
use mlflow_deploy_scoring::Tensor;
use ndarray::{ArrayD, IxDyn};

use crate::datatype::Datatype;

/// Returns the bytes of a tensor whose elements have the type `datatype` in the protocol. Returns `None` if a string is
/// longer than 4 GiB.
pub(crate) fn encode(tensor: &Tensor, datatype: Datatype) -> Option<Vec<u8>> {
    /// Returns the bytes of all elements.
    fn all<T: Copy, const N: usize>(array: &ArrayD<T>, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        array.iter().flat_map(|element| bytes(*element)).collect()
    }
    Some(match tensor {
        Tensor::Bool(array) => all(array, |truth| [u8::from(truth)]),
        Tensor::Int8(array) => all(array, i8::to_le_bytes),
        Tensor::Int16(array) => all(array, i16::to_le_bytes),
        Tensor::Int32(array) => all(array, i32::to_le_bytes),
        Tensor::Int64(array) | Tensor::Datetime(array) => all(array, i64::to_le_bytes),
        Tensor::UInt8(array) => all(array, u8::to_le_bytes),
        Tensor::UInt16(array) => all(array, u16::to_le_bytes),
        Tensor::UInt32(array) => all(array, u32::to_le_bytes),
        Tensor::UInt64(array) => all(array, u64::to_le_bytes),
        Tensor::Float16(array) => all(array, f16::to_le_bytes),
        Tensor::Float32(array) if datatype == Datatype::BFloat16 => {
            all(array, |float| bf16::from_f32(float).to_le_bytes())
        }
        Tensor::Float32(array) => all(array, f32::to_le_bytes),
        Tensor::Float64(array) => all(array, f64::to_le_bytes),
        Tensor::String(array) => strings(array.iter().map(String::as_bytes))?,
        Tensor::Binary(array) => strings(array.iter().map(Vec::as_slice))?,
    })
}

fn strings<'a>(elements: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for element in elements {
        bytes.extend(u32::try_from(element.len()).ok()?.to_le_bytes());
        bytes.extend(element);
    }
    Some(bytes)
}

/// Reads a tensor from its bytes. Strings that are not UTF-8 become a tensor of bytes.
///
/// # Errors
/// Returns the reason if the number of bytes is not that of the shape.
pub(crate) fn decode(bytes: &[u8], datatype: Datatype, shape: &[usize]) -> Result<Tensor, String> {
    let count =
        shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size)).ok_or("its shape is too large")?;
    match datatype.size() {
        Some(size) if count.checked_mul(size) != Some(bytes.len()) => {
            return Err(format!("it has {} bytes, but {count} elements of `{datatype}`", bytes.len()));
        }
        _ => {}
    }
    /// Returns the array of all elements, each of `N` bytes.
    fn all<T, const N: usize>(
        bytes: &[u8],
        shape: &[usize],
        element: impl Fn([u8; N]) -> T,
    ) -> Result<ArrayD<T>, String> {
        shaped(bytes.as_chunks().0.iter().map(|bytes| element(*bytes)).collect(), shape)
    }
    Ok(match datatype {
        Datatype::Bool => Tensor::Bool(all(bytes, shape, |[byte]| byte != 0)?),
        Datatype::UInt8 => Tensor::UInt8(all(bytes, shape, u8::from_le_bytes)?),
        Datatype::UInt16 => Tensor::UInt16(all(bytes, shape, u16::from_le_bytes)?),
        Datatype::UInt32 => Tensor::UInt32(all(bytes, shape, u32::from_le_bytes)?),
        Datatype::UInt64 => Tensor::UInt64(all(bytes, shape, u64::from_le_bytes)?),
        Datatype::Int8 => Tensor::Int8(all(bytes, shape, i8::from_le_bytes)?),
        Datatype::Int16 => Tensor::Int16(all(bytes, shape, i16::from_le_bytes)?),
        Datatype::Int32 => Tensor::Int32(all(bytes, shape, i32::from_le_bytes)?),
        Datatype::Int64 => Tensor::Int64(all(bytes, shape, i64::from_le_bytes)?),
        Datatype::Float16 => Tensor::Float16(all(bytes, shape, f16::from_le_bytes)?),
        Datatype::BFloat16 => Tensor::Float32(all(bytes, shape, |half| bf16::from_le_bytes(half).to_f32())?),
        Datatype::Float32 => Tensor::Float32(all(bytes, shape, f32::from_le_bytes)?),
        Datatype::Float64 => Tensor::Float64(all(bytes, shape, f64::from_le_bytes)?),
        Datatype::Bytes => {
            let elements = split_strings(bytes)?;
            if elements.len() != count {
                return Err(format!("it has {} strings, but a shape of {count}", elements.len()));
            }
            match elements.iter().map(|element| str::from_utf8(element).map(str::to_owned)).collect() {
                Ok(texts) => Tensor::String(shaped(texts, shape)?),
                Err(_not_utf8) => Tensor::Binary(shaped(elements.into_iter().map(<[u8]>::to_vec).collect(), shape)?),
            }
        }
    })
}

fn split_strings(mut bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut elements = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).ok();
        let (element, rest) =
            length.and_then(|length| rest.split_at_checked(length)).ok_or("its last string is cut")?;
        elements.push(element);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(elements) } else { Err("its last string is cut".to_owned()) }
}

fn shaped<T>(elements: Vec<T>, shape: &[usize]) -> Result<ArrayD<T>, String> {
    ArrayD::from_shape_vec(IxDyn(shape), elements).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;

    fn round(tensor: Tensor, datatype: Datatype, bytes: &[u8]) {
        assert_eq!(encode(&tensor, datatype).unwrap(), bytes, "{datatype}");
        assert_eq!(decode(bytes, datatype, &[2]).unwrap(), tensor, "{datatype}");
    }

    #[test]
    fn every_type_is_encoded_in_little_endian_order() {
        round(Tensor::Bool(arr1(&[true, false]).into_dyn()), Datatype::Bool, &[1, 0]);
        round(Tensor::Int8(arr1(&[-1, 2]).into_dyn()), Datatype::Int8, &[255, 2]);
        round(Tensor::Int16(arr1(&[-2, 3]).into_dyn()), Datatype::Int16, &[254, 255, 3, 0]);
        round(Tensor::Int32(arr1(&[1, -1]).into_dyn()), Datatype::Int32, &[1, 0, 0, 0, 255, 255, 255, 255]);
        let long = [0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0, 0, 0, 0, 0];
        round(Tensor::Int64(arr1(&[i64::MIN, 1]).into_dyn()), Datatype::Int64, &long);
        round(Tensor::UInt8(arr1(&[0, 255]).into_dyn()), Datatype::UInt8, &[0, 255]);
        round(Tensor::UInt16(arr1(&[258, 0]).into_dyn()), Datatype::UInt16, &[2, 1, 0, 0]);
        round(Tensor::UInt32(arr1(&[u32::MAX, 0]).into_dyn()), Datatype::UInt32, &[255, 255, 255, 255, 0, 0, 0, 0]);
        round(Tensor::UInt64(arr1(&[1 << 63, 1]).into_dyn()), Datatype::UInt64, &long);
        let half = arr1(&[f16::from_f32(1.0), f16::from_f32(-2.0)]).into_dyn();
        round(Tensor::Float16(half), Datatype::Float16, &[0, 0x3c, 0, 0xc0]);
        round(Tensor::Float32(arr1(&[1.0, -2.0]).into_dyn()), Datatype::BFloat16, &[0x80, 0x3f, 0, 0xc0]);
        round(Tensor::Float32(arr1(&[1.0, 0.0]).into_dyn()), Datatype::Float32, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0]);
        let double = [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f];
        round(Tensor::Float64(arr1(&[1.0, f64::INFINITY]).into_dyn()), Datatype::Float64, &double);
        let texts = arr1(&["é".to_owned(), String::new()]).into_dyn();
        round(Tensor::String(texts), Datatype::Bytes, &[2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0]);
        let bytes = arr1(&[vec![255_u8], vec![]]).into_dyn();
        round(Tensor::Binary(bytes), Datatype::Bytes, &[1, 0, 0, 0, 255, 0, 0, 0, 0]);
    }

    #[test]
    fn bytes_that_do_not_fit_the_shape_have_a_reason() {
        for (bytes, datatype, shape, reason) in [
            (&[0, 0, 0][..], Datatype::Float32, [1, 1], "it has 3 bytes, but 1 elements of `FP32`"),
            (&[0; 8], Datatype::Float32, [1, 3], "it has 8 bytes, but 3 elements of `FP32`"),
            (&[], Datatype::Bool, [usize::MAX, 2], "its shape is too large"),
            (&[], Datatype::Float64, [1, usize::MAX], "it has 0 bytes, but 18446744073709551615 elements of `FP64`"),
            (&[2, 0, 0, 0, b'a'], Datatype::Bytes, [1, 1], "its last string is cut"),
            (&[0, 0, 0], Datatype::Bytes, [1, 1], "its last string is cut"),
            (&[0, 0, 0, 0], Datatype::Bytes, [2, 1], "it has 1 strings, but a shape of 2"),
        ] {
            assert_eq!(decode(bytes, datatype, &shape).unwrap_err(), reason);
        }
    }
}
