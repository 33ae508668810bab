//! Converts CSV to `dataframe_split`, JSON that MLflow's model servers read.

use serde_json::{Number, Value, json};

/// Converts CSV with a header line to `{"dataframe_split": {"columns": […], "data": […]}}`.
///
/// A column becomes numeric if formatting each of its numbers restores the text, so `007` and `1.50` stay text. An
/// empty cell becomes `null`.
pub(super) fn dataframe_split(csv: &[u8]) -> Result<Vec<u8>, String> {
    // Spreadsheets write a byte order mark, which is not part of the first column's name.
    let mut reader = csv::Reader::from_reader(csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv));
    let columns: Vec<_> = reader.headers().map_err(|error| describe(&error))?.iter().map(str::to_owned).collect();
    if columns.is_empty() {
        return Err("the file is empty: expected a header line with the column names".to_owned());
    }
    let rows: Vec<_> = reader.records().collect::<Result<_, _>>().map_err(|error| describe(&error))?;
    let is_number: Vec<_> =
        (0..columns.len()).map(|at| rows.iter().all(|row| row[at].is_empty() || number(&row[at]).is_some())).collect();
    let cell = |(text, is_number): (&str, &bool)| match number(text) {
        _ if text.is_empty() => Value::Null,
        Some(number) if *is_number => Value::Number(number),
        _ => Value::from(text),
    };
    let data: Vec<Vec<_>> = rows.iter().map(|row| row.iter().zip(&is_number).map(cell).collect()).collect();
    Ok(json!({ "dataframe_split": { "columns": columns, "data": data } }).to_string().into_bytes())
}

/// Returns the error with its line number.
fn describe(error: &csv::Error) -> String {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let fields = if *len == 1 { "field" } else { "fields" };
            format!("line {line} has {len} {fields}, the header line has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => format!("line {line} is not UTF-8"),
        _ => error.to_string(),
    }
}

/// Parses a number; `None` if formatting it does not restore `text`.
fn number(text: &str) -> Option<Number> {
    let number: Number = serde_json::from_str(text).ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dataframe_split_keeps_numbers_that_would_change_as_text() {
        let csv =
            "\u{feff}i,f,zip,long,mixed,empty,text\n1,0.5,007,12345678901234567890123,1,,\"a,b\"\n-2,,8001,1,x,,é\n";
        let split = String::from_utf8(dataframe_split(csv.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            split,
            r#"{"dataframe_split":{"columns":["i","f","zip","long","mixed","empty","text"],"data":[[1,0.5,"007","12345678901234567890123","1",null,"a,b"],[-2,null,"8001","1","x",null,"é"]]}}"#
        );
    }

    #[test]
    fn dataframe_split_of_malformed_csv_fails() {
        for (csv, message) in [
            (b"".as_slice(), "the file is empty"),
            (b"a,b\n1\n", "line 2 has 1 field, the header line has 2"),
            (b"a\n1\n1,2\n", "line 3 has 2 fields, the header line has 1"),
            (b"a\n\xff\n", "line 2 is not UTF-8"),
            (b"\xff\n", "line 1 is not UTF-8"),
        ] {
            let error = dataframe_split(csv).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
