//! Checks that the external file with the values of a tensor belongs to the model.
//!
//! Models are not trusted. A model could name any file on this machine, and older versions of ONNX Runtime would read
//! the file without a check.

use std::fs;
use std::path::{Component, Path};

use mlflow_deploy_plugin_api::{Error, Result, text};
use mlflow_deploy_scoring::shorten;

use super::wire::FieldReader;

/// A tensor, and its reference to the external file with its values.
pub(super) struct ExternalTensor<'a> {
    name: &'a str,
    /// The keys and values in the tensor's field `external_data`.
    entries: Vec<(&'a str, &'a str)>,
}

/// The keys that `onnx.proto` defines for `external_data`.
const KEYS: [&str; 4] = ["checksum", "length", "location", "offset"];

// The numbers of the fields of `TensorProto`.
const NAME: u32 = 8;
const EXTERNAL_DATA: u32 = 13;

impl<'a> ExternalTensor<'a> {
    /// Reads the name and the field `external_data` of a `TensorProto`.
    ///
    /// # Errors
    /// Fails with the reason if the bytes are not a `TensorProto`, or if an entry of `external_data` has two keys or
    /// two values.
    pub(super) fn read(tensor: &'a [u8]) -> std::result::Result<Self, String> {
        let (mut name, mut entries) = ("", Vec::new());
        let mut fields = FieldReader::of(tensor);
        while let Some(field) = fields.next()? {
            match (field.number, field.bytes) {
                (NAME, Some(bytes)) => name = utf8(bytes)?,
                (EXTERNAL_DATA, Some(bytes)) => entries.push(entry(bytes)?),
                _ => {}
            }
        }
        Ok(Self { name, entries })
    }

    /// Fails unless the values of the tensor are in the model itself, or in an external file that contains all of them.
    /// This file must be a regular file in the model's folder.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` with the name of the tensor, the path and the reason.
    pub(super) fn check(&self, folder: &Path) -> Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let name = shown(self.name);
        let entry = |key: &str| self.entries.iter().find(|(each, _)| *each == key).map(|(_, value)| *value);
        // ONNX Runtime reads the last of repeated keys, and other readers the first.
        let mut seen = Vec::new();
        for (key, _) in &self.entries {
            if !KEYS.contains(key) || seen.contains(key) {
                return Err(Error::invalid_parameter(format!(
                    "the tensor `{name}` of the model has an unknown or repeated key `{}` in `external_data`: \
                     expected each of {} at most once",
                    shown(key),
                    KEYS.join(", ")
                )));
            }
            seen.push(*key);
        }
        let Some(location) = entry("location") else {
            return Err(Error::invalid_parameter(format!(
                "the tensor `{name}` of the model has its values in another file, but no `location`: save the model \
                 again"
            )));
        };
        let invalid = |reason: String| {
            Err(Error::invalid_parameter(format!(
                "the tensor `{name}` of the model has its values in `{}`, {reason}",
                shown(location)
            )))
        };
        let path = Path::new(location);
        // ONNX Runtime reads `*/_ORT_MEM_ADDR_/*` as an address in memory, and later versions have more such names.
        if location.contains('*') || location.contains("_ORT_") {
            return invalid("which ONNX Runtime may read as an address in memory: save the model again".to_owned());
        }
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return invalid(
                "which is outside of the model's folder: save the model and its weights in one folder".to_owned(),
            );
        }
        let (file, within) = (folder.join(path), folder.canonicalize());
        let real = match (file.canonicalize(), within) {
            (Ok(real), Ok(within)) if real.starts_with(&within) => real,
            (Ok(_), _) => {
                return invalid(
                    "a link to a file outside of the model's folder: copy the file into the folder".to_owned(),
                );
            }
            (Err(error), _) => return invalid(format!("which cannot be read: {error}")),
        };
        let size = match fs::metadata(&real) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return invalid("which is not a file".to_owned()),
            Err(error) => return invalid(format!("which cannot be read: {error}")),
        };
        let number = |key: &str| entry(key).map_or(Some(0), |text| text.parse::<u64>().ok());
        match (number("offset"), number("length")) {
            (Some(offset), Some(length)) if offset.checked_add(length).is_some_and(|end| end <= size) => Ok(()),
            _ => invalid(format!(
                "at offset `{}` with length `{}`, but the file has {size} bytes: it is truncated, or another model's",
                shown(entry("offset").unwrap_or("0")),
                shown(entry("length").unwrap_or("0"))
            )),
        }
    }
}

/// Returns a text from the model as one line of limited length, for a message.
fn shown(model_text: &str) -> String {
    text::line(&shorten(model_text)).into_owned()
}

/// Returns the key and the value of a `StringStringEntryProto`, an entry of `external_data`.
fn entry(bytes: &[u8]) -> std::result::Result<(&str, &str), String> {
    let mut parts = [None, None];
    let mut fields = FieldReader::of(bytes);
    while let Some(field) = fields.next()? {
        let part = match field.number {
            1 => &mut parts[0],
            2 => &mut parts[1],
            _ => continue,
        };
        let value = field.bytes.ok_or("expected a string, found a number")?;
        if part.replace(utf8(value)?).is_some() {
            return Err("an entry of `external_data` has two keys or two values".to_owned());
        }
    }
    Ok((parts[0].unwrap_or_default(), parts[1].unwrap_or_default()))
}

fn utf8(bytes: &[u8]) -> std::result::Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("a string is not UTF-8: {error}"))
}
