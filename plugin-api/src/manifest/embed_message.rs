//! The text of a build error, which is put together at compile time without an allocation.

const MAX_BYTES: usize = 400;

/// A text for a build error. A text that is too long is cut.
#[derive(Debug)]
pub struct Message {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl Message {
    /// Returns an empty text.
    #[expect(clippy::new_without_default, reason = "a trait's function cannot be called at compile time")]
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_BYTES], length: 0 }
    }

    /// Appends a text.
    pub const fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Appends a part of a text.
    pub(super) const fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut at = 0;
        while at < bytes.len() && self.length < MAX_BYTES {
            self.bytes[self.length] = bytes[at];
            self.length += 1;
            at += 1;
        }
        self
    }

    /// Appends a number.
    pub(super) const fn number(self, number: usize) -> Self {
        let this = if number < 10 { self } else { self.number(number / 10) };
        this.bytes(&[b"0123456789"[number % 10]])
    }

    /// Fails the build with the text.
    #[expect(clippy::panic, reason = "a panic at compile time is a build error")]
    pub const fn fail(&self) -> ! {
        let (bytes, _) = self.bytes.split_at(self.length);
        match std::str::from_utf8(bytes) {
            Ok(text) => std::panic!("{}", text),
            Err(_cut) => std::panic!("the manifest is invalid"),
        }
    }
}

/// Returns true if the texts are equal.
pub const fn is_same(first: &[u8], second: &[u8]) -> bool {
    if first.len() != second.len() {
        return false;
    }
    let mut at = 0;
    while at < first.len() {
        if first[at] != second[at] {
            return false;
        }
        at += 1;
    }
    true
}
