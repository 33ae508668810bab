//! Checks a race: another user owns a parent folder of the plugin, and swaps this folder with another one while
//! commands run.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mlflow_deploy_test_support::cdylib;

use crate::command::mlflow_deploy;

/// The user id of an unprivileged user, who owns the parent folder.
const OTHER: u32 = 65534;

/// The number of times that the test loads the plugin. If the host did not check owners, about one load in ten would
/// load the other user's library.
const LOADS: usize = 100;

/// The C source of the other user's program, which swaps two folders until its stdin ends. The program prints a line
/// after the first swap, and the number of swaps at the end.
const SWAP: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct pollfd input = {0, POLLIN, 0};
    long swaps = 0;
    if (argc != 2 || chdir(argv[1])) return 1;
    while (poll(&input, 1, 0) == 0) {
        if (renameat2(AT_FDCWD, "inner", AT_FDCWD, "evil", RENAME_EXCHANGE)) return 1;
        if (swaps++ == 0) { puts("begun"); fflush(stdout); }
        usleep(80);
    }
    printf("%ld\n", swaps);
    return 0;
}
"#;

fn compile(folder: &Path) {
    fs::write(folder.join("swap.c"), SWAP).unwrap();
    let compiled = Command::new("cc").arg("-o").arg(folder.join("swap")).arg(folder.join("swap.c")).status().unwrap();
    assert!(compiled.success());
    let marked = folder.join("constructed");
    let constructor = format!(
        "#include <fcntl.h>\n__attribute__((constructor)) static void leave_a_mark(void) {{ (void)open({marked:?}, O_CREAT | O_WRONLY, 0644); }}\n"
    );
    fs::write(folder.join("constructor.c"), constructor).unwrap();
    fs::create_dir_all(folder.join("above/inner")).unwrap();
    fs::create_dir_all(folder.join("above/evil")).unwrap();
    cdylib::compile_c_plugin(&folder.join("above/inner/plugin.so"), None);
    cdylib::compile_c_plugin(&folder.join("above/evil/plugin.so"), Some(&folder.join("constructor.c")));
}

/// Starts the program [`SWAP`] as the unprivileged user [`OTHER`].
fn swapping(folder: &Path) -> Child {
    let mut swap = Command::new(folder.join("swap"));
    swap.arg(folder.join("above")).uid(OTHER).gid(OTHER).stdin(Stdio::piped()).stdout(Stdio::piped());
    swap.spawn().unwrap()
}

#[test]
fn library_of_another_user_is_not_loaded_during_swaps() {
    if !rustix::process::geteuid().is_root() || !cfg!(target_os = "linux") {
        println!("skipped: only root on Linux can run the attack as another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    compile(folder);
    for path in ["above", "above/evil", "above/evil/plugin.so"] {
        chown(folder.join(path), Some(OTHER), Some(OTHER)).unwrap();
    }
    let mut swap = swapping(folder);
    let mut stdout = BufReader::new(swap.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    let refused = format!("`{}` belongs to user {OTHER}; `chown -h 0 ", folder.join("above").display());
    for _ in 0..LOADS {
        let plugin = folder.join("above/inner/plugin.so");
        let ran = mlflow_deploy("list-endpoints -t c-echo --plugin").arg(plugin).run();
        assert!(ran.code == 3 && ran.stderr.contains(&refused), "{ran:?}");
    }
    swap.stdin.take().unwrap().write_all(b"end").unwrap();
    let mut swaps = String::new();
    stdout.read_to_string(&mut swaps).unwrap();
    assert!(swap.wait().unwrap().success());
    println!("{LOADS} loads refused during {} swaps", swaps.trim());
    assert!(swaps.trim().parse::<u64>().unwrap() > 0);
    assert!(!folder.join("constructed").exists(), "code of user {OTHER} ran as root");
}
