//! Removes secrets from text, in every encoding in which a server may repeat them.
//!
//! [`Redactor`] does not build every encoding of a secret. It decodes the text (percent-encoding, JSON escapes, HTML
//! entities), up to three times, and searches each decoded form for the secret, for its Base64 at each of the three
//! byte alignments, and for its hexadecimal form. The search ignores case, white space, and the characters `+`, `-`,
//! `=`, `/`, `_` and `\`. So it also finds a secret that is encoded in part, wrapped over lines, or written in the
//! URL-safe alphabet of Base64.
//!
//! Words that look like keys of known services are removed even if they are not among the secrets (`known_keys.rs`).
//!
//! The time that this takes is linear in the length of the text, and in the number and length of the secrets.

mod decode;
mod known_keys;
mod redactor;
mod secret_form;

pub use redactor::Redactor;
