//! Checks invalid and malicious models. The plugin rejects each with a reason, and does not deploy it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use mlflow_deploy_test_support::peers;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::json;

use super::{FLOWERS, Machine, copy_of, folder, iris, sample};

/// Tries to deploy an invalid model. Returns the code and the message of the command's error.
fn refusal(machine: &Machine, model: &Path) -> (String, String) {
    let ran = machine.ask("create --name broken --json -m").arg(model).run();
    assert!([1, 2].contains(&ran.code), "{ran:?}");
    let error = ran.error();
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

/// A kind of damage to a model: its name, a function that damages the model's folder, and a part of the expected error
/// message.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);

/// Damages copies of a model, each in one of `ways`. Asserts that no copy is deployed, and that each error has the
/// expected message.
fn refused(model: &Path, ways: &[Damage<'_>]) {
    let machine = Machine::new();
    for (way, spoil, said) in ways {
        let copy = copy_of(model);
        spoil(copy.path());
        let (code, message) = refusal(&machine, copy.path());
        assert_eq!(code, "INVALID_PARAMETER_VALUE", "{way}: {message}");
        assert!(message.contains(said), "{way}: {message}");
        assert!(!message.contains('\n'), "{way}: {message}");
        assert_eq!((machine.names().len(), machine.copies()), (0, 0), "{way}");
    }
}

/// Passes the contents of a file to `change`, and writes the result to the file.
fn rewrite(folder: &Path, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = folder.join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
}

fn mlmodel(folder: &Path, from: &str, to: &str) {
    rewrite(folder, "MLmodel", |text| {
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(from));
        text.replace(from, to).into_bytes()
    });
}

#[test]
fn invalid_mlmodel_file_is_rejected() {
    let bomb = {
        let levels = (1..40).map(|level| format!("l{level}: &l{level} [*l{0}, *l{0}, *l{0}, *l{0}]\n", level - 1));
        format!("l0: &l0 [x, x]\n{}flavors: {{onnx: {{data: *l39}}}}\n", levels.collect::<String>())
    };
    refused(
        &iris(),
        &[
            (
                "missing",
                &|folder| fs::remove_file(folder.join("MLmodel")).unwrap(),
                "is not an MLflow model: it has no file `MLmodel`",
            ),
            ("empty", &|folder| fs::write(folder.join("MLmodel"), "").unwrap(), "it has none"),
            ("garbage", &|folder| fs::write(folder.join("MLmodel"), [0xff_u8; 4096]).unwrap(), "MLmodel"),
            ("cut short", &|folder| rewrite(folder, "MLmodel", |text| text[..20].to_vec()), "MLmodel"),
            (
                "a folder",
                &|folder| {
                    fs::remove_file(folder.join("MLmodel")).unwrap();
                    fs::create_dir(folder.join("MLmodel")).unwrap();
                },
                "MLmodel",
            ),
            (
                "17 MiB",
                &|folder| fs::write(folder.join("MLmodel"), vec![b' '; 17 << 20]).unwrap(),
                "larger than 16 MiB",
            ),
            ("a bomb", &|folder| fs::write(folder.join("MLmodel"), &bomb).unwrap(), "MLmodel"),
            ("deep", &|folder| fs::write(folder.join("MLmodel"), "[".repeat(1 << 20)).unwrap(), "MLmodel"),
            (
                "no flavor",
                &|folder| fs::write(folder.join("MLmodel"), "flavors: {other: {}}").unwrap(),
                "no flavor `onnx` or `python_function`: it has `other`",
            ),
            (
                "another file",
                &|folder| mlmodel(folder, "data: model.onnx", "data: other.onnx"),
                "names the file `other.onnx`",
            ),
            (
                "a file outside",
                &|folder| mlmodel(folder, "data: model.onnx", "data: ../../../../../../../../../../etc/passwd"),
                "lies outside of its folder",
            ),
            (
                "a path",
                &|folder| mlmodel(folder, "data: model.onnx", "data: /etc/passwd"),
                "lies outside of its folder",
            ),
            (
                "threads",
                &|folder| {
                    mlmodel(folder, "onnx_session_options: null", "onnx_session_options: {intra_op_num_threads: -5}");
                },
                "onnx_session_options",
            ),
            (
                "a session that writes a file",
                &|folder| {
                    let options = "onnx_session_options: {extra_session_config: {ep.context_file_path: /tmp/x}}";
                    mlmodel(folder, "onnx_session_options: null", options);
                },
                "`ep.context_file_path`, which a model may not set",
            ),
            (
                "another format",
                &|folder| {
                    mlmodel(folder, "data: model.onnx", "data: model.ORT");
                    fs::rename(folder.join("model.onnx"), folder.join("model.ORT")).unwrap();
                },
                "is in ONNX Runtime's own format",
            ),
            (
                "another format, under another name",
                &|folder| fs::write(folder.join("model.onnx"), b"\x20\0\0\0ORTM").unwrap(),
                "is in ONNX Runtime's own format",
            ),
            (
                "an example that is not an input",
                &|folder| {
                    mlmodel(
                        folder,
                        "signature:",
                        "saved_input_example_info: {artifact_path: e.json, serving_input_path: e.json, type: dataframe}\nsignature:",
                    );
                    fs::write(folder.join("e.json"), r#"{"inputs": [[1]]}"#).unwrap();
                },
                "cannot predict its own input example",
            ),
        ],
    );
}

#[test]
fn invalid_onnx_file_is_rejected() {
    refused(
        &iris(),
        &[
            ("missing", &|folder| fs::remove_file(folder.join("model.onnx")).unwrap(), "names the file `model.onnx`"),
            ("empty", &|folder| fs::write(folder.join("model.onnx"), "").unwrap(), "is damaged or not an ONNX model"),
            (
                "text",
                &|folder| fs::write(folder.join("model.onnx"), "a text").unwrap(),
                "is damaged or not an ONNX model",
            ),
            (
                "cut short",
                &|folder| rewrite(folder, "model.onnx", |bytes| bytes[..300].to_vec()),
                "is damaged or not an ONNX model",
            ),
            (
                "an operator that is none",
                &|folder| {
                    rewrite(folder, "model.onnx", |bytes| {
                        String::from_utf8_lossy(&bytes).replace("LinearClassifier", "LinearClassifieR").into_bytes()
                    });
                },
                "is damaged or not an ONNX model",
            ),
            (
                "nested",
                &|folder| fs::write(folder.join("model.onnx"), nested(5_000)).unwrap(),
                "is damaged or not an ONNX model: ",
            ),
        ],
    );
}

#[test]
fn onnx_schema_equals_that_of_the_installed_package() {
    let words = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| line.split("//").next().unwrap());
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect::<Vec<_>>()
    };
    let libraries = peers::python_folder().parent().unwrap().join("lib");
    let python = fs::read_dir(libraries).unwrap().next().unwrap().unwrap().path();
    let installed = words(&python.join("site-packages/onnx/onnx.proto"));
    let ours = words(&folder("plugins/support/onnx/src/external/tests/onnx.proto"));
    assert!(ours == installed, "copy the schema of the onnx that tests/peers pins, and correct the table beside it");
}

/// Returns an ONNX model whose graph contains further graphs in node attributes, nested `depth` times.
fn nested(depth: usize) -> Vec<u8> {
    let field = |number: u8, inner: Vec<u8>| {
        let mut length = inner.len();
        let mut bytes = vec![number << 3 | 2];
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).unwrap());
        bytes.extend(inner);
        bytes
    };
    field(7, (0..depth).fold(Vec::new(), |graph, _| field(1, field(5, field(6, graph)))))
}

#[test]
fn flipped_bits_never_crash_the_process() {
    const FLIPS: usize = 60;
    let machine = Machine::new();
    let length = fs::read(iris().join("model.onnx")).unwrap().len();
    let mut deployed = 0;
    for flip in 0..FLIPS {
        let copy = copy_of(&iris());
        rewrite(copy.path(), "model.onnx", |mut bytes| {
            bytes[flip * length / FLIPS] ^= 1 << (flip % 8);
            bytes
        });
        let ran = machine.ask("create --name flipped --json -m").arg(copy.path()).run();
        if ran.code == 0 {
            // A model that is still valid may return any prediction or error.
            let ran = machine.ask("predict --name flipped -I - --json").stdin(FLOWERS).run();
            assert!([0, 1, 2].contains(&ran.code), "{flip}: {ran:?}");
            assert_eq!(machine.ask("delete --name flipped").run().code, 0);
            deployed += 1;
        } else {
            assert!([1, 2].contains(&ran.code), "{flip}: {ran:?}");
        }
        assert_eq!(machine.copies(), 0, "{flip}");
    }
    println!("flipped bits: {FLIPS}, {deployed} of them still a valid model, 0 crashes");
}

/// The name of the file with the external weights of a sample model.
const WEIGHTS: &str = "e909a616-e662-11f1-a442-02fc00000001.data";

/// Replaces the name of the weights file in `model.onnx` by `location`, which has the same length.
fn weights_in(folder: &Path, location: &str) {
    assert_eq!(location.len(), WEIGHTS.len());
    rewrite(folder, "model.onnx", |mut bytes| {
        let places: Vec<usize> =
            (0..bytes.len() - WEIGHTS.len()).filter(|at| bytes[*at..].starts_with(WEIGHTS.as_bytes())).collect();
        assert!(!places.is_empty());
        for place in places {
            bytes[place..place + WEIGHTS.len()].copy_from_slice(location.as_bytes());
        }
        bytes
    });
}

#[test]
fn weights_outside_the_model_s_folder_are_rejected() {
    let outside = tempfile::tempdir().unwrap();
    fs::copy(sample("onnx_mlp").join(WEIGHTS), outside.path().join("weights")).unwrap();
    let machine = Machine::new();
    machine.create("mlp", &sample("onnx_mlp"));
    refused(
        &sample("onnx_mlp"),
        &[
            ("missing", &|folder| fs::remove_file(folder.join(WEIGHTS)).unwrap(), "which cannot be read"),
            ("empty", &|folder| fs::write(folder.join(WEIGHTS), "").unwrap(), "it is truncated"),
            (
                "cut short",
                &|folder| rewrite(folder, WEIGHTS, |bytes| bytes[..bytes.len() - 1].to_vec()),
                "it is truncated",
            ),
            (
                "a folder",
                &|folder| {
                    fs::remove_file(folder.join(WEIGHTS)).unwrap();
                    fs::create_dir(folder.join(WEIGHTS)).unwrap();
                },
                "which is not a file",
            ),
            (
                "a path",
                &|folder| weights_in(folder, &format!("{:/>41}", "etc/passwd")),
                "outside of the model's folder",
            ),
            ("a way out", &|folder| weights_in(folder, &format!("../{:/>38}", "x")), "outside of the model's folder"),
            (
                "a way out from within",
                &|folder| weights_in(folder, &format!("a/../../{:/>33}", "x")),
                "outside of the model's folder",
            ),
            (
                "a link that leads out",
                &|folder| {
                    fs::remove_file(folder.join(WEIGHTS)).unwrap();
                    symlink(outside.path().join("weights"), folder.join(WEIGHTS)).unwrap();
                },
                "is a link that leads out of its folder",
            ),
            (
                "a link to nothing",
                &|folder| {
                    fs::remove_file(folder.join(WEIGHTS)).unwrap();
                    symlink("nowhere", folder.join(WEIGHTS)).unwrap();
                },
                "cannot be read",
            ),
            (
                "a link that goes round",
                &|folder| {
                    symlink("round", folder.join("round")).unwrap();
                },
                "cannot be read",
            ),
            (
                "a link to a folder",
                &|folder| {
                    symlink(".", folder.join("round")).unwrap();
                },
                "is a link to a folder",
            ),
            (
                "a pipe",
                &|folder| mkfifoat(CWD, folder.join("pipe"), Mode::from_raw_mode(0o600)).unwrap(),
                "is neither a regular file nor a folder",
            ),
        ],
    );
}

#[test]
fn link_within_the_folder_is_followed() {
    let (machine, copy) = (Machine::new(), copy_of(&sample("onnx_mlp")));
    fs::rename(copy.path().join(WEIGHTS), copy.path().join("weights")).unwrap();
    symlink("weights", copy.path().join(WEIGHTS)).unwrap();
    machine.create("mlp", copy.path());
    let request = json!({"inputs": {"x": [[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]]}});
    machine.ask("predict --name mlp -I - --json").stdin(request.to_string()).run().json();
}

#[test]
fn model_larger_than_the_disk_is_not_copied() {
    let (machine, copy) = (Machine::new(), copy_of(&iris()));
    // The file is sparse.
    File::create(copy.path().join("weights.bin")).unwrap().set_len(1 << 43).unwrap();
    let (code, message) = refusal(&machine, copy.path());
    assert_eq!(code, "RESOURCE_EXHAUSTED", "{message}");
    assert!(message.contains("the model has 8796093") && message.contains("bytes free"), "{message}");
    assert_eq!(machine.copies(), 0);
}
