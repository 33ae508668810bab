//! A tensor whose values are in another file: whether that file is the model's own.
//!
//! A model comes from others. Its path could name any file of this machine, and ONNX Runtime would read it; older
//! versions do not check. So each path is checked before the model is loaded.

use std::fs;
use std::path::{Component, Path};

use mlflow_deploy_plugin_api::{Error, Result, text};
use mlflow_deploy_scoring::shorten;

use super::wire::Fields;

/// What a tensor says of the file with its values.
pub(super) struct Tensor<'a> {
    name: &'a str,
    /// Keys and values of `external_data`.
    entries: Vec<(&'a str, &'a str)>,
}

/// The keys of `external_data`, as `onnx.proto` has them.
const KEYS: [&str; 4] = ["checksum", "length", "location", "offset"];

/// The fields of `TensorProto` that matter here.
const NAME: u32 = 8;
const EXTERNAL_DATA: u32 = 13;

impl<'a> Tensor<'a> {
    /// Reads a `TensorProto`.
    ///
    /// # Errors
    /// Fails with the reason if the bytes are not one, or an entry has a key or a value twice.
    pub(super) fn read(tensor: &'a [u8]) -> std::result::Result<Self, String> {
        let (mut name, mut entries) = ("", Vec::new());
        let mut fields = Fields::of(tensor);
        while let Some(field) = fields.next()? {
            match (field.number, field.bytes) {
                (NAME, Some(bytes)) => name = utf8(bytes)?,
                (EXTERNAL_DATA, Some(bytes)) => entries.push(entry(bytes)?),
                _ => {}
            }
        }
        Ok(Self { name, entries })
    }

    /// Fails unless the values are in the model itself, or in a regular file below its folder that has all of them.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` with the tensor, the path and the reason.
    pub(super) fn check(&self, folder: &Path) -> Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let name = shown(self.name);
        let entry = |key: &str| self.entries.iter().find(|(each, _)| *each == key).map(|(_, value)| *value);
        // The runtime takes the last of several, and others the first: only one of each says the same to all.
        let mut seen = Vec::new();
        for (key, _) in &self.entries {
            if !KEYS.contains(key) || seen.contains(key) {
                return Err(Error::invalid_parameter(format!(
                    "the tensor `{name}` of the model says `{}` of the file with its values: expected each of {} at \
                     most once",
                    shown(key),
                    KEYS.join(", ")
                )));
            }
            seen.push(*key);
        }
        let Some(location) = entry("location") else {
            return Err(Error::invalid_parameter(format!(
                "the tensor `{name}` of the model has its values in another file, and no `location` of it: save the \
                 model anew"
            )));
        };
        let wrong = |why: String| {
            Err(Error::invalid_parameter(format!(
                "the tensor `{name}` of the model keeps its values in `{}`, {why}",
                shown(location)
            )))
        };
        let path = Path::new(location);
        // ONNX Runtime takes `*/_ORT_MEM_ADDR_/*` for an address of its memory, and later versions have more such words.
        if location.contains('*') || location.contains("_ORT_") {
            return wrong("which may be an address in memory and no file: save the model anew".to_owned());
        }
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return wrong(
                "which is not below the model's folder: save the model with its weights hstack it".to_owned(),
            );
        }
        let (file, within) = (folder.join(path), folder.canonicalize());
        let real = match (file.canonicalize(), within) {
            (Ok(real), Ok(within)) if real.starts_with(&within) => real,
            (Ok(_), _) => return wrong("a link that leads out of the model's folder: copy the file there".to_owned()),
            (Err(error), _) => return wrong(format!("which cannot be read: {error}")),
        };
        let size = match fs::metadata(&real) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return wrong("which is not a file".to_owned()),
            Err(error) => return wrong(format!("which cannot be read: {error}")),
        };
        let number = |key: &str| entry(key).map_or(Some(0), |text| text.parse::<u64>().ok());
        match (number("offset"), number("length")) {
            (Some(offset), Some(length)) if offset.checked_add(length).is_some_and(|end| end <= size) => Ok(()),
            _ => wrong(format!(
                "at offset `{}` and with length `{}`, but the file has {size} bytes: it is cut short, or not the model's",
                shown(entry("offset").unwrap_or("0")),
                shown(entry("length").unwrap_or("0"))
            )),
        }
    }
}

/// Returns text of the model as one short line.
fn shown(model_text: &str) -> String {
    text::line(&shorten(model_text)).into_owned()
}

/// The key and the value of a `StringStringEntryProto`.
fn entry(bytes: &[u8]) -> std::result::Result<(&str, &str), String> {
    let mut parts = [None, None];
    let mut fields = Fields::of(bytes);
    while let Some(field) = fields.next()? {
        let part = match field.number {
            1 => &mut parts[0],
            2 => &mut parts[1],
            _ => continue,
        };
        let value = field.bytes.ok_or("a number is where text is expected")?;
        if part.replace(utf8(value)?).is_some() {
            return Err("an entry of `external_data` has its key or its value twice".to_owned());
        }
    }
    Ok((parts[0].unwrap_or_default(), parts[1].unwrap_or_default()))
}

fn utf8(bytes: &[u8]) -> std::result::Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("text is not UTF-8: {error}"))
}
