//! The user's `config.toml` as a document whose named targets can be changed. The rest of the file, with its comments,
//! stays the same.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use mlflow_deploy::{Replacement, check_user_config, user_config_path};
use mlflow_deploy_plugin_api::file;
use toml_edit::{Decor, DocumentMut, Item, RawString, Table};

use crate::report::CliError;

const MAX_BYTES: u64 = 4 << 20;

/// The table with the named targets.
const TARGETS: &str = "targets";

/// The user's configuration file, locked against changes by other runs of the command.
pub(super) struct ConfigDocument {
    pub(super) path: PathBuf,
    document: DocumentMut,
    /// The folder of the file, which holds the lock until it is closed.
    _lock: File,
}

impl ConfigDocument {
    /// Reads the file; a missing file is empty. Creates the folder of the file.
    pub(super) fn open() -> Result<Self, CliError> {
        let no_folder = "the configuration has no place: set `HOME` or `XDG_CONFIG_HOME`";
        let path = user_config_path().ok_or_else(|| CliError::Input(no_folder.to_owned()))?;
        let failed =
            |error: &dyn std::fmt::Display| CliError::Input(format!("failed to change `{}`: {error}", path.display()));
        let folder = path.parent().expect("the file is in the folder `mlflow-deploy`");
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(&error))?;
        let lock = File::open(folder).map_err(|error| failed(&error))?;
        match lock.lock() {
            // Some network file systems have no locks.
            Err(error) if error.kind() != ErrorKind::Unsupported => return Err(failed(&error)),
            _ => {}
        }
        let text = match file::read_text(&path, MAX_BYTES) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| failed(&error))?,
        };
        let document = text.parse().map_err(|error: toml_edit::TomlError| failed(&error.message()))?;
        Ok(Self { path, document, _lock: lock })
    }

    /// Returns the names of the targets.
    pub(super) fn names(&self) -> Vec<String> {
        let targets = self.document.get(TARGETS).and_then(Item::as_table_like);
        targets.map(|targets| targets.iter().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default()
    }

    /// Adds a target, after all others. A target of the same name must have been removed.
    pub(super) fn add(&mut self, name: &str, mut target: Table) -> Result<(), CliError> {
        let is_first = self.document.is_empty() && self.document.trailing().as_str().is_none_or(str::is_empty);
        target.decor_mut().set_prefix(if is_first { "" } else { "\n" });
        // Comments at the end of the file stay before the new table.
        let trailing = self.document.trailing().as_str().unwrap_or_default().to_owned();
        if !trailing.is_empty() {
            self.document.set_trailing("");
            let gap = if trailing.trim().is_empty() || trailing.ends_with("\n\n") { "" } else { "\n" };
            target.decor_mut().set_prefix(format!("{trailing}{gap}"));
        }
        let targets = self.document.entry(TARGETS).or_insert_with(|| {
            let mut targets = Table::new();
            targets.set_implicit(true);
            Item::Table(targets)
        });
        let failed =
            || CliError::Input(format!("failed to change `{}`: `targets` is not a table", self.path.display()));
        match targets {
            Item::Table(targets) => {
                targets.insert(name, Item::Table(target));
            }
            other => {
                let targets = other.as_inline_table_mut().ok_or_else(failed)?;
                targets.insert(name, target.into_inline_table().into());
            }
        }
        Ok(())
    }

    /// Removes a target. Returns false if there is none. The comment directly above its table is removed, too.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let Some(targets) = self.document.get_mut(TARGETS) else { return false };
        let Some(removed) = targets.as_table_like_mut().and_then(|targets| targets.remove(name)) else { return false };
        if targets.as_table().is_some_and(|targets| targets.is_implicit() && targets.is_empty()) {
            self.document.remove(TARGETS);
        }
        if let Some(table) = removed.as_table() {
            let kept = comments_before(table.decor());
            self.keep(&kept, table.position());
        }
        true
    }

    /// Writes the file atomically. An existing file keeps its mode; a new one is readable by the user alone.
    pub(super) fn save(&self) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            CliError::Input(format!("failed to change `{}`: {error}", self.path.display()))
        };
        let text = self.document.to_string();
        check_user_config(&text).map_err(|error| failed(&error))?;
        let new = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path);
        new.map_err(|error| failed(&error))?;
        Replacement::write(&self.path, text.as_bytes()).map_err(|error| failed(&error))
    }

    /// Puts comments before the table that follows a position, or at the end of the file.
    fn keep(&mut self, comments: &str, position: Option<isize>) {
        if comments.trim().is_empty() {
            return;
        }
        let mut next = None;
        visit(self.document.as_table_mut(), &mut |table| {
            if table.position() > position && next.is_none_or(|next| table.position() < next) {
                next = Some(table.position());
            }
        });
        let Some(next) = next else {
            let trailing = self.document.trailing().as_str().unwrap_or_default().to_owned();
            self.document.set_trailing(format!("{comments}{trailing}"));
            return;
        };
        visit(self.document.as_table_mut(), &mut |table| {
            if table.position() == next {
                let before = prefix(table.decor());
                table.decor_mut().set_prefix(format!("{comments}{}", before.trim_start_matches('\n')));
            }
        });
    }
}

/// Calls a function with every table of the file that has a header.
fn visit(table: &mut Table, function: &mut impl FnMut(&mut Table)) {
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(table) => {
                if !table.is_implicit() && !table.is_dotted() {
                    function(table);
                }
                visit(table, function);
            }
            Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| {
                function(table);
                visit(table, function);
            }),
            Item::None | Item::Value(_) => {}
        }
    }
}

fn prefix(decor: &Decor) -> String {
    decor.prefix().and_then(RawString::as_str).unwrap_or_default().to_owned()
}

/// Returns the comments before a table, up to the last blank line. The rest is a comment on the table itself.
fn comments_before(decor: &Decor) -> String {
    let prefix = prefix(decor);
    prefix.rfind("\n\n").map_or_else(String::new, |end| prefix[..end + 2].to_owned())
}

#[cfg(test)]
mod tests {
    use toml_edit::value;

    use super::*;

    fn document(text: &str) -> ConfigDocument {
        let document = text.parse().unwrap();
        ConfigDocument { path: "/config.toml".into(), document, _lock: File::open("/dev/null").unwrap() }
    }

    fn added(text: &str) -> String {
        let mut changed = document(text);
        let (mut target, mut options) = (Table::new(), Table::new());
        target.insert("uri", value("x"));
        options.insert("k", value("v"));
        target.insert("options", options.into());
        changed.add("new", target).unwrap();
        changed.document.to_string()
    }

    fn removed(text: &str) -> String {
        let mut changed = document(text);
        assert!(changed.remove("a") && !changed.remove("a"));
        changed.document.to_string()
    }

    const NEW: &str = "[targets.new]\nuri = \"x\"\n\n[targets.new.options]\nk = \"v\"\n";

    #[test]
    fn add_keeps_the_file_and_appends_the_target() {
        for text in [
            "",
            "# mine\ntry-first-loads = true # why\n",
            "[plugins.x]\nisolation = \"process\"\n\n# targets\n[targets.a]\nuri = 'y'  # a\n",
            "[targets.a]\nuri = 'y'\n[targets.a.options]\nb = { env = 'B' }\n",
            "# only a comment\n",
            "[targets.a]\nuri = 'y'\n# the end\n",
        ] {
            let gap = if text.is_empty() { "" } else { "\n" };
            assert_eq!(added(text), format!("{text}{gap}{NEW}"));
        }
        // A table between the targets stays after them.
        let text = "[targets.a]\nuri = 'y'\n\n# p\n[plugins.x]\n";
        let changed = added(text);
        assert!(changed.contains("\n# p\n[plugins.x]\n") && changed.contains(NEW), "{changed}");
        assert_eq!(
            added("targets = { a = { uri = 'y' } } # all\n"),
            "targets = { a = { uri = 'y' } , new = { uri = \"x\", options = { k = \"v\" } } } # all\n"
        );
    }

    #[test]
    fn remove_keeps_the_file_and_the_comments_of_other_tables() {
        for (text, expected) in [
            ("[targets.a]\nuri = 'y'\n", ""),
            (
                "# mine\nx = 1\n\n# a\n[targets.a]\nuri = 'y' # u\n\n# b\n[targets.b]\nuri = 'z'\n",
                "# mine\nx = 1\n\n# b\n[targets.b]\nuri = 'z'\n",
            ),
            (
                "# file\n\n# a\n[targets.a]\nuri = 'y'\n[targets.a.options]\nk = 'v'\n\n[plugins.p]\n",
                "# file\n\n[plugins.p]\n",
            ),
            ("# file\n\n[targets.a]\nuri = 'y'\n# end\n", "# file\n\n# end\n"),
            ("[targets.b]\nuri = 'z'\n# group\n\n[targets.a]\nuri = 'y'\n", "[targets.b]\nuri = 'z'\n# group\n\n"),
            ("[targets]\na.uri = 'y'\nb.uri = 'z'\n", "[targets]\nb.uri = 'z'\n"),
            ("targets = { a = { uri = 'y' }, b = { uri = 'z' } }\n", "targets = { b = { uri = 'z' } }\n"),
        ] {
            assert_eq!(removed(text), expected, "{text}");
        }
        assert!(!document("").remove("a"));
    }
}
