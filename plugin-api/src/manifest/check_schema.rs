//! Checks the schemas of options and config: the members of JSON Schema that hosts read.

use super::check::{Checker, join, shown};
use super::located::{Located, Member};

/// The members of a schema that this check reads. Other members of JSON Schema are for the plugin's own use.
#[cfg(test)]
pub(super) const KEYWORDS: [&str; 8] =
    ["type", "properties", "items", "additionalProperties", "enum", "required", "description", "writeOnly"];
pub(super) const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
const CLAUSE: &str = "manifest.schema";

impl<'a> Checker<'a> {
    /// Checks a schema: an object, or one of the schemas `true` and `false`, which accept anything and nothing.
    pub(super) fn schema(&mut self, place: &str, schema: Located<'a>) {
        let Some(members) = schema.members() else {
            if !schema.is_boolean() {
                self.invalid(place, schema, "a JSON Schema");
            }
            return;
        };
        for Member { name, value, .. } in members {
            let place = join(place, &name);
            match name.as_str() {
                "type" if value.elements().is_some() => drop(self.list(&place, value, Self::schema_type)),
                "type" => self.schema_type(&place, value),
                "properties" => match value.members() {
                    Some(properties) => {
                        properties.iter().for_each(|each| self.schema(&join(&place, &each.name), each.value));
                    }
                    None => self.invalid(&place, value, "a JSON object of schemas"),
                },
                "items" | "additionalProperties" => self.schema(&place, value),
                "enum" | "required" if value.elements().is_none() => self.invalid(&place, value, "a list"),
                "description" if value.string().is_none() => self.invalid(&place, value, "a string"),
                "writeOnly" if !value.is_boolean() => self.invalid(&place, value, "`true` or `false`"),
                _ => {}
            }
        }
    }

    fn schema_type(&mut self, place: &str, value: Located<'a>) {
        if value.string().is_none_or(|name| !TYPES.contains(&name.as_str())) {
            self.invalid(place, value, &format!("`{}`", TYPES.join("`, `")));
        }
    }

    fn invalid(&mut self, place: &str, value: Located<'a>, expected: &str) {
        self.fault(place, value.offset, format!("`{place}` is {}: expected {expected}", shown(value)), CLAUSE);
    }
}
