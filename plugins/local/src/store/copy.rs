//! Copying a model's folder: regular files only, none of them from outside, and all of it on the disk before it counts.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, call};

use super::directory::sync;
use super::fault::fault;

/// Bytes between two looks at whether somebody still waits.
const PIECE: u64 = 8 << 20;

/// Files and folders; more than any model has, and few enough to be listed.
const MOST_FILES: usize = 100_000;

/// Copies a model's folder to a path where nothing is yet. It blocks, and stops when `is_given_up`.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` for a file that is none, or a link that leads out; `RESOURCE_EXHAUSTED` where there is no room.
pub(crate) fn copy(from: &Path, to: &Path, is_given_up: &AtomicBool) -> Result<()> {
    let listing = Listing::of(from)?;
    check_room(to.parent().expect("a copy is in a folder of its own"), listing.bytes)?;
    for folder in &listing.folders {
        let path = to.join(folder);
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| fault("make the directory", &path, &error))?;
    }
    let mut done = 0;
    for (file, source) in &listing.files {
        let path = to.join(file);
        let mut reader = File::open(source).map_err(|error| fault("read", source, &error))?;
        let mut writer = File::create_new(&path).map_err(|error| fault("write", &path, &error))?;
        loop {
            if is_given_up.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorCode::CANCELLED, "the model was not copied: nobody waits for it"));
            }
            // The kernel copies, and shares blocks where the file system can.
            let copied = io::copy(&mut (&mut reader).take(PIECE), &mut writer);
            match copied.map_err(|error| fault("write", &path, &error))? {
                0 => break,
                copied => done += copied,
            }
            if listing.bytes > PIECE {
                #[expect(clippy::cast_precision_loss, reason = "for a person to see")]
                call::progress((done as f64 / listing.bytes as f64).min(1.0), "copying the model");
            }
        }
        writer.sync_all().map_err(|error| fault("write", &path, &error))?;
    }
    let paths = listing.folders.iter().rev().map(|folder| to.join(folder));
    paths.into_iter().try_for_each(|path| sync(&path).map_err(|error| fault("write", &path, &error)))
}

/// What there is to copy: paths below the folder, parents first, and where each file really is.
#[derive(Default)]
struct Listing {
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, PathBuf)>,
    bytes: u64,
}

impl Listing {
    fn of(root: &Path) -> Result<Self> {
        let real = root.canonicalize().map_err(|error| fault("read", root, &error))?;
        let mut listing = Self { folders: vec![PathBuf::new()], ..Self::default() };
        let mut next = 0;
        while let Some(folder) = listing.folders.get(next).cloned() {
            let path = real.join(&folder);
            let entries = fs::read_dir(&path).map_err(|error| fault("read", &path, &error))?;
            for entry in entries {
                let entry = entry.map_err(|error| fault("read", &path, &error))?;
                listing.add(&real, folder.join(entry.file_name()))?;
            }
            next += 1;
        }
        Ok(listing)
    }

    fn add(&mut self, real: &Path, relative: PathBuf) -> Result<()> {
        let wrong = |why: &str| {
            Error::invalid_parameter(format!("the model's `{}` {why}: nothing was deployed", relative.display()))
        };
        let path = real.join(&relative);
        let is_link = fs::symlink_metadata(&path).map_err(|error| fault("read", &path, &error))?.is_symlink();
        let source = path.canonicalize().map_err(|error| wrong(&format!("cannot be read ({error})")))?;
        if !source.starts_with(real) {
            return Err(wrong("is a link that leads out of its folder; put the file there in its place"));
        }
        let found = fs::metadata(&source).map_err(|error| fault("read", &source, &error))?;
        if self.files.len() + self.folders.len() >= MOST_FILES {
            return Err(wrong(&format!("is one of more than {MOST_FILES} files, which no model has")));
        }
        if found.is_file() {
            self.bytes = self.bytes.saturating_add(found.len());
            self.files.push((relative, source));
        } else if found.is_dir() && !is_link {
            self.folders.push(relative);
        } else if found.is_dir() {
            return Err(wrong("is a link to a folder, which could go round in circles; put the files there"));
        } else {
            return Err(wrong("is neither a file nor a folder"));
        }
        Ok(())
    }
}

/// Refuses what cannot fit, before hours are spent on it.
fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    let room = rustix::fs::statvfs(folder).map_err(|error| fault("look at the room in", folder, &error.into()))?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    if bytes <= free {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::RESOURCE_EXHAUSTED,
        format!(
            "the model has {bytes} bytes, and in `{}` {free} are free: make room, or choose another directory with the \
             option `state_dir`",
            folder.display()
        ),
    ))
}
