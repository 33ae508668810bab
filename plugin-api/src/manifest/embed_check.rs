//! Checks at compile time the part of a manifest that an author passes to `export_plugin!`. Reports the first fault
//! with its line and column. [`check`](super::check()) finds all faults, but not at compile time.

use super::embed_message::{Message, is_same};

/// The members that `export_plugin!` writes.
const WRITTEN: [&str; 8] = ["manifest", "abi", "name", "version", "target", "schemes", "operations", "panic"];
const KNOWN: [&str; 8] =
    ["accepts", "config", "description", "environment", "invoke", "isolation", "options", "$schema"];
/// The nesting that hosts can read.
const MAX_DEPTH: usize = 127;

/// Fails the build if the text is not the part of a manifest.
pub(super) const fn check_part(json: &str) {
    let mut text = Text { bytes: json.as_bytes(), at: 0 };
    if let [0xef, 0xbb, 0xbf, ..] = text.bytes {
        text.at = 3;
    }
    text.object(&KNOWN, "", Kind::Part);
    text.blanks();
    if text.at != text.bytes.len() {
        text.expected(text.at, "the end of the text");
    }
}

/// Fails the build if the text cannot be the name of a plugin, or a scheme.
pub const fn check_name(what: &str, name: &str) {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let is_letter = bytes[at].is_ascii_lowercase();
        let is_other = bytes[at].is_ascii_digit() || matches!(bytes[at], b'+' | b'-' | b'.');
        if !is_letter && (at == 0 || !is_other) {
            break;
        }
        at += 1;
    }
    if at < bytes.len() || bytes.is_empty() {
        let message = Message::new().text("invalid ").text(what).text(" `").text(name);
        message.text("`: expected a-z, then a-z, 0-9, `+`, `-`, `.`").fail();
    }
}

/// The meaning of an object, which tells the kinds of its members.
#[derive(Clone, Copy)]
enum Kind {
    Invoke,
    Part,
    Variable,
}

struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    /// Reads an object with known members, each at most once. `required` is a name that must occur, or empty.
    const fn object(&mut self, known: &[&str], required: &str, kind: Kind) {
        let start = self.start(b'{', "a JSON object");
        let mut seen = 0_u32;
        let mut is_complete = required.is_empty();
        let mut is_first = true;
        while self.next(b'}', is_first) {
            is_first = false;
            let at = self.at;
            let name = self.name();
            if matches!(kind, Kind::Part) && position(&WRITTEN, name) < WRITTEN.len() {
                let message = self.place(at).text("`").bytes(name);
                message.text("` is written by the macro: remove it from `manifest`").fail();
            }
            let index = position(known, name);
            if index == known.len() {
                self.place(at).text("unknown member `").bytes(name).text("`: see MANIFEST.md").fail();
            }
            if seen & (1 << index) != 0 {
                self.place(at).text("duplicate member `").bytes(name).text("`").fail();
            }
            seen |= 1 << index;
            is_complete |= is_same(name, required.as_bytes());
            self.member(known[index].as_bytes(), kind);
        }
        if !is_complete {
            self.place(start).text("missing member `").text(required).text("`").fail();
        }
        if is_first {
            self.place(start).text("`manifest` is an empty object: leave it out").fail();
        }
    }

    const fn member(&mut self, name: &[u8], kind: Kind) {
        match (kind, name) {
            (Kind::Part, b"accepts") => self.media_types(),
            (Kind::Part, b"config" | b"options") => self.any_object(),
            (Kind::Part, b"environment") => self.list(Kind::Variable),
            (Kind::Part, b"invoke") => self.list(Kind::Invoke),
            (Kind::Part, b"isolation") => {
                let at = self.at;
                let word = self.string();
                if !is_same(word, b"optional") && !is_same(word, b"required") {
                    self.expected(at, "`\"optional\"` or `\"required\"`");
                }
            }
            (Kind::Invoke | Kind::Variable, b"name") => {
                let at = self.at;
                if self.string().is_empty() {
                    self.expected(at, "a name that is not empty");
                }
            }
            (Kind::Variable, b"secret") => {
                if !self.word(b"true") && !self.word(b"false") {
                    self.expected(self.at, "`true` or `false`");
                }
            }
            _ => {
                self.string();
            }
        }
    }

    const fn list(&mut self, kind: Kind) {
        self.start(b'[', "a list");
        let mut is_first = true;
        while self.next(b']', is_first) {
            is_first = false;
            match kind {
                Kind::Variable => self.object(&["name", "secret"], "name", kind),
                Kind::Invoke | Kind::Part => self.object(&["name", "description"], "name", kind),
            }
        }
    }

    const fn media_types(&mut self) {
        let start = self.start(b'[', "a list of media types");
        let mut is_first = true;
        while self.next(b']', is_first) {
            is_first = false;
            let at = self.at;
            let kind = self.string();
            let slash = position_of(kind, b'/');
            if slash == 0 || slash + 1 >= kind.len() {
                self.expected(at, "a media type such as `application/json`");
            }
        }
        if is_first {
            self.expected(start, "at least one media type");
        }
    }

    const fn any_object(&mut self) {
        let at = self.start(b'{', "a JSON object");
        self.at = at;
        self.value(2);
    }

    /// Reads any value.
    const fn value(&mut self, depth: usize) {
        if depth > MAX_DEPTH && matches!(self.peek(), b'{' | b'[') {
            self.place(self.at).text("nested too deep").fail();
        }
        let mut is_first = true;
        match self.peek() {
            b'{' => {
                self.at += 1;
                while self.next(b'}', is_first) {
                    is_first = false;
                    self.name();
                    self.value(depth + 1);
                }
            }
            b'[' => {
                self.at += 1;
                while self.next(b']', is_first) {
                    is_first = false;
                    self.value(depth + 1);
                }
            }
            b'"' => {
                self.string();
            }
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                if !self.word(b"true") && !self.word(b"false") && !self.word(b"null") {
                    self.expected(self.at, "a JSON value");
                }
            }
        }
    }

    const fn number(&mut self) {
        let at = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits(at);
        }
        if self.take(b'.') {
            self.digits(at);
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits(at);
        }
    }

    const fn digits(&mut self, start: usize) {
        if !self.peek().is_ascii_digit() {
            self.expected(start, "a JSON number");
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    /// Reads the name of a member and the colon. Returns the text between the quotes.
    const fn name(&mut self) -> &'a [u8] {
        let name = self.string();
        self.blanks();
        if !self.take(b':') {
            self.expected(self.at, "`:`");
        }
        self.blanks();
        name
    }

    /// Reads a string. Returns the text between the quotes, with its escapes.
    const fn string(&mut self) -> &'a [u8] {
        if !self.take(b'"') {
            self.expected(self.at, "a string");
        }
        let start = self.at;
        while self.peek() != b'"' {
            match self.peek() {
                0..0x20 => self.expected(self.at, "a string without control characters, and its end `\"`"),
                b'\\' => self.escape(),
                _ => self.at += 1,
            }
        }
        let (before, _) = self.bytes.split_at(self.at);
        self.at += 1;
        before.split_at(start).1
    }

    const fn escape(&mut self) {
        let at = self.at;
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let code = self.hexadecimal(at);
                let is_pair = matches!(code, 0xd800..0xdc00) && self.take(b'\\');
                let low = if is_pair { self.hexadecimal(at) } else { 0xdc00 };
                if matches!(code, 0xd800..0xe000) && !(is_pair && matches!(low, 0xdc00..0xe000)) {
                    self.expected(at, "a pair of surrogates");
                }
            }
            _ => self.expected(at, "an escape of JSON"),
        }
    }

    const fn hexadecimal(&mut self, start: usize) -> u32 {
        if !self.take(b'u') {
            self.expected(start, "a pair of surrogates");
        }
        let (mut code, mut digit) = (0, 0);
        while digit < 4 {
            code = match (self.peek() as char).to_digit(16) {
                Some(digit) => code * 16 + digit,
                None => self.expected(start, "four hexadecimal digits"),
            };
            self.at += 1;
            digit += 1;
        }
        code
    }

    /// Reads blanks and the first character of a list or an object. Returns its offset.
    const fn start(&mut self, open: u8, expected: &str) -> usize {
        self.blanks();
        if !self.take(open) {
            self.expected(self.at, expected);
        }
        self.at - 1
    }

    /// Reads the comma before the next element. Returns false if `close` follows instead, and reads it.
    const fn next(&mut self, close: u8, is_first: bool) -> bool {
        self.blanks();
        if self.take(close) {
            return false;
        }
        if !is_first && !self.take(b',') {
            self.expected(self.at, if close == b'}' { "`,` or `}`" } else { "`,` or `]`" });
        }
        self.blanks();
        true
    }

    const fn word(&mut self, word: &[u8]) -> bool {
        let mut length = 0;
        while length < word.len() {
            if self.at + length >= self.bytes.len() || self.bytes[self.at + length] != word[length] {
                return false;
            }
            length += 1;
        }
        self.at += length;
        true
    }

    const fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    const fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        if is_next {
            self.at += 1;
        }
        is_next
    }

    /// Returns the next byte, and 0 at the end.
    const fn peek(&self) -> u8 {
        if self.at < self.bytes.len() { self.bytes[self.at] } else { 0 }
    }

    const fn expected(&self, at: usize, expected: &str) -> ! {
        self.place(at).text("expected ").text(expected).fail()
    }

    /// Returns the start of a message, with the line and column of an offset.
    const fn place(&self, offset: usize) -> Message {
        let (mut line, mut column, mut at) = (1, 1, 0);
        while at < offset {
            match self.bytes[at] {
                b'\n' => (line, column) = (line + 1, 1),
                // Not the second and later bytes of a character, nor of a byte order mark.
                byte if byte & 0xc0 != 0x80 && !(at == 0 && byte == 0xef) => column += 1,
                _ => {}
            }
            at += 1;
        }
        Message::new().text("`manifest`, line ").number(line).text(", column ").number(column).text(": ")
    }
}

/// Returns the index of a name in a list; the length of the list if it is not there.
const fn position(names: &[&str], name: &[u8]) -> usize {
    let mut at = 0;
    while at < names.len() && !is_same(names[at].as_bytes(), name) {
        at += 1;
    }
    at
}

const fn position_of(bytes: &[u8], byte: u8) -> usize {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != byte {
        at += 1;
    }
    at
}
