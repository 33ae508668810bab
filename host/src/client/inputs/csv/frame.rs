//! Converts CSV to `dataframe_split`, which MLflow's model servers read.

use csv::{ErrorKind, Position, ReaderBuilder, StringRecord};
use mlflow_deploy_plugin_api::csv_header;

use super::column::ColumnType;

/// Converts CSV with a header line to `{"dataframe_split": {"columns": […], "data": […]}}`.
///
/// As in pandas, missing values become `null`, and blank lines are skipped.
pub(crate) fn dataframe_split(csv: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(without_blank_lines(csv));
    let columns = reader.headers().map_err(|error| describe(&error))?.clone();
    if columns.is_empty() {
        return Err("the file is empty: expected a header line with the column names".to_owned());
    }
    let mut rows = Vec::new();
    for record in reader.into_records() {
        let record = record.map_err(|error| describe(&error))?;
        if is_blank(&record) {
            continue;
        }
        if record.len() != columns.len() {
            let fields = if record.len() == 1 { "field" } else { "fields" };
            let (line, len) = (line(record.position()), record.len());
            return Err(format!("line {line} has {len} {fields}, the header line has {}", columns.len()));
        }
        rows.push(record);
    }
    let types: Vec<_> = (0..columns.len()).map(|at| ColumnType::of(rows.iter().map(|row| &row[at]))).collect();
    let cell = |row: &StringRecord, at: usize| {
        types[at].json(&row[at]).ok_or_else(|| {
            let (line, name) = (line(row.position()), &columns[at]);
            format!("line {line}: JSON has no number for `{}` in the column `{name}`", row[at].trim_ascii())
        })
    };
    let row = |row: &StringRecord| (0..row.len()).map(|at| cell(row, at)).collect::<Result<Vec<_>, _>>();
    let data = rows.iter().map(|each| Ok(format!("[{}]", row(each)?.join(",")))).collect::<Result<Vec<_>, String>>()?;
    let names = csv_header::unique_names(&columns).into_iter().map(|name| serde_json::Value::from(name).to_string());
    let names: Vec<_> = names.collect();
    let (names, data) = (names.join(","), data.join(","));
    Ok(format!(r#"{{"dataframe_split":{{"columns":[{names}],"data":[{data}]}}}}"#).into_bytes())
}

/// Returns the text without the blank lines before the header line.
fn without_blank_lines(mut csv: &[u8]) -> &[u8] {
    while let Some(end) = csv.iter().position(|byte| *byte == b'\n') {
        if !csv[..end].trim_ascii().is_empty() {
            break;
        }
        csv = &csv[end + 1..];
    }
    csv
}

/// Returns true if the line consists of blanks. A quoted empty field is not blank.
fn is_blank(record: &StringRecord) -> bool {
    record.len() == 1 && !record[0].is_empty() && record[0].trim_ascii().is_empty()
}

fn line(position: Option<&Position>) -> u64 {
    position.map_or(1, Position::line)
}

/// Returns the message of a CSV error with its line number.
fn describe(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::Utf8 { .. } => format!("line {} is not UTF-8", line(error.position())),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(csv: &str) -> String {
        String::from_utf8(dataframe_split(csv.as_bytes()).unwrap()).unwrap()
    }

    fn data(csv: &str) -> String {
        let split = split(csv);
        let (_, data) = split.split_once(r#""data":"#).unwrap();
        data.strip_suffix("}}").unwrap().to_owned()
    }

    #[test]
    fn columns_have_the_types_of_pandas() {
        for (csv, expected) in [
            ("a\nTrue\nFalse\n", "[[true],[false]]"),
            ("a\nfalse\nTRUE\n", "[[false],[true]]"),
            ("a,b\nTrue,1\n,2\n", "[[true,1],[null,2]]"),
            ("a\nTrue\n1\n", r#"[["True"],["1"]]"#),
            ("a\nTrue \n", r#"[["True "]]"#),
            ("a\n1e-05\n", "[[0.00001]]"),
            ("a\n0.5\n1e-05\n3\n", "[[0.5],[0.00001],[3.0]]"),
            ("a\n12.00\n", "[[12.0]]"),
            ("a\n.5\n5.\n-1E+2\n", "[[0.5],[5.0],[-100.0]]"),
            ("a\n+5\n -7 \n-0\n", "[[5],[-7],[0]]"),
            ("a\n9223372036854775808\n", "[[9223372036854775808]]"),
            ("a\n12345678901234567890123\n-1\n", "[[12345678901234567890123],[-1]]"),
            ("a\n9007199254740993\n0.5\n", "[[9007199254740993],[0.5]]"),
            ("a\nNaN\nNA\n1.5\n", "[[null],[null],[1.5]]"),
            ("a\nNA\nx\n", r#"[[null],["x"]]"#),
            ("a,b\n1,x\n\n  \n,\"\"\n", r#"[[1,"x"],[null,null]]"#),
            ("a\n1_000\n0x10\n", r#"[["1_000"],["0x10"]]"#),
            ("a\nNan\n1\n", r#"[["Nan"],["1"]]"#),
            ("a\n2026-01-02\n", r#"[["2026-01-02"]]"#),
            ("a\r\n1\r\n2\r\n", "[[1],[2]]"),
        ] {
            assert_eq!(data(csv), expected, "{csv:?}");
        }
    }

    #[test]
    fn integers_with_leading_zeros_stay_text() {
        assert_eq!(data("zip,n\n00501,0\n8001,10\n"), r#"[["00501",0],["8001",10]]"#);
        assert_eq!(data("a\n-007\n1.5\n"), r#"[["-007"],["1.5"]]"#);
        assert_eq!(data("a\n007.5\n0.5\n"), "[[7.5],[0.5]]");
    }

    #[test]
    fn column_names_and_text_are_unchanged() {
        let csv = "  \r\n a,\"b \"\"c\"\"\",é\nx, y ,\"1\n2\"\n";
        let expected = r#"{"dataframe_split":{"columns":[" a","b \"c\"","é"],"data":[["x"," y ","1\n2"]]}}"#;
        assert_eq!(split(csv), expected);
    }

    #[test]
    fn a_column_that_is_named_twice_keeps_its_values() {
        let expected = r#"{"dataframe_split":{"columns":["n","n.1","Unnamed: 2"],"data":[[1,2,3]]}}"#;
        assert_eq!(split("n,n,\n1,2,3\n"), expected);
    }

    #[test]
    fn malformed_csv_fails() {
        for (csv, message) in [
            (b"".as_slice(), "the file is empty"),
            (b"\r\n \n", "the file is empty"),
            (b"a,b\n1\n", "line 2 has 1 field, the header line has 2"),
            (b"a\n1\n1,2\n", "line 3 has 2 fields, the header line has 1"),
            (b"a\n\xff\n", "line 2 is not UTF-8"),
            (b"\xff\n", "line 1 is not UTF-8"),
            (b"x,a\n1,0.5\n1,-inf\n", "line 3: JSON has no number for `-inf` in the column `a`"),
            (b"a\n1e400\n", "line 2: JSON has no number for `1e400` in the column `a`"),
        ] {
            let error = dataframe_split(csv).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
