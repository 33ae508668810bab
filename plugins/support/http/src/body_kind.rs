//! Detects the format of a response's body from its first bytes, because some servers send a wrong `Content-Type` or
//! none.

use crate::answer_json::BYTE_ORDER_MARK;

/// The format of a response's body, as its first bytes show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// Server-sent events: the body begins with a field such as `data:`, or with a comment.
    Events,
    /// JSON: the body begins with `{` or `[`.
    Json,
    /// Another format: the body begins neither like server-sent events nor like JSON.
    Other,
}

impl BodyKind {
    /// Returns the format of a complete body.
    pub(crate) fn of(body: &[u8]) -> Self {
        Self::of_start(body).unwrap_or(Self::Other)
    }

    /// Returns the format of a body that begins with the bytes `start`, or `None` if more bytes are required.
    pub(crate) fn of_start(start: &[u8]) -> Option<Self> {
        const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
        if BYTE_ORDER_MARK.starts_with(start) {
            return None;
        }
        let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start).trim_ascii_start();
        match start.first() {
            None => None,
            Some(b'{' | b'[') => Some(Self::Json),
            _ if FIELDS.iter().any(|field| start.starts_with(field)) => Some(Self::Events),
            _ if FIELDS.iter().any(|field| field.starts_with(start)) => None,
            _ => Some(Self::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_show_the_kind() {
        for (body, kind) in [
            ("data: {}", BodyKind::Events),
            ("\u{feff}\n\n event: x", BodyKind::Events),
            (": ping\n", BodyKind::Events),
            ("retry:1", BodyKind::Events),
            ("id:1", BodyKind::Events),
            (" {\"a\":1}", BodyKind::Json),
            ("\u{feff}[1]", BodyKind::Json),
            ("ideas", BodyKind::Other),
            ("null", BodyKind::Other),
            ("<html>", BodyKind::Other),
            ("dat", BodyKind::Other),
            ("", BodyKind::Other),
        ] {
            assert_eq!(BodyKind::of(body.as_bytes()), kind, "{body:?}");
        }
    }

    #[test]
    fn a_part_of_a_field_requires_more_bytes() {
        for start in ["", "\n \r\n", "d", "data", "event", "i", "\u{feff}", "\u{feff} ret"] {
            assert_eq!(BodyKind::of_start(start.as_bytes()), None, "{start:?}");
        }
        assert_eq!(BodyKind::of_start(b"\xef\xbb"), None);
    }
}
