//! Compiles the examples in C and C++ that use the helper in `plugin-api/c`, and the programs of `tests/fixtures/c-kit`.

use std::env;
use std::env::consts::DLL_EXTENSION;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mlflow_deploy_plugin_api::manifest::TARGET;

/// A plugin in C or C++, most of them in `examples/c-plugin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// The plugin in C without the helper.
    Echo,
    /// The plugin in C.
    Words,
    /// The plugin in C++.
    WordsCpp,
    /// The plugin of `tests/fixtures/c-kit`, which has the operations that the examples do not have.
    Records,
}

/// Flags that each compiler accepts without a warning.
const FLAGS: [&str; 8] = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-g", "-pthread"];

const KIT: &str = "plugin-api/c/mlflow_deploy_kit.c";

impl Example {
    fn sources(self) -> &'static [&'static str] {
        match self {
            Self::Echo => &["examples/c-plugin/echo.c"],
            Self::Words => &["examples/c-plugin/words.c", KIT],
            Self::WordsCpp => &["examples/c-plugin/words.cpp", KIT],
            Self::Records => &["tests/fixtures/c-kit/records.c", KIT],
        }
    }

    /// Compiles the plugin to a shared library in `folder`. Returns the path of the library.
    ///
    /// # Panics
    /// Panics if a compiler has a warning, or is not installed.
    pub fn library(self, folder: &Path) -> PathBuf {
        let library = folder.join(format!("{self:?}")).with_extension(DLL_EXTENSION);
        let flags = ["-O2", "-fPIC", "-fvisibility=hidden"];
        link(&compile_all(self.sources(), folder, &flags), &library, &["-shared"]);
        library
    }

    /// Compiles the plugin and `tests/fixtures/c-kit/driver.c` to one program in `folder`, with a sanitizer such as
    /// `thread`. Returns the path of the program.
    ///
    /// # Panics
    /// Panics if a compiler has a warning, or is not installed.
    pub fn driver(self, folder: &Path, sanitizer: &str) -> PathBuf {
        program(&[self.sources(), &["tests/fixtures/c-kit/driver.c"]].concat(), folder, sanitizer)
    }
}

/// Compiles `tests/fixtures/c-kit/json.c` and the helper to a program in `folder`, with a sanitizer. Returns the path of
/// the program.
///
/// # Panics
/// Panics if the compiler has a warning, or is not installed.
pub fn json_checks(folder: &Path, sanitizer: &str) -> PathBuf {
    program(&[KIT, "tests/fixtures/c-kit/json.c"], folder, sanitizer)
}

/// Runs a program that a sanitizer has instrumented. The sanitizer ends the program with an error at the first fault.
///
/// # Panics
/// Panics if the program cannot be started.
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    let start = |mut command: Command| command.args(arguments).output().expect("the program starts");
    let output = start(Command::new(program));
    // The sanitizer for threads of some compilers cannot run with the random addresses of some kernels.
    if String::from_utf8_lossy(&output.stderr).contains("unexpected memory mapping") {
        let mut fixed = Command::new("setarch");
        fixed.arg("--addr-no-randomize").arg(program);
        return start(fixed);
    }
    output
}

fn program(sources: &[&str], folder: &Path, sanitizer: &str) -> PathBuf {
    let program = folder.join(format!("program-{}", sanitizer.replace(',', "-")));
    let sanitize = format!("-fsanitize={sanitizer}");
    let flags = ["-O1", "-fno-sanitize-recover=all", &sanitize];
    link(&compile_all(sources, folder, &flags), &program, &[&sanitize]);
    program
}

fn compile_all(sources: &[&str], folder: &Path, flags: &[&str]) -> Vec<PathBuf> {
    sources.iter().map(|source| compile(&workspace().join(source), folder, flags)).collect()
}

/// Compiles a source file in C or C++ to an object file in `folder`. Returns the path of the object file.
fn compile(source: &Path, folder: &Path, flags: &[&str]) -> PathBuf {
    let object = folder.join(source.file_name().unwrap_or_default()).with_added_extension("o");
    let is_cpp = source.extension().is_some_and(|extension| extension == "cpp");
    let mut compiler = if is_cpp { cpp_compiler() } else { Command::new(variable_or("CC", "cc")) };
    compiler.arg(if is_cpp { "-std=c++17" } else { "-std=c11" }).args(FLAGS).args(flags);
    for include in ["plugin-api/include", "plugin-api/c"] {
        compiler.arg("-I").arg(workspace().join(include));
    }
    compiler.arg(format!("-DTARGET=\"{TARGET}\""));
    expect_success(compiler.arg("-c").arg("-o").arg(&object).arg(source));
    object
}

/// Links object files with the C++ compiler, which links C too.
fn link(objects: &[PathBuf], output: &Path, flags: &[&str]) {
    expect_success(cpp_compiler().arg("-pthread").args(flags).arg("-o").arg(output).args(objects));
}

fn cpp_compiler() -> Command {
    Command::new(variable_or("CXX", "c++"))
}

fn variable_or(name: &str, otherwise: &str) -> std::ffi::OsString {
    env::var_os(name).unwrap_or_else(|| otherwise.into())
}

fn expect_success(command: &mut Command) {
    let output = command.output().expect("compilers for C and C++ are installed: `cc` and `c++`, or `$CC` and `$CXX`");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
