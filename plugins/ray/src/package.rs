//! The package that the cluster downloads: a zip file with the program that serves a model, and the model's files. The
//! name of a package is the hash of its bytes, so that the same model is uploaded once.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use rawzip::{CompressionMethod, ZipArchiveWriter};
use sha2::{Digest, Sha256};

/// The program that serves a model on the cluster.
const PROGRAM: &str = include_str!("mlflow_deploy_ray.py");

/// The name of the program's file, which Serve imports.
const PROGRAM_FILE: &str = "mlflow_deploy_ray.py";

/// The folder of the model in the package.
pub(crate) const MODEL_FOLDER: &str = "model";

/// The maximum size of a package, in bytes: the dashboard accepts no larger request.
pub(crate) const MAX_BYTES: u64 = 100 << 20;

/// The maximum number of files in a model.
const MAX_FILES: usize = 10_000;

/// A package and its name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// The name of the package, such as `_ray_pkg_0a1b….zip`.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl std::fmt::Debug for Package {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({} bytes)", self.name, self.bytes.len())
    }
}

impl Package {
    /// Packs the program, together with the files of the model in `folder`, if a folder is given. The same files give
    /// the same bytes.
    ///
    /// # Errors
    /// Fails if the model is too large, if it has a link that leads out of its folder, or if a file cannot be read.
    pub(crate) fn new(folder: Option<&Path>) -> Result<Self> {
        Self::within(folder, MAX_BYTES)
    }

    fn within(folder: Option<&Path>, max_bytes: u64) -> Result<Self> {
        let files = folder.map(ModelFiles::list).transpose()?.unwrap_or_default();
        let size = files.bytes.saturating_add(PROGRAM.len() as u64);
        if size > max_bytes {
            return Err(Error::new(
                ErrorCode::RESOURCE_EXHAUSTED,
                format!(
                    "the model has {} MiB, but the dashboard accepts {} MiB: store the model in a place that the cluster can read, such as `s3://…` or \
                     `models:/…`, and set `model_source` to `remote` and the model URI to that place",
                    size.div_ceil(1 << 20),
                    max_bytes >> 20
                ),
            ));
        }
        let mut archive = ZipArchiveWriter::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default()));
        add(&mut archive, PROGRAM_FILE, PROGRAM.as_bytes())?;
        for file in &files.files {
            let bytes = fs::read(&file.path).map_err(|error| unreadable(&file.path, &error))?;
            add(&mut archive, &format!("{MODEL_FOLDER}/{}", file.name), &bytes)?;
        }
        let bytes = archive.finish().map_err(|error| failed(&error))?;
        let hash: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { name: format!("_ray_pkg_{hash}.zip"), bytes })
    }
}

fn add(archive: &mut ZipArchiveWriter<Vec<u8>>, name: &str, bytes: &[u8]) -> Result<()> {
    let file = archive.new_file(name).compression_method(CompressionMethod::STORE).unix_permissions(0o644);
    let (mut entry, config) = file.start().map_err(|error| failed(&error))?;
    let mut writer = config.wrap(&mut entry);
    writer.write_all(bytes).map_err(|error| failed(&error))?;
    let (_, sizes) = writer.finish().map_err(|error| failed(&error))?;
    entry.finish(sizes).map_err(|error| failed(&error))?;
    Ok(())
}

fn failed(error: &dyn std::error::Error) -> Error {
    Error::internal(format!("failed to pack the model: {error}")).with_cause(error)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorCode::PERMISSION_DENIED,
        std::io::ErrorKind::NotFound => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        _ => ErrorCode::INTERNAL_ERROR,
    };
    Error::new(code, format!("failed to read the model's `{}`: {error}; nothing was deployed", path.display()))
}

/// The files of a model, in the order of their names.
#[derive(Default)]
struct ModelFiles {
    files: Vec<ModelFile>,
    bytes: u64,
}

/// A file of a model.
struct ModelFile {
    /// The path of the file in the model, with `/` between its parts.
    name: String,
    /// The absolute path of the file, with links resolved.
    path: PathBuf,
}

impl ModelFiles {
    fn list(folder: &Path) -> Result<Self> {
        let real = folder.canonicalize().map_err(|error| unreadable(folder, &error))?;
        let mut listed = Self::default();
        let mut folders = vec![(String::new(), real.clone())];
        while let Some((prefix, path)) = folders.pop() {
            for entry in fs::read_dir(&path).map_err(|error| unreadable(&path, &error))? {
                let entry = entry.map_err(|error| unreadable(&path, &error))?;
                let file = entry.file_name();
                let invalid = |reason: &str| {
                    let shown = format!("{prefix}{}", file.to_string_lossy());
                    Error::invalid_parameter(format!("the model's `{shown}` {reason}: nothing was deployed"))
                };
                let name = file.to_str().ok_or_else(|| invalid("has a name that is not UTF-8"))?;
                let is_link = entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?.is_symlink();
                let source =
                    entry.path().canonicalize().map_err(|error| invalid(&format!("cannot be read ({error})")))?;
                if !source.starts_with(&real) {
                    return Err(invalid("is a link that leads out of its folder; replace it with the file"));
                }
                let metadata = fs::metadata(&source).map_err(|error| unreadable(&source, &error))?;
                if listed.files.len() + folders.len() >= MAX_FILES {
                    return Err(invalid(&format!("exceeds the limit of {MAX_FILES} files and folders")));
                }
                let name = format!("{prefix}{name}");
                if metadata.is_file() {
                    listed.bytes = listed.bytes.saturating_add(metadata.len());
                    listed.files.push(ModelFile { name, path: source });
                } else if metadata.is_dir() && !is_link {
                    folders.push((format!("{name}/"), source));
                } else {
                    return Err(invalid("is neither a regular file nor a folder"));
                }
            }
        }
        listed.files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }
}

#[cfg(test)]
mod tests {
    use rawzip::ZipArchive;

    use super::*;

    fn names(package: &Package) -> Vec<String> {
        let archive = ZipArchive::from_slice(&package.bytes).unwrap();
        let names =
            archive.entries().map(|entry| entry.unwrap().file_path().try_normalize().unwrap().as_ref().to_owned());
        names.collect()
    }

    #[test]
    fn the_same_files_give_the_same_package() {
        let model = |order: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("data")).unwrap();
            order.iter().for_each(|name| fs::write(folder.path().join(name), name).unwrap());
            folder
        };
        let one = Package::new(Some(model(&["MLmodel", "data/é.pkl", "b"]).path())).unwrap();
        let other = Package::new(Some(model(&["b", "data/é.pkl", "MLmodel"]).path())).unwrap();
        assert_eq!(one, other);
        assert_eq!(names(&one), ["mlflow_deploy_ray.py", "model/MLmodel", "model/b", "model/data/é.pkl"]);
        let different = Package::new(Some(model(&["MLmodel"]).path())).unwrap();
        assert_ne!(one.name, different.name);
        assert!(one.name.starts_with("_ray_pkg_") && one.name.len() == "_ray_pkg_.zip".len() + 32, "{}", one.name);
        assert_eq!(names(&Package::new(None).unwrap()), ["mlflow_deploy_ray.py"]);
    }

    #[test]
    fn unusable_files_and_sizes_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let error = Package::new(Some(folder.path())).unwrap_err();
        assert!(error.message().contains("`link` is a link that leads out of its folder"), "{error}");
        fs::remove_file(&link).unwrap();
        fs::write(folder.path().join("weights"), vec![0; 3 << 20]).unwrap();
        let error = Package::within(Some(folder.path()), 2 << 20).unwrap_err();
        assert!(error.message().contains("the dashboard accepts 2 MiB"), "{error}");
        assert!(error.message().contains("set `model_source` to `remote`"), "{error}");
    }
}
