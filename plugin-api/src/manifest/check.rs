//! Finds every fault of a manifest, with its line and column. Hosts read a manifest without this check: they ignore
//! unknown members, so that newer plugins load.

use std::collections::BTreeSet;

use serde::Serialize;

use super::format::{MAX_BYTES, is_name};
use super::located::{Located, Member, line_and_column};
use crate::ffi::abi::ABI;
use crate::{Operation, file};

/// The members that a manifest must have. [`export_plugin!`](crate::export_plugin) writes them.
pub(super) const REQUIRED: [&str; 8] =
    ["manifest", "abi", "name", "version", "target", "schemes", "operations", "panic"];
/// The members that a manifest may have.
pub(super) const OPTIONAL: [&str; 8] =
    ["accepts", "config", "description", "environment", "invoke", "isolation", "options", EDITORS];
/// The members that only the manifest of a process plugin has. The first is required there.
pub(super) const PROCESS: [&str; 3] = ["exec", "files", "start_timeout"];
/// The required members that the manifest of a process plugin may lack.
pub(super) const OF_LIBRARY: [&str; 2] = ["target", "panic"];
/// The member that only editors read. Hosts ignore it, whatever its value is.
const EDITORS: &str = "$schema";
/// The members of an element of `invoke`.
pub(super) const INVOKE: [&str; 2] = ["name", "description"];
/// The members of an element of `environment`.
pub(super) const ENVIRONMENT: [&str; 2] = ["name", "secret"];
/// The functions of a plugin's table that are listed as operations, although no client has them.
const WITHOUT_CLIENT: [&str; 2] = ["target_help", "run_local"];
/// The clause of faults for which a host refuses the plugin.
const REFUSED: &str = "manifest.json";
/// The clause of faults that a host ignores, but that an author does not intend.
const MEMBERS: &str = "manifest.members";

/// A fault of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The path of the faulty value, such as `environment[0].name`. Empty for the whole manifest.
    pub member: String,
    /// The fault, and the expected value.
    pub message: String,
    /// The clause of the contract that the manifest breaks, such as `manifest.json`.
    pub clause: &'static str,
}

impl Fault {
    /// Returns true if a host refuses the plugin for this fault.
    pub fn is_refused(&self) -> bool {
        self.clause == REFUSED
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// All faults, in the order of the text.
    pub faults: Vec<Fault>,
    /// True if the text is the part of a manifest that an author passes to [`export_plugin!`](crate::export_plugin),
    /// which adds the required members.
    pub is_part: bool,
}

/// Checks a manifest and returns all faults. A text that is not JSON has one fault.
///
/// ```
/// use mlflow_deploy_plugin_api::manifest;
///
/// let checked = manifest::check(b"{\n  \"description\": \"an echo\",\n  \"isolaton\": \"required\"\n}");
/// assert!(checked.is_part);
/// assert_eq!((checked.faults[0].line, checked.faults[0].column), (3, 3));
/// assert!(checked.faults[0].message.starts_with("unknown member `isolaton`"));
/// ```
pub fn check(json: &[u8]) -> Checked {
    check_kind(json, false)
}

/// Does the same as [`check`] for the manifest of a process plugin, which must have `exec`.
pub fn check_process(json: &[u8]) -> Checked {
    check_kind(json, true)
}

fn check_kind(json: &[u8], is_process: bool) -> Checked {
    let json = file::without_byte_order_mark(json.strip_suffix(b"\0").unwrap_or(json));
    let refused = |text: &str, offset, message: String| {
        let (line, column) = line_and_column(text, offset);
        let fault = Fault { line, column, member: String::new(), message, clause: REFUSED };
        Checked { faults: vec![fault], is_part: false }
    };
    let text = match std::str::from_utf8(json) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&json[..error.valid_up_to()]);
            return refused(&valid, valid.len(), "invalid UTF-8: expected UTF-8 text".to_owned());
        }
    };
    if text.len() > MAX_BYTES {
        return refused(text, MAX_BYTES, format!("too large: {} bytes, the limit is {MAX_BYTES}", text.len()));
    }
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _place)| message);
        return refused(text, line_start + error.column().saturating_sub(1), format!("not JSON: {message}"));
    }
    let blanks = text.len() - text.trim_ascii_start().len();
    let root = Located { raw: text.trim_ascii(), offset: blanks };
    let Some(members) = root.members() else {
        return refused(text, blanks, format!("found {}: expected a JSON object", shown(root)));
    };
    let has = |names: &[&str]| members.iter().any(|member| names.contains(&member.name.as_str()));
    let is_part = !is_process && has(&OPTIONAL) && !has(&REQUIRED);
    let is_process = is_process || has(&PROCESS[..1]);
    let mut checker = Checker { text, faults: Vec::new(), is_part, is_process };
    checker.manifest(root, &members);
    checker.faults.sort_by_key(|fault| (fault.line, fault.column));
    Checked { faults: checker.faults, is_part: checker.is_part }
}

pub(super) struct Checker<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    is_part: bool,
    is_process: bool,
}

impl<'a> Checker<'a> {
    fn manifest(&mut self, root: Located<'a>, members: &[Member<'a>]) {
        let is_process = self.is_process;
        let of_process = if is_process { &PROCESS[..] } else { &[] };
        let known: Vec<_> = REQUIRED.iter().chain(&OPTIONAL).chain(of_process).copied().collect();
        let is_required = |name: &&str| !(self.is_part || is_process && OF_LIBRARY.contains(name));
        let exec = is_process.then_some(PROCESS[0]);
        let required: Vec<_> = REQUIRED.into_iter().filter(is_required).chain(exec).collect();
        self.names(root.offset, "", members, &known, &required);
        let custom: Vec<_> = (find(members, "invoke").into_iter())
            .flat_map(|invoke| invoke.elements().unwrap_or_default())
            .filter_map(|operation| find(&operation.members()?, "name")?.string())
            .collect();
        let declared = find(members, "operations").and_then(strings);
        for Member { name, value, .. } in members {
            let value = *value;
            match name.as_str() {
                "manifest" => self.version(name, value, 1, REFUSED),
                "abi" => self.version(name, value, ABI, "manifest.abi"),
                "name" => self.name(name, value),
                "version" | "target" => {
                    let text = self.string(name, value);
                    if text.is_some_and(|text| text.is_empty()) {
                        self.fault(name, value.offset, format!("`{name}` is empty"), MEMBERS);
                    }
                }
                "description" => drop(self.string(name, value)),
                EDITORS if value.string().is_none() => {
                    let message = format!("`{name}` is {}: expected a string", shown(value));
                    self.fault(name, value.offset, message, MEMBERS);
                }
                "schemes" => {
                    let schemes = self.list(name, value, Self::name);
                    if schemes == Some(0) {
                        self.fault(name, value.offset, "missing scheme: `schemes` is empty".to_owned(), REFUSED);
                    }
                }
                "operations" => drop(self.list(name, value, Self::operation)),
                "panic" => self.word(name, value, &["abort", "none", "unwind"]),
                "isolation" => self.word(name, value, &["optional", "required"]),
                "accepts" => {
                    let accepted = self.list(name, value, Self::media_type);
                    if accepted == Some(0) {
                        let message = "`accepts` is empty: expected at least one media type".to_owned();
                        self.fault(name, value.offset, message, "manifest.accepts");
                    }
                }
                "exec" => self.exec(name, value),
                "files" if is_process => drop(self.list(name, value, Self::argument)),
                "start_timeout" if is_process => {
                    if value.raw.parse::<u32>().is_ok_and(|seconds| seconds > 0) {
                        continue;
                    }
                    self.wrong(name, value, "a number of seconds, at least 1");
                }
                "environment" => drop(self.list(name, value, Self::variable)),
                "invoke" => {
                    let operations = self.list(name, value, Self::custom_operation).unwrap_or_default();
                    let has_invoke = |names: &Vec<String>| names.iter().any(|name| name == Operation::Invoke.name());
                    if operations > 0 && !self.is_part && declared.as_ref().is_some_and(|names| !has_invoke(names)) {
                        let message = "`operations` lacks `invoke`, which runs custom operations".to_owned();
                        self.fault(name, value.offset, message, "manifest.invoke");
                    }
                    self.unique(value);
                }
                "options" => match value.members() {
                    Some(_) => self.schema(name, value),
                    None => self.wrong(name, value, "a JSON object"),
                },
                "config" => {
                    let operations = match (&declared, self.is_part) {
                        (Some(declared), _) => declared.clone(),
                        (None, _) => known_operations().map(str::to_owned).collect(),
                    };
                    self.config(value, &operations, &custom);
                }
                _unknown => {}
            }
        }
    }

    /// Checks the names of an object's members: each is known and occurs once, and no required member is missing.
    fn names(&mut self, offset: usize, place: &str, members: &[Member<'a>], known: &[&str], required: &[&str]) {
        let mut seen = BTreeSet::new();
        for Member { name, offset, .. } in members {
            let is_known = known.contains(&name.as_str());
            if !seen.insert(name) {
                let clause = if is_known && name != EDITORS { REFUSED } else { MEMBERS };
                self.fault(&join(place, name), *offset, format!("duplicate member `{name}`"), clause);
            } else if !is_known {
                let message = format!("unknown member `{name}`: expected `{}`", known.join("`, `"));
                self.fault(&join(place, name), *offset, message, MEMBERS);
            }
        }
        for name in required.iter().filter(|name| !seen.iter().any(|seen| seen == *name)) {
            self.fault(&join(place, name), offset, format!("missing member `{name}`"), REFUSED);
        }
    }

    fn version(&mut self, place: &str, value: Located<'a>, expected: u32, clause: &'static str) {
        match value.raw.parse::<u32>() {
            Ok(version) if version == expected => {}
            Ok(version) => {
                self.fault(place, value.offset, format!("`{place}` is {version}: expected {expected}"), clause);
            }
            Err(_not_a_version) => self.wrong(place, value, &expected.to_string()),
        }
    }

    fn name(&mut self, place: &str, value: Located<'a>) {
        if let Some(name) = self.string(place, value).filter(|name| !is_name(name)) {
            let message = format!("`{place}` is `{name}`: expected a-z, then a-z, 0-9, `+`, `-`, `.`");
            self.fault(place, value.offset, message, REFUSED);
        }
    }

    fn operation(&mut self, place: &str, value: Located<'a>) {
        if let Some(name) = self.string(place, value).filter(|name| known_operations().all(|known| known != name)) {
            let known: Vec<_> = known_operations().collect();
            let message = format!("unknown operation `{name}`: expected `{}`", known.join("`, `"));
            self.fault(place, value.offset, message, "manifest.operations");
        }
    }

    fn media_type(&mut self, place: &str, value: Located<'a>) {
        let is_valid =
            |text: &String| text.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
        if let Some(text) = self.string(place, value).filter(|text| !is_valid(text)) {
            let message = format!("`{place}` is `{text}`: expected a media type such as `application/json`");
            self.fault(place, value.offset, message, "manifest.accepts");
        }
    }

    fn variable(&mut self, place: &str, value: Located<'a>) {
        self.record(place, value, &ENVIRONMENT, MEMBERS);
        if let Some(secret) = value.members().and_then(|members| find(&members, "secret")).filter(|it| !it.is_boolean())
        {
            self.wrong(&join(place, "secret"), secret, "`true` or `false`");
        }
    }

    fn custom_operation(&mut self, place: &str, value: Located<'a>) {
        self.record(place, value, &INVOKE, "manifest.invoke");
        if let Some(text) = value.members().and_then(|members| find(&members, "description")) {
            self.string(&join(place, "description"), text);
        }
    }

    fn exec(&mut self, place: &str, value: Located<'a>) {
        let arguments = self.list(place, value, Self::argument);
        let first = value.elements().and_then(|arguments| arguments.first()?.string());
        if arguments == Some(0) || first.as_deref() == Some("") {
            let message = format!("missing program: the first element of `{place}` is missing or empty");
            self.fault(place, value.offset, message, REFUSED);
        }
    }

    fn argument(&mut self, place: &str, value: Located<'a>) {
        if self.string(place, value).is_some_and(|text| text.contains('\0')) {
            self.wrong(place, value, "a string without NUL");
        }
    }

    /// Checks an object that must have a `name`. `clause` is the clause of an empty name.
    fn record(&mut self, place: &str, value: Located<'a>, known: &[&str], clause: &'static str) {
        let Some(members) = value.members() else { return self.wrong(place, value, "a JSON object with `name`") };
        self.names(value.offset, place, &members, known, &["name"]);
        if let Some(name) = find(&members, "name") {
            let place = join(place, "name");
            if self.string(&place, name).is_some_and(|name| name.is_empty()) {
                self.fault(&place, name.offset, format!("`{place}` is empty"), clause);
            }
        }
    }

    /// Checks that the custom operations have different names.
    fn unique(&mut self, invoke: Located<'a>) {
        let mut seen = BTreeSet::new();
        for (index, operation) in invoke.elements().unwrap_or_default().into_iter().enumerate() {
            let Some(name) = operation.members().and_then(|members| find(&members, "name")) else { continue };
            if !seen.insert(name.string()) {
                let message = format!("custom operations share the name {}", shown(name));
                self.fault(&format!("invoke[{index}].name"), name.offset, message, "manifest.invoke");
            }
        }
    }

    fn config(&mut self, value: Located<'a>, operations: &[String], custom: &[String]) {
        let Some(members) = value.members() else { return self.wrong("config", value, "a JSON object") };
        for Member { name, offset, value } in members {
            let place = join("config", &name);
            if !operations.contains(&name) && !custom.contains(&name) {
                let message = format!("`config` describes `{name}`, which is not an operation of the plugin");
                self.fault(&place, offset, message, "manifest.config");
            }
            self.schema(&place, value);
        }
    }

    /// Checks each element of a list, and returns the number of elements; `None` if the value is not a list.
    pub(super) fn list(
        &mut self,
        place: &str,
        value: Located<'a>,
        mut each: impl FnMut(&mut Self, &str, Located<'a>),
    ) -> Option<usize> {
        let Some(elements) = value.elements() else {
            self.wrong(place, value, "a list");
            return None;
        };
        for (index, element) in elements.iter().enumerate() {
            each(self, &format!("{place}[{index}]"), *element);
        }
        Some(elements.len())
    }

    fn string(&mut self, place: &str, value: Located<'a>) -> Option<String> {
        let string = value.string();
        if string.is_none() {
            self.wrong(place, value, "a string");
        }
        string
    }

    fn word(&mut self, place: &str, value: Located<'a>, allowed: &[&str]) {
        if value.string().is_none_or(|word| !allowed.contains(&word.as_str())) {
            let allowed: Vec<_> = allowed.iter().map(|word| format!("`\"{word}\"`")).collect();
            self.wrong(place, value, &allowed.join(" or "));
        }
    }

    /// Records a value for which hosts refuse the plugin.
    fn wrong(&mut self, place: &str, value: Located<'a>, expected: &str) {
        self.fault(place, value.offset, format!("`{place}` is {}: expected {expected}", shown(value)), REFUSED);
    }

    pub(super) fn fault(&mut self, place: &str, offset: usize, message: String, clause: &'static str) {
        let (line, column) = line_and_column(self.text, offset);
        self.faults.push(Fault { line, column, member: place.to_owned(), message, clause });
    }
}

/// Returns the names of all operations that a manifest of this version can list.
pub(super) fn known_operations() -> impl Iterator<Item = &'static str> {
    Operation::ALL.iter().map(|operation| operation.name()).chain(WITHOUT_CLIENT)
}

/// Returns the text of a value for a message. A long text is cut.
pub(super) fn shown(value: Located<'_>) -> String {
    const MAX_CHARS: usize = 40;
    match value.raw.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("`{}…`", &value.raw[..end]),
        None => format!("`{}`", value.raw),
    }
}

pub(super) fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn find<'a>(members: &[Member<'a>], name: &str) -> Option<Located<'a>> {
    members.iter().find(|member| member.name == name).map(|member| member.value)
}

fn strings(list: Located<'_>) -> Option<Vec<String>> {
    list.elements()?.into_iter().map(Located::string).collect()
}
