//! Weights that an ONNX model keeps in files of their own: they have to lie in the model's folder.
//!
//! A model is data that others wrote. A path in it could name any file of this machine, and ONNX Runtime would read it;
//! older versions ask no questions. So every path is looked at before the model is loaded.

use std::fs;
use std::path::{Component, Path};

use mlflow_deploy_plugin_api::{Error, Result};
use prost::Message;

/// Refuses a model whose external files are not regular files below its folder.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` with the tensor, the path and what is wrong with it; also where the file is no ONNX model.
pub(crate) fn check(file: &Path) -> Result<()> {
    // Without the folder: it may be a copy that is gone before anybody reads this.
    let shown = file.file_name().unwrap_or(file.as_os_str()).display();
    let not_a_model = |why: &str| {
        // In a decoder's error, the way through the messages comes before the reason.
        let (_, why) = why.rsplit_once(": ").unwrap_or(("", why));
        Error::invalid_parameter(format!("`{shown}` is not an ONNX model, or damaged: {why}"))
    };
    let bytes =
        fs::read(file).map_err(|error| Error::invalid_parameter(format!("failed to read `{shown}`: {error}")))?;
    let model = Model::decode(bytes.as_slice()).map_err(|error| not_a_model(&error.to_string()))?;
    drop(bytes);
    if model.graph.is_none() {
        return Err(not_a_model("it has no graph"));
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    let nodes = model.functions.iter().flat_map(|function| &function.nodes);
    model.graph.iter().try_for_each(|graph| graph.check(folder))?;
    nodes.into_iter().try_for_each(|node| node.check(folder))
}

/// What of ONNX's messages leads to tensors; everything else is skipped. The numbers are those of `onnx.proto`.
#[derive(Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
}

#[derive(Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "15")]
    sparse_initializers: Vec<SparseTensor>,
}

#[derive(Message)]
struct Node {
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
    #[prost(message, optional, tag = "22")]
    sparse_tensor: Option<SparseTensor>,
    #[prost(message, repeated, tag = "23")]
    sparse_tensors: Vec<SparseTensor>,
}

#[derive(Message)]
struct SparseTensor {
    #[prost(message, optional, tag = "1")]
    values: Option<Tensor>,
    #[prost(message, optional, tag = "2")]
    indices: Option<Tensor>,
}

#[derive(Message)]
struct Tensor {
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
}

#[derive(Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// The keys of an [`Entry`], as `onnx.proto` has them.
const KEYS: [&str; 4] = ["checksum", "length", "location", "offset"];

/// What ONNX Runtime takes for an address of its memory, in the place of a file.
const ADDRESS: &str = "_ORT_MEM_ADDR_";

impl Graph {
    fn check(&self, folder: &Path) -> Result<()> {
        self.nodes.iter().try_for_each(|node| node.check(folder))?;
        self.initializers.iter().try_for_each(|tensor| tensor.check(folder))?;
        self.sparse_initializers.iter().try_for_each(|tensor| tensor.check(folder))
    }
}

impl Node {
    fn check(&self, folder: &Path) -> Result<()> {
        self.attributes.iter().try_for_each(|attribute| {
            attribute.tensor.iter().chain(&attribute.tensors).try_for_each(|tensor| tensor.check(folder))?;
            attribute.graph.iter().chain(&attribute.graphs).try_for_each(|graph| graph.check(folder))?;
            attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors).try_for_each(|tensor| tensor.check(folder))
        })
    }
}

impl SparseTensor {
    fn check(&self, folder: &Path) -> Result<()> {
        self.values.iter().chain(&self.indices).try_for_each(|tensor| tensor.check(folder))
    }
}

impl Tensor {
    fn check(&self, folder: &Path) -> Result<()> {
        let entry =
            |key: &str| self.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        // The runtime takes the last of several, and others the first: only one of each says the same to all.
        let mut seen = Vec::new();
        for Entry { key, .. } in &self.external_data {
            if !KEYS.contains(&key.as_str()) || seen.contains(&key) {
                return Err(Error::invalid_parameter(format!(
                    "the tensor `{}` of the model says `{}` of the file with its values: expected each of {} at most once",
                    self.name.escape_debug(),
                    key.escape_debug(),
                    KEYS.join(", ")
                )));
            }
            seen.push(key);
        }
        let Some(location) = entry("location") else { return Ok(()) };
        let wrong = |why: String| {
            Err(Error::invalid_parameter(format!(
                "the tensor `{}` of the model keeps its values in `{location}`, {why}",
                self.name
            )))
        };
        let path = Path::new(location);
        if location.contains(ADDRESS) {
            return wrong("which is an address in memory and no file: save the model anew".to_owned());
        }
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return wrong(
                "which is not below the model's folder: save the model with its weights beside it".to_owned(),
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
                entry("offset").unwrap_or("0"),
                entry("length").unwrap_or("0")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(folder: &Path, entries: &[(&str, &str)]) -> Result<()> {
        let entry = |(key, value): &(&str, &str)| Entry { key: (*key).to_owned(), value: (*value).to_owned() };
        Tensor { name: "w".to_owned(), external_data: entries.iter().map(entry).collect() }.check(folder)
    }

    #[test]
    fn each_key_is_said_once_and_no_location_is_an_address() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("w.bin"), [0; 40]).unwrap();
        let location = ("location", "w.bin");
        checked(folder.path(), &[]).unwrap();
        checked(folder.path(), &[location, ("offset", "8"), ("length", "32"), ("checksum", "0")]).unwrap();
        for (entries, said) in [
            ([location, ("location", "/etc/passwd")], "says `location` of"),
            ([location, ("location", "*/_ORT_MEM_ADDR_/*")], "says `location` of"),
            ([("length", "1"), ("length", "40")], "says `length` of"),
            ([location, ("basepath", "/etc")], "says `basepath` of"),
            ([("location", "*/_ORT_MEM_ADDR_/*"), ("length", "4")], "is an address in memory"),
            ([("location", "./_ORT_MEM_ADDR_/x"), ("length", "4")], "is an address in memory"),
            ([location, ("length", "41")], "the file has 40 bytes"),
        ] {
            let error = checked(folder.path(), &entries).unwrap_err();
            assert!(error.message().contains(said), "{error}");
        }
    }
}
