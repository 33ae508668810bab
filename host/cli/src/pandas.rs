//! Converts the JSON that `pandas.read_json` reads to `dataframe_split`. The text of each value stays the same.

use std::collections::HashSet;

use indexmap::IndexMap;
use mlflow_deploy::bulk::REQUEST_MEMBERS;
use serde::Serialize;
use serde_json::value::RawValue;

/// The members of a table in the form of an object with `columns` and `data`.
const SPLIT_MEMBERS: [&str; 3] = ["columns", "data", "index"];

const EXPECTED: &str =
    "expected a list of records or of rows, an object of `columns` and `data`, or an object of columns";

type Members<'a> = IndexMap<String, &'a RawValue>;

/// Returns true if the JSON is a table and cannot be mistaken for a request of another form.
pub(crate) fn is_table(json: &[u8]) -> bool {
    if let Ok(members) = serde_json::from_slice::<Members<'_>>(json) {
        let is_request = REQUEST_MEMBERS.iter().any(|name| members.contains_key(*name));
        return !is_request && !members.is_empty() && table(json).is_ok();
    }
    serde_json::from_slice::<Vec<&RawValue>>(json).is_ok_and(|rows| !rows.is_empty()) && table(json).is_ok()
}

/// Converts a table to `{"dataframe_split": …}`.
pub(crate) fn dataframe_split(json: &[u8]) -> Result<Vec<u8>, String> {
    #[derive(Serialize)]
    struct Request<'a> {
        dataframe_split: Table<'a>,
    }
    let request = Request { dataframe_split: table(json)? };
    serde_json::to_vec(&request).map_err(|error| error.to_string())
}

#[derive(Serialize)]
#[serde(untagged)]
enum Table<'a> {
    /// A table in the form of an object with `columns` and `data`.
    Split(&'a RawValue),
    Rows {
        #[serde(skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
        data: Vec<Vec<&'a RawValue>>,
    },
}

fn table(json: &[u8]) -> Result<Table<'_>, String> {
    let whole: &RawValue = serde_json::from_slice(json).map_err(|error| format!("{error}: {EXPECTED}"))?;
    if let Ok(members) = serde_json::from_str::<Members<'_>>(whole.get()) {
        return if members.contains_key("columns") && members.contains_key("data") {
            let unknown = members.keys().find(|name| !SPLIT_MEMBERS.contains(&name.as_str()));
            unknown.map_or(Ok(Table::Split(whole)), |name| {
                Err(format!("unknown member `{name}` beside `columns` and `data`"))
            })
        } else {
            from_columns(&members)
        };
    }
    if let Ok(records) = serde_json::from_str::<Vec<Members<'_>>>(whole.get()) {
        return Ok(from_records(&records));
    }
    let data = serde_json::from_str(whole.get())
        .map_err(|_mixed| format!("the rows are not all records or all lists: {EXPECTED}"))?;
    Ok(Table::Rows { columns: None, data })
}

/// Builds a table from records. The columns are the members of all records, in the order of their first occurrence.
fn from_records<'a>(records: &[Members<'a>]) -> Table<'a> {
    let columns = distinct(records.iter().flat_map(Members::keys));
    let row =
        |record: &Members<'a>| columns.iter().map(|name| record.get(name).copied().unwrap_or(RawValue::NULL)).collect();
    Table::Rows { data: records.iter().map(row).collect(), columns: Some(columns) }
}

/// Builds a table from columns. Each column is a list of values, or an object that has a member for each row.
fn from_columns<'a>(members: &Members<'a>) -> Result<Table<'a>, String> {
    let columns = Some(members.keys().cloned().collect());
    let read = |(name, column): (&String, &&'a RawValue)| {
        serde_json::from_str::<Members<'a>>(column.get()).map_err(|_other| name.clone())
    };
    if let Ok(columns_by_row) = members.iter().map(read).collect::<Result<Vec<_>, _>>() {
        let rows = distinct(columns_by_row.iter().flat_map(Members::keys));
        let cell = |column: &Members<'a>, row: &String| column.get(row).copied().unwrap_or(RawValue::NULL);
        let row = |row: &String| columns_by_row.iter().map(|column| cell(column, row)).collect();
        return Ok(Table::Rows { columns, data: rows.iter().map(row).collect() });
    }
    let mut lists = Vec::new();
    for (name, column) in members {
        let list: Vec<&RawValue> = serde_json::from_str(column.get())
            .map_err(|_other| format!("`{name}` is not a column, which is a list or an object: {EXPECTED}"))?;
        lists.push((name, list));
    }
    let length = lists.first().map_or(0, |(_, list)| list.len());
    if let Some((name, list)) = lists.iter().find(|(_, list)| list.len() != length) {
        return Err(format!("the column `{name}` has {} values, the first column has {length}", list.len()));
    }
    let row = |row: usize| lists.iter().map(|(_, list)| list[row]).collect();
    Ok(Table::Rows { columns, data: (0..length).map(row).collect() })
}

/// Returns the names in their order, without repetitions.
fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut known = HashSet::new();
    names.filter(|name| known.insert(name.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(json: &str) -> Result<String, String> {
        dataframe_split(json.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn each_form_of_a_table_becomes_dataframe_split() {
        for (json, table) in [
            (
                r#"[{"a": 1.0, "b": "x"}, {"c": 12345678901234567890123, "a": null}]"#,
                r#"{"columns":["a","b","c"],"data":[[1.0,"x",null],[null,null,12345678901234567890123]]}"#,
            ),
            (r"[[1, 2.50], [3, 4]]", r#"{"data":[[1,2.50],[3,4]]}"#),
            (
                r#"{"index": [7], "columns": ["a"], "data": [[1]]}"#,
                r#"{"index": [7], "columns": ["a"], "data": [[1]]}"#,
            ),
            (r#"{"b": {"0": 1, "1": 2}, "a": {"1": "x"}}"#, r#"{"columns":["b","a"],"data":[[1,null],[2,"x"]]}"#),
            (r#"{"b": [1, 2], "a": ["x", [3]]}"#, r#"{"columns":["b","a"],"data":[[1,"x"],[2,[3]]]}"#),
        ] {
            assert!(is_table(json.as_bytes()), "{json}");
            assert_eq!(split(json).unwrap(), format!("{{\"dataframe_split\":{table}}}"));
        }
    }

    #[test]
    fn a_request_is_not_a_table() {
        for json in [
            r#"{"dataframe_split": {"columns": ["a"], "data": [[1]]}}"#,
            r#"{"messages": [{"role": "user", "content": "hello"}]}"#,
            r#"{"inputs": [1], "params": {"k": 1}}"#,
            r#"{"prompt": ["a", "b"]}"#,
            r#"{"a": 1}"#,
            "[1, 2]",
            "[]",
            "{}",
            "nope",
        ] {
            assert!(!is_table(json.as_bytes()), "{json}");
        }
    }

    #[test]
    fn input_that_is_not_a_table_is_rejected_with_the_reason() {
        for (json, reason) in [
            (r#"{"a": 1}"#, "`a` is not a column, which is a list or an object"),
            (r#"{"a": [1], "b": [1, 2]}"#, "the column `b` has 2 values, the first column has 1"),
            (r#"{"columns": ["a"], "data": [[1]], "dtype": 1}"#, "unknown member `dtype` beside `columns` and `data`"),
            (r#"[{"a": 1}, [1]]"#, "the rows are not all records or all lists"),
            (r#"[{"a": NaN}]"#, "expected value at line 1 column 8"),
        ] {
            let error = split(json).unwrap_err();
            assert!(error.starts_with(reason), "{json}: {error}");
        }
    }
}
