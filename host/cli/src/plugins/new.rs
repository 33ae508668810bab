//! `plugins new`: writes the project of a new plugin, which counts and streams words.
//!
//! The templates of C and C++ are the repository's examples. The e2e tests build every project and check its plugin
//! against the contract.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::args::{Language, NewPlugin};
use crate::report::{CliError, Report};

/// A file of a project: its path, and its text with placeholders such as `{{name}}`.
type Template = (&'static str, &'static str);

/// Defines a list of files from the path in the project and the path in the folder of the templates.
macro_rules! templates {
    ($($path:literal: $file:literal,)*) => {
        &[$(($path, include_str!(concat!("../../templates/", $file)))),*]
    };
}

const OF_ALL: &[Template] = templates! {
    "LICENSE": "common/LICENSE",
    "conformance.toml": "common/conformance.toml",
};
const RUST: &[Template] = templates! {
    ".github/workflows/ci.yml": "rust/ci.yml",
    ".gitignore": "rust/gitignore",
    "Cargo.toml": "rust/Cargo.toml.in",
    "README.md": "rust/README.md",
    "src/lib.rs": "rust/plugin.rs",
    "tests/conformance.rs": "rust/conformance.rs",
};
/// The files of the languages that use the helper in C.
const ON_THE_KIT: &[Template] = templates! {
    ".github/workflows/ci.yml": "common/make.ci.yml",
    ".gitignore": "common/make.gitignore",
    "README.md": "common/make.README.md",
    "kit/mlflow_deploy_kit.c": "kit/mlflow_deploy_kit.c",
    "kit/mlflow_deploy_kit.h": "kit/mlflow_deploy_kit.h",
    "kit/mlflow_deploy_plugin.h": "kit/mlflow_deploy_plugin.h",
};
const C: &[Template] = templates! {
    "Makefile": "c/Makefile",
    "plugin.c": "c/plugin.c",
};
const CPP: &[Template] = templates! {
    "Makefile": "cpp/Makefile",
    "kit/mlflow_deploy_kit.hpp": "kit/mlflow_deploy_kit.hpp",
    "plugin.cpp": "cpp/plugin.cpp",
};
const ZIG: &[Template] = templates! {
    "Makefile": "zig/Makefile",
    "plugin.zig": "zig/plugin.zig",
};

impl Language {
    fn templates(self) -> [&'static [Template]; 3] {
        match self {
            Self::C => [OF_ALL, ON_THE_KIT, C],
            Self::Cpp => [OF_ALL, ON_THE_KIT, CPP],
            Self::Rust => [OF_ALL, RUST, &[]],
            Self::Zig => [OF_ALL, ON_THE_KIT, ZIG],
        }
    }
}

#[derive(Serialize)]
struct Project<'a> {
    folder: &'a Path,
    files: Vec<&'static str>,
}

pub(super) fn run(arguments: &NewPlugin, report: &Report) -> Result<(), CliError> {
    let NewPlugin { name, lang, scheme, source } = arguments;
    check_word("name", name, "-")?;
    let scheme = scheme.as_deref().unwrap_or(name);
    check_word("scheme", scheme, "+-.")?;
    let source = match (lang, source) {
        (Language::Rust, None) => {
            return Err(CliError::Input(
                "the crates of mlflow-deploy are not on crates.io yet: name a folder with its source code with `--source`"
                    .to_owned(),
            ));
        }
        (Language::Rust, Some(folder)) => source_folder(folder)?,
        _ => String::new(),
    };
    let folder = Path::new(name);
    let files: Vec<_> = lang.templates().into_iter().flatten().collect();
    let failed = |error: io::Error| CliError::Input(format!("failed to write the project `{name}`: {error}"));
    // The project appears complete or not at all.
    let mut unfinished = tempfile::Builder::new();
    unfinished.prefix(".plugins-new-").permissions(Permissions::from_mode(0o777));
    let unfinished = unfinished.tempdir_in(".").map_err(failed)?;
    for (path, text) in &files {
        let path = unfinished.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
        fs::write(path, filled(text, name, scheme, *lang, &source)).map_err(failed)?;
    }
    fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::Input(format!("the folder `{name}` exists already: choose another name")),
        _ => failed(error),
    })?;
    fs::rename(unfinished.keep(), folder).map_err(failed)?;
    let project = Project { folder, files: files.iter().map(|(path, _)| *path).collect() };
    report.write_value(&project, || format!("wrote the project `{name}`: its README.md has the next commands\n"))
}

/// Fails unless a word begins with a lower-case letter, and has only such letters, digits and the given signs.
fn check_word(kind: &str, word: &str, signs: &str) -> Result<(), CliError> {
    let is_valid = word.starts_with(|first: char| first.is_ascii_lowercase())
        && word.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || signs.contains(each));
    if is_valid {
        return Ok(());
    }
    let signs: String = signs.chars().map(|sign| format!(", `{sign}`")).collect();
    Err(CliError::Input(format!("invalid {kind} `{word}`: expected a-z, then a-z, 0-9{signs}")))
}

/// Returns the absolute path of a folder with the source code of mlflow-deploy.
fn source_folder(folder: &Path) -> Result<String, CliError> {
    let found = folder.join("plugin-api/Cargo.toml").is_file().then(|| folder.canonicalize());
    let found: Option<PathBuf> = found.and_then(Result::ok);
    found.and_then(|found| found.into_os_string().into_string().ok()).ok_or_else(|| {
        CliError::Input(format!("`{}` is not a folder with the source code of mlflow-deploy", folder.display()))
    })
}

/// Returns the text of a template with the values of a project.
fn filled(text: &str, name: &str, scheme: &str, language: Language, source: &str) -> String {
    let (extension, make) = match language {
        Language::C => ("c", "make"),
        Language::Cpp => ("cpp", "make"),
        Language::Zig => ("zig", r#"pip install ziglang && make ZIG="python3 -m ziglang""#),
        Language::Rust => ("rs", ""),
    };
    let quoted = [("\"name\": \"", "words\", \"version\"", name), ("\"schemes\": [\"", "words\"]", scheme)];
    let mut text = text.replace("words-cpp", "words");
    for (key, rest, value) in quoted {
        let filled = format!("{key}{}", rest.replacen("words", value, 1));
        text = text.replace(&format!("{key}{rest}"), &filled);
    }
    let values = [
        ("name", name),
        ("scheme", scheme),
        ("ident", &name.replace('-', "_")),
        ("extension", extension),
        ("make", make),
        ("source", source),
    ];
    values.into_iter().fold(text, |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value))
}
