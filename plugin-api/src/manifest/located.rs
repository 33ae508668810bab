//! JSON values that know their place in the text, so that a fault can be reported with its line and column.
//!
//! The values are slices of the text: serde_json finds their ends, and the address of a slice is its place.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value in a text, as it is written there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located<'a> {
    /// The text of the value.
    pub(super) raw: &'a str,
    /// The offset of the value in the whole text, in bytes.
    pub(super) offset: usize,
}

/// A member of a JSON object.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: String,
    /// The offset of the name in the whole text, in bytes.
    pub(super) offset: usize,
    pub(super) value: Located<'a>,
}

impl<'a> Located<'a> {
    /// Returns the members of an object in the order of the text, with repetitions; `None` for other values.
    pub(super) fn members(self) -> Option<Vec<Member<'a>>> {
        let Members(members) = serde_json::from_str(self.raw).ok()?;
        let member = |(name, value): (&'a RawValue, &'a RawValue)| {
            let key = self.inner(name);
            Some(Member { name: key.string()?, offset: key.offset, value: self.inner(value) })
        };
        members.into_iter().map(member).collect()
    }

    /// Returns the elements of a list; `None` for other values.
    pub(super) fn elements(self) -> Option<Vec<Self>> {
        let elements: Vec<&'a RawValue> = serde_json::from_str(self.raw).ok()?;
        Some(elements.into_iter().map(|element| self.inner(element)).collect())
    }

    /// Returns the text of a string; `None` for other values.
    pub(super) fn string(self) -> Option<String> {
        serde_json::from_str(self.raw).ok()
    }

    /// Returns true for `true` and `false`.
    pub(super) fn is_boolean(self) -> bool {
        matches!(self.raw, "true" | "false")
    }

    /// Returns the place of a part of this value.
    fn inner(self, part: &'a RawValue) -> Self {
        let raw = part.get();
        Self { raw, offset: self.offset + (raw.as_ptr().addr() - self.raw.as_ptr().addr()) }
    }
}

/// Returns the line and the column of an offset. Both start at 1, and the column counts characters.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The names and values of an object, in the order of the text.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements_know_their_place_and_keep_repeated_names() {
        let text = "{\n  \"é\": [1, true],\n  \"\\u00e9\": \"x\"\n}";
        let members = Located { raw: text, offset: 0 }.members().unwrap();
        let places: Vec<_> = members
            .iter()
            .map(|member| (member.name.as_str(), line_and_column(text, member.offset), member.value.raw))
            .collect();
        assert_eq!(places, [("é", (2, 3), "[1, true]"), ("é", (3, 3), "\"x\"")]);
        let elements = members[0].value.elements().unwrap();
        assert_eq!(line_and_column(text, elements[1].offset), (2, 12));
        assert!(elements[1].is_boolean() && elements[0].members().is_none());
    }
}
