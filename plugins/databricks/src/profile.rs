//! `~/.databrickscfg`: named sets of attributes.
//!
//! The file is written in the dialect of Python's `configparser`, which no INI reader for Rust has whole: indented lines
//! continue a value, a key may end in `:`, nothing after a value is a comment, and what is there twice is an error. So
//! it is read here.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mlflow_deploy_plugin_api::{Error, Result, Secret, call, file};

/// No file of profiles is larger, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The section that says which profile is used where nobody names one.
const SETTINGS: &str = "__settings__";

/// The profile that is used where nobody names one at all.
const DEFAULT: &str = "DEFAULT";

/// The profiles of one file.
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

/// One profile, and whether somebody chose it.
#[derive(Debug)]
pub(crate) struct Profile<'a> {
    path: &'a Path,
    section: &'a Section,
    is_chosen: bool,
}

impl Profiles {
    /// Reads the file, or the one in the home folder. A file that is not there has no profiles.
    pub(crate) fn read(given: Option<&Path>, home: Option<&Path>) -> Result<Self> {
        let path = match (given.map(|file| (file, file.strip_prefix("~"))), home) {
            (Some((_, Ok(below))), Some(home)) => home.join(below),
            (Some((file, _)), _) => file.to_owned(),
            (None, Some(home)) => home.join(".databrickscfg"),
            (None, None) => PathBuf::from(".databrickscfg"),
        };
        let unreadable = |error: &dyn fmt::Display| {
            Error::invalid_parameter(format!("failed to read the profiles in `{}`: {error}", path.display()))
        };
        let sections = match file::read_text(&path, MAX_FILE) {
            _ if given.is_none() && home.is_none() => Vec::new(),
            Ok(text) => parse(&text).map_err(|error| unreadable(&error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unreadable(&error)),
        };
        Ok(Self { path, sections })
    }

    /// The profile that was asked for, or the one that the file or custom says; none where neither is there.
    pub(crate) fn choose(&self, requested: Option<&str>) -> Result<Option<Profile<'_>>> {
        if requested == Some(SETTINGS) {
            return Err(Error::invalid_parameter(format!("`{SETTINGS}` is no profile: the name is reserved")));
        }
        let preset = self.section(SETTINGS).and_then(|settings| settings.get("default_profile"));
        let chosen = requested.map(str::to_owned).or(preset);
        let name = chosen.as_deref().unwrap_or(DEFAULT);
        match self.section(name) {
            Some(section) => Ok(Some(Profile { path: &self.path, section, is_chosen: chosen.is_some() })),
            None if chosen.is_none() => Ok(None),
            None => {
                let known = self.sections.iter().filter(|section| section.name != SETTINGS && !section.keys.is_empty());
                let known = known.map(|section| format!("`{}`", section.name)).collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "no profile".to_owned() } else { known };
                let path = self.path.display();
                Err(Error::invalid_parameter(format!("`{path}` has no profile `{name}`: it has {known}")))
            }
        }
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name && !section.keys.is_empty())
    }
}

impl Section {
    /// What is set to nothing counts as not set.
    fn get(&self, key: &str) -> Option<String> {
        let (_, value) = self.keys.iter().find(|(each, value)| each == key && !value.expose().is_empty())?;
        Some(value.expose().to_owned())
    }
}

impl Profile<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.section.name
    }

    pub(crate) fn is_chosen(&self) -> bool {
        self.is_chosen
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.section.get(key)
    }

    /// Says so where others on this machine can read the profile.
    pub(crate) fn warn_of_readers(&self) {
        let mode = fs::metadata(self.path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o044 != 0 {
            let path = self.path.display();
            call::warn(format!("others can read the credentials in `{path}`: run `chmod 600 {path}`"));
        }
    }
}

/// Reads all sections. What is wrong is said with its line, and without its text, which may be a secret.
fn parse(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let mut key_indent = None;
    for (number, line) in (1..).zip(text.lines()) {
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
                return Err(format!("line {number}: the section `{name}` is there twice"));
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
            return Err(format!("line {number}: `{key}` stands before any section"));
        };
        if section.keys.iter().any(|(each, _)| *each == key) {
            return Err(format!("line {number}: `{key}` is there twice in `{}`", section.name));
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
    fn the_dialect_is_configparser_s() {
        let text = "# a comment\n[a]\n  ; another\nHost = https://h ; x\nTOKEN:d=1:2\nlong = one\n  two\n\n  three\n\
                    percent = abc%d%%\nempty =\n[A]\nhost=b";
        let profiles = profiles(text);
        let a = profiles.choose(Some("a")).unwrap().unwrap();
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
        assert_eq!(profiles.choose(Some("A")).unwrap().unwrap().get("host").as_deref(), Some("b"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_its_text() {
        for (text, message) in [
            ("[a]\n[a]", "line 2: the section `a` is there twice"),
            ("[a]\nx=1\nX=s3cret", "line 3: `x` is there twice in `a`"),
            ("token = s3cret", "line 1: `token` stands before any section"),
            ("[a]\ns3cret", "line 2: expected `key = value`"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
    }

    #[test]
    fn the_profile_is_the_one_asked_for_or_set_or_the_default() {
        let choice = |text: &str, requested| {
            profiles(text).choose(requested).map(|profile| profile.map(|profile| profile.name().to_owned()))
        };
        let name = |name: &str| Ok(Some(name.to_owned()));
        let both = "[DEFAULT]\nhost=d\n[p]\nhost=p\n[__settings__]\ndefault_profile = p";
        assert_eq!(choice(both, None), name("p"));
        assert_eq!(choice(both, Some("DEFAULT")), name("DEFAULT"));
        assert_eq!(choice("[DEFAULT]\nhost=d", None), name("DEFAULT"));
        assert_eq!(choice("[DEFAULT]\n[p]\nhost=p", None), Ok(None));
        let missing = choice(both, Some("q")).unwrap_err();
        assert_eq!(missing.message(), "`/cfg` has no profile `q`: it has `DEFAULT`, `p`");
        choice("[__settings__]\ndefault_profile=q", None).unwrap_err();
        choice(both, Some("__settings__")).unwrap_err();
    }

    #[test]
    fn only_a_chosen_profile_is_told_to_others() {
        let profiles = profiles("[DEFAULT]\nhost=d");
        assert!(!profiles.choose(None).unwrap().unwrap().is_chosen());
        assert!(profiles.choose(Some("DEFAULT")).unwrap().unwrap().is_chosen());
    }

    #[test]
    fn a_file_of_profiles_has_a_limit_and_must_be_a_file() {
        let home = tempfile::tempdir().unwrap();
        let large = home.path().join(".databrickscfg");
        fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
        let said = |file: Option<&Path>| Profiles::read(file, Some(home.path())).unwrap_err().message().to_owned();
        let shown = large.display();
        assert_eq!(said(None), format!("failed to read the profiles in `{shown}`: larger than 1 MiB"));
        let zero = said(Some(Path::new("/dev/zero")));
        assert_eq!(zero, "failed to read the profiles in `/dev/zero`: it is not a regular file");
    }

    #[test]
    fn a_home_folder_is_filled_in_and_a_missing_file_is_empty() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("cfg"), "[DEFAULT]\nhost=d").unwrap();
        let read = |file: &str| Profiles::read(Some(Path::new(file)), Some(home.path())).unwrap();
        assert!(read("~/cfg").choose(None).unwrap().is_some());
        assert!(read("~/other").choose(None).unwrap().is_none());
        assert!(Profiles::read(None, None).unwrap().choose(None).unwrap().is_none());
    }
}
