//! The profiles in `~/.databrickscfg`. A profile is a section with the settings of a workspace.
//!
//! The parser implements the dialect of Python's `configparser`, which the INI crates support only in part: an indented
//! line continues a value, `:` may separate a key from its value, a value has no trailing comment, and duplicates are
//! errors.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, Secret, call, file};

/// The maximum size of a profile file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The name of the section that contains the key `default_profile`.
const SETTINGS: &str = "__settings__";

/// The name of the profile that is used if neither a setting nor `default_profile` names one.
const DEFAULT: &str = "DEFAULT";

/// The profiles in a profile file.
#[derive(Debug)]
pub(crate) struct Profiles {
    path: PathBuf,
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    name: String,
    keys: Vec<(String, Secret)>,
}

/// A profile: a section of the profile file.
#[derive(Debug)]
pub(crate) struct Profile<'a> {
    path: &'a Path,
    section: &'a Section,
    /// True if a setting or `default_profile` names the profile; false if it is `DEFAULT` because nothing names one.
    is_named: bool,
}

impl Profiles {
    /// Reads the profiles in `file`, or in `.databrickscfg` in the home folder if `file` is `None`. Returns no profiles
    /// if the file does not exist.
    pub(crate) fn read(file: Option<&Path>, home: Option<&Path>) -> Result<Self> {
        let path = match (file.map(|file| (file, file.strip_prefix("~"))), home) {
            (Some((_, Ok(below))), Some(home)) => home.join(below),
            (Some((file, _)), _) => file.to_owned(),
            (None, Some(home)) => home.join(".databrickscfg"),
            (None, None) => PathBuf::from(".databrickscfg"),
        };
        let unreadable = |error: &dyn fmt::Display| {
            Error::invalid_parameter(format!("failed to read the profiles in `{}`: {error}", path.display()))
        };
        let sections = match file::read_text(&path, MAX_FILE) {
            _ if file.is_none() && home.is_none() => Vec::new(),
            Ok(text) => parse(&text).map_err(|error| unreadable(&error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unreadable(&error)),
        };
        Ok(Self { path, sections })
    }

    /// Returns the requested profile. Without a request, returns the default profile that the file names, else the
    /// profile `DEFAULT` if it exists.
    pub(crate) fn select(&self, requested: Option<&str>) -> Result<Option<Profile<'_>>> {
        if requested == Some(SETTINGS) {
            return Err(Error::invalid_parameter(format!("invalid profile `{SETTINGS}`: the name is reserved")));
        }
        let default = self.section(SETTINGS).and_then(|settings| settings.get("default_profile"));
        let selected = requested.map(str::to_owned).or(default);
        let name = selected.as_deref().unwrap_or(DEFAULT);
        match self.section(name) {
            Some(section) => Ok(Some(Profile { path: &self.path, section, is_named: selected.is_some() })),
            None if selected.is_none() => {
                let is_similar =
                    |section: &&Section| section.is_set() && section.name.trim().eq_ignore_ascii_case(DEFAULT);
                if let Some(Section { name, .. }) = self.sections.iter().find(is_similar) {
                    let path = self.path.display();
                    call::warn(format!(
                        "`{path}` has the profile `{name}`, which is not used: its name is not `{DEFAULT}`"
                    ));
                }
                Ok(None)
            }
            None => {
                let known = self.sections.iter().filter(|section| section.name != SETTINGS && section.is_set());
                let known = known.map(|section| format!("`{}`", section.name)).collect::<Vec<_>>().join(", ");
                let expected = if known.is_empty() {
                    "the file has no profiles".to_owned()
                } else {
                    format!("expected one of {known}")
                };
                let path = self.path.display();
                Err(Error::invalid_parameter(format!("unknown profile `{name}` of `{path}`: {expected}")))
            }
        }
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name && section.is_set())
    }
}

impl Section {
    /// Returns true if the section has a key. An empty section counts as missing.
    fn is_set(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Returns the value of a key in this section. An empty value counts as unset.
    fn get(&self, key: &str) -> Option<String> {
        let (_, value) = self.keys.iter().find(|(each, value)| each == key && !value.expose().is_empty())?;
        Some(value.expose().to_owned())
    }
}

impl Profile<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.section.name
    }

    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.section.get(key)
    }

    /// Warns if other users of this machine can read the profile file.
    pub(crate) fn warn_if_readable_by_others(&self) {
        let mode = fs::metadata(self.path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o044 != 0 {
            let path = self.path.display();
            call::warn(format!("other users can read the credentials in `{path}`: run `chmod 600 {path}`"));
        }
    }
}

/// Parses all sections of a profile file. An error contains the line number but not the line's text, which may be a
/// secret.
fn parse(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let mut key_indent = None;
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if key_indent.is_some_and(|key| indent > key)
            && let Some((_, value)) = sections.last_mut().and_then(|section| section.keys.last_mut())
        {
            *value = Secret::new(format!("{}\n{content}", value.expose()));
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|rest| Some(rest.rsplit_once(']')?.0)) {
            if sections.iter().any(|section| section.name == name) {
                return Err(format!("line {number}: duplicate section `{name}`"));
            }
            sections.push(Section { name: name.to_owned(), keys: Vec::new() });
            key_indent = None;
            continue;
        }
        let Some((key, value)) = content.split_once(['=', ':']) else {
            return Err(format!("line {number}: expected `key = value`"));
        };
        let key = key.trim().to_lowercase();
        let Some(section) = sections.last_mut() else {
            return Err(format!("line {number}: `{key}` precedes the first section"));
        };
        if section.keys.iter().any(|(each, _)| *each == key) {
            return Err(format!("line {number}: duplicate key `{key}` in `{}`", section.name));
        }
        section.keys.push((key, Secret::new(value.trim())));
        key_indent = Some(indent);
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(text: &str) -> Profiles {
        Profiles { path: PathBuf::from("/cfg"), sections: parse(text).unwrap() }
    }

    #[test]
    fn the_dialect_of_configparser_is_parsed() {
        let text = "# a comment\n[a]\n  ; another\nHost = https://h ; x\nTOKEN:d=1:2\nlong = one\n  two\n\n  three\n\
                    percent = abc%d%%\nempty =\n[A]\nhost=b";
        let profiles = profiles(text);
        let a = profiles.select(Some("a")).unwrap().unwrap();
        for (key, value) in [
            ("host", Some("https://h ; x")),
            ("token", Some("d=1:2")),
            ("long", Some("one\ntwo\nthree")),
            ("percent", Some("abc%d%%")),
            ("empty", None),
            ("missing", None),
        ] {
            assert_eq!(a.get(key).as_deref(), value, "{key}");
        }
        assert_eq!(profiles.select(Some("A")).unwrap().unwrap().get("host").as_deref(), Some("b"));
        let windows = self::profiles("\u{feff}[a]\r\nhost = h \r\ntoken = t\r\n");
        let a = windows.select(Some("a")).unwrap().unwrap();
        assert_eq!((a.get("host").as_deref(), a.get("token").as_deref()), (Some("h"), Some("t")));
    }

    #[test]
    fn a_syntax_error_has_the_line_and_no_secret() {
        for (text, message) in [
            ("[a]\n[a]", "line 2: duplicate section `a`"),
            ("[a]\nx=1\nX=s3cret", "line 3: duplicate key `x` in `a`"),
            ("token = s3cret", "line 1: `token` precedes the first section"),
            ("[a]\ns3cret", "line 2: expected `key = value`"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
    }

    #[test]
    fn the_requested_profile_takes_precedence_over_the_default() {
        let selected = |text: &str, requested| {
            profiles(text).select(requested).map(|profile| profile.map(|profile| profile.name().to_owned()))
        };
        let name = |name: &str| Ok(Some(name.to_owned()));
        let both = "[DEFAULT]\nhost=d\n[p]\nhost=p\n[__settings__]\ndefault_profile = p";
        assert_eq!(selected(both, None), name("p"));
        assert_eq!(selected(both, Some("DEFAULT")), name("DEFAULT"));
        assert_eq!(selected("[DEFAULT]\nhost=d", None), name("DEFAULT"));
        assert_eq!(selected("[DEFAULT]\n[p]\nhost=p", None), Ok(None));
        let missing = selected(both, Some("q")).unwrap_err();
        assert_eq!(missing.message(), "unknown profile `q` of `/cfg`: expected one of `DEFAULT`, `p`");
        selected("[__settings__]\ndefault_profile=q", None).unwrap_err();
        selected(both, Some("__settings__")).unwrap_err();
    }

    #[test]
    fn an_implicit_default_profile_is_not_named() {
        let profiles = profiles("[DEFAULT]\nhost=d");
        assert!(!profiles.select(None).unwrap().unwrap().is_named());
        assert!(profiles.select(Some("DEFAULT")).unwrap().unwrap().is_named());
    }

    #[test]
    fn a_large_or_special_file_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let large = home.path().join(".databrickscfg");
        fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
        let message = |file: Option<&Path>| Profiles::read(file, Some(home.path())).unwrap_err().message().to_owned();
        let shown = large.display();
        assert_eq!(message(None), format!("failed to read the profiles in `{shown}`: larger than 1 MiB"));
        let zero = message(Some(Path::new("/dev/zero")));
        assert_eq!(zero, "failed to read the profiles in `/dev/zero`: not a regular file");
    }

    #[test]
    fn a_tilde_is_expanded_and_a_missing_file_is_empty() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("cfg"), "[DEFAULT]\nhost=d").unwrap();
        let read = |file: &str| Profiles::read(Some(Path::new(file)), Some(home.path())).unwrap();
        assert!(read("~/cfg").select(None).unwrap().is_some());
        assert!(read("~/other").select(None).unwrap().is_none());
        assert!(Profiles::read(None, None).unwrap().select(None).unwrap().is_none());
    }
}
